"""The pytorch-fid package's distance of the same features; runs where that is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

# The package imports torchvision, of which nothing is used here. One built for another torch
# than is installed lacks its operators, and without these two it cannot even be imported.
_OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _name):
        _OPERATORS.define(f"{_name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")

from pytorch_fid.fid_score import calculate_frechet_distance  # noqa: E402

from benchmarks.features import correlated  # noqa: E402
from benchmarks.timing import serve  # noqa: E402

SETS = correlated()


def distance() -> float:
    """From features to the distance, as the package's own command does it."""
    moments = [(np.mean(each, axis=0), np.cov(each, rowvar=False)) for each in SETS]
    return float(calculate_frechet_distance(*moments[0], *moments[1]))


if __name__ == "__main__":
    serve(distance, 1)
