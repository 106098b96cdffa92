import numpy as np
import pytest

from cinegan.evaluation.curves import BINS, fidelity_table, histogram_table, spectrum_table


def wave(frequency, size=32, amplitude=100):
    x = np.arange(size)
    row = 128 + amplitude * np.cos(2 * np.pi * frequency * x / size)
    return np.broadcast_to(row[None, None, :, None], (2, size, size, 3)).astype(np.uint8)


@pytest.mark.parametrize("frequency", [2, 5, 11])
def test_a_wave_has_its_energy_at_its_frequency(frequency):
    table = spectrum_table({"waves": wave(frequency), "none": wave(1)[:0]})
    assert set(table["set"]) == {"waves"}
    assert table["frequency"].tolist() == list(range(1, 17))
    strongest = table.loc[table["log10_energy"].idxmax()]
    assert strongest["frequency"] == frequency


def test_histograms_share_bins_and_sum_to_one():
    draw = np.random.default_rng(0)
    features = {"synthetic": draw.normal(2, 1, (50, 3)), "train": draw.normal(size=(30, 3))}
    features["test"] = np.empty((0, 3))
    table = histogram_table(features, ("a", "b", "c"), ("c", "a"))
    assert list(dict.fromkeys(table["quantity"])) == ["c", "a"]
    assert set(table["set"]) == {"synthetic", "train"}
    assert len(table) == 2 * 2 * BINS
    assert table.groupby(["quantity", "set"])["share"].sum().tolist() == pytest.approx([1] * 4)
    bins = table[table["quantity"] == "a"].groupby("set")["value"].apply(list)
    assert bins["synthetic"] == bins["train"]
    means = (table["value"] * table["share"]).groupby([table["quantity"], table["set"]]).sum()
    assert means["a", "synthetic"] - means["a", "train"] == pytest.approx(2, abs=0.5)


def test_fidelity_grows_with_the_reach_and_pairs_of_few_have_none():
    draw = np.random.default_rng(0)
    features = {
        "synthetic": draw.normal(1, 1, (60, 4)),
        "train": draw.normal(size=(40, 4)),
        "test": np.empty((5, 4)),
    }
    pairs = {"ours": ("synthetic", "train"), "floor": ("train", "test")}
    table = fidelity_table(features, pairs, seed=0)
    assert len(table) == table["nearest"].nunique()
    for name in ("precision", "recall", "coverage"):
        assert table[f"{name}_ours"].is_monotonic_increasing
        assert table[f"{name}_floor"].isna().all()
