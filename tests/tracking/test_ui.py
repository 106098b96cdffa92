"""MLflow's pages in a real browser: what differed, which is better, how it is made again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pytest
from journals import Server, runs_of
from loopback import chromium
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from cinegan.tracking.outbox import DRAFT_TAG
from cinegan.tracking.runs import linked, new_run
from cinegan.tracking.store import COMPARISONS, STUDIES, WEIGHTS_TAG

EXPERIMENTS = {"brave-heart": (1e-3, 4.0), "calm-beat": (2e-3, 3.0), "dull-echo": (5e-4, 5.0)}
PATIENCE_S = 120


@pytest.fixture(scope="module")
def browser():
    with chromium("1700,1300") as driver:
        yield driver


@pytest.fixture(scope="module")
def compared(blank_store, tmp_path_factory):
    """A server with three trainings that were judged, compared and taught a study."""
    server = Server(tmp_path_factory.mktemp("server"), blank_store)
    with server.running(), pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(tmp_path_factory.mktemp("checkout"))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
        Path("card.md").write_text("# What it is and is not")
        for name, (rate, distance) in EXPERIMENTS.items():
            monkeypatch.setenv("DVC_EXP_NAME", name)
            with new_run("cinegan64 laptop", monitored=True) as run:
                run.tags({WEIGHTS_TAG: name})
                run.params({"seed": 4, "training": {"batch": 16, "learning_rate": rate}})
                run.dataset("ventricles, train, 64", "ab" * 32, "data/ventricles", "training", {})
                for kimg in (1.0, 2.0):
                    run.metrics({"loss": distance / kimg}, kimg, group="training")
                    run.picture(np.full((16, 40), 99, np.uint8), "samples", kimg)
                run.metrics({"kid_texture_test": distance}, group="figures")
                run.artifact(Path("card.md"), "evaluation")
                run.describe("Made again by `.venv/bin/dvc exp run`")
        monkeypatch.delenv("DVC_EXP_NAME")
        for title, kind in (("comparison", COMPARISONS), ("study of cinegan64", STUDIES)):
            with new_run(title, kind) as run:
                run.describe(linked("the training of calm-beat", "calm-beat"))
                if kind == STUDIES:
                    with new_run("classical-100-0", kind, within=run) as arm:
                        arm.metrics({"dice_endo_test": 0.9})
        _, found = runs_of(server.url)
        yield SimpleNamespace(
            base=f"{server.url}/#/",
            experiment=found[0].info.experiment_id,
            trainings=[run.info.run_id for run in found[:3]],
            others={run.info.run_name: run.info for run in found[3:]},
        )


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
    base, experiment, ids = compared.base, compared.experiment, compared.trainings
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


def test_what_a_run_tells_of_leads_to_it(browser, compared):
    training = f"runs/{compared.trainings[1]}"
    for name in ("comparison", "study of cinegan64"):
        info = compared.others[name]
        browser.get(f"{compared.base}experiments/{info.experiment_id}/runs/{info.run_id}")
        text_of(browser, name, "the training of calm-beat")
        page = browser.current_window_handle
        browser.find_element(By.LINK_TEXT, "the training of calm-beat").click()
        WebDriverWait(browser, PATIENCE_S).until(lambda driver: len(driver.window_handles) == 2)
        browser.switch_to.window(next(each for each in browser.window_handles if each != page))
        text_of(browser, "cinegan64 laptop calm-beat")
        assert training in browser.current_url
        browser.close()
        browser.switch_to.window(page)

    # A study's arms stand within it.
    arm, study = compared.others["classical-100-0"], compared.others["study of cinegan64"]
    browser.get(f"{compared.base}experiments/{arm.experiment_id}/runs/{arm.run_id}")
    text_of(browser, "Parent run", "study of cinegan64")
    browser.get(f"{compared.base}experiments/{study.experiment_id}/runs/{study.run_id}")
    text_of(browser, "Child runs", "classical-100-0")


def test_what_the_machine_was_busy_with_has_a_page_and_what_nobody_asks_for_has_none(
    browser, compared
):
    page = f"{compared.base}experiments/{compared.experiment}/runs/{compared.trainings[0]}"
    browser.get(page)
    assert DRAFT_TAG not in text_of(browser, "cinegan64 laptop brave-heart", WEIGHTS_TAG)
    browser.get(f"{page}/system-metrics")
    text_of(browser, "cpu_utilization_percentage", "system_memory_usage_megabytes")
