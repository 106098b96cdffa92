"""How a heartbeat runs: the volume of the left ventricle over time.

References
----------
Weissler AM et al. 1968, "Systolic time intervals in heart failure in man", Circulation 37:149:
systole shortens as the heart rate rises.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from cinegan.data.phantom.arrays import Floats


def systole_share(rate_bpm: int, rng: np.random.Generator) -> float:
    """Draw the fraction of the heartbeat at which ejection ends."""
    return float(np.clip(0.37 + 0.0016 * (rate_bpm - 70) + rng.normal(0, 0.012), 0.32, 0.43))


def volume_curve(phases: int, systole: float) -> Floats:
    """Left-ventricular volume over the heartbeat: 1 at end-diastole, 0 at end-systole.

    Isovolumic contraction, ejection (rapid, then reduced), isovolumic relaxation, early filling,
    diastasis and atrial kick.

    Parameters
    ----------
    phases
        Images per heartbeat, taken in the middle of equal intervals, as GE does.
    systole
        Fraction of the heartbeat at which ejection ends.

    Returns
    -------
    (phases,) float64
        Scaled so that the emptiest image is at 0, whatever instants the images fall on.
    """
    rest = 1 - systole
    knots = {
        -0.03: 1.0,
        0.04: 1.0,
        0.04 + 0.45 * (systole - 0.04): 0.42,
        systole: 0.0,
        systole + 0.07 * rest: 0.005,
        systole + 0.34 * rest: 0.66,
        systole + 0.50 * rest: 0.79,
        systole + 0.78 * rest: 0.83,
        0.97: 1.0,
        1.04: 1.0,
    }
    curve = PchipInterpolator(list(knots), list(knots.values()))
    volume = np.asarray(curve((np.arange(phases) + 0.5) / phases), dtype=np.float64)
    return (volume - volume.min()) / (volume.max() - volume.min())
