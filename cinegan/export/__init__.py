"""Synthetic cycles for other people's training: DICOM, NIfTI for nnU-Net, arrays, and a card."""
