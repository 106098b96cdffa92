"""The figure shows each arm's Dice, and differences where they are, with their intervals."""

import pytest
from matplotlib import pyplot

from cinegan.study.figure import draw_study

KEY = "dice_endo_gan_over_none_100"
FOUND = {
    "n_patients": 12,
    "dice_endo_none_100": 0.9,
    "dice_endo_gan_100": 0.95,
    KEY: 0.05,
    f"{KEY}_low": 0.02,
    f"{KEY}_high": 0.09,
    f"{KEY}_seed_0": 0.04,
    f"{KEY}_seed_1": 0.06,
}


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """The axes of endo, above and below, and of epi, of which nothing was found."""
    kept = []
    monkeypatch.setattr(pyplot, "close", kept.append)
    draw_study(tmp_path / "study.png", FOUND, ["none", "gan"], [100])
    monkeypatch.undo()
    assert (tmp_path / "study.png").stat().st_size > 1000
    yield kept[0].axes
    pyplot.close(kept[0])


def heights(lines):
    return [value for line in lines for value in line.get_ydata()]


def test_an_arm_is_shown_with_its_dice_and_its_gain_with_the_interval(drawn):
    above, _, below, _ = drawn
    assert heights(above.lines) == [0.9, 0.95]
    assert above.get_title() == "endocardium, 12 test patients"
    (bar,) = below.containers
    assert bar.get_label() == "gan over none"
    assert bar.lines[0].get_ydata() == [5.0]
    (ends,) = bar.lines[2][0].get_segments()
    assert ends[:, 1] == pytest.approx([2.0, 9.0])
    assert [each.get_text() for each in below.get_xticklabels()] == ["100 %"]


def test_a_dash_tells_each_seed(drawn):
    dashes = [line for line in drawn[2].lines if line.get_color() == "#3a3a3a"]
    assert heights(dashes) == [4.0, 6.0]


def test_what_was_not_found_is_not_shown(drawn):
    epi = [*drawn[1].lines, *drawn[3].containers[0].lines[:1]]
    assert len(epi) == 3
    assert not [value for value in heights(epi) if value == value]
