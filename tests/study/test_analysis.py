"""Differences between arms are of the same patients, with the intervals of patients."""

import numpy as np
import pandas as pd
import pytest

from cinegan.study.analysis import SCORES, compare_arms, headline, mean_scores, seeds_of


def scores(gain, patients=12, seeds=2, arms=("none", "gan"), noise=0.01):
    """Patients differ much, arms by `gain`, seeds little."""
    draw = np.random.default_rng(0)
    people = draw.uniform(0.6, 0.9, patients)
    return pd.DataFrame(
        [
            {"arm": arm, "share": 100, "seed": seed, "split": "test", "patient": f"P{k}"}
            | dict.fromkeys(SCORES, people[k] + gain * (arm != "none") + draw.normal(0, noise))
            for arm in arms
            for seed in range(seeds)
            for k in range(patients)
        ]
    )


def test_a_difference_is_found_though_patients_differ_more():
    found = compare_arms(scores(0.05), "split", 0)
    key = "dice_endo_gan_over_none_100"
    assert found[key] == pytest.approx(0.05, abs=0.01)
    assert 0 < found[f"{key}_low"] < found[key] < found[f"{key}_high"]
    assert found[f"{key}_smallest"] < 0.02
    assert (found["n_patients"], found["n_seeds"]) == (12, 2)
    assert "dice_endo_none_over_none_100" not in found
    assert compare_arms(scores(0.05), "split", 0) == found


@pytest.mark.parametrize(
    ("patients", "how"), [(3, "student"), (5, "student"), (10, "resampled"), (20, "resampled")]
)
def test_no_difference_has_zero_in_its_interval_about_as_often_as_it_says(patients, how):
    inside = []
    for seed in range(300):
        draw = np.random.default_rng(seed)
        table = scores(0.0, patients=patients, seeds=1, noise=0.0)
        table["dice_epi"] += draw.normal(0, 0.03, len(table))
        found = compare_arms(table, "split", seed)
        key = "dice_epi_gan_over_none_100"
        inside.append(found[f"{key}_low"] <= 0 <= found[f"{key}_high"])
    assert found["intervals"] == how
    assert 0.91 <= np.mean(inside) <= 0.98


def exponential(draw, shape):
    return draw.exponential(1, shape) - 1


def one_in_twenty_far_off(draw, shape):
    return draw.normal(0, 1, shape) + 10 * ((draw.random(shape) < 0.05) - 0.05)


@pytest.mark.parametrize(("apart", "share"), [(exponential, 0.92), (one_in_twenty_far_off, 0.8)])
def test_skewed_differences_have_their_mean_in_fewer_intervals_than_normal_ones(apart, share):
    draw, inside, short = np.random.default_rng(0), [], []
    table = scores(0.0, patients=20, seeds=1, noise=0.0)
    table[list(SCORES)] = 0.0
    for seed in range(80):  # each of nine scores
        drawn = apart(draw, (20, len(SCORES)))  # of mean 0
        table.loc[table["arm"] == "gan", list(SCORES)] = drawn
        found = compare_arms(table, "split", seed)
        for score in SCORES:
            key = f"{score}_gan_over_none_100"
            inside.append(found[f"{key}_low"] <= 0 <= found[f"{key}_high"])
            short.append(found[f"{key}_high"] < 0)
    assert found["intervals"] == "resampled"
    assert np.mean(inside) == pytest.approx(share, abs=0.03)
    assert np.sum(short) > 0.8 * np.sum(np.logical_not(inside))


def test_an_effect_of_the_smallest_size_is_seen_four_times_in_five():
    seen = []
    for seed in range(200):
        draw = np.random.default_rng(seed)
        table = scores(0.0, patients=20)
        apart = draw.normal(0, 0.03, 20)
        smallest = (2.093 + 0.861) * 0.03 / np.sqrt(20)  # Student's, 19 degrees of freedom
        table.loc[table["arm"] == "gan", list(SCORES)] += np.tile(apart + smallest, 2)[:, None]
        found = compare_arms(table, "split", 0)
        seen.append(found["dice_endo_gan_over_none_100_low"] > 0)
        per = table.groupby(["patient", "arm"])["dice_endo"].mean().unstack()
        of_these = (2.093 + 0.861) * (per["gan"] - per["none"]).std(ddof=1) / np.sqrt(20)
        told = found["dice_endo_gan_over_none_100_smallest"]
        assert told == pytest.approx(of_these, rel=1e-3)
    assert 0.72 <= np.mean(seen) <= 0.9


def test_two_patients_have_no_interval_and_what_was_not_scored_has_its_reason():
    table = scores(0.05, patients=2)
    table["hausdorff_mm_endo"] = np.nan
    found = compare_arms(table, "split", 0)
    assert found["dice_endo_gan_over_none_100"] is not None
    assert found["dice_endo_gan_over_none_100_low"] is None
    assert "an interval takes 3" in found["dice_endo_gan_over_none_100_low_reason"]
    for key in ("hausdorff_mm_endo_gan_100", "hausdorff_mm_endo_gan_over_none_100"):
        assert found[key] is None
        assert found[f"{key}_reason"] == "nothing to score"


def test_what_classical_and_synthetic_frames_add_is_told_over_none_and_over_classical():
    table = scores(0.05, arms=("none", "classical", "classical_gan"), noise=0.0)
    table.loc[table["arm"] == "classical_gan", list(SCORES)] += 0.02
    found = compare_arms(table, "split", 0)
    assert found["dice_epi_classical_gan_over_none_100"] == pytest.approx(0.07, abs=1e-6)
    assert found["dice_epi_classical_gan_over_classical_100"] == pytest.approx(0.02, abs=1e-6)
    alone = compare_arms(table[table["arm"] == "classical_gan"], "split", 0)
    assert not [key for key in alone if "_over_" in key]


def test_a_repeated_study_tells_the_difference_at_each_seed():
    table = scores(0.05, seeds=3, noise=0.0)
    table.loc[(table["seed"] == 2) & (table["arm"] == "gan"), "dice_epi"] += 0.03
    found, key = compare_arms(table, "split", 0), "dice_epi_gan_over_none_100"
    assert [found[each] for each in seeds_of(found, key)] == pytest.approx([0.05, 0.05, 0.08])
    assert seeds_of(found, key) == [f"{key}_seed_{seed}" for seed in range(3)]
    assert found[key] == pytest.approx(0.06)
    assert not seeds_of(compare_arms(table[table["seed"] == 1], "split", 0), key)
    assert not seeds_of(compare_arms(table, "leave_one_out", 0), key)


def test_val_is_not_compared_and_a_left_out_patient_is_judged_once():
    table = scores(0.05)
    val = table.assign(split="val", **dict.fromkeys(SCORES, 0.0))
    assert compare_arms(pd.concat([table, val]), "split", 0) == compare_arms(table, "split", 0)
    assert compare_arms(table, "leave_one_out", 0)["n_seeds"] == 1
    assert compare_arms(val, "split", 0)["skipped"]
    assert compare_arms(pd.DataFrame(), "split", 0)["n_patients"] == 0
    assert set(mean_scores(val)) == {f"{score}_val" for score in SCORES}
    assert mean_scores(pd.DataFrame()) == {}


def test_an_interval_does_not_depend_on_which_other_arms_there_are():
    two, three = scores(0.05), scores(0.05, arms=("none", "affine", "gan"))
    gan = two[two["arm"] == "gan"]
    three = pd.concat([three[three["arm"] != "gan"], gan])
    three.loc[three["arm"] == "none", list(SCORES)] = two.loc[
        two["arm"] == "none", list(SCORES)
    ].to_numpy()
    key = "dice_endo_gan_over_none_100_low"
    assert compare_arms(three, "split", 0)[key] == compare_arms(two, "split", 0)[key]


def test_who_has_no_score_in_one_arm_is_no_pair():
    table = scores(0.05)
    table.loc[(table["patient"] == "P3") & (table["arm"] == "gan"), "dice_endo"] = np.nan
    found = compare_arms(table, "split", 0)
    assert found["dice_endo_gan_over_none_100_n"] == 11
    assert found["dice_epi_gan_over_none_100_n"] == 12


def test_the_headline_is_three_scores_of_each_arm_and_the_comparison_that_counts():
    arms = ("none", "classical", "classical_gan")
    found = compare_arms(scores(0.05, arms=arms), "split", 0)
    counts = "dice_endo_classical_gan_over_classical_100"
    told = headline(found, arms, [100])
    assert set(told) == {
        *("n_patients", "n_seeds", "intervals"),
        *(f"{s}_{a}_100" for a in arms for s in ("dice_endo", "dice_epi", "distance_mm_endo")),
        *(f"{counts}{end}" for end in ("", "_low", "_high", "_smallest")),
    }
    assert told.items() <= found.items()
    without = compare_arms(scores(0.05), "split", 0)
    assert not [key for key in headline(without, ["none", "gan"], [100]) if "_over_" in key]


def test_the_headline_keeps_the_reason_of_what_is_missing():
    found = compare_arms(scores(0.05, patients=2, arms=("classical", "classical_gan")), "split", 0)
    told = headline(found, ["classical", "classical_gan"], [100])
    low = "dice_endo_classical_gan_over_classical_100_low"
    assert told[low] is None
    assert "an interval takes 3" in told[f"{low}_reason"]
    skipped = compare_arms(pd.DataFrame(), "split", 0)
    assert headline(skipped, ["none"], [100]) == skipped
