"""The table tells what was found, in hundredths, and a dash where nothing could be."""

from cinegan.study.table import table_of

FOUND = {
    "dice_endo_none_100": 0.95,
    "dice_epi_none_100": 0.9612,
    "dice_endo_classical_gan_100": 0.9612,
    "dice_epi_classical_gan_100": 0.9712,
    "distance_mm_endo_none_100": 0.514,
    "distance_mm_epi_none_100": None,
    "area_change_error_none_100": 0.0456,
    "dice_endo_classical_gan_over_none_100": 0.0112,
    "dice_endo_classical_gan_over_none_100_low": -0.002,
    "dice_endo_classical_gan_over_none_100_high": 0.0235,
    "dice_endo_classical_gan_over_none_100_smallest": 0.018,
    "dice_epi_classical_gan_over_none_100": 0.01,
    "dice_epi_classical_gan_over_none_100_low": None,
    "dice_epi_classical_gan_over_none_100_high": None,
    "dice_epi_classical_gan_over_none_100_smallest": None,
}


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def test_a_row_for_each_arm_with_its_gain():
    titles, rule, none, both = (
        cells(line) for line in table_of(FOUND, ["none", "classical_gan"], [100]).splitlines()
    )
    assert len(titles) == len(rule) == len(none) == len(both)
    assert none == [
        *("100 %", "`none`", "0.950", "0.961", "0.51, -", "-, -", "0.046"),
        *("", "", "", ""),
    ]
    assert both[:2] == ["100 %", "`classical_gan`"]
    assert both[-4:] == ["`none`", "1.12 (-0.20 to 2.35)", "1.00 (- to -)", "1.80, -"]


def test_a_repeated_study_tells_each_seeds_gain():
    key = "dice_endo_classical_gan_over_none_100_seed"
    found = FOUND | {"n_seeds": 2, f"{key}_0": 0.02, f"{key}_1": None, f"{key}_1_reason": "why"}
    titles, _, none, both = map(
        cells, table_of(found, ["none", "classical_gan"], [100]).split("\n")[:4]
    )
    assert len(titles) == len(none) == len(both)
    assert titles[-1] == "gain in Dice endo of each seed"
    assert both[-2:] == ["1.80, -", "2.00, -"]


def test_an_arm_that_is_compared_twice_has_two_rows():
    table = table_of(FOUND, ["none", "classical", "classical_gan"], [100])
    rows = [cells(line) for line in table.splitlines()[2:]]
    assert [row[-4] for row in rows] == ["", "`none`", "`none`", "`classical`"]
    assert rows[-1][:7] == [""] * 7
