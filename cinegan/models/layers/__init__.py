"""Our layers, loaded at first use: an architecture's file is read without waiting for a backend."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cyclic": ["HarmonicSynthesis", "WithMotion"],
        "fast": [
            "EnlargingConv2D",
            "FourierConv2DTranspose",
            "LeakyDropout",
            "PatchConv2D",
            "PatchConv2DTranspose",
        ],
        "progressive": [
            "EqualizedConv2D",
            "EqualizedDense",
            "FadeIn",
            "MinibatchDeviation",
            "PixelNormalization",
        ],
        "spectral": ["SpectralConv2D", "SpectralDense", "SpectralPatchConv2D"],
    },
)
