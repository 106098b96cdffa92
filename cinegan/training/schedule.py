"""The schedule of a training: a pure function of the images shown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from keras import ops

CURVE_POINTS = 200  # at most this many points in a curve: enough to see by, small enough to keep


@dataclass(frozen=True)
class Schedule:
    """When what happens, in steps of `batch` real cycles.

    Attributes
    ----------
    batch : int
        Real cycles per step.
    total_kimg, snapshot_kimg : float
        Thousands of real cycles shown in all, and between pictures.
    """

    batch: int
    total_kimg: float
    snapshot_kimg: float

    @property
    def steps(self) -> int:
        """Steps in all: the first count that shows at least `total_kimg`."""
        return max(1, math.ceil(self.total_kimg * 1000 / self.batch))

    def kimg(self, step: int) -> float:
        """Thousands of real cycles shown after `step` steps."""
        return step * self.batch / 1000

    def is_curve_point(self, step: int) -> bool:
        """Whether the curves get a point after this step."""
        return step % math.ceil(self.steps / CURVE_POINTS) == 0 or step == self.steps

    def is_snapshot(self, step: int) -> bool:
        """Whether this step passes a multiple of the interval between pictures, or is the last."""
        interval = self.snapshot_kimg * 1000
        before, after = (step - 1) * self.batch // interval, step * self.batch // interval
        return after > before or step == self.steps


def ema_decay(decay: float, step: Any) -> Any:
    """Decay of the moving average at a step; short at first, so that the start is forgotten."""
    return ops.minimum(decay, (1 + step) / (10 + step))
