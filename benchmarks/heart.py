"""How well the ventricles are found: real patients, 100 phantoms, and the same scanned otherwise.

Held against expert contours and the phantom's truth, beside the original system's fixed box and a
plain threshold on the first temporal harmonic. Phantoms are drawn with 128 pixels a side and 12
phases, which makes them seven times as fast and no easier. CINEGAN_SUNNYBROOK names the folder
with real studies; about two minutes on one core.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import resample
from skimage.filters import threshold_otsu

from cinegan.imaging.crop import Box, box_around, original_box, original_box_in
from cinegan.imaging.heart import find_heart

ROOT = Path(__file__).resolve().parents[1]
SUNNYBROOK = Path(os.environ.get("CINEGAN_SUNNYBROOK", ROOT.parent / "shared" / "sunnybrook"))
PER_GROUP, SIZE, PHASES, SLICES, BOX_MM = 25, 128, 12, 8, 150.0


@dataclass(frozen=True)
class Case:
    """A stack with its truth: contours (n, 2) of x, y in pixels, by kind, and the true centre.

    `fixed` is the original system's box, where it lies on the frames as scanned.
    """

    stack: np.ndarray
    spacing_mm: tuple[float, float]
    left: list[np.ndarray]
    right: list[np.ndarray]
    centre: np.ndarray
    fixed: Box


def measure() -> dict[str, Any]:
    """Measure everything; each figure is in mm or a share of contours."""
    phantoms = list(_phantoms())
    real = list(_real()) if (SUNNYBROOK / "SHA256SUMS").is_file() else []
    result: dict[str, Any] = {
        "real": _figures(real) if real else f"skipped: no studies at {SUNNYBROOK}",
        f"{len(phantoms)} phantoms": _figures(phantoms),
    }
    for name, scan in SCANS.items():
        judged = _judge([scan(case) for case in real + phantoms[:: len(phantoms) // 4]])
        result[name] = {k: judged[k] for k in ("miss", "worst", "inside", "confidence_least")}
    return result


def _figures(cases: list[Case]) -> dict[str, Any]:
    return _judge(cases) | {
        "original box": _summary(
            cases,
            [case.fixed.middle for case in cases],
            [_held(case, case.fixed) for case in cases],
        ),
        "threshold on the first harmonic": _miss(cases, [_plain_threshold(c) for c in cases]),
    }


def _judge(cases: list[Case]) -> dict[str, Any]:
    hearts = [find_heart(c.stack, c.spacing_mm) for c in cases]
    held = [
        _held(c, box_around(h.middle, BOX_MM, c.spacing_mm))
        for c, h in zip(cases, hearts, strict=True)
    ]
    return _summary(cases, [h.left_ventricle for h in hearts], held) | {
        "confidence_least": min(h.confidence for h in hearts),
        "fallbacks": sum(h.fallback is not None for h in hearts),
    }


def _held(case: Case, box: Any) -> tuple[list[bool], list[bool]]:
    return [box.contains(p) for p in case.left], [box.contains(p) for p in case.right]


def _summary(cases: list[Case], centres: list[np.ndarray], held: list[Any]) -> dict[str, Any]:
    left, right = ([h for pair in held for h in pair[k]] for k in (0, 1))
    return _miss(cases, centres) | {
        "inside": round(float(np.mean(left)), 4),
        "right_ventricle_inside": round(float(np.mean(right)), 4) if right else None,
    }


def _miss(cases: list[Case], centres: list[np.ndarray]) -> dict[str, Any]:
    misses = [
        float(np.hypot(*((found - case.centre) * case.spacing_mm)))
        for case, found in zip(cases, centres, strict=True)
    ]
    return {"miss": round(float(np.mean(misses)), 1), "worst": round(max(misses), 1)}


def _plain_threshold(case: Case) -> np.ndarray:
    """Centre of what moves most: first harmonic, summed over slices, thresholded."""
    motion = np.abs(np.fft.rfft(case.stack.astype(np.float32))[..., 1]).sum(axis=0)
    return np.argwhere(motion > threshold_otsu(motion)).mean(axis=0)


def _real() -> Iterator[Case]:
    """Patients with contours, as `convert` makes them."""
    from cinegan.conversion import convert
    from cinegan.data.cohort import Cohort
    from cinegan.params import load_params

    with tempfile.TemporaryDirectory() as folder:
        convert(SUNNYBROOK, Path(folder) / "cycles", load_params(ROOT / "params.yaml").data, seed=1)
        cohort = Cohort(Path(folder) / "cycles")
        for patient in cohort.patients:
            drawn = cohort.contours(patient)
            if drawn:
                yield Case(
                    np.array(cohort.stack(patient)),
                    cohort.spacing_mm(patient),
                    [c.points_px for c in drawn if c.kind in ("endo", "epi")],
                    [],
                    _centre([c.points_px for c in drawn if c.kind == "endo"]),
                    original_box_in(cohort.rows(patient).iloc[0], cohort.stack(patient).shape[1:3]),
                )


def _phantoms() -> Iterator[Case]:
    """The phantom's patients with the truth of all phases."""
    from cinegan.data.phantom.cohort import cohort
    from cinegan.data.phantom.study import draw_study

    for patient in cohort(7, PER_GROUP):
        study = draw_study(7, patient, size=SIZE, slices=SLICES, phases=PHASES)
        endo, epi, right = (
            [p for by_phase in kind for p in by_phase if p is not None]
            for kind in (study.endocardium, study.epicardium, study.right_ventricle)
        )
        drawn = [c[p] for c in study.endocardium for p in (0, study.es_phase)]
        yield Case(
            np.moveaxis(study.images, 1, -1),
            (study.spacing_mm, study.spacing_mm),
            endo + epi,
            right,
            _centre([p for p in drawn if p is not None]),
            original_box((SIZE, SIZE)),
        )


def _centre(polygons: list[np.ndarray]) -> np.ndarray:
    """Mean over polygons of the row and column of their centre of area."""
    centres = []
    for polygon in polygons:
        x, y = polygon.T
        cross = x * np.roll(y, -1) - np.roll(x, -1) * y
        ends = (y + np.roll(y, -1), x + np.roll(x, -1))
        centres.append([(end * cross).sum() / (3 * cross.sum()) for end in ends])
    return np.mean(centres, axis=0)


def _moved(case: Case, stack: np.ndarray, move: Callable[[np.ndarray], np.ndarray]) -> Case:
    """The case with its contours and centre moved as the picture was; `move` takes x, y."""
    left, right = [move(p) for p in case.left], [move(p) for p in case.right]
    return replace(case, stack=stack, left=left, right=right, centre=move(case.centre[::-1])[::-1])


def _shifted(case: Case, mm: float) -> Case:
    by = round(2 * mm / case.spacing_mm[1])
    before, after = max(by, 0), max(-by, 0)
    padded = np.pad(case.stack, [(0, 0), (0, 0), (before, after), (0, 0)])
    return _moved(case, padded, lambda p: p + np.array([before, 0]))


def _turned(case: Case) -> Case:
    last = case.stack.shape[2] - 1
    turned = np.rot90(case.stack, axes=(1, 2))
    return _moved(case, turned, lambda p: np.stack([p[..., 1], last - p[..., 0]], axis=-1))


def _vessel(case: Case, swell_mm: float, drift_mm: float, radius_mm: float) -> Case:
    """With a disc as bright as fat 85 mm away in every slice, which swells or drifts."""
    rows, columns = np.indices(case.stack.shape[1:3])
    turn = np.arange(case.stack.shape[-1]) * 2 * np.pi / case.stack.shape[-1]
    y, x = case.centre * case.spacing_mm + [60, 60]
    distance = np.hypot(
        (rows * case.spacing_mm[0] - y)[..., None] - drift_mm * np.sin(turn),
        (columns * case.spacing_mm[1] - x)[..., None],
    )
    inside = distance < radius_mm + swell_mm * np.sin(turn)
    return replace(case, stack=np.where(inside, _bright(case), case.stack))


def _folded(case: Case) -> Case:
    """With its own other half folded over, shaking with the breath."""
    turn = np.arange(case.stack.shape[-1]) * 6 * np.pi / case.stack.shape[-1]
    ghost = np.roll(case.stack, int(0.45 * case.stack.shape[2]), axis=2)
    return replace(case, stack=case.stack + 0.25 * (1 + 0.5 * np.sin(turn)) * ghost)


def _noisy(case: Case) -> Case:
    draws = np.random.default_rng(1).normal(0, 0.1 * _bright(case), (2, *case.stack.shape))
    return replace(case, stack=np.hypot(case.stack + draws[0], draws[1]))


def _bright(case: Case) -> float:
    return float(np.percentile(case.stack[..., 0], 99))


def _shaded(case: Case) -> Case:
    return replace(
        case, stack=case.stack * np.geomspace(4, 0.25, case.stack.shape[1])[:, None, None]
    )


def _with(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Case], Case]:
    return lambda case: replace(case, stack=change(case.stack))


SCANS: dict[str, Callable[[Case], Case]] = {
    "as scanned": lambda case: case,
    "60 mm off to the left": lambda case: _shifted(case, -60),
    "60 mm off to the right": lambda case: _shifted(case, 60),
    "turned by 90 degrees": _turned,
    "mirrored": lambda case: _moved(
        case, case.stack[:, :, ::-1], lambda p: p * [-1, 1] + [case.stack.shape[2] - 1, 0]
    ),
    "8 phases": _with(lambda stack: resample(stack.astype(np.float32), 8, axis=-1)),
    "40 phases": _with(lambda stack: resample(stack.astype(np.float32), 40, axis=-1)),
    "begins half a beat later": _with(lambda s: np.roll(s, s.shape[-1] // 2, axis=-1)),
    "every second slice": _with(lambda stack: stack[::2]),
    "basal half": _with(lambda stack: stack[: len(stack) // 2]),
    "three slices": _with(lambda s: s[len(s) // 2 - 1 : len(s) // 2 + 2]),
    "vessels four times": _with(lambda s: np.concatenate([s[:2], s[:2], s[:2], s])),
    "8 bits": _with(lambda s: np.clip(s * (255 / np.percentile(s, 99.5)), 0, 255).astype(np.uint8)),
    "gamma 0.5": _with(lambda stack: np.sqrt(np.clip(stack, 0, None).astype(np.float32))),
    "air at -1024": _with(lambda stack: stack - 1024),
    "noise of a tenth of fat": _noisy,
    "coil on one side": _shaded,
    "swelling vessel": lambda case: _vessel(case, 3, 0, 15),
    "drifting stomach": lambda case: _vessel(case, 0, 5, 38),
    "fold-over": _folded,
}
