"""Training speed: ours beside the same networks in PyTorch at their fastest setting.

Of each workload the peer's settings are timed first; then ours, the fastest setting found and a
large matrix product are measured in turn, and the ratio is the median over rounds.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.ours import THREADS, WORKLOADS, gflop, model_of
from benchmarks.served import Served, in_turn, peer_python
from cinegan.errors import CineganError
from cinegan.training.cost import passes

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 15
COMPARED = ("dcgan64", "dcgan128", "pggan16", "pggan64", "pggan256")


# Passes of a textbook's step through the generator and the discriminator; one back counts as two.
# Ours makes fewer, as `cost.passes` counts them: one pass back serves both networks. Both counts
# take every convolution as its definition has it, however it is computed.
TEXTBOOK = {
    # The generator forward and back for its weights and inputs (3); the discriminator forward on
    # real and on fake (2), back for the weights of both (2) and for the inputs of real, of fake,
    # and of fake again for the generator (3).
    "dcgan": (3, 7),
    # One network after the other. Discriminator: the generator forward (1); itself forward and back
    # on real and on fake (6), and the penalty: forward, the gradient by the input, and both
    # differentiated (1 + 1 + 4). Generator: itself forward and back (3), and the discriminator
    # forward and back to its input (2).
    "pggan": (4, 14),
}


def measure(only: str | None = None) -> dict[str, Any]:
    """Compare all workloads, or `only` the one of this name."""
    if only is not None and only not in COMPARED:
        raise CineganError(f"no workload {only!r}; there are {', '.join(COMPARED)}")
    compared = {name: _compare(name) for name in COMPARED if only in (None, name)}
    return {"machine": f"{platform.machine()}, {THREADS} threads", **compared}


def _compare(workload: str) -> dict[str, Any]:
    peer = _peer(workload)
    print(f"{workload}: the peer's settings", file=sys.stderr, flush=True)
    searched = subprocess.run(peer, stdout=subprocess.PIPE, text=True, check=False)
    if searched.returncode:
        raise CineganError(f"{' '.join(peer)}: ended with {searched.returncode}")
    search = json.loads(searched.stdout)
    timed = {name: rate for name, rate in search["images_per_s"].items() if rate}
    if not timed:
        raise CineganError(f"{workload}: the peer runs in no setting: {search['null_because']}")
    best = max(timed, key=timed.__getitem__)
    with (
        Served([sys.executable, "-m", "benchmarks.ours", workload]) as ours,
        Served([sys.executable, "-m", "benchmarks.matrix"]) as matrix,
        Served([*peer, "--serve", best]) as theirs,
    ):
        rates = in_turn({"ours": ours, "matrix": matrix, "peer": theirs}, ROUNDS)
    ratios = [a / b for a, b in zip(rates["ours"], rates["peer"], strict=True)]
    of_matrix = statistics.median(
        a / b for a, b in zip(rates["ours"], rates["matrix"], strict=True)
    )
    model = model_of(workload)
    textbook = gflop(workload, TEXTBOOK[model.architecture])
    one_pass_back = gflop(workload, passes(model.training, model.network))
    return {
        "peer": f"PyTorch {search['torch']}, {best}",
        "peer_settings_images_per_s": search["images_per_s"],
        "null_because": search["null_because"],
        "ours_images_per_s": round(statistics.median(rates["ours"]), 2),
        "peer_images_per_s": round(statistics.median(rates["peer"]), 2),
        "ours_peak_gb": ours.peak_gb,
        "peer_peak_gb": theirs.peak_gb,
        "ratio": round(statistics.median(ratios), 2),
        "ratio_of_each_round": [round(ratio, 2) for ratio in ratios],
        "bfloat16_matrix_product_gflops": round(statistics.median(rates["matrix"])),
        "textbook_gflop_per_image_and_step": round(textbook, 2),
        "textbook_share_of_matrix_product": round(textbook * of_matrix, 2),
        "one_pass_back_gflop_per_image_and_step": round(one_pass_back, 2),
        "one_pass_back_share_of_matrix_product": round(one_pass_back * of_matrix, 2),
    }


def _peer(workload: str) -> list[str]:
    """Command of the same network in PyTorch."""
    module, option = {
        "dcgan": ("benchmarks.peer_dcgan", "--size"),
        "pggan": ("benchmarks.peer_pggan", "--resolution"),
    }[model_of(workload).architecture]
    # PyTorch warns of packages that it does without.
    python = [peer_python(ROOT), "-W", "ignore::UserWarning", "-m"]
    threads = ["--threads", str(THREADS)]
    return [*python, module, option, str(WORKLOADS[workload][1]), *threads]
