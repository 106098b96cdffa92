"""The folder of an export, whole or not at all."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
from tqdm import tqdm

from cinegan.errors import CineganError
from cinegan.export.card import licence_of, write_card
from cinegan.export.nnunet import begin_dataset, write_cases, write_dataset_json, write_volumes
from cinegan.export.series import write_series
from cinegan.export.source import Source
from cinegan.files import atomic_folder, write_json
from cinegan.sampling import CONDITIONS, CYCLES, LABELS

FORMATS = ("dicom", "nifti", "arrays")
CLASSES, CHANNELS = "classes.npy", "labels.json"


def export(
    source: Source,
    folder: Path,
    formats: Collection[str] = FORMATS,
    *,
    dataset_id: int = 900,
    synthetic_data: bool = False,
    progress: bool = True,
) -> dict[str, int]:
    """Write cycles in some formats, with their card; same arguments, same bytes.

    Parameters
    ----------
    formats : collection of str
        Of `FORMATS`.
    dataset_id : int
        Number of nnU-Net's dataset, 1 to 999.
    synthetic_data : bool
        See `SyntheticHeader`.

    Returns
    -------
    dict
        How many files of each kind were written.

    Raises
    ------
    CineganError
        If the folder exists.
    """
    if folder.exists():
        raise CineganError(f"{folder}: exists already; name a folder that does not")
    labelled = source.labels is not None
    files: dict[str, int] = {}

    def count(kind: str, more: int) -> None:
        files[kind] = files.get(kind, 0) + more

    with atomic_folder(folder) as partial:
        if "nifti" in formats:
            (partial / "nifti").mkdir()
            if labelled:
                dataset = begin_dataset(partial / "nnunet", source.name, dataset_id)
        numbers = range(len(source.cycles))
        for number in tqdm(numbers, desc="exporting", unit="cycle", disable=not progress):
            if "dicom" in formats:
                count(
                    "DICOM files", write_series(partial / "dicom", source, number, synthetic_data)
                )
            if "nifti" in formats:
                count("4D NIfTI files", write_volumes(partial / "nifti", source, number))
                if labelled:
                    count("nnU-Net cases", write_cases(dataset, source, number))
        if "nifti" in formats and labelled:
            if not files["nnU-Net cases"]:
                raise CineganError(
                    f"{source.name}: no frame has labels that fit it; --without-labels exports the "
                    "cycles alone"
                )
            write_dataset_json(dataset, source, files["nnU-Net cases"], licence_of(source))
        if "arrays" in formats:
            count("arrays", _write_arrays(partial / "arrays", source))
        write_card(partial, source, files)
    return files


def _write_arrays(folder: Path, source: Source) -> int:
    """Write cycles as sampled, and labels as sampled and as classes."""
    folder.mkdir()
    np.save(folder / CYCLES, source.cycles)
    if source.conditions is not None:
        source.conditions.to_csv(folder / CONDITIONS, index=False, lineterminator="\n")
    if source.labels is None:
        return 1
    np.save(folder / LABELS, source.labels.maps)
    np.save(folder / CLASSES, source.labels.classes)
    write_json(folder / CHANNELS, {"channels": source.labels.channels})
    return 3
