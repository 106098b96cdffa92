"""Differentiable augmentation of cycles: the same for all phases, so that the beat stays as it is.

The discriminator sees real and fake cycles through it, and the generator learns through its
gradient. What it does is therefore not learnt as if it belonged to hearts, as long as enough cycles
pass unchanged. Mirroring is not among its kinds: hearts have sides.

References
----------
Zhao S, Liu Z, Lin J, Zhu JY, Han S 2020, "Differentiable Augmentation for Data-Efficient GAN
Training", NeurIPS: brightness, contrast, translation and cutout, and how far they go.
Karras T, Aittala M, Hellsten J, Laine S, Lehtinen J, Aila T 2020, "Training Generative Adversarial
Networks with Limited Data", NeurIPS: the strength as a probability, and its adaptation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

# Uniform numbers per cycle that each kind consumes: whether it applies, then how.
_NUMBERS = {"brightness": 2, "contrast": 2, "translation": 3, "scale": 2, "cutout": 3}
KINDS = tuple(_NUMBERS)
DRAWS = sum(_NUMBERS.values())

MOST_BRIGHTNESS = 0.5  # added to or taken from [-1, 1]
MOST_CONTRAST = 0.5  # more or less than 1
MOST_TRANSLATION = 1 / 8  # of the side
MOST_SCALE = 1.15  # or 1 / 1.15: hearts' sizes differ more than that
CUTOUT = 1 / 2  # of the side
BLACK = -1.0  # of air, which is what lies around a body


def augment(cycles: Any, draws: Any, strength: Any, kinds: Sequence[str], labels: int = 0) -> Any:
    """Change each cycle in ways of its own, all its phases alike.

    For given draws, an affine function of each cycle by itself.

    Parameters
    ----------
    cycles : (n, H, W, T) float32
        In [-1, 1]; what comes back may lie beyond.
    draws : (n, DRAWS) float32
        Uniform in [0, 1). Each kind has columns of its own, whichever others are in use.
    strength : scalar float32
        In [0, 1]: the probability, for each kind by itself, that it is applied to a cycle. Cycles
        to which none is applied come back with the values they had.
    kinds : sequence of str
        Those in use, from KINDS; they are applied in its order.
    labels : int
        Last channels that are no pictures: these move as the others do, and keep their values.

    Returns
    -------
    (n, H, W, T) float32
    """
    height, width = cycles.shape[1:3]

    def drawn(kind: str) -> list[Any]:
        """Whether a kind is applied, (n,) 1 or 0, then its numbers in [-1, 1), 0 where it isn't."""
        first = sum(_NUMBERS[other] for other in KINDS[: KINDS.index(kind)])
        decision, *numbers = (draws[:, first + k] for k in range(_NUMBERS[kind]))
        applied = ops.cast(decision < (strength if kind in kinds else 0.0), "float32")
        return [applied, *(applied * (2.0 * number - 1.0) for number in numbers)]

    if "brightness" in kinds or "contrast" in kinds:
        (_, brighter), (_, stronger) = drawn("brightness"), drawn("contrast")
        pictures, maps = cycles[..., : cycles.shape[-1] - labels], cycles[..., -labels:]
        cycles = _recoloured(pictures, MOST_BRIGHTNESS * brighter, 1.0 + MOST_CONTRAST * stronger)
        cycles = ops.concatenate([cycles, maps], axis=-1) if labels else cycles
    if "translation" in kinds or "scale" in kinds:
        (_, down, across), (_, larger) = drawn("translation"), drawn("scale")
        zoom = ops.exp(math.log(MOST_SCALE) * larger)
        rows = _resampling(height, _whole_pixels(height, down), zoom)
        columns = _resampling(width, _whole_pixels(width, across), zoom)
        cycles = _resampled(cycles, rows, columns)
    if "cutout" in kinds:
        applied, row, column = drawn("cutout")
        rows = applied[:, None] * _covered(height, row)
        cycles = _cut_out(cycles, rows, _covered(width, column))
    return cycles


def adapted_strength(
    strength: Any, overfitting: Any, target: float, images: int, adapt_kimg: float
) -> Any:
    """Strength after `images` more real cycles: more where the discriminator overfits, else less.

    Karras et al. 2020, section 3.1, with r_t as the measure of overfitting.

    Parameters
    ----------
    strength : scalar float32
        In [0, 1].
    overfitting : scalar float32
        Moving mean of the sign of real cycles' logits: 0 without overfitting, 1 at its worst.
    target : float
        Overfitting at which the strength stays; 0.6 in the paper.
    images : int
        Real cycles since the strength was last adapted.
    adapt_kimg : float
        Thousands of real cycles in which the strength can go from 0 to 1; 500 in the paper.

    Returns
    -------
    scalar float32, in [0, 1]
    """
    way = images / (adapt_kimg * 1000.0)
    return ops.clip(strength + way * ops.sign(overfitting - target), 0.0, 1.0)


def _recoloured(cycles: Any, brightness: Any, contrast: Any) -> Any:
    """Add `brightness`, (n,), and stretch by `contrast`, (n,), around each cycle's mean."""
    mean = ops.mean(cycles, axis=(1, 2, 3))  # (n,)
    shift = brightness + (1.0 - contrast) * mean
    return cycles * contrast[:, None, None, None] + shift[:, None, None, None]


def _whole_pixels(side: int, number: Any) -> Any:
    """Translation from a number in [-1, 1), every whole number of pixels equally probable.

    Whole, since a share of a pixel would blur.
    """
    most = math.floor(MOST_TRANSLATION * side + 0.5)
    return ops.floor((most + 0.5) * number + 0.5)


def _resampling(side: int, translation: Any, zoom: Any) -> Any:
    """Weights of old pixels in each new one by linear interpolation, (n, side, side) float32.

    The picture is magnified by `zoom`, (n,), about its middle, and then moved by `translation`,
    (n,) pixels. Nothing of either is exactly the identity.
    """
    pixels = ops.arange(side, dtype="float32")
    middle = (side - 1) / 2
    sources = (pixels - middle - translation[:, None]) / zoom[:, None] + middle  # (n, side)
    return ops.relu(1.0 - ops.abs(sources[:, :, None] - pixels))


def _resampled(cycles: Any, rows: Any, columns: Any) -> Any:
    """Apply the weights of rows, (n, H, H), and columns, (n, W, W); black comes in from outside."""
    height, width, phases = cycles.shape[1:]
    tall = ops.matmul(rows, ops.reshape(cycles, (-1, height, width * phases)))
    both = ops.matmul(columns[:, None], ops.reshape(tall, (-1, height, width, phases)))
    # Black by what is missing of all weights, so that nothing is added inside: 0 plus a cycle
    # is the same cycle, which a cycle less black, plus black, is not.
    inside = ops.sum(rows, axis=2)[:, :, None] * ops.sum(columns, axis=2)[:, None]  # (n, H, W)
    return both + BLACK * (1.0 - inside)[..., None]


def _covered(side: int, number: Any) -> Any:
    """Pixels under the cutout, (n, side) 1 or 0, its place from a number in [-1, 1).

    As in DiffAugment its middle may be anywhere in the picture, and it may leave the picture.
    """
    length = math.floor(CUTOUT * side + 0.5)
    places = side + 1 - length % 2  # symmetric about the middle of the picture
    first = ops.floor(places / 2 * (number + 1.0)) - length // 2  # (n,)
    beyond = ops.arange(side, dtype="float32") - first[:, None]
    return ops.cast((beyond >= 0) & (beyond < length), "float32")


def _cut_out(cycles: Any, rows: Any, columns: Any) -> Any:
    """Make grey, 0, where both rows, (n, H), and columns, (n, W), are covered."""
    kept = 1.0 - rows[:, :, None] * columns[:, None]  # (n, H, W)
    return cycles * kept[..., None]
