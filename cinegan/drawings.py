"""Pictures of networks and schedules, drawn from the networks and schedules themselves."""

from __future__ import annotations

import re
from itertools import groupby
from math import log2
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from PIL import Image

from cinegan.files import atomic_file
from cinegan.outline import Row, main_path, outline
from cinegan.training.cost import flops_per_image
from cinegan.training.schedule import Schedule

matplotlib.use("Agg")

# Inches: a row's box, the distance from a row to the next, what is free between columns, the boxes
# of a network and those between both, and what is free around.
BOX, PITCH, GAP = 0.36, 0.5, 0.5
WIDTH, ASIDE = 2.9, 2.2
MARGIN, TOP, BOTTOM = 0.9, 0.85, 0.55
DPI, COLOURS_KEPT = 120, 128
LOW, HIGH = 0.28, 0.72  # of a box: where cycles pass between networks, and ways within one

INK, PALE, PANEL = "#2b2b2b", "#6f6f6f", "#f1f2f4"
COLOURS = {
    "input": "#ffffff",
    "Transpose": "#cfe3dc",
    "Conv": "#cfdded",
    "Dense": "#ded6ea",
    "": "#f5e2cd",  # what has no kernel
}
SIZE, SHARE = "#4878a8", "#d1605e"


def write_networks(path: Path, generator: Any, discriminator: Any) -> None:
    """Draw a pair: the generator downwards to its cycles, the discriminator upwards from cycles.

    A box is a row of the network's outline. Boxes of one resolution lie on one panel. What is not
    on the longest way through a network, such as the smaller network's output during a fade, lies
    between both networks.
    """
    import matplotlib.pyplot as plt

    networks = generator, discriminator
    outlines = [outline(network) for network in networks]
    mains = [main_path(rows) for rows in outlines]
    heights = [
        _heights(rows, main, upwards)
        for rows, main, upwards in zip(outlines, mains, (False, True), strict=True)
    ]
    aside = [
        {heights[k][i] for i in range(len(rows)) if i not in mains[k]}
        for k, rows in enumerate(outlines)
    ]
    between = 2 if aside[0] & aside[1] else int(bool(aside[0] | aside[1]))
    lefts = MARGIN, MARGIN + WIDTH + GAP + between * (ASIDE + GAP)
    asides = MARGIN + WIDTH + GAP, lefts[1] - ASIDE - GAP
    tall = BOTTOM + PITCH * max(map(len, mains)) + TOP
    wide = lefts[1] + WIDTH + MARGIN
    figure = plt.figure(figsize=(wide, tall))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, wide), ylim=(0, tall))
    axes.axis("off")
    for k, (network, rows, main) in enumerate(zip(networks, outlines, mains, strict=True)):
        boxes = [
            _Box(*((lefts[k], WIDTH) if i in main else (asides[k], ASIDE)), BOTTOM + PITCH * height)
            for i, height in enumerate(heights[k])
        ]
        _draw_panels(axes, [(rows[i], boxes[i]) for i in main], leftmost=k == 0)
        for row, box in zip(rows, boxes, strict=True):
            for source in row.inputs:
                _draw_arrow(axes, boxes[source], box, inner=1 if k == 0 else -1)
            _draw_box(axes, row, box)
        _draw_title(axes, network, lefts[k] + WIDTH / 2, max(box.y for box in boxes) + BOX)
    made, seen = lefts[0] + WIDTH, lefts[1]
    y = BOTTOM + BOX * (LOW if between else 0.5)
    axes.annotate("", (seen, y), (made, y), arrowprops=_ARROW)
    axes.text((made + seen) / 2, y - 0.06, "fake", ha="center", va="top", fontsize=7.5, color=PALE)
    below = seen + WIDTH / 2
    axes.annotate("", (below, BOTTOM), (below, BOTTOM - 0.3), arrowprops=_ARROW)
    axes.text(below, BOTTOM - 0.42, "real", ha="center", fontsize=7.5, color=PALE)
    _save(figure, path)


def write_schedule(path: Path, title: str, schedule: Schedule, sizes: list[int]) -> None:
    """Draw the resolution, and the share of the newest block, over thousands of real cycles.

    Parameters
    ----------
    sizes : list of int
        All that the model can have, whether the schedule reaches them or not.
    """
    import matplotlib.pyplot as plt

    figure, (above, below) = plt.subplots(
        2, sharex=True, figsize=(8, 4), height_ratios=(3, 1), layout="constrained"
    )
    floor = log2(sizes[0]) - 1
    text: dict[str, Any] = {"fontsize": 8, "color": INK}
    ends, shares, tops = [], [], []  # two of each a level
    for level in schedule.levels:
        ends += [level.images / 1000, level.shown(level.end) / 1000]
        shares += [level.share(level.first), level.share(level.end)]
        tops += [log2(level.size)] * 2
        name = f"{level.size}×{level.size}"
        if not level.fading:
            above.text(sum(ends[-2:]) / 2, tops[-1] + 0.15, name, ha="center", **text)
        elif level is schedule.levels[-1]:  # cut short
            place = ends[-1], tops[-1] - 1 + shares[-1] + 0.15
            above.text(*place, f"{name}: {shares[-1]:.0%}", ha="right", **text)
    olds = [top - 1 for top in tops]
    news = [old + share for old, share in zip(olds, shares, strict=True)]
    above.fill_between(ends, floor, olds, color=SIZE, alpha=0.35, linewidth=0)
    above.fill_between(ends, olds, news, color=SIZE, alpha=0.75, linewidth=0)
    below.fill_between(ends, 0, shares, color=SHARE, alpha=0.3, linewidth=0)
    below.plot(ends, shares, color=SHARE, linewidth=1.2)
    above.set_ylim(floor, log2(sizes[-1]) + 0.6)
    above.set_yticks([log2(size) for size in sizes], [str(size) for size in sizes])
    above.set_ylabel("pixels per side")
    above.set_title(title, fontsize=10, loc="left")
    below.set_ylim(0, 1.1)
    below.set_yticks([0, 1])
    below.set_ylabel("share of\nnewest block", fontsize=8)
    below.set_xlabel("thousands of real cycles shown (kimg)")
    below.set_xlim(0, ends[-1])
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


_ARROW = {"arrowstyle": "-|>", "color": PALE, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}


class _Box(NamedTuple):
    """Where a box begins on the left, how wide it is, and where it begins below."""

    x: float
    width: float
    y: float


def _heights(rows: list[Row], main: list[int], upwards: bool) -> list[int]:
    """Height of each row, in rows; those off the main path are beside what follows their source."""
    steps = dict(zip(main, range(len(main)), strict=True))
    for i, row in enumerate(rows):
        if i not in steps:
            steps[i] = max(steps[source] for source in row.inputs) + 1
    last = len(main) - 1
    return [steps[i] if upwards else last - steps[i] for i in range(len(rows))]


def _draw_panels(axes: Any, placed: list[tuple[Row, _Box]], leftmost: bool) -> None:
    """Panels under boxes whose outputs have one resolution, named on the outer side."""
    for sides, group in groupby(placed, key=lambda each: each[0].shape[:-1]):
        if not sides:
            continue
        boxes = [box for _, box in group]
        x, low, high = boxes[0].x, min(box.y for box in boxes), max(box.y for box in boxes) + BOX
        panel = _Box(x - 0.09, WIDTH + 0.18, low - 0.06)
        _draw_rounded(axes, panel, high - low + 0.12, facecolor=PANEL, linewidth=0, zorder=0)
        axes.text(
            x - 0.18 if leftmost else x + WIDTH + 0.18,
            (low + high) / 2,
            "×".join(map(str, sides)),
            ha="right" if leftmost else "left",
            va="center",
            fontsize=9,
            color=PALE,
        )


def _draw_box(axes: Any, row: Row, box: _Box) -> None:
    """A row: its first layer with its output's shape, and below it the layers that follow."""
    first, *rest = row.kinds
    colour = next(colour for kind, colour in COLOURS.items() if kind in first)
    _draw_rounded(axes, box, BOX, facecolor=colour, edgecolor=PALE, linewidth=0.6)
    left, right = box.x + 0.08, box.x + box.width - 0.08
    y = box.y + BOX * (0.66 if rest else 0.5)
    name = row.name if first == "input" else re.sub(r"(\d)x(\d)", r"\1×\2", first)
    shape = "×".join(map(str, row.shape))
    axes.text(left, y, name, va="center_baseline", fontsize=8, color=INK)
    axes.text(right, y, shape, ha="right", va="center_baseline", fontsize=8, color=INK)
    below = box.y + BOX * 0.27
    axes.text(left, below, ", ".join(rest), va="center_baseline", fontsize=6.5, color=PALE)


def _draw_rounded(axes: Any, box: _Box, height: float, **options: Any) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.05"
    axes.add_patch(FancyBboxPatch((box.x, box.y), box.width, height, boxstyle=style, **options))


def _draw_arrow(axes: Any, source: _Box, target: _Box, inner: int) -> None:
    """From a box to another: straight to the next of a column, else by the space beside it.

    That space is to the right of the network where `inner` is 1, to its left where it is -1.
    """
    one_column = source.x == target.x
    if one_column and abs(target.y - source.y) < 1.5 * PITCH:
        x = source.x + source.width / 2
        down = target.y < source.y
        start, end = (source.y, target.y + BOX) if down else (source.y + BOX, target.y)
        axes.annotate("", (x, end), (x, start), arrowprops=_ARROW)
        return
    rightwards = inner > 0 if one_column else target.x > source.x
    out = source.x + source.width * rightwards
    into = target.x + target.width * (rightwards if one_column else not rightwards)
    # Ways that share a space turn at places of their own.
    turn = out + inner * GAP / 4 if one_column else (out + into) / 2
    if source.width == ASIDE:
        turn += 0.1 * (out - into)
    leaves, enters = source.y + BOX * HIGH, target.y + BOX * HIGH
    axes.plot([out, turn, turn], [leaves, leaves, enters], color=SHARE, linewidth=0.9)
    axes.annotate("", (into, enters), (turn, enters), arrowprops={**_ARROW, "color": SHARE})


def _draw_title(axes: Any, network: Any, middle: float, top: float) -> None:
    """Name and numbers of a network above it."""
    flops = flops_per_image(network) / 1e9
    counts = f"{network.count_params() / 1e6:.2f} million parameters, {flops:.2f} GFLOP an image"
    axes.text(middle, top + 0.44, network.name, ha="center", fontsize=12, color=INK)
    axes.text(middle, top + 0.22, counts, ha="center", fontsize=7.5, color=PALE)


def _save(figure: Any, path: Path) -> None:
    """Write a PNG of few colours, which makes it a quarter as large."""
    import matplotlib.pyplot as plt

    figure.set_dpi(DPI)
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])
    plt.close(figure)
    with atomic_file(path) as partial:
        picture.quantize(COLOURS_KEPT, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            partial, optimize=True
        )
