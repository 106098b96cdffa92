"""Numbers in the docs are those of the files that they are said to come from."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
from imports import ROOT

from cinegan.study.analysis import compare_arms, headline
from cinegan.study.arms import ARMS
from cinegan.study.table import table_of

DOCS = ROOT / "docs"
MODELS = ("dcgan64", "cinegan64", "dcgan128", "pggan256")
FAITHFUL = ("precision", "density", "recall", "coverage")
COPYING = {
    "near-copies of train cycles": "copied",
    "less like a train cycle than that is like another": "authentic",
    "how often nearer to train than a test cycle is, pixels": "nearer_train_pixels",
    "the same, texture": "nearer_train_texture",
    "the same, motion": "nearer_train_motion",
    "the same, cardiac": "nearer_train_cardiac",
}
SAME = 0.006  # of a number, by which it may differ once it is rounded to three digits


def table_after(text, beginning):
    """Rows of the first table after some words, as lists of cells, without its head."""
    lines = iter(text[text.index(beginning) :].splitlines())
    rows = []
    for line in lines:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif rows:
            break
    return rows[2:]


def numbers(cell):
    return [float(each.replace(",", "")) for each in re.findall(r"-?\d[\d,]*\.?\d*", cell)]


def key_of(label, size):
    if label.startswith("sliced Wasserstein"):
        return "swd", "patches"
    if label == "the same at the finest scale":
        return f"swd_{size}", "patches"
    measure, extractor = label.split(", ")
    return measure.replace("KID", "kid"), extractor


def test_the_table_of_the_real_patients_is_of_its_files():
    reports = [json.loads((DOCS / "sunnybrook" / f"{name}.json").read_text()) for name in MODELS]
    rows = table_after((DOCS / "results.md").read_text(), "In each cell the first number")
    assert len(rows) == 17 + len(COPYING)
    for label, *cells in rows:
        for report, cell in zip(reports, cells, strict=True):
            if label in COPYING:
                wanted = [report[COPYING[label] + end] for end in ("", "_floor")]
            else:
                measure, extractor = key_of(label, report["size"])
                floors = ("floor_train" if measure in FAITHFUL else "floor", "floor")
                ends = ("train", floors[0], "test", floors[1])
                wanted = [report[f"{measure}_{extractor}_{end}"] for end in ends]
            assert numbers(cell) == pytest.approx(wanted, rel=SAME, abs=6e-4), label


def test_the_better_of_the_two_on_ventricles_is_bold():
    text = (DOCS / "results.md").read_text()
    for label, *cells in table_after(text, "In each cell the first number"):
        if label in COPYING:
            continue
        higher = any(label.startswith(each) for each in FAITHFUL)
        for one, other in zip(*(cell.split("; ") for cell in cells[:2]), strict=True):
            first, second = numbers(one)[0], numbers(other)[0]
            if first == second:
                assert "**" not in one + other, (label, one, other)
            else:
                assert one.startswith("**") == ((first > second) == higher), (label, one, other)
                assert one.startswith("**") != other.startswith("**"), (label, one, other)


def test_the_table_of_the_default_run_is_of_its_metrics():
    rows = table_after((DOCS / "results.md").read_text(), "| model | trained for | makes")
    assert sorted(row[0].strip("`") for row in rows) == sorted(MODELS)
    for name, _, _, texture, motion in rows:
        report = json.loads((ROOT / "metrics/models" / f"{name.strip('`')}.json").read_text())
        for extractor, cell in (("texture", texture), ("motion", motion)):
            wanted = [report[f"kid_{extractor}_{end}"] for end in ("train", "test", "floor")]
            found = numbers(cell.replace(", ", "; "))
            assert found == pytest.approx(wanted, rel=SAME, abs=6e-3), name


@pytest.mark.parametrize("extractors", [("texture", "motion", "cardiac")])
def test_the_floors_are_those_of_the_default_run(extractors):
    report = json.loads((ROOT / "metrics/models/cinegan64.json").read_text())
    text = (DOCS / "evaluation.md").read_text()
    for label, *cells in table_after(text, "What real cycles score in the samples' place"):
        measure = label.split("`")[1]
        ending = "floor_train" if label.endswith("to train") else "floor"
        for extractor, cell in zip(extractors, cells, strict=True):
            key = f"{measure}_{extractor}_{ending}"
            wanted = [report[key + end] for end in ("", "_low", "_high")]
            known = [each for each in wanted if each is not None]
            assert numbers(cell) == pytest.approx(known, rel=SAME, abs=6e-4), key
    for label, cell in table_after(text, "| measure | floor |"):
        if "msssim" not in label:
            key = label.strip("`") + "_floor"
            wanted = [report[key + end] for end in ("", "_low", "_high")]
            assert numbers(cell) == pytest.approx(wanted, rel=SAME, abs=6e-4), key


def arms_and_shares(found):
    named = [arm for arm in ARMS if any(f"_{arm}_" in key for key in found)]
    means = [key for key in found if key.startswith("dice_endo_") and "_over_" not in key]
    shares = sorted({int(key.rsplit("_", 1)[1]) for key in means if key[-1].isdigit()})
    return sorted(named, key=lambda arm: ARMS[arm].synthetic), shares


def test_the_tables_of_the_study_are_of_their_files():
    text = (DOCS / "study.md").read_text()
    assert (ROOT / "metrics/plots/study.md").read_text() in text
    for path in (DOCS / "study/phantom.json", DOCS / "study/real.json"):
        found = json.loads(path.read_text())
        arms, shares = arms_and_shares(found)
        table = table_of(found, arms, shares)
        assert f"{arms[0]}`" in table
        assert table in text, path


def test_the_full_forms_comparison_is_of_its_scores():
    scores = pd.read_csv(DOCS / "study/phantom.csv", dtype={"patient": str})
    found = json.loads((DOCS / "study/phantom.json").read_text())
    assert compare_arms(scores, "split", seed=11) == found


def test_where_it_is_lost_is_told_as_it_was_measured():
    section = (DOCS / "study.md").read_text().partition("### Where it is lost")[2]
    rows = table_after(section, "| taught by |")
    found = json.loads((DOCS / "study/lost.json").read_text())
    agreement = found.pop("agreement with the segmenter of real frames")
    lines = [
        [f"{line['dice_endo']:.3f}", f"{line['dice_epi']:.3f}", f"{line['distance_mm_endo']:.2f}"]
        for lines in found.values()
        for line in lines.values()
    ]
    assert [cells for _, *cells in rows] == lines
    for scores in agreement.values():
        assert f"{scores['endo']:.3f}" in section
        assert f"{scores['epi']:.3f}" in section


def test_what_was_tried_on_val_is_told_as_it_was_scored():
    text = (DOCS / "study.md").read_text()
    kinds = {"arm": str, "patient": str}
    known = pd.read_csv(DOCS / "study/phantom.csv", dtype=kinds).query(
        "split == 'val' & share == 25"
    )
    tried = pd.read_csv(DOCS / "study/tried.csv", dtype=kinds)
    plain = known[~known["arm"].isin(["gan", "classical_gan"])]
    made = {name: pd.concat([plain, scores]) for name, scores in tried.groupby("tried")}
    of_row = {
        "two moments, 20": known,
        "all phases": made["phases"],
        "two moments, 60": made["longer"],
    }
    for label, scores in of_row.items():
        (row,) = re.findall(rf"^\| outlines at {label}.*$", text, re.MULTILINE)
        found = compare_arms(scores.assign(split="test"), "split", seed=11)
        for pair in ("gan_over_none", "classical_gan_over_classical"):
            for kind in ("endo", "epi"):
                key = f"dice_{kind}_{pair}_25"
                gain, low, high = (100 * found[key + end] for end in ("", "_low", "_high"))
                assert f"{gain:.2f} ({low:.2f} to {high:.2f})" in row, (label, key)


def test_the_default_runs_metric_and_table_are_of_its_whole_comparison():
    found = json.loads((ROOT / "metrics/plots/study.json").read_text())
    arms, shares = arms_and_shares(found)
    assert (ROOT / "metrics/plots/study.md").read_text() == table_of(found, arms, shares)
    told = json.loads((ROOT / "metrics/study.json").read_text())
    assert list(told.items()) == list(headline(found, arms, shares).items())
