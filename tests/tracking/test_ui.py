"""MLflow's pages in a real browser: what differed, which is better, how it is made again."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from journals import runs_of
from loopback import chromium
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from cinegan.tracking.runs import new_run

EXPERIMENTS = {"brave-heart": (1e-3, 4.0), "calm-beat": (2e-3, 3.0), "dull-echo": (5e-4, 5.0)}
PATIENCE_S = 120


@pytest.fixture(scope="module")
def browser():
    with chromium("1700,1300") as driver:
        yield driver


@pytest.fixture
def compared(server, bare_checkout, monkeypatch):
    """A server with three trainings that were judged; its address, experiment and runs."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    (bare_checkout / "card.md").write_text("# What it is and is not")
    with server.running():
        for name, (rate, distance) in EXPERIMENTS.items():
            monkeypatch.setenv("DVC_EXP_NAME", name)
            with new_run("cinegan64 laptop") as run:
                run.params({"seed": 4, "training": {"batch": 16, "learning_rate": rate}})
                run.dataset("ventricles, train, 64", "ab" * 32, "data/ventricles", "training", {})
                for kimg in (1.0, 2.0):
                    run.metrics({"loss": distance / kimg}, kimg, group="training")
                    run.picture(np.full((16, 40), 99, np.uint8), "samples", kimg)
                run.metrics({"kid_texture_test": distance}, group="figures")
                run.artifact(Path("card.md"), "evaluation")
                run.describe("Made again by `.venv/bin/dvc exp run`")
        _, runs = runs_of(server.url)
        yield f"{server.url}/#/", runs[0].info.experiment_id, [run.info.run_id for run in runs]


def text_of(browser, *wanted):
    """A page's text, once all that is wanted is in it."""

    def shown(driver):
        text = driver.find_element(By.TAG_NAME, "body").text
        return text if all(each in text for each in wanted) else False

    return WebDriverWait(browser, PATIENCE_S, ignored_exceptions=[Exception]).until(
        shown, f"not all of {wanted} on {browser.current_url}"
    )


def pictures_after(browser, steps):
    """Sizes of the pictures in the image grid of `samples` after so many steps of its slider."""

    def click(selector, text=""):
        def found(driver):
            there = driver.find_elements(By.CSS_SELECTOR, selector)
            return next((each for each in there if text in each.text), False)

        element = WebDriverWait(browser, PATIENCE_S, ignored_exceptions=[Exception]).until(found)
        ActionChains(browser).move_to_element(element).click().perform()

    click("button", "Add chart")
    click("[role=menuitem]", "Image grid")
    click("[role=dialog] [role=combobox]", "Images")
    click("[role=option]", "samples")
    slider = browser.find_element(By.CSS_SELECTOR, "[role=dialog] [role=slider]")
    browser.execute_script("arguments[0].focus()", slider)
    for _ in range(steps):
        slider.send_keys(Keys.ARROW_RIGHT)
    sizes = """return [...document.querySelectorAll('[role=dialog] img')].map(
        picture => [picture.naturalWidth, picture.naturalHeight])"""
    WebDriverWait(browser, PATIENCE_S).until(
        lambda driver: len([w for w, _ in driver.execute_script(sizes) if w]) >= len(EXPERIMENTS)
    )
    return browser.execute_script(sizes)


def test_three_runs_are_told_apart_and_compared(browser, compared):
    base, experiment, ids = compared
    # The list: each by its experiment's name, and what is looked at first ahead of the curves.
    browser.get(f"{base}experiments/{experiment}/runs?compareRunsMode=CHART")
    text = text_of(browser, *EXPERIMENTS, "figures/kid_texture_test", "training/loss")
    assert text.index("figures/kid_texture_test") < text.index("training/loss")

    # What was made in training, by a slider.
    assert pictures_after(browser, steps=2) == [[256, 102]] * 3  # of 40 by 16, enlarged

    # Side by side, of the parameters only the one that differs.
    runs = quote(json.dumps(ids))
    browser.get(f"{base}compare-runs?runs={runs}&experiments={quote(json.dumps([experiment]))}")
    text_of(browser, "Comparing 3 Runs", "Show diff only", "training.batch")
    switch = browser.find_element(By.CSS_SELECTOR, "button[role=switch]")  # the parameters'
    browser.execute_script("arguments[0].click()", switch)
    WebDriverWait(browser, PATIENCE_S).until(
        lambda driver: "training.batch" not in driver.find_element(By.TAG_NAME, "body").text
    )
    text = text_of(browser, "training.learning_rate", "0.002", "0.0005", "figures/kid_texture_test")
    assert "seed" not in text

    # One of them: how it is made again, of what, and its card.
    browser.get(f"{base}experiments/{experiment}/runs/{ids[0]}")
    text_of(browser, "cinegan64 laptop brave-heart", ".venv/bin/dvc exp run", "ventricles, train")
    browser.get(f"{base}experiments/{experiment}/runs/{ids[0]}/artifacts/evaluation/card.md")
    text_of(browser, "What it is and is not")
