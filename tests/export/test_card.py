"""The card: how, from what, how true to life, how much copied."""

from dataclasses import replace

import pytest

from cinegan.export.card import card_of, told

FIGURES = {
    **{"n_synthetic": 3, "n_train": 4, "n_test": 2, "size": 64},
    **{"kid_texture_train": 3.0, "kid_texture_train_low": 2.0, "kid_texture_train_high": 4.0},
    **{"kid_texture_floor": 0.2, "precision_texture_train": 0.0, "precision_texture_test": 0.0},
    **{"precision_texture_floor_train": 0.9, "precision_texture_floor": 0.8},
    **{"copied": 0.02, "copied_low": 0.01, "copied_high": 0.04, "copied_floor": 0.04},
    **{"authentic": None, "authentic_reason": "too few patients"},
}


def test_a_card_says_what_made_the_cycles_and_from_what(source):
    card = card_of(source, {"DICOM files": 42})
    assert card["synthetic"] is True
    assert card["model"]["weights_sha256"] == source.weights_sha256
    assert card["model"]["record"] == source.record
    assert (card["learnt_from"]["patients"], card["learnt_from"]["cycles"]) == (2, 4)
    assert card["labels"]["frames_with_labels"] == 4
    text = told(card)
    assert "nothing contradicts one drawn too large. Train on the frames without `ignore`" in text
    for words in ("nobody was scanned", source.weights_sha256, "seed 4", "2.500 mm", "900 ms"):
        assert words in text


@pytest.mark.parametrize(
    ("data_source", "licence"), [("phantom", "MIT"), ("sunnybrook", "CC0"), ("folder", "not known")]
)
def test_the_licence_is_that_of_the_data(source, data_source, licence):
    card = card_of(replace(source, data_source=data_source), {})
    assert card["learnt_from"]["licence"].startswith(licence)
    assert licence in told(card)


def test_what_was_not_measured_is_said_plainly(source):
    card = card_of(source, {})
    assert card["copying"]["measured"] is card["fidelity"]["measured"] is False
    text = told(card)
    assert "how much was copied from patients.**" in text
    assert "how true to life they are.**" in text
    assert text.count("**This was not measured of these samples") == 2


def test_copies_are_told_with_floor_interval_and_reason(source):
    card = card_of(replace(source, figures=FIGURES), {})
    assert card["copying"]["measured"] is True
    assert "kid_texture_train" not in card["copying"]
    text = told(card)
    assert "| `copied` | 0.02 (0.01 to 0.04) | 0.04 |" in text
    assert "| `authentic` | not measured: too few patients |" in text


def test_likeness_to_real_hearts_is_told_with_floor_interval_and_warning(source):
    card = card_of(replace(source, figures=FIGURES), {})
    assert card["fidelity"]["kid_texture_train"] == 3.0
    assert "copied" not in card["fidelity"]
    text = told(card)
    assert "| `kid_texture_train` | 3 (2 to 4) | 0.2 |" in text
    assert "| `precision_texture_train` | 0 | 0.9 |" in text
    assert "| `precision_texture_test` | 0 | 0.8 |" in text
    assert "| `kid_motion_test` | not measured: no reason told |" in text
    assert f"**Warning: {card['fidelity']['warning']}.**" in text
    lifelike = FIGURES | {"precision_texture_train": 0.5}
    assert "Warning" not in told(card_of(replace(source, figures=lifelike), {}))


def test_cycles_without_labels_or_times_have_none(plain):
    geometry = replace(plain.geometry, interval_ms=None)
    text = told(card_of(replace(plain, geometry=geometry), {}))
    assert "## Labels\n\nNone." in text
    assert "Times were not recorded" in text
