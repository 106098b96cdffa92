"""A digital cine phantom: bodies with beating hearts, written as DICOM in Sunnybrook's layout.

One three-dimensional body is made per patient and cut by planes, as a scanner does it: the
short-axis stack, a long axis and the scouts all show the same anatomy. Lengths are millimetres.
`archives` writes a cohort, `study` draws one patient and `masks` labels what was drawn; the other
files are what they are made of.

Two frames of reference are used:

- patient: x to the left, y to the back, z to the head (DICOM's), origin in the chest's middle;
- heart: u towards the lateral wall, v towards the inferior wall, w from base to apex; origin in the
  middle of the mitral plane at end-diastole. A short-axis slice is a plane of constant w.

Pixels are computed with operations that IEEE 754 rounds exactly (an angle is rounded before use),
so that processors agree on every bit.

References
----------
Radau P et al. 2009, "Evaluation Framework for Algorithms Segmenting Short Axis Cardiac MRI", The
MIDAS Journal, hdl.handle.net/10380/3070: group statistics and layout.
"""
