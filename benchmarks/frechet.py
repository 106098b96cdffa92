"""The Fréchet distance of 2 x 2,048 features of 2,048 dimensions, beside pytorch-fid's."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.features import correlated
from benchmarks.served import Served, in_turn, peer_python
from benchmarks.timing import serve

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5


def measure() -> dict[str, Any]:
    """Time both in turn, from features to the distance."""
    ours = [sys.executable, "-m", "benchmarks.frechet"]
    peer = [peer_python(ROOT), str(ROOT / "benchmarks" / "peer_frechet.py")]
    with Served(ours) as own, Served(peer) as other:
        rates = in_turn({"ours": own, "peer": other}, ROUNDS)
    seconds = {
        name: statistics.median(1 / rate for rate in values) for name, values in rates.items()
    }
    return {
        "ours_s": round(seconds["ours"], 2),
        "pytorch_fid_s": round(seconds["peer"], 2),
        "ours_over_theirs": round(seconds["ours"] / seconds["peer"], 3),
    }


def _serve() -> None:
    from cinegan.evaluation.frechet import frechet_distance
    from cinegan.evaluation.frechet import statistics as moments

    sets = correlated()
    serve(lambda: frechet_distance(*map(moments, sets)), 1)


if __name__ == "__main__":
    _serve()
