"""A pair of networks: built from its parameters, kept in a folder, loaded by name."""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cinegan.data.conditions import NOTHING, Conditions
from cinegan.errors import CineganError
from cinegan.files import read_json, write_json
from cinegan.models import DISCRIMINATOR_WEIGHTS, RECORD, WEIGHTS
from cinegan.params import NetworkOptions
from cinegan.sampling import latents

# A batch is at least as large as in training: the variance within a smaller one would be too low.
SETTLING_BATCHES, SETTLING_BATCH = 8, 32
SETTLING_LATENTS = 2**32  # far from those of samples


class Trained(NamedTuple):
    """A trained pair, and pixels per side of what it makes."""

    generator: Any
    discriminator: Any
    size: int


def build_generator(record: dict[str, Any]) -> Any:
    """Build the generator that a record describes, with fresh weights."""
    return _built("generator", record)


def build_discriminator(record: dict[str, Any]) -> Any:
    """Build the discriminator that a record describes, with fresh weights."""
    return _built("discriminator", record)


def options_of(record: dict[str, Any]) -> NetworkOptions:
    """The options of a record's networks, as their architecture's file checks them."""
    return _architecture(record)[1]


def settle_statistics(generator: Any, seed: int, conditions: Conditions = NOTHING) -> None:
    """Measure the statistics of batch normalisation anew for averaged weights.

    Those gathered in training belong to other weights. Here they become the plain mean over a few
    batches (Brock et al. 2019, "Large Scale GAN Training", "standing statistics"), of cycles that
    are asked for as often as `conditions` say.
    """
    import keras

    normalisations = [
        layer for layer in generator.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not normalisations:
        return
    dropouts = [layer for layer in generator.layers if hasattr(layer, "draw")]
    momenta, rates = [n.momentum for n in normalisations], [d.rate for d in dropouts]
    for layer in dropouts:  # samples are drawn without
        layer.rate = 0.0
    for done in range(SETTLING_BATCHES):
        for layer in normalisations:
            layer.momentum = done / (done + 1)
        first = SETTLING_LATENTS + done * SETTLING_BATCH
        drawn = latents(seed, first, SETTLING_BATCH, generator.input_shape[-1], conditions)
        generator(drawn, training=True)
    for layer, momentum in zip(normalisations, momenta, strict=True):
        layer.momentum = momentum
    for layer, rate in zip(dropouts, rates, strict=True):
        layer.rate = rate


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
    with _explained(folder, "generator"):
        generator = build_generator(read_json(folder / RECORD))
        generator.load_weights(folder / WEIGHTS)
    return generator


def load_pair(folder: Path, wanted: dict[str, Any]) -> Trained:
    """Load a trained pair, to go on training it as the `wanted` record says.

    Raises
    ------
    CineganError
        If the folder holds none, its weights do not fit its record, or its networks are others
        than those wanted.
    """
    generator = load_generator(folder)
    with _explained(folder, "discriminator"):
        record = read_json(folder / RECORD)
        discriminator = build_discriminator(record)
        discriminator.load_weights(folder / DISCRIMINATOR_WEIGHTS)
    same = [
        "architecture",
        "network",
        "phases",
        "label_channels",
        "condition_inputs",
        *([] if "grows_to" in record else ["size"]),
    ]
    for key in same:
        if record.get(key, []) != wanted[key]:
            raise CineganError(
                f"start_from: {folder} has {key} {record.get(key, [])}, this model {wanted[key]}; "
                "start from a model of the same networks"
            )
    if record["size"] > wanted["size"]:
        raise CineganError(
            f"start_from: {folder} makes {record['size']} pixels a side, more than this model's "
            f"{wanted['size']}; start from one that is no larger"
        )
    return Trained(generator, discriminator, record["size"])


@contextmanager
def _explained(folder: Path, what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise CineganError(
            f"{error.filename or folder}: not found; `dvc repro train@{folder.name}` trains it"
        ) from None
    except (ValueError, KeyError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CineganError(
            f"{folder}: no usable {what} ({reason}); `dvc repro -f train@{folder.name}` "
            "trains it anew"
        ) from None


def _built(kind: str, record: dict[str, Any]) -> Any:
    module, options = _architecture(record)
    growth = {"fading": record["fading"]} if "fading" in record else {}
    labels, told = (len(record.get(key, ())) for key in ("label_channels", "condition_inputs"))
    if kind == "generator":  # behind the latents; for the discriminator, behind all other channels
        options = options.model_copy(update={"latent": options.latent + told})
    else:
        labels += told
    return getattr(module, kind)(options, record["size"], record["phases"], labels, **growth)


def _architecture(record: dict[str, Any]) -> tuple[Any, Any]:
    module = importlib.import_module(f"cinegan.models.{record['architecture']}")
    return module, module.Network.model_validate(record["network"])
