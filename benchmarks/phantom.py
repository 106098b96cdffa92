"""The phantom against what was published: its volumes, its contours, and the time it takes.

Volumes are summed over the pixels of the masks of the drawn studies (8 slices, times their
distance), of 200 patients per group and seed, in images of 128 pixels a side. Contours are
compared, at 256 pixels, with the edge of the drawn tissue, the masks, and with the drawn signal
before noise and magnitude: along the normals of the contour, where does the signal change?
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree
from skimage.measure import find_contours
from tqdm import tqdm

from cinegan.data.phantom.archives import write_cohort
from cinegan.data.phantom.arrays import Floats, Image
from cinegan.data.phantom.cohort import GROUPS, Patient, cohort
from cinegan.data.phantom.left_ventricle import MYOCARDIAL_DENSITY_G_PER_ML
from cinegan.data.phantom.masks import CAVITY, MUSCLE, label_stack
from cinegan.data.phantom.stack import plan_stack
from cinegan.data.phantom.study import slice_contours
from cinegan.data.phantom.subject import lie_down, paint_cine

SEEDS, PATIENTS, SIZE, SLICES, PHASES, WORKERS = (0, 1, 2), 200, 128, 8, 20, 2
QUANTITIES = ("edv_ml", "esv_ml", "ejection_fraction", "mass_g")
CONTOURED, CONTOURED_SIZE = 6, 256  # patients per group; pixels
REACH, STEP = 2.0, 0.05  # along a normal, in pixels


def measure() -> dict[str, Any]:
    """Run all three comparisons."""
    volumes: dict[str, Any] = {}
    jobs = [(seed, patient) for seed in SEEDS for patient in cohort(seed, PATIENTS)]
    with get_context("spawn").Pool(WORKERS) as pool:
        measured = np.array(_watched(pool.imap(_function, jobs, 16), "volumes", len(jobs)))
        contoured = [(SEEDS[0], patient) for patient in cohort(SEEDS[0], CONTOURED)]
        edges = list(_watched(pool.imap(_edges, contoured), "contours", len(contoured)))
    for seed in SEEDS:
        for group in GROUPS:
            here = [s == seed and p.pathology == group.pathology for s, p in jobs]
            for quantity, values in zip(QUANTITIES, measured[here].T, strict=True):
                row = _row(values, getattr(group, quantity)[:2])
                volumes[f"seed {seed} {group.code} {quantity}"] = row
    return {
        "patients_per_group": PATIENTS,
        **volumes,
        "worst_mean_off": round(max(abs(row["mean_ratio"] - 1) for row in volumes.values()), 3),
        "worst_sd_off": round(max(abs(row["sd_ratio"] - 1) for row in volumes.values()), 3),
        **{f"{name}_off_pixels": _summary([edge[name] for edge in edges]) for name in edges[0]},
        "seconds_for_12_patients": round(_seconds(), 1),
    }


def _watched(results: Any, what: str, total: int) -> list[Any]:
    return list(tqdm(results, what, total, file=sys.stderr, unit="patient"))


def _function(job: tuple[int, Patient]) -> tuple[float, float, float, float]:
    """EDV and ESV in ml, ejection fraction, and mass in g, from the masks."""
    subject = lie_down(*job, SIZE, PHASES)
    stack = plan_stack(subject, SLICES)
    systole = int(np.argmin(subject.heart.left.volumes_ml))
    masks = label_stack(subject, stack, [0, systole])
    pixel_ml = subject.scan.spacing_mm**2 * stack.spacing_mm / 1000
    edv, esv = np.sum(masks == CAVITY, axis=(0, 2, 3)) * pixel_ml
    mass = np.sum(masks[:, 0] == MUSCLE) * pixel_ml * MYOCARDIAL_DENSITY_G_PER_ML
    return edv, esv, 1 - esv / edv, mass


def _row(values: Floats, published: tuple[float, float]) -> dict[str, float]:
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    return {
        "mean": round(mean, 4),
        "published_mean": published[0],
        "mean_ratio": round(mean / published[0], 3),
        "sd": round(sd, 4),
        "published_sd": published[1],
        "sd_ratio": round(sd / published[1], 3),
    }


def _edges(job: tuple[int, Patient]) -> dict[str, Floats]:
    """How far off the drawn edges lie, at end-diastole and end-systole, over a whole stack."""
    subject = lie_down(*job, CONTOURED_SIZE, PHASES)
    stack = plan_stack(subject, SLICES)
    phases = (0, int(np.argmin(subject.heart.left.volumes_ml)))
    masks = label_stack(subject, stack, list(phases))
    off: dict[str, list[Floats]] = defaultdict(list)
    for number, (plane, breath) in enumerate(zip(stack.planes, stack.breaths_mm, strict=True)):
        signals = list(paint_cine(subject, plane, number, breath))
        endo, epi, _ = slice_contours(subject, plane, breath)
        for labels, phase in zip(masks[number], phases, strict=True):
            for name, contour, inside in (
                ("endocardium", endo[phase], labels == CAVITY),
                ("epicardium", epi[phase], (labels == CAVITY) | (labels == MUSCLE)),
            ):
                if contour is not None:
                    off[f"{name}_to_mask"].append(mask_offsets(inside, contour))
                    off[f"{name}_to_signal"].append(edge_offsets(signals[phase], contour))
    return {name: np.concatenate(offsets) for name, offsets in off.items()}


def mask_offsets(inside: npt.NDArray[np.bool_], contour: Floats) -> Floats:
    """Distance in pixels from a contour's vertices to the edge of a mask."""
    edge = np.concatenate(find_contours(inside.astype(float), 0.5))[:, ::-1]
    return np.asarray(cKDTree(edge).query(contour)[0])


def edge_offsets(signal: Image, contour: Floats) -> Floats:
    """Distance in pixels from a contour to the edge in the picture, at the vertices that have one.

    The edge is where the signal passes half-way between the levels on either side, seen along the
    normal; the passage nearest to the contour counts. Without contrast there is no edge to find:
    where muscle lies on muscle, as under a papillary muscle.
    """
    along = np.roll(contour, -1, axis=0) - np.roll(contour, 1, axis=0)
    normals = np.stack([along[:, 1], -along[:, 0]], axis=1)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    steps = np.arange(-REACH, REACH + STEP / 2, STEP)
    points = contour[:, None] + steps[:, None] * normals[:, None]  # (vertices, steps, 2)
    profiles = map_coordinates(signal, [points[..., 1], points[..., 0]], order=1)
    inner, outer = profiles[:, 0], profiles[:, -1]
    passes = np.diff(np.sign(profiles - (inner + outer)[:, None] / 2), axis=1) != 0
    distances = np.where(passes, np.abs(steps[:-1] + STEP / 2), np.inf).min(axis=1)
    clear = np.abs(inner - outer) > 0.4 * np.maximum(np.abs(inner), np.abs(outer))
    return np.asarray(distances[clear])


def _summary(offsets: list[Floats]) -> dict[str, float]:
    every = np.concatenate(offsets)
    return {
        "edges": len(every),
        "mean": round(float(every.mean()), 3),
        "percentile_99": round(float(np.percentile(every, 99)), 3),
        "within_one_pixel": round(float(np.mean(every <= 1)), 4),
        "worst": round(float(every.max()), 3),
        "worst_patient_mean": round(max(float(offset.mean()) for offset in offsets), 3),
    }


def _seconds() -> float:
    """Time to draw and write 12 patients of 8 slices and 20 phases at 256 pixels."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write_cohort(Path(folder), 0, 3)
        return time.perf_counter() - start
