"""What conversion kept and left out, in numbers and words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cinegan.data.cohort import Cohort, PatientCycles, PlacedContour, write_cohort
from cinegan.data.cycles import LeftOut
from cinegan.data.record import Record
from cinegan.errors import CineganError

KEYS = [
    *("patients", "patients_train", "patients_val", "patients_test", "slices", "frames"),
    *("contours", "contours_unplaced", "slices_resampled_in_time", "patients_turned"),
    *("patients_resampled_in_plane", "images_left_out", "files_unreadable", "clocks"),
    *("resampled_in_time", "turned", "kept", "left_out", "unreadable", "patients_left_out"),
]


def patient(name, slices, split, **changes):
    stack = np.arange(slices * 64 * 4, dtype=np.int16).reshape(slices, 8, 8, 4)
    row = {
        "patient": name,
        "split": split,
        "series": f"{name}.zip/SAX",
        "turn": "as scanned",
        "clock": "TriggerTime",
        "phases_scanned": 4,
        "resampled_in_plane": 0,
    }
    drawn = [
        PlacedContour(0, 1, "endo", np.eye(3, 2)),
        PlacedContour(0, 1, "rv", np.eye(3, 2), "truth"),
    ]
    return PatientCycles(
        name, stack, [{**row, "slice": i, **changes} for i in range(slices)], drawn
    )


@pytest.fixture
def cohort(tmp_path):
    patients = [
        patient("A", 3, "train"),
        patient("B", 2, "train", turn="mirrored", clock="InstanceNumber"),
        patient("C", 4, "val", resampled_in_plane=1, phases_scanned=6),
        patient("D", 1, "test"),
    ]
    write_cohort(tmp_path / "cycles", patients)
    return Cohort(tmp_path / "cycles")


@pytest.fixture
def record():
    filled = Record(strict=False, contours_read=7)
    filled.leave_out("A", [LeftOut("A.zip/LAX", "long-axis view", 20), LeftOut("x", "why", 3)])
    filled.leave_out("A", [LeftOut("A.zip/LAX", "long-axis view", 5)])
    filled.leave_out("C", [LeftOut("A.zip/LAX", "long-axis view", 2)])
    filled.resampled["C"][2] = 6
    filled.resampled["C"][10] = 6
    filled.cannot_read("b.dcm", "not whole")
    filled.cannot_read("a.dcm", "not whole")
    filled.cannot_use("E", "no short-axis cine")
    return filled


def test_the_summary_counts_and_names(cohort, record):
    summary = record.summary(cohort)
    assert [*summary] == KEYS
    assert [summary[key] for key in KEYS[:13]] == [4, 2, 1, 1, 10, 40, 4, 3, 2, 1, 1, 30, 2]
    assert summary["clocks"] == {"InstanceNumber": 2, "TriggerTime": 8}
    assert summary["resampled_in_time"] == ["C:2", "C:10"]
    assert summary["turned"] == {"B": "mirrored"}
    assert summary["kept"][2] == {
        "patient": "C", "what": "C.zip/SAX", "slices": 4, "images": 24
    }  # fmt: skip
    assert summary["left_out"] == [
        {"patient": "A", "what": "A.zip/LAX", "why": "long-axis view", "images": 25},
        {"patient": "A", "what": "x", "why": "why", "images": 3},
        {"patient": "C", "what": "A.zip/LAX", "why": "long-axis view", "images": 2},
    ]
    assert list(summary["unreadable"]) == ["a.dcm", "b.dcm"]
    assert summary["patients_left_out"] == {"E": "no short-axis cine"}


def test_sums_agree_with_their_parts_and_all_is_json(cohort, record):
    summary = json.loads(json.dumps(record.summary(cohort), allow_nan=False))
    assert sum(summary[f"patients_{s}"] for s in ("train", "val", "test")) == summary["patients"]
    assert sum(summary["clocks"].values()) == summary["slices"]
    assert sum(item["slices"] for item in summary["kept"]) == summary["slices"]
    assert sum(item["images"] for item in summary["left_out"]) == summary["images_left_out"]
    assert len(summary["resampled_in_time"]) == summary["slices_resampled_in_time"]
    assert len(summary["turned"]) == summary["patients_turned"]
    assert len(summary["unreadable"]) == summary["files_unreadable"]


def test_a_record_of_nothing_has_the_same_keys(cohort):
    summary = Record(strict=True).summary(cohort)
    assert [*summary] == KEYS
    assert (summary["images_left_out"], summary["left_out"], summary["unreadable"]) == (0, [], {})


def test_notes_tell_one_patient_apart(record):
    assert record.notes("A") == [
        "left out: 25 image(s) of A.zip/LAX: long-axis view",
        "left out: 3 image(s) of x: why",
    ]
    assert record.notes("C")[:2] == [
        "slice 2: interpolated from 6 phases",
        "slice 10: interpolated from 6 phases",
    ]
    assert record.notes("D") == []


def test_the_commonest_reasons_come_first(record):
    assert record.reasons() == (
        "27 image(s): long-axis view; 3 image(s): why; 2 image(s): not whole"
    )
    assert Record(strict=False).reasons() == "there are no images in it"


def test_what_cannot_be_used_is_told_at_once(record, capsys):
    record.cannot_read("c.dcm", "cut short")
    record.cannot_use("F", "nothing left")
    told = capsys.readouterr().out
    assert "skipped c.dcm: cut short\n" in told
    assert "skipped patient F: nothing left\n" in told


def test_strict_means_that_the_first_of_them_ends_it():
    record = Record(strict=True)
    with pytest.raises(CineganError, match=r"c.dcm: cut short; remove or mend it, or set"):
        record.cannot_read("c.dcm", "cut short")
    with pytest.raises(CineganError, match=r"patient F: nothing; mend the study, add the patient"):
        record.cannot_use("F", "nothing")
    record.leave_out("F", [LeftOut("localizer", "no cine", 3)])  # no fault
    assert (record.unreadable, record.patients_left_out) == ({}, {})
