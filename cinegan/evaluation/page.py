"""A page to look at: real and synthetic heartbeats unlabelled, near-copies, and the figures."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from cinegan.data.resizing import resize_frames
from cinegan.evaluation.memorization import Nearest
from cinegan.evaluation.report import ONE_WAY
from cinegan.files import atomic_file

Bytes = NDArray[np.uint8]

BLIND = 12  # heartbeats shown unlabelled, half of them real
SIDE = 96  # pixels per side that a heartbeat has on the page, at most
SHOWN = 192  # pixels on the screen

# What stands in the table, by the measure's name; the rest is in the JSON file.
TOLD = {
    "kid": ("kernel distance (KID)", "lower is better"),
    "frechet": ("Fréchet distance", "lower is better"),
    "precision": ("precision", "true to life"),
    "density": ("density", "true to life"),
    "recall": ("recall", "variety covered"),
    "coverage": ("coverage", "variety covered"),
    "swd": ("sliced Wasserstein distance", "lower is better"),
    "w1_amplitude": ("amplitude of motion, distance of distributions", "lower is better"),
    "w1_roughness": ("roughness of motion, the same", "lower is better"),
    "w1_closure": ("closure of the cycle, the same", "lower is better"),
    "w1_contraction": ("area change of the pool, the same", "lower is better"),
    "w1_end_systole": ("time of end-systole, the same", "lower is better"),
}
COPYING = {
    "copied": "near-copies of train cycles",
    "authentic": "less like a train cycle than that is like another",
    "likeness_train": "likeness to the nearest train cycle",
    "likeness_test": "likeness to the nearest test cycle",
    "nearer_train_pixels": "how often nearer to train cycles than test cycles are, by likeness",
    "nearer_train_texture": "the same, by texture",
    "nearer_train_motion": "the same, by motion",
    "nearer_train_cardiac": "the same, by the cardiac encoder",
}
VARIETY = {
    "msssim_synthetic": "synthetic cycles with one another",
    "msssim_train": "train cycles with one another",
    "msssim_test": "test cycles with one another",
}


def write_page(
    path: Path,
    name: str,
    samples: Bytes,
    real: Mapping[str, Bytes],
    nearest: Nearest,
    report: Mapping[str, Any],
    seed: int,
) -> None:
    """Write one file that holds all it shows.

    Parameters
    ----------
    path : Path
        Where to, such as `report.html`.
    name : str
        Of the model.
    samples : ndarray of uint8, shape (n, H, W, T)
    real : mapping of split to ndarray of uint8, shape (n, H, W, T)
        "test" is shown among the samples.
    nearest : Nearest
        Samples shown beside train cycles.
    report : mapping
        What `metrics/models/<name>.json` holds.
    seed : int
        Of the choice and the order of what is shown unlabelled.
    """
    parts = [
        _blind(samples, real.get("test", samples[:0]), seed),
        _nearest(nearest),
        _figures(report),
    ]
    page = _PAGE.format(
        name=html.escape(name),
        about=html.escape(_about(report)),
        phases=samples.shape[-1],
        shown=SHOWN,
        body="\n".join(parts),
    )
    with atomic_file(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _about(report: Mapping[str, Any]) -> str:
    counts = (
        f"{report[f'n_{each}']} {each} cycles"
        for each in ("synthetic", "train", "test")
        if f"n_{each}" in report
    )
    seen = (
        f"{report['input']}, {report['size']}x{report['size']} pixels" if "input" in report else ""
    )
    return "; ".join(filter(None, [seen, *counts]))


def _blind(samples: Bytes, test: Bytes, seed: int) -> str:
    draw = np.random.default_rng(seed)
    half = min(BLIND // 2, len(samples), len(test))
    if not half:
        return ""
    chosen = [
        (cycle, kind)
        for cycles, kind in ((samples, "synthetic"), (test, "real"))
        for cycle in cycles[np.sort(draw.choice(len(cycles), half, replace=False))]
    ]
    shown = [chosen[k] for k in draw.permutation(len(chosen))]
    hearts = "\n".join(
        f'<button class="blind" data-kind="{kind}" aria-label="heartbeat {k}, reveal">'
        f"{_heart(cycle)}<span>{k}: ?</span></button>"
        for k, (cycle, kind) in enumerate(shown, start=1)
    )
    return (
        f"<h2>Which are real?</h2>\n<p>{half} real cycles and {half} synthetic ones, drawn at "
        "random. Click one to see which it is.</p>\n"
        '<p><button id="reveal">reveal all</button></p>\n'
        f'<div class="hearts">{hearts}</div>'
    )


def _nearest(nearest: Nearest) -> str:
    if not len(nearest.likeness):
        return ""
    pairs = "\n".join(
        f'<figure class="pair"><div>{_heart(cycle)}{_heart(of_train)}</div>'
        f"<figcaption>likeness {alike:.2f}</figcaption></figure>"
        for cycle, of_train, alike in zip(*nearest, strict=True)
    )
    return (
        "<h2>What is most like a copy</h2>\n<p>Of all synthetic cycles those that are most like a "
        "train cycle, over shifts, scales and starts, each on the left of it.</p>\n"
        f'<div class="hearts">{pairs}</div>'
    )


def _figures(report: Mapping[str, Any]) -> str:
    extractors = [
        key.removeprefix("n_compared_") for key in report if key.startswith("n_compared_")
    ]
    rows = []
    for extractor in (each for each in extractors if not each.endswith("_reason")):
        compared = report[f"n_compared_{extractor}"]
        rows.append(
            f'<tr class="head"><th>on {html.escape(extractor)}</th>'
            f"<th>{'' if compared is None else f'{compared} of each'}</th>"
            "<th>to train</th><th>floor: test to train</th>"
            "<th>to test</th><th>floor: train to test</th></tr>"
        )
        if compared is None:
            why = html.escape(report.get(f"n_compared_{extractor}_reason", ""))
            rows.append(f'<tr><td colspan="6"><i>{why}</i></td></tr>')
            continue
        for measure, (told, better) in TOLD.items():
            both = "floor_train" if measure in ONE_WAY else "floor"
            keys = [f"{measure}_{extractor}_{end}" for end in ("train", both, "test", "floor")]
            if keys[0] in report:
                cells = "".join(f"<td>{_cell(report, key)}</td>" for key in keys)
                rows.append(f"<tr><td>{told}</td><td>{better}</td>{cells}</tr>")
    rows += [
        '<tr class="head"><th>copying</th><th></th><th>samples</th><th>floor</th>'
        "<th></th><th></th></tr>"
    ]
    rows += [
        f"<tr><td>{told}</td><td></td><td>{_cell(report, key)}</td>"
        f"<td>{_cell(report, f'{key}_floor')}</td><td></td><td></td></tr>"
        for key, told in COPYING.items()
        if key in report
    ]
    rows += ['<tr class="head"><th>variety: MS-SSIM of pairs</th>' + "<th></th>" * 5 + "</tr>"]
    rows += [
        f"<tr><td>{told}</td><td></td><td>{_cell(report, key)}</td><td></td><td></td><td></td></tr>"
        for key, told in VARIETY.items()
        if key in report
    ]
    return (
        "<h2>Figures</h2>\n<p>Compare each with its floor, what real cycles score against real "
        "cycles of other patients. In brackets: 90 % intervals over patients.</p>\n"
        f"<table>{''.join(rows)}</table>"
    )


def _cell(report: Mapping[str, Any], key: str) -> str:
    value = report.get(key)
    if value is None:
        return f"<i>{html.escape(str(report.get(f'{key}_reason', '')))}</i>"
    low, high = (report.get(f"{key}_{end}") for end in ("low", "high"))
    interval = "" if low is None or high is None else f" <small>({low:.3g} to {high:.3g})</small>"
    return f"{value:.3g}{interval}"


def _heart(cycle: Bytes) -> str:
    """One cycle (H, W, T) as a strip of phases that the page's clock moves past a window."""
    if max(cycle.shape[:2]) > SIDE:
        cycle = np.clip(np.rint(resize_frames(cycle[None], SIDE, SIDE)[0]), 0, 255).astype(np.uint8)
    strip = np.ascontiguousarray(cycle.transpose(0, 2, 1)).reshape(len(cycle), -1)  # (H, T * W)
    encoded = base64.b64encode(iio.imwrite("<bytes>", strip, extension=".png")).decode("ascii")
    return f'<i class="heart" style="background-image:url(data:image/png;base64,{encoded})"></i>'


_PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title>
<style>
body {{ background: #16181c; color: #d8dade; font: 15px/1.5 system-ui, sans-serif;
  margin: 2rem auto; max-width: 88rem; padding: 0 1.5rem; }}
h1, h2 {{ font-weight: 600; }}
header {{ position: sticky; top: 0; background: #16181c; padding: .5rem 0; z-index: 1; }}
.hearts {{ display: flex; flex-wrap: wrap; gap: .75rem; }}
.heart {{ display: block; width: {shown}px; height: {shown}px; background-size: {phases}00% 100%;
  background-position-x: calc(var(--phase) * 100% / ({phases} - 1)); }}
.blind {{ background: none; border: 3px solid #3a3d44; padding: 0; color: inherit; font: inherit;
  cursor: pointer; }}
.blind.real {{ border-color: #4c9f70; }}
.blind.synthetic {{ border-color: #d9822b; }}
.pair {{ margin: 0; }}
.pair div {{ display: flex; gap: 2px; }}
figcaption {{ text-align: center; color: #9a9da3; }}
table {{ border-collapse: collapse; max-width: 70rem; }}
td, th {{ padding: .15rem .9rem .15rem 0; text-align: left; vertical-align: top; }}
.head th {{ padding-top: 1rem; border-bottom: 1px solid #3a3d44; }}
td i, small {{ color: #9a9da3; }}
td i {{ font-size: .8rem; overflow-wrap: anywhere; }}
td:first-child {{ min-width: 14rem; }}
</style>
<h1>{name}</h1>
<p>{about}</p>
<header><button id="play">pause</button>
<label>phase <output id="told">1</output> of {phases}
<input id="phase" type="range" min="0" max="0" step="1" value="0"></label></header>
<main>
{body}
</main>
<script>
const phases = {phases}, slider = document.getElementById("phase");
slider.max = phases - 1;
let playing = true;
function show(phase) {{
  slider.value = phase;
  document.getElementById("told").textContent = phase + 1;
  document.documentElement.style.setProperty("--phase", phase);
}}
setInterval(() => playing && show((Number(slider.value) + 1) % phases), 1000 / phases);
function play(on) {{
  playing = on;
  document.getElementById("play").textContent = on ? "pause" : "play";
}}
document.getElementById("play").onclick = () => play(!playing);
slider.oninput = () => {{ play(false); show(Number(slider.value)); }};
const hearts = [...document.querySelectorAll(".blind")];
function reveal(heart) {{
  heart.classList.add(heart.dataset.kind);
  const told = heart.querySelector("span");
  told.textContent = told.textContent.replace("?", heart.dataset.kind);
}}
hearts.forEach(heart => heart.onclick = () => reveal(heart));
const all = document.getElementById("reveal");
if (all) all.onclick = () => hearts.forEach(reveal);
show(0);
</script>
</html>
"""
