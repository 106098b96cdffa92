"""Samples that are plainly not like real hearts are told from those that may be."""

import json

import pytest
from imports import ROOT

from cinegan.export.measured import copies_of, copies_told, fidelity_of, fidelity_told, warning_of

KEY = "precision_texture_train"


def figures_of(name):
    return json.loads((ROOT / "metrics/models" / f"{name}.json").read_text())


@pytest.mark.parametrize("name", ["dcgan128", "pggan256"])
def test_the_default_runs_noise_is_warned_of(name):
    assert "not like real hearts" in warning_of(figures_of(name))


def test_the_default_runs_hearts_are_not_warned_of():
    assert warning_of(figures_of("cinegan64")) is None
    assert fidelity_of(figures_of("cinegan64"))["warning"] is None


@pytest.mark.parametrize(
    ("change", "warned"),
    [
        ({}, "not like real hearts: in texture, not one is within reach"),
        ({KEY: 0.02}, None),
        ({"precision_texture_floor_train": 0.0}, None),  # nor are real cycles of other patients
        ({"precision_texture_floor_train": None}, None),
        ({KEY: None, f"{KEY}_reason": "constant frames"}, "real hearts: constant frames"),
    ],
)
def test_a_warning_takes_a_floor_that_real_cycles_pass(change, warned):
    told = warning_of({KEY: 0.0, "precision_texture_floor_train": 0.9} | change)
    assert told is None if warned is None else warned in told


def test_nothing_measured_is_no_reason_to_warn():
    assert warning_of(None) is None
    assert fidelity_of(None)["measured"] is False
    assert warning_of({"copied": 0.0}) is None  # no texture among evaluate.extractors


@pytest.mark.parametrize("name", ["cinegan64", "pggan256"])
def test_tables_hold_the_figures_of_a_report(name):
    figures = figures_of(name)
    of_life, of_copies = fidelity_told(fidelity_of(figures)), copies_told(copies_of(figures))
    for text in (of_life, of_copies):
        assert "no reason told" not in text
        assert "90% intervals" in text
    assert f"| `kid_motion_test` | {figures['kid_motion_test']:.3g} (" in of_life
    floor = figures["precision_texture_floor_train"]
    assert f"| `{KEY}` | {figures[KEY]:.3g} (" in of_life
    assert f") | {floor:.3g} (" in of_life
