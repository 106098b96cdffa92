"""TensorFlow set up so that the same inputs give the same bits."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402


def configure(threads: int, precision: str = "float32") -> None:
    """Pin threads and determinism, and set the arithmetic of layers built from now on.

    Parameters
    ----------
    threads : int
        Threads within an operation. Sums are split among them, so results depend on their number.
    precision : str
        "bfloat16" (weights stay float32) or "float32".
    """
    wanted = (threads, 1)
    threading = tf.config.threading
    current = threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()
    if current != wanted:
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bfloat16" else "float32")


def set_seed(seed: int) -> None:
    """Make fresh weights a function of the seed."""
    keras.utils.set_random_seed(seed)
