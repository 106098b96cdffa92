"""A trained generator, ready to draw: the cycles of a seed are those that `sample` draws."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

import cinegan
from cinegan.data.conditions import Conditions
from cinegan.errors import CineganError
from cinegan.files import read_json, sha256
from cinegan.model_card import CARD
from cinegan.models import RECORD, WEIGHTS
from cinegan.sampling import draw_cycles
from cinegan.training.networks import load_generator
from cinegan.training.runtime import configure

LARGEST_SEED = 2**63 - 1


class Asked(BaseModel):
    """What a client asks for.

    Attributes
    ----------
    n : int
        How many cycles, from the seed's first.
    labels, conditions : bool
        Whether the labels made with the cycles, and what each was asked to be, are wanted as well.
    groups, levels : list of str
        What may be drawn, of a model that is told it; nothing: as often as among train cycles.
    """

    model_config = ConfigDict(strict=True, extra="forbid")

    n: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)]
    labels: bool = False
    conditions: bool = False
    groups: list[str] = []
    levels: list[str] = []


class Served:
    """A trained generator that answers one request after the other.

    Keras and TensorFlow keep some of their settings per thread, so one thread does all the work;
    requests wait in line for it, and none gets another's cycles.

    Parameters
    ----------
    folder : Path
        With the weights and their record, called as the generator is.
    threads : int, optional
        Within an operation; those it was trained and sampled with if not given, since the last
        bits depend on their number.

    Attributes
    ----------
    about : dict
        What it is and what can be asked of it.
    card : str or None
        Its card, if it is there and of these weights.

    Raises
    ------
    CineganError
        If the folder holds no usable generator.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        if not (folder / RECORD).is_file() or not (folder / WEIGHTS).is_file():
            raise CineganError(
                f"{folder}: no {WEIGHTS} with its {RECORD} here; name a folder models/NAME that "
                "`dvc repro train@NAME` made"
            )
        record, digest = read_json(folder / RECORD), sha256(folder / WEIGHTS)
        self._worker = ThreadPoolExecutor(1, "generator")
        self._generator = self._worker.submit(
            _loaded, folder, threads or record["threads"]
        ).result()
        self._known = Conditions(record["condition_counts"])
        self._phases, self._labels = record["phases"], record["label_channels"]
        _, *shape, channels = self._generator.output_shape
        if channels != self._phases + len(self._labels):
            raise CineganError(f"{folder}: {RECORD} tells other channels than the generator makes")
        self.card = _card_of(folder, digest)
        self.about: dict[str, Any] = {
            "name": folder.absolute().name,
            "synthetic": True,
            "software": f"cinegan {cinegan.__version__}",
            "weights_sha256": digest,
            "architecture": record["architecture"],
            "input": record["input"],
            "cycle_shape": [*shape, self._phases],
            "label_channels": self._labels,
            "label_phases": record["label_phases"],
            "conditions": self._known.values,
        }

    def submit(self, asked: Asked) -> Future[dict[str, np.ndarray]]:
        """Draw what is asked for, once it is its turn.

        Returns
        -------
        future of dict
            `cycles`, (n, H, W, T) uint8; if asked for `labels`, (n, H, W, L) uint8, and
            `conditions`, (n, kinds) str.

        Raises
        ------
        CineganError
            If the model does not make, or was not told, what is asked for.
        """
        if asked.labels and not self._labels:
            raise CineganError("labels: this model makes none")
        told = {
            "conditions": list(self._known.values) if asked.conditions else None,
            "groups": ["group"] if asked.groups else None,
            "levels": ["level"] if asked.levels else None,
        }
        for key, kinds in told.items():
            if kinds is not None and not (kinds and set(kinds) <= self._known.values.keys()):
                raise CineganError(f"{key}: this model is not told the {key} of a cycle")
        try:
            wanted = self._known.only(asked.groups, asked.levels)
        except CineganError as error:  # names a parameter of the pipeline
            raise CineganError(str(error).removeprefix("sample").lstrip(".: ")) from None
        return self._worker.submit(self._draw, asked, wanted)

    def _draw(self, asked: Asked, wanted: Conditions) -> dict[str, np.ndarray]:
        drawn = draw_cycles(self._generator, asked.n, asked.seed, wanted, progress=False)
        answer = {"cycles": drawn[..., : self._phases]}
        if asked.labels:
            answer["labels"] = drawn[..., self._phases :]
        if asked.conditions:
            answer["conditions"] = wanted.draw(asked.seed, 0, asked.n).to_numpy(dtype=str)
        return answer


def _loaded(folder: Path, threads: int) -> Any:
    """The generator as `sample` runs it, after a first draw, which takes longer than others."""
    configure(threads)
    generator = load_generator(folder)
    draw_cycles(
        generator, 1, 0, Conditions(read_json(folder / RECORD)["condition_counts"]), progress=False
    )
    return generator


def _card_of(folder: Path, digest: str) -> str | None:
    """The card beside the weights, or where `evaluate` leaves it, if it is theirs."""
    folder = folder.absolute()
    for path in (folder / CARD, folder.parent.parent / "metrics/plots" / folder.name / CARD):
        if path.is_file():
            card = path.read_text(encoding="utf-8")
            return card if digest in card else None
    return None
