"""Cycles as 4D NIfTI, and their labelled frames in the layout that nnU-Net v2 reads.

References
----------
github.com/MIC-DKFZ/nnUNet, documentation/reference/dataset-format.md and ignore_label.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cinegan.data.nifti_writer import encode_slice
from cinegan.export.classes import IGNORE, IGNORED, NAMES
from cinegan.export.source import Source
from cinegan.files import write_json

ENDING = ".nii.gz"
ABOUT = "synthetic image"


def cycle_name(source: Source, number: int) -> str:
    """Of a cycle's files; numbers are rows of cycles.npy."""
    return f"{source.name}_{number:05d}"


def write_volumes(folder: Path, source: Source, number: int) -> int:
    """Write a cycle and its classes with all phases; say how many files that are.

    Of labels the name ends in _seg, by which programs that read cohorts of images (cinegan, too)
    tell them from images.
    """
    geometry, name = source.geometry, cycle_name(source, number)
    how = geometry.plane, geometry.thickness_mm, geometry.step_ms, ABOUT
    content = encode_slice(source.cycles[number], *how)
    (folder / f"{name}{ENDING}").write_bytes(content)
    if source.labels is None:
        return 1
    content = encode_slice(source.labels.classes[number], *how)
    (folder / f"{name}_seg{ENDING}").write_bytes(content)
    return 2


def write_cases(folder: Path, source: Source, number: int) -> int:
    """Write the labelled frames of a cycle, a case each; say how many cases that are.

    A frame in which all pixels are to be ignored is no case. The images' names tell the cycle, so
    that frames of one need not be drawn into two folds.
    """
    assert source.labels is not None
    geometry, count = source.geometry, 0
    for phase in np.flatnonzero(source.labels.known[number].any(axis=-1)):
        classes = source.labels.classes[number, ..., phase]
        if (classes == IGNORE).all():
            continue
        name = f"{cycle_name(source, number)}_t{phase:02d}"
        for picture, file in (
            (source.cycles[number, ..., phase], f"imagesTr/{name}_0000"),
            (classes, f"labelsTr/{name}"),
        ):
            content = encode_slice(picture, geometry.plane, geometry.thickness_mm, about=ABOUT)
            (folder / f"{file}{ENDING}").write_bytes(content)
        count += 1
    return count


def begin_dataset(folder: Path, name: str, number: int) -> Path:
    """Make the folders of a dataset, `Dataset<number>_<name>`, and give the upper one."""
    dataset = folder / f"Dataset{number:03d}_{name}"
    for part in ("imagesTr", "labelsTr"):
        (dataset / part).mkdir(parents=True)
    return dataset


def write_dataset_json(dataset: Path, source: Source, cases: int, licence: str) -> None:
    """Write what nnU-Net reads of a dataset."""
    assert source.labels is not None
    unknown = (source.labels.classes == IGNORE).mean(axis=(1, 2))  # (n, T)
    ignored = bool(((unknown > 0) & (unknown < 1)).any())
    about: dict[str, Any] = {
        "channel_names": {"0": "cineMRI"},  # a name that nnU-Net does not know: z-scores
        "labels": NAMES | (IGNORED if ignored else {}),
        "numTraining": cases,
        "file_ending": ENDING,
        "name": source.name,
        "description": "Synthetic short-axis cine MRI, single frames; see CARD.md",
        "licence": licence,
        "converted_by": "cinegan",
    }
    write_json(dataset / "dataset.json", about)
