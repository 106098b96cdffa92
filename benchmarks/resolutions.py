"""The progressive GAN at each resolution: time per image beside the FLOPs of the live blocks.

All resolutions are measured in turn, each in a process of its own, and with them a large matrix
product. Where blocks that are not in use cost nothing, time and FLOPs go together.
"""

from __future__ import annotations

import statistics
import sys
from contextlib import ExitStack
from typing import Any

from benchmarks.ours import gflop, model_of
from benchmarks.served import Served, in_turn
from cinegan.errors import CineganError
from cinegan.training.cost import passes

SIZES = (4, 8, 16, 32, 64, 128, 256)
ROUNDS = 5
REFERENCE = 16  # the resolution that the ratio of time to FLOPs is told relative to


def measure(only: str | None = None) -> dict[str, Any]:
    """Measure all resolutions, or `only` one beside the reference."""
    if only is not None and only not in map(str, SIZES):
        raise CineganError(f"no resolution {only!r}; there are {', '.join(map(str, SIZES))}")
    sizes = SIZES if only is None else sorted({REFERENCE, int(only)})
    with ExitStack() as running:
        programs = {
            f"pggan{size}": running.enter_context(
                Served([sys.executable, "-m", "benchmarks.ours", f"pggan{size}"])
            )
            for size in sizes
        }
        matrix = running.enter_context(Served([sys.executable, "-m", "benchmarks.matrix"]))
        rates = in_turn({**programs, "matrix": matrix}, ROUNDS)
    rows = {}
    for name in programs:
        model = model_of(name)
        flop = gflop(name, passes(model.training, model.network))
        seconds = [1 / rate for rate in rates[name]]
        shares = [flop * a / b for a, b in zip(rates[name], rates["matrix"], strict=True)]
        rows[name] = {
            "ms_per_image": round(1000 * statistics.median(seconds), 2),
            "gflop_per_image_and_step": round(flop, 2),
            "share_of_matrix_product": round(statistics.median(shares), 2),
            "peak_gb": programs[name].peak_gb,
        }
    reference = rows[f"pggan{REFERENCE}"]["share_of_matrix_product"]
    for row in rows.values():
        row["time_per_flop_beside_16x16"] = round(reference / row["share_of_matrix_product"], 2)
    return {**rows, "bfloat16_matrix_product_gflops": round(statistics.median(rates["matrix"]))}
