"""The card: how, from what, how much copied."""

from dataclasses import replace

import pytest

from cinegan.export.card import card_of, told

FIGURES = {
    **{"n_synthetic": 3, "n_train": 4, "size": 64, "kid_texture_train": 3.0},
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
    assert card["copying"]["measured"] is False
    assert "**This was not measured of these samples" in told(card)


def test_copies_are_told_with_floor_interval_and_reason(source):
    card = card_of(replace(source, copying=FIGURES), {})
    assert card["copying"]["measured"] is True
    assert "kid_texture_train" not in card["copying"]
    text = told(card)
    assert "| `copied` | 0.02 (0.01 to 0.04) | 0.04 |" in text
    assert "| `authentic` | not measured: too few patients |" in text


def test_cycles_without_labels_or_times_have_none(plain):
    geometry = replace(plain.geometry, interval_ms=None)
    text = told(card_of(replace(plain, geometry=geometry), {}))
    assert "## Labels\n\nNone." in text
    assert "Times were not recorded" in text
