"""A small project: two patients, a model that learnt from them, and what it made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from imports import ROOT

from cinegan.data.cohort import Cohort, PatientCycles, PlacedContour, write_cohort
from cinegan.data.labels import channels_of, joint, source_for
from cinegan.files import read_json, sha256, sha256_of_arrays, write_json
from cinegan.sampling import write_samples

SIZE, PHASES, NAME, PLAIN = 64, 20, "cinegan64", "dcgan64"


def beating(seed):
    """A bright disc in a dark ring, off the middle, and its outlines at ED, ES, and ED (epi)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    away = np.hypot(rows - rng.uniform(22, 28), columns - rng.uniform(34, 40))[..., None]
    radius = 11 - 4 * np.exp(-(((np.arange(PHASES) - 8.0) / 3) ** 2))
    endo, epi = (np.clip(r - away + 0.5, 0, 1) for r in (radius, radius + 6))
    cycle = 90 - 60 * epi + 170 * endo + rng.uniform(0, 30, (SIZE, SIZE, 1))
    maps = np.stack([endo[..., 0], endo[..., 8], epi[..., 0]], axis=-1)
    return np.concatenate([cycle, 255 * maps], axis=-1).round().astype(np.uint8)


def patient(name, spacing, step):
    circle = 8 * np.stack([np.cos(a := np.linspace(0, 6, 20)), np.sin(a)], axis=1) + 16
    rows = [
        {
            "patient": name,
            "split": "train",
            "row": row,
            "spacing_row_mm": spacing,
            "spacing_column_mm": spacing,
            "thickness_mm": 8.0,
            "phases_scanned": PHASES,
            "trigger_times_ms": " ".join(f"{step * (t + 0.5):.7g}" for t in range(PHASES)),
        }
        for row in range(2)
    ]
    stack = np.stack([beating(len(name) + row)[..., :PHASES] for row in range(2)])
    drawn = [PlacedContour(0, p, "endo", circle * s) for p, s in ((0, 2.0), (8, 1.5))]
    return PatientCycles(name, stack, rows, [*drawn, PlacedContour(0, 0, "epi", circle * 2.5)])


def make_project(folder: Path) -> None:
    """All that `read_source` reads, in the current folder's layout."""
    params = (ROOT / "params.yaml").read_text()
    (folder / "params.yaml").write_text(params.replace("source: phantom", "source: sunnybrook", 1))
    write_cohort(folder / "data/ventricles", [patient("A", 2.0, 40.0), patient("B", 3.0, 50.0)])
    cohort = Cohort(folder / "data/ventricles")
    for name, labels in ((NAME, "moments"), (PLAIN, "none")):
        source = source_for(cohort, labels)
        owners = cohort.patient_of_each("train")
        labels_of_model = channels_of(cohort, owners, source)
        names, phases = labels_of_model
        trained = folder / "models" / name
        trained.mkdir(parents=True)
        weights = trained / "generator.weights.h5"
        weights.write_bytes(b"weights")
        drawn = np.stack([beating(seed) for seed in range(3)])[..., : PHASES + len(names)]
        made = {"seed": 5, "weights_sha256": sha256(weights)}
        write_samples(folder / "data/samples" / name, drawn, labels_of_model, 1, made=made)
        record = {
            "architecture": name[:-2],
            "size": SIZE,
            "labels": labels,
            "phases": PHASES,
            "label_channels": names,
            "label_phases": phases,
            "seed": 4,
            "total_kimg": 20.0,
            "train_cycles": 4,
            "train_patients": 2,
            "train_sha256": sha256_of_arrays(joint(cohort, owners, SIZE, source)),
        }
        write_json(trained / "model.json", record)


def change(path: Path, **values: object) -> None:
    """Change keys of a JSON file."""
    write_json(path, read_json(path) | values)
