"""Training speed of DCGAN-64: ours beside the same network in PyTorch at its fastest setting.

Every setting of the peer is timed first; then ours, the fastest setting found and a large matrix
product are measured in turn, and the ratio is the median over rounds.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.served import Served, in_turn, peer_python, serve

ROOT = Path(__file__).resolve().parents[1]
PEER = Path(__file__).with_name("peer_dcgan64.py")
ROUNDS, THREADS, MATRIX = 15, 2, 4096
# Multiply-adds of one image: the layers' shapes, 2 FLOPs each. A step is three passes of the
# generator and seven of the discriminator as the textbook has it (forward on real and fake, back
# for the weights of both, back for the inputs of real, fake, and fake again for the generator).
GENERATOR_PASSES, DISCRIMINATOR_PASSES = 3, 7


def measure() -> dict[str, Any]:
    """Run the whole comparison."""
    searched = subprocess.run(
        [peer_python(ROOT), str(PEER)], capture_output=True, text=True, check=True
    )
    search = json.loads(searched.stdout)
    best = max(search["images_per_s"], key=search["images_per_s"].__getitem__)
    ours = [sys.executable, "-m", "benchmarks.dcgan64"]
    with (
        Served([*ours, "train"]) as train,
        Served([*ours, "matrix"]) as matrix,
        Served([peer_python(ROOT), str(PEER), "--serve", best]) as peer,
    ):
        rates = in_turn({"ours": train, "matrix": matrix, "peer": peer}, ROUNDS)
    ratios = [a / b for a, b in zip(rates["ours"], rates["peer"], strict=True)]
    flops = _flops_per_image()
    shares = [a * flops / b for a, b in zip(rates["ours"], rates["matrix"], strict=True)]
    return {
        "machine": f"{platform.machine()}, {THREADS} threads",
        "peer": f"PyTorch {search['torch']}, {best}",
        "peer_settings_images_per_s": search["images_per_s"],
        "ours_images_per_s": round(statistics.median(rates["ours"]), 1),
        "peer_images_per_s": round(statistics.median(rates["peer"]), 1),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_of_each_round": [round(ratio, 2) for ratio in ratios],
        "bfloat16_matrix_product_gflops": round(statistics.median(rates["matrix"]) / 1e9),
        "textbook_gflop_per_image_and_step": round(flops / 1e9, 2),
        "share_of_matrix_product": round(statistics.median(shares), 2),
    }


def _networks() -> tuple[Any, Any, Any]:
    """The model block of params.yaml, its generator and its discriminator."""
    from cinegan.params import load_params
    from cinegan.training.networks import build_discriminator, build_generator

    model = load_params(ROOT / "params.yaml").model_named("dcgan64")
    record = model.model_dump() | {"phases": 20}
    return model, build_generator(record), build_discriminator(record)


def _flops_per_image() -> float:
    from cinegan.training.cost import flops_per_image
    from cinegan.training.runtime import configure

    configure(THREADS)
    _, generator, discriminator = _networks()
    return GENERATOR_PASSES * flops_per_image(generator) + DISCRIMINATOR_PASSES * flops_per_image(
        discriminator
    )


def _serve_training() -> None:
    from cinegan.training.runtime import configure, set_seed
    from cinegan.training.step import TrainingStep

    configure(THREADS, "bfloat16")
    set_seed(0)
    model, generator, discriminator = _networks()
    configure(THREADS)
    average = _networks()[1]
    cycles = np.random.default_rng(0).integers(0, 256, (256, 64, 64, 20), dtype=np.uint8)
    step = TrainingStep(
        generator, discriminator, average, cycles, model.training, 0, independent_logits=True
    )
    for _ in range(4):
        step()
    serve(step, model.training.batch)


def _serve_matrix_product() -> None:
    from cinegan.training.runtime import configure

    configure(THREADS)
    from keras import ops

    matrix = ops.ones((MATRIX, MATRIX), "bfloat16")
    serve(lambda: float(ops.matmul(matrix, matrix)[0, 0]), 2.0 * MATRIX**3)


if __name__ == "__main__":
    {"train": _serve_training, "matrix": _serve_matrix_product}[sys.argv[1]]()
