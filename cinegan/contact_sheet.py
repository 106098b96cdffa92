"""The quality page of a cohort: a contact sheet per patient, and one page that holds them.

Slices run from base to apex down the sheet, phases along the row, motion at the end of it. What was
interpolated, turned or left out stands beside the pictures, so that one look finds what is wrong.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from cinegan.data import intensity
from cinegan.data.cohort import Cohort
from cinegan.data.orientation import UNKNOWN, edge_letters
from cinegan.data.resizing import resize_frames
from cinegan.files import atomic_folder

THUMB = 128  # pixels per side of a picture on the sheet
PHASES_SHOWN = 5
LABEL_WIDTH = 190
LINE = 15  # pixels of a line of text
GREY, WHITE, AMBER = 150, 255, (255, 176, 0)
TEXT = (215, 215, 215)
LEGEND = (
    "Slices run from base to apex down the sheet, phases from the R wave on along the row; the "
    "last picture of a row shows where grey levels change. Seen from the apex: anterior wall up, "
    "right ventricle left. Letters name the side of the patient: L(eft), R(ight), A(nterior), "
    "P(osterior), H(ead), F(eet). Amber labels: interpolated in time."
)


def write_sheets(folder: Path, cohort: Cohort, notes: Callable[[str], list[str]]) -> None:
    """Write `<patient>.png` for each patient and `index.html`.

    Parameters
    ----------
    notes : callable
        Gives lines about a patient: what was interpolated and left out, and why.
    """
    with atomic_folder(folder) as partial:
        for patient in tqdm(cohort.patients, desc="contact sheets", unit="patient"):
            sheet = draw_sheet(cohort, patient, notes(patient))
            sheet.save(partial / f"{patient}.png", optimize=False, compress_level=1)
        (partial / "index.html").write_text(_page(cohort, notes), encoding="utf-8")


def draw_sheet(cohort: Cohort, patient: str, notes: list[str]) -> Image.Image:
    """One patient's cycles as a picture."""
    rows = cohort.rows(patient)
    stack = cohort.stack(patient)
    shown = np.round(np.arange(PHASES_SHOWN) * stack.shape[-1] / PHASES_SHOWN).astype(int)
    # Every other pixel tells the motion as well, in a quarter of the time.
    spacing_mm = cohort.spacing_mm(patient)
    motion = stack[:, ::2, ::2].std(axis=-1, dtype=np.float32)[..., None]
    motion = _thumbs(motion, spacing_mm)
    motion = np.clip(motion * (255 / max(float(np.percentile(motion, 99.5)), 1e-6)), 0, 255)
    low, high = cohort.window(patient)
    pictures = intensity.to_grey(_thumbs(stack[..., shown], spacing_mm), low, high)
    pictures = np.concatenate([pictures, motion.astype(np.uint8)], axis=-1)

    heading = [_heading(rows), *_wrapped([*_sources(rows), *notes])]
    top = LINE * (len(heading) + 2)
    width = LABEL_WIDTH + pictures.shape[-1] * (THUMB + 2)
    sheet = Image.new("RGB", (width, top + len(rows) * (THUMB + 2)))
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    for k, line in enumerate(heading):
        pen.text((4, 3 + k * LINE), line, TEXT if k else (WHITE,) * 3, font)
    for k, phase in enumerate([*(f"phase {p}" for p in shown), "motion"]):
        pen.text((LABEL_WIDTH + k * (THUMB + 2) + 4, top - LINE - 2), phase, TEXT, font)
    oriented = rows["turn"].iloc[0] != UNKNOWN
    ends = {0: " (base)", len(rows) - 1: " (apex)"} if oriented else {}
    for i, (_, row) in enumerate(rows.iterrows()):
        y = top + i * (THUMB + 2)
        for k in range(pictures.shape[-1]):
            thumb = Image.fromarray(pictures[i, :, :, k])
            sheet.paste(thumb, (LABEL_WIDTH + k * (THUMB + 2), y))
        colour = AMBER if row["resampled_in_time"] else TEXT
        for k, line in enumerate(_label(row, ends.get(i, ""))):
            pen.text((4, y + 4 + k * LINE), line, colour, font)
    if oriented:
        _mark_sides(pen, font, rows.iloc[0], top)
    return sheet


def _thumbs(stack: np.ndarray, spacing_mm: tuple[float, float]) -> np.ndarray:
    """Fit (n, H, W, k) into squares of equal sides in mm, centred, float32 (n, THUMB, THUMB, k)."""
    height, width = (n * s for n, s in zip(stack.shape[1:3], spacing_mm, strict=True))
    scale = THUMB / max(height, width)
    fitted = resize_frames(stack, max(1, round(height * scale)), max(1, round(width * scale)))
    spare = [THUMB - side for side in fitted.shape[1:3]]
    around = [(0, 0), *((s // 2, s - s // 2) for s in spare), (0, 0)]
    return np.pad(fitted, around, constant_values=float(fitted.min()))


def _heading(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    parts = [
        first["patient"],
        _text(first["pathology"]),
        _text(first["split"]),
        f"{len(rows)} slices",
        f"{first['spacing_row_mm']:.3g} x {first['spacing_column_mm']:.3g} mm",
        f"thickness {first['thickness_mm']:.3g} mm",
        first["turn"],
        "resampled in plane" if first["resampled_in_plane"] else "",
    ]
    return "   ".join(filter(None, parts))


def _text(value: Any) -> str:
    """A cell of the index; empty where there is none."""
    return str(value) if pd.notna(value) else ""


def _sources(rows: pd.DataFrame) -> list[str]:
    """Which series the stack was taken from."""
    counts = rows["series"].value_counts(sort=False)
    return [f"kept: {slices} slice(s) of {series}" for series, slices in counts.items()]


def _label(row: pd.Series, end: str) -> list[str]:
    lines = [
        f"slice {row['slice']}{end}",
        f"{row['position_mm']:+.1f} mm",
        f"{row['phases_scanned']} phases scanned",
        f"by {row['clock']}",
    ]
    return [*lines, "interpolated in time"] if row["resampled_in_time"] else lines


def _wrapped(notes: list[str], width: int = 150, most: int = 12) -> list[str]:
    shortened = [note if len(note) <= width else f"{note[: width - 3]}..." for note in notes]
    if len(shortened) > most:
        shortened = [*shortened[: most - 1], f"and {len(notes) - most + 1} more"]
    return shortened


def _mark_sides(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    row: pd.Series,
    top: int,
) -> None:
    """Letters at the first picture's edges: which side of the patient they face."""
    directions = np.array([float(x) for x in str(row["orientation"]).split()])
    letters = edge_letters(directions[:3], directions[3:])
    middle, end = THUMB // 2 - 4, THUMB - 12
    places = {"left": (3, middle), "right": (end, middle), "top": (middle, 1)}
    for side, (x, y) in {**places, "bottom": (middle, end - 4)}.items():
        pen.text((LABEL_WIDTH + x, top + y), letters[side], AMBER, font)


def _page(cohort: Cohort, notes: Callable[[str], list[str]]) -> str:
    """The page that holds all sheets."""
    rows, sheets = [], []
    for patient in cohort.patients:
        own = cohort.rows(patient)
        first = own.iloc[0]
        cells = [
            f'<a href="#{html.escape(patient)}">{html.escape(patient)}</a>',
            html.escape(_text(first["pathology"])),
            html.escape(_text(first["split"])),
            str(len(own)),
            " ".join(sorted({str(n) for n in own["phases_scanned"]})),
            str(int(own["resampled_in_time"].sum())),
            html.escape(str(first["turn"])),
            html.escape(", ".join(sorted(set(own["clock"])))),
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
        told = [*_sources(own), *notes(patient)]
        lines = "".join(f"<li>{html.escape(note)}</li>" for note in told)
        sheets.append(
            f'<h2 id="{html.escape(patient)}">{html.escape(patient)}</h2><ul>{lines}</ul>'
            f'<img loading="lazy" alt="cycles of {html.escape(patient)}" '
            f'src="{html.escape(patient)}.png">'
        )
    head = [
        "patient",
        "group",
        "split",
        "slices",
        "phases scanned",
        "slices interpolated",
        "orientation",
        "clock",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Conversion</title>'
        "<style>body{background:#111;color:#ddd;font:15px sans-serif;margin:2em}"
        "a{color:#ffb000}td,th{padding:.2em 1em;text-align:left}img{max-width:100%}</style>"
        f"</head><body><h1>What conversion made of each patient</h1><p>{LEGEND}</p><table><tr>"
        + "".join(f"<th>{name}</th>" for name in head)
        + f"</tr>{''.join(rows)}</table>{''.join(sheets)}</body></html>\n"
    )
