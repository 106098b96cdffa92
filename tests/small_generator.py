"""A small generator in its folder, told groups and levels, that makes labels; it learnt nothing."""

from __future__ import annotations

from pathlib import Path

from cinegan.files import sha256
from cinegan.models import WEIGHTS
from cinegan.training.networks import build_discriminator, build_generator, save_networks
from cinegan.training.runtime import configure, set_seed

SIZE, PHASES = 16, 6
THREADS = 2  # as all tests: within a process they cannot change
LABELS = ["endo ED", "endo ES", "epi ED"]
COUNTS = [
    {"group": "HYP", "level": "base", "cycles": 3},
    {"group": "Normal", "level": "base", "cycles": 2},
    {"group": "Normal", "level": "apex", "cycles": 1},
]


def record_with(**changes):
    """What rebuilds its networks and is told of it."""
    record = {
        "architecture": "dcgan",
        "input": "ventricles",
        "size": SIZE,
        "phases": PHASES,
        "label_channels": LABELS,
        "label_phases": {"ED": [0], "ES": [3]},
        "condition_inputs": ["group HYP", "group Normal", "level base", "level apex"],
        "condition_counts": COUNTS,
        "network": {
            **{"latent": 7, "generator": [8, 8], "discriminator": [4], "leak": 0.3},
            **{"dropout": 0.0, "generator_dropout": 0.0, "spectral_normalization": False},
        },
        "training": {"loss": "bce"},
        "start_from": "models/fresh",
        "total_kimg": 0.5,
        "seed": 4,
        "threads": THREADS,
        "train_cycles": 6,
        "train_patients": 2,
        "train_sha256": "0" * 64,
    }
    return record | changes


def make_generator(folder: Path, seed: int = 1, **changes: object) -> str:
    """Write a pair as a training does; returns the digest of the generator's weights."""
    record = record_with(**changes)
    configure(THREADS)
    set_seed(seed)
    folder.mkdir(parents=True)
    save_networks(folder, record, build_generator(record), build_discriminator(record))
    return sha256(folder / WEIGHTS)
