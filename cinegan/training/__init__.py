"""Training: the loop, its schedule, step, losses and checkpoints."""

import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _load_quietly() -> None:
    """Load TensorFlow without its start-up notes, which come before any log level is heeded.

    What goes wrong comes as an exception, so nothing is lost to the user.
    """
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        import keras  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)


_load_quietly()
