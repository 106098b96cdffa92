"""Differences between arms are of the same patients, with the intervals of patients."""

import numpy as np
import pandas as pd
import pytest

from cinegan.study.analysis import SCORES, compare_arms


def scores(gain, patients=12, seeds=2, arms=("none", "gan"), noise=0.01):
    """Patients differ much, arms by `gain`, seeds little."""
    draw = np.random.default_rng(0)
    people = draw.uniform(0.6, 0.9, patients)
    return pd.DataFrame(
        [
            {"arm": arm, "share": 100, "seed": seed, "patient": f"P{k}"}
            | dict.fromkeys(SCORES, people[k] + gain * (arm != "none") + draw.normal(0, noise))
            for arm in arms
            for seed in range(seeds)
            for k in range(patients)
        ]
    )


def test_a_difference_is_found_though_patients_differ_more():
    found = compare_arms(scores(0.05), seed=0)
    key = "dice_endo_gan_over_none_100"
    assert found[key] == pytest.approx(0.05, abs=0.01)
    assert 0 < found[f"{key}_low"] < found[key] < found[f"{key}_high"]
    assert found[f"{key}_smallest"] < 0.02
    assert (found["n_patients"], found["n_seeds"]) == (12, 2)
    assert "dice_endo_none_over_none_100" not in found
    assert compare_arms(scores(0.05), seed=0) == found


def test_no_difference_has_zero_in_its_interval_about_as_often_as_it_says():
    inside = []
    for seed in range(200):
        draw = np.random.default_rng(seed)
        table = scores(0.0)
        table[list(SCORES)] += draw.normal(0, 0.03, (len(table), 1))
        found = compare_arms(table, seed=0)
        key = "dice_epi_gan_over_none_100"
        inside.append(found[f"{key}_low"] <= 0 <= found[f"{key}_high"])
    assert 0.87 <= np.mean(inside) <= 0.99


def test_an_effect_of_the_smallest_size_is_seen_four_times_in_five():
    seen = []
    for seed in range(200):
        draw = np.random.default_rng(seed)
        table = scores(0.0, patients=20)
        apart = draw.normal(0, 0.03, 20)
        smallest = (2.093 + 0.861) * 0.03 / np.sqrt(20)  # Student's, 19 degrees of freedom
        table.loc[table["arm"] == "gan", list(SCORES)] += np.tile(apart + smallest, 2)[:, None]
        found = compare_arms(table, seed=0)
        seen.append(found["dice_endo_gan_over_none_100_low"] > 0)
    assert 0.72 <= np.mean(seen) <= 0.9


def test_two_patients_have_no_interval_and_what_was_not_scored_has_its_reason():
    table = scores(0.05, patients=2)
    table["hausdorff_mm_endo"] = np.nan
    found = compare_arms(table, seed=0)
    assert found["dice_endo_gan_over_none_100"] is not None
    assert found["dice_endo_gan_over_none_100_low"] is None
    assert "an interval takes 3" in found["dice_endo_gan_over_none_100_low_reason"]
    for key in ("hausdorff_mm_endo_gan_100", "hausdorff_mm_endo_gan_over_none_100"):
        assert found[key] is None
        assert found[f"{key}_reason"] == "nothing to score"


def test_what_classical_and_synthetic_frames_add_is_told_over_none_and_over_classical():
    table = scores(0.05, arms=("none", "classical", "classical_gan"), noise=0.0)
    table.loc[table["arm"] == "classical_gan", list(SCORES)] += 0.02
    found = compare_arms(table, seed=0)
    assert found["dice_epi_classical_gan_over_none_100"] == pytest.approx(0.07, abs=1e-6)
    assert found["dice_epi_classical_gan_over_classical_100"] == pytest.approx(0.02, abs=1e-6)
    alone = compare_arms(table[table["arm"] == "classical_gan"], seed=0)
    assert not [key for key in alone if "_over_" in key]
