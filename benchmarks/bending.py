"""How far real cycles may be bent: what bent ones score, and whether they are copies still.

Cycles of train patients are bent as `training.warp` would do it and judged as samples are, against
those of val patients. A generator that learns bent cycles can be no truer to life than they are,
and no less of a copy. The cohort is that of `data/ventricles`, as the pipeline left it; no test
patient is read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.ours import PARAMS, THREADS

DEVIATIONS = (0.0, 0.03, 0.05, 0.07, 0.1)  # shares of the side
TIMES = 10  # that each real cycle is bent
SEED = 0


def measure() -> dict[str, Any]:
    """Judge the train cycles bent by each of `DEVIATIONS`."""
    from benchmarks.against_val import against_val
    from cinegan.data.cohort import Cohort
    from cinegan.params import load_params
    from cinegan.training.runtime import configure

    model = load_params(PARAMS).model_named("cinegan64")
    cohort = Cohort(PARAMS.parent / model.folder)
    train, _ = cohort.split("train", model.size)
    configure(THREADS)
    result = {}
    for deviation in DEVIATIONS:
        figures = against_val(_bent(train, deviation), cohort)
        result[f"bent by {deviation} of the side"] = {
            name: round(value, 2) for name, value in figures.items()
        }
    return result


def _bent(cycles: np.ndarray, deviation: float) -> np.ndarray:
    """Each cycle (n, H, W, T) uint8 bent in `TIMES` ways."""
    from cinegan.data.intensity import from_network, to_network
    from cinegan.training.warp import DRAWS, warp

    draw = np.random.default_rng(SEED)
    bent = []
    for _ in range(TIMES):
        ways = draw.standard_normal((len(cycles), *DRAWS)).astype(np.float32)
        bent.append(np.asarray(warp(to_network(cycles.astype(np.float32)), ways, deviation)))
    return from_network(np.concatenate(bent))
