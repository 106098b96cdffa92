"""The schedule of a training: a pure function of the images shown."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from keras import ops

from cinegan.params import Budget, Model
from cinegan.training.networks import options_of

CURVE_POINTS = 200  # at most this many points in a curve: enough to see by, small enough to keep


@dataclass(frozen=True)
class Level:
    """A stretch of training with one pair of networks.

    Attributes
    ----------
    size : int
        Pixels per side.
    fading : bool
        Whether the newest block is being faded in.
    batch : int
        Real cycles per step.
    first, steps : int
        Steps before it, and its own.
    images : int
        Real cycles shown before it.
    fade_steps : int
        Steps that a fade takes; a budget may end before.
    """

    size: int
    fading: bool
    batch: int
    first: int
    steps: int
    images: int
    fade_steps: int = 0

    @property
    def end(self) -> int:
        """Steps done when it ends."""
        return self.first + self.steps

    def shown(self, step: int) -> int:
        """Real cycles shown after `step` steps, which lie within this level."""
        return self.images + (step - self.first) * self.batch

    def share(self, step: int) -> float:
        """Share of the newest block after `step` steps: grows from 0 to 1 while it fades in."""
        return (step - self.first) / self.fade_steps if self.fading else 1.0


@dataclass(frozen=True)
class Schedule:
    """When what happens.

    Attributes
    ----------
    levels : tuple of Level
        One, or for a growing pair two a resolution: fading in, then whole (Karras et al. 2018,
        "Progressive Growing of GANs", figure 2).
    snapshot_kimg : float
        Thousands of real cycles shown between pictures.
    """

    levels: tuple[Level, ...]
    snapshot_kimg: float

    @classmethod
    def of(cls, model: Model, budget: Budget, first_size: int | None = None) -> Schedule:
        """Make the schedule of a model under a budget.

        Parameters
        ----------
        first_size : int, optional
            Resolution at which a growing pair begins, whole. None: its smallest.
        """
        total = math.ceil(budget.total_kimg * 1000)
        batches = model.training.batch
        if isinstance(batches, int):
            plan = [(model.size, False, batches, total)]
        else:
            fade, stable = (
                math.ceil(1000 * (kimg or 0)) for kimg in (budget.fade_kimg, budget.stable_kimg)
            )
            plan = []
            for size, batch in zip(model.sizes, batches, strict=True):
                if size < (first_size or 0):
                    continue
                if plan:
                    plan.append((size, True, batch, fade))
                # The last resolution goes on for what is left of the total.
                plan.append((size, False, batch, total if size == model.size else stable))
        levels: list[Level] = []
        done = shown = 0
        for size, fading, batch, images in plan:
            if shown >= total:
                break
            steps = max(1, math.ceil(min(images, total - shown) / batch))
            fade_steps = math.ceil(images / batch) if fading else 0
            levels.append(Level(size, fading, batch, done, steps, shown, fade_steps))
            done, shown = done + steps, shown + steps * batch
        return cls(tuple(levels), budget.snapshot_kimg)

    @property
    def steps(self) -> int:
        """Steps in all: the first count that shows at least the budget's total."""
        return self.levels[-1].end

    def level_after(self, step: int) -> Level:
        """The level that the step after `step` belongs to; after the last step, the last."""
        return self.levels[bisect_right([level.first for level in self.levels], step) - 1]

    def shown(self, step: int) -> int:
        """Real cycles shown after `step` steps."""
        return self.level_after(step).shown(step)

    def kimg(self, step: int) -> float:
        """Thousands of real cycles shown after `step` steps."""
        return self.shown(step) / 1000

    def is_curve_point(self, step: int) -> bool:
        """Whether the curves get a point after this step."""
        return step % math.ceil(self.steps / CURVE_POINTS) == 0 or step == self.steps

    def is_snapshot(self, step: int) -> bool:
        """Whether this step passes a multiple of the interval between pictures, or is the last."""
        interval = max(1, round(1000 * self.snapshot_kimg))  # cycles
        passed = self.shown(step) // interval > self.shown(step - 1) // interval
        return passed or step == self.steps


def at_level(record: dict[str, Any], level: Level) -> dict[str, Any]:
    """The record of a growing pair as it is at a level; of another, the record itself."""
    if not options_of(record).grows:
        return record
    return {**record, "size": level.size, "fading": level.fading, "grows_to": record["size"]}


def ema_decay(decay: float, step: Any, fresh: bool = True) -> Any:
    """Decay of the moving average at a step; short at first, to forget weights that are fresh."""
    return ops.minimum(decay, (1 + step) / (10 + step)) if fresh else decay


def noise_deviation(deviation: float, kimg: float, shown: int) -> float:
    """Standard deviation of the noise on the discriminator's input: falls to 0 over `kimg`."""
    return deviation * max(0.0, 1.0 - shown / (1000 * kimg)) if deviation else 0.0


def warp_deviation(deviation: float, kimg: float, shown: int) -> float:
    """Root mean square of the bending of real cycles: grows to `deviation` over `kimg`."""
    return deviation * min(1.0, shown / (1000 * kimg)) if kimg else deviation
