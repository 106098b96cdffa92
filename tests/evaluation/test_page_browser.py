"""The report page in a real browser."""

from __future__ import annotations

import io

import imageio.v3 as iio
import numpy as np
import pytest
from beating import PHASES, cohort
from loopback import chromium
from selenium.webdriver.common.by import By

from cinegan.evaluation.memorization import likeness, nearest_pairs
from cinegan.evaluation.page import BLIND, SHOWN, write_page

TRAIN, _ = cohort(range(2))
TEST, _ = cohort(range(20, 22))
SAMPLES, _ = cohort(range(40, 42))


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


@pytest.fixture
def page(browser, tmp_path):
    real, nearest = (
        {"train": TRAIN, "test": TEST},
        nearest_pairs(SAMPLES, TRAIN, likeness(SAMPLES, TRAIN)),
    )
    write_page(tmp_path / "report.html", "made", SAMPLES, real, nearest, {}, 0)
    browser.get((tmp_path / "report.html").as_uri())
    yield browser
    assert not browser.get_log("browser")  # nothing failed, nothing was fetched


def show_phase(page, phase):
    """Stop the hearts at a phase, as by the slider."""
    page.execute_script(
        "slider.value = arguments[0]; slider.dispatchEvent(new Event('input'))", phase
    )


def seen(page, heart):
    return iio.imread(io.BytesIO(heart.screenshot_as_png))[..., 0].astype(float)


def test_hearts_beat_and_stop_when_told(page):
    heart = page.find_element(By.CSS_SELECTOR, ".blind .heart")
    assert heart.size == {"width": SHOWN, "height": SHOWN}
    show_phase(page, 0)
    first, again = seen(page, heart), seen(page, heart)
    np.testing.assert_array_equal(first, again)
    show_phase(page, PHASES // 2)
    assert page.find_element(By.ID, "told").text == str(PHASES // 2 + 1)
    assert np.abs(seen(page, heart) - first).max() > 20
    page.find_element(By.ID, "play").click()
    phases = {page.find_element(By.ID, "told").text for _ in range(60)}
    assert len(phases) > 1


@pytest.mark.parametrize("phase", [0, 5, PHASES - 1])
def test_a_phase_is_shown_whole_and_in_its_place(page, phase):
    """What is on the screen is that frame of the cycle, magnified."""
    show_phase(page, phase)
    heart = page.find_element(By.CSS_SELECTOR, ".pair .heart")
    shown = seen(page, heart).reshape(24, SHOWN // 24, 24, SHOWN // 24).mean(axis=(1, 3))
    expected = SAMPLES[0, ..., phase].astype(float)
    inside = (slice(2, -2), slice(2, -2))  # the browser smooths
    assert np.corrcoef(shown[inside].ravel(), expected[inside].ravel())[0, 1] > 0.97


def test_labels_are_hidden_until_a_click(page):
    hearts = page.find_elements(By.CLASS_NAME, "blind")
    assert len(hearts) == BLIND
    assert all(heart.text.endswith("?") for heart in hearts)
    assert len({heart.value_of_css_property("border-color") for heart in hearts}) == 1
    hearts[3].click()
    kind = hearts[3].get_attribute("data-kind")
    assert hearts[3].text == f"4: {kind}"
    assert all(heart.text.endswith("?") for heart in hearts if heart != hearts[3])
    page.find_element(By.ID, "reveal").click()
    kinds = [heart.text.split(": ")[1] for heart in hearts]
    assert sorted(kinds) == ["real"] * (BLIND // 2) + ["synthetic"] * (BLIND // 2)
