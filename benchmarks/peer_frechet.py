"""The pytorch-fid package's distance of the same features; runs where that is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pytorch_fid.fid_score import calculate_frechet_distance

from benchmarks.features import correlated
from benchmarks.timing import serve

SETS = correlated()


def distance() -> float:
    """From features to the distance, as the package's own command does it."""
    moments = [(np.mean(each, axis=0), np.cov(each, rowvar=False)) for each in SETS]
    return float(calculate_frechet_distance(*moments[0], *moments[1]))


if __name__ == "__main__":
    serve(distance, 1)
