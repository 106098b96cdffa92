"""Small studies and measures of them."""

import numpy as np
from skimage.draw import polygon2mask

from cinegan.data.phantom.cohort import cohort
from cinegan.data.phantom.study import Study, draw_study
from cinegan.data.phantom.subject import Subject, lie_down

SIZE, SLICES, PHASES = 96, 4, 10
COHORT = {patient.original_id: patient for patient in cohort(7, 3)}


def subject(original_id: str, seed: int = 7, size: int = SIZE, phases: int = PHASES) -> Subject:
    return lie_down(seed, COHORT[original_id], size, phases)


def draw(original_id: str, seed: int = 7, **sizes: int) -> Study:
    return draw_study(
        seed, COHORT[original_id], **{"size": SIZE, "slices": SLICES, "phases": PHASES} | sizes
    )


def area(polygon: np.ndarray) -> float:
    """Area by the shoelace formula, in squared pixels."""
    x, y = polygon.T
    return abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2


def mask(polygon: np.ndarray) -> np.ndarray:
    return polygon2mask((SIZE, SIZE), polygon[:, ::-1])


def cavity_areas(study: Study) -> np.ndarray:
    """Endocardial area summed over slices, by phase; nothing counts where the plane misses it."""
    return np.array(
        [
            sum(area(by_phase[p]) for by_phase in study.endocardium if by_phase[p] is not None)
            for p in range(study.images.shape[1])
        ]
    )


def whole_cycle_slices(study: Study) -> list[int]:
    """Slices that cut the left ventricle at every phase."""
    return [
        s for s, by_phase in enumerate(study.endocardium) if all(c is not None for c in by_phase)
    ]
