"""How tiny pairs are trained: blocks of params.yaml, made here."""

from __future__ import annotations

from cinegan.params import Budgets, Model, Training

# As the original trains, at a rate for tiny networks.
PLAIN = {
    "batch": 4,
    "learning_rate": 1e-3,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-7,
    "ema_decay": 0.9,
    "precision": "auto",
    "deterministic": True,
    "loss": "bce",
    "label_smoothing": 0.0,
    "label_flips": 0.0,
    "input_noise": 0.0,
    "input_noise_kimg": 1.0,
    "gradient_penalty": 0.0,
    "drift": 0.0,
    "r1": 0.0,
    "r1_every": 4,
    "augment": [],
    "augment_strength": 1.0,
    "augment_target": None,
    "augment_kimg": 1.0,
    "mirror": False,
    "warp": 0.0,
    "warp_kimg": 0.0,
}


def training_with(**changes):
    """Parameters of a training, but for some as PLAIN has them."""
    return Training(**(PLAIN | changes))


def model_with(network, training, budget, size=16):
    """A block of params.yaml."""
    return Model(
        architecture=type(network).__module__.rpartition(".")[2],
        input="ventricles",
        folder="data/ventricles",
        size=size,
        labels="none",
        conditions=[],
        start_from="models/fresh",
        network=network,
        training=training,
        budgets=Budgets(smoke=budget, laptop=budget, reference=budget, full=budget),
    )
