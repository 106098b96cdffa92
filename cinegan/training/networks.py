"""A pair of networks: built from its parameters, kept in a folder, loaded by name."""

from __future__ import annotations

import errno
import importlib
import os
from pathlib import Path
from typing import Any

from cinegan.errors import CineganError
from cinegan.files import read_json, write_json
from cinegan.models import DISCRIMINATOR_WEIGHTS, RECORD, WEIGHTS
from cinegan.sampling import CHUNK, latents

SETTLING_BATCHES = 8
SETTLING_LATENTS = 2**32  # far from those of samples


def build_generator(record: dict[str, Any]) -> Any:
    """Build the generator that a record describes, with fresh weights."""
    module, options = _architecture(record)
    return module.generator(options, record["size"], record["phases"])


def build_discriminator(record: dict[str, Any]) -> Any:
    """Build the discriminator that a record describes, with fresh weights."""
    module, options = _architecture(record)
    return module.discriminator(options, record["size"], record["phases"])


def has_independent_logits(record: dict[str, Any]) -> bool:
    """Whether the discriminator judges each cycle by itself, as its architecture's file says."""
    return _architecture(record)[0].INDEPENDENT_LOGITS


def settle_statistics(generator: Any, seed: int) -> None:
    """Measure the statistics of batch normalisation anew for averaged weights.

    Those gathered in training belong to other weights. Here they become the plain mean over a few
    batches (Brock et al. 2019, "Large Scale GAN Training", "standing statistics").
    """
    import keras

    normalisations = [
        layer for layer in generator.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not normalisations:
        return
    usual = [layer.momentum for layer in normalisations]
    for done in range(SETTLING_BATCHES):
        for layer in normalisations:
            layer.momentum = done / (done + 1)
        first = SETTLING_LATENTS + done * CHUNK
        generator(latents(seed, first, CHUNK, generator.input_shape[-1]), training=True)
    for layer, momentum in zip(normalisations, usual, strict=True):
        layer.momentum = momentum


def save_networks(folder: Path, record: dict[str, Any], generator: Any, discriminator: Any) -> None:
    """Write both networks' weights and the record that rebuilds them."""
    for network, name in ((generator, WEIGHTS), (discriminator, DISCRIMINATOR_WEIGHTS)):
        try:
            network.save_weights(folder / name)
        except (RuntimeError, OSError) as error:  # h5py hides the cause in the text
            full = "errno = 28" in str(error)
            number = errno.ENOSPC if full else getattr(error, "errno", None) or errno.EIO
            raise OSError(number, os.strerror(number), str(folder / name)) from None
    write_json(folder / RECORD, record)


def load_generator(folder: Path) -> Any:
    """Load a trained generator (the moving average), to be run in the current precision.

    Raises
    ------
    CineganError
        If the folder holds none, or its weights do not fit its record.
    """
    try:
        generator = build_generator(read_json(folder / RECORD))
        generator.load_weights(folder / WEIGHTS)
    except FileNotFoundError as error:
        raise CineganError(
            f"{error.filename or folder}: not found; `dvc repro train@{folder.name}` trains it"
        ) from None
    except (ValueError, KeyError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CineganError(
            f"{folder}: no usable generator ({reason}); `dvc repro -f train@{folder.name}` "
            "trains it anew"
        ) from None
    return generator


def _architecture(record: dict[str, Any]) -> tuple[Any, Any]:
    module = importlib.import_module(f"cinegan.models.{record['architecture']}")
    return module, module.Network.model_validate(record["network"])
