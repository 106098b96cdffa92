"""The quality page: what it shows of each patient, and that it always is the same."""

from __future__ import annotations

import html.parser

import numpy as np
import pytest
from digests import sha256_of_folder
from PIL import Image

from cinegan.contact_sheet import LABEL_WIDTH, PHASES_SHOWN, THUMB, draw_sheet, write_sheets
from cinegan.data.cohort import Cohort, PatientCycles, write_cohort
from cinegan.data.orientation import UNKNOWN


def patient(name, stack, spacing_mm=(1.5, 1.5), **changes):
    row = {
        "patient": name,
        "pathology": "Normal",
        "split": "train",
        "position_mm": 12.5,
        "spacing_row_mm": spacing_mm[0],
        "spacing_column_mm": spacing_mm[1],
        "thickness_mm": 8.0,
        "phases_scanned": stack.shape[-1],
        "clock": "TriggerTime",
        "orientation": "1 0 0 0 0 -1",
        "turn": "as scanned",
        "resampled_in_time": 0,
        "resampled_in_plane": 0,
        "series": f"{name}.zip/SAX",
    }
    return PatientCycles(name, stack, [{**row, "slice": i, **changes} for i in range(len(stack))])


def beating(slices=3, height=40, width=40, phases=10, spacing_mm=(1.5, 1.5)):
    """A disc in the middle of each slice; only the last phase is larger."""
    y = (np.arange(height) - (height - 1) / 2)[:, None] * spacing_mm[0]
    x = (np.arange(width) - (width - 1) / 2) * spacing_mm[1]
    radii = np.full(phases, 15.0)
    radii[phases // 2 :] = 20.0
    stack = np.hypot(y, x)[..., None] < radii
    return np.repeat((100 + 800 * stack)[None], slices, axis=0).astype(np.int16)


@pytest.fixture
def cohort(tmp_path):
    patients = [
        patient("A", beating(), turn="mirrored, turned upside down"),
        patient(
            "B", beating(2, phases=8), resampled_in_time=1, pathology="", clock="AcquisitionTime"
        ),
        patient("C", beating(4, 20, 40, spacing_mm=(3.0, 1.5)), (3.0, 1.5), turn=UNKNOWN),
    ]
    write_cohort(tmp_path / "cycles", patients)
    return Cohort(tmp_path / "cycles")


def picture(sheet, slices, i, column):
    """One picture of slice i, (THUMB, THUMB, 3), counted from below: headings differ."""
    top = sheet.height - (THUMB + 2) * (slices - i)
    left = LABEL_WIDTH + column * (THUMB + 2)
    return np.asarray(sheet.crop((left, top, left + THUMB, top + THUMB))).astype(int)


def test_every_slice_has_its_phases_and_its_motion(cohort):
    sheet = draw_sheet(cohort, "A", [])
    assert sheet.width == LABEL_WIDTH + (PHASES_SHOWN + 1) * (THUMB + 2)
    for i in range(3):
        shown = [picture(sheet, 3, i, k) for k in range(PHASES_SHOWN + 1)]
        # 10 phases: of 0, 2, 4, 6 and 8 the last two are larger.
        middle = THUMB // 2
        profile = [p[middle, 14:-14, 0] > 127 for p in shown]  # letters stand at the edges
        inside = [p.sum() for p in profile[:-1]]
        assert inside[0] == inside[1] == inside[2] < inside[3] == inside[4]
        assert inside[0] == pytest.approx(30 / 60 * THUMB, abs=4)
        assert (np.ptp(shown[0], axis=-1).max() > 0) == (i == 0)  # grey, but for the letters
        # Motion is bright on the ring between the two radii alone.
        motion = shown[-1][:, :, 0]
        ring = motion[middle, middle + int(17.5 / 60 * THUMB)]
        assert ring > 150
        assert motion[middle, middle] < 30 > motion[middle, THUMB - 3]


@pytest.mark.parametrize("name", ["A", "C"])
def test_discs_are_round_whatever_the_pixels(cohort, name):
    shown = picture(draw_sheet(cohort, name, []), {"A": 3, "C": 4}[name], 1, 0)[:, :, 0] > 127
    rows, columns = np.nonzero(shown)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=4)


def amber(region):
    red, _, blue = np.asarray(region).astype(int).transpose(2, 0, 1)
    return (red - blue > 60).sum()


def test_what_was_interpolated_stands_out(cohort):
    labels = {
        name: draw_sheet(cohort, name, []).crop((0, 0, LABEL_WIDTH, 999)) for name in ("A", "B")
    }
    assert amber(labels["A"]) == 0
    assert amber(labels["B"]) > 50


def test_sides_are_marked_where_they_are_known(cohort):
    assert amber(draw_sheet(cohort, "A", [])) > 20
    assert amber(draw_sheet(cohort, "C", [])) == 0


def test_notes_stand_above_the_pictures_and_are_not_endless(cohort):
    plain, noted = draw_sheet(cohort, "A", []), draw_sheet(cohort, "A", ["one", "two"])
    many = draw_sheet(cohort, "A", [f"note {i} " * 80 for i in range(99)])
    assert plain.height < noted.height < many.height < plain.height + 20 * 15
    assert plain.width == many.width
    lines = np.asarray(noted)[: noted.height - plain.height + 30, :, 0]
    assert (lines > 100).sum() > (np.asarray(plain)[:30, :, 0] > 100).sum()


def notes(patient):
    return {"A": ["left out: <b>3</b> image(s) & more", "second"], "B": []}.get(patient, ["third"])


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.images, self.ids, self.links, self.words, self.tags = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.images += [found["src"]] if tag == "img" else []
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_has_every_patient_and_its_sheet_can_be_opened(cohort, tmp_path):
    write_sheets(tmp_path / "sheets", cohort, notes)
    page = Page((tmp_path / "sheets" / "index.html").read_text(encoding="utf-8"))
    assert page.images == ["A.png", "B.png", "C.png"]
    assert {"A", "B", "C"} <= set(page.ids)
    assert {"#A", "#B", "#C"} <= set(page.links)
    for name in page.images:
        with Image.open(tmp_path / "sheets" / name) as sheet:
            sheet.load()
            assert sheet.mode == "RGB"
            assert np.asarray(sheet).std() > 10
    assert sorted(p.name for p in (tmp_path / "sheets").iterdir()) == sorted(
        [*page.images, "index.html"]
    )


def test_the_page_says_what_was_kept_turned_interpolated_and_left_out(cohort, tmp_path):
    write_sheets(tmp_path / "sheets", cohort, notes)
    page = Page((tmp_path / "sheets" / "index.html").read_text(encoding="utf-8"))
    for words in (
        "mirrored, turned upside down",
        "as scanned",
        UNKNOWN,
        "AcquisitionTime",
        "kept: 3 slice(s) of A.zip/SAX",
        "second",
        "third",
    ):
        assert any(words in text for text in page.words), words
    # Notes are text, whatever they hold.
    assert "b" not in page.tags
    assert "<b>3</b> image(s) & more" in "".join(page.words)


def test_the_same_cycles_give_the_same_page(cohort, tmp_path):
    for name in "ab":
        write_sheets(tmp_path / name, cohort, notes)
    assert sha256_of_folder(tmp_path / "a") == sha256_of_folder(tmp_path / "b")


def test_an_older_page_is_replaced_as_a_whole(cohort, tmp_path):
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets" / "gone.png").write_bytes(b"old")
    write_sheets(tmp_path / "sheets", cohort, notes)
    assert not (tmp_path / "sheets" / "gone.png").exists()


def test_real_sheets_are_readable(real_cycles):
    cohort = Cohort(real_cycles.folder)
    sheet = draw_sheet(cohort, "SCD0000101", [])
    assert sheet.height > 12 * THUMB
    shown = picture(sheet, 12, 5, 0)[:, :, 0]
    assert 20 < shown.mean() < 150
