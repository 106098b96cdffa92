"""Groups and patients."""

import re

import numpy as np
import pytest

from cinegan.data.phantom.cohort import (
    GROUPS,
    Function,
    Patient,
    Spread,
    cohort,
    draw_function,
    group_of,
)
from cinegan.errors import CineganError


def test_the_table_has_every_group_and_numbers_nobody_twice():
    patients = cohort(0, 5)
    assert [p.pathology for p in patients[::5]] == [group.pathology for group in GROUPS]
    assert len({p.patient_id for p in patients}) == len({p.original_id for p in patients}) == 20
    assert all(re.fullmatch(r"PHA\d{5}01", p.patient_id) for p in patients)
    assert patients[0].original_id == "PH-HF-I-1"
    assert patients[0].contour_folder == "PH-HF-I-01"


def test_patients_stay_the_same_when_others_join():
    assert set(cohort(3, 2)) < set(cohort(3, 6))
    assert set(cohort(3, 2)) != set(cohort(4, 2))


def test_an_unknown_pathology_is_named():
    patient = Patient("PHA0000901", "PH-X-1", "Male", 50, "Hiccups")
    with pytest.raises(CineganError, match="PHA0000901: unknown pathology 'Hiccups'"):
        group_of(patient)


def functions(seed: int, patients_per_group: int, code: str) -> list[Function]:
    return [
        draw_function(seed, patient)
        for patient in cohort(seed, patients_per_group)
        if group_of(patient).code == code
    ]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.code)
@pytest.mark.parametrize("seed", [3, 4])
def test_a_group_has_the_published_statistics(group, seed):
    edv, ejection, mass = np.array(functions(seed, 200, group.code)).T
    for values, (mean, sd) in (
        (edv, group.edv_ml[:2]),
        (edv * (1 - ejection), group.esv_ml),
        (ejection, group.ejection_fraction[:2]),
        (mass, group.mass_g[:2]),
    ):
        assert values.mean() == pytest.approx(mean, rel=0.03)
        assert values.std(ddof=1) == pytest.approx(sd, rel=0.07)


def test_a_function_stays_the_same_when_others_join_and_changes_with_the_seed():
    few, many = functions(3, 2, "HYP"), functions(3, 5, "HYP")
    assert few == many[:2] and len(set(many)) == 5
    assert few != functions(4, 2, "HYP")


def test_a_spread_has_its_moments_within_its_limits():
    spread = Spread(10, 3, 4, 20)
    values = np.array([spread.at(z) for z in np.random.default_rng(0).normal(size=4000)])
    assert values.mean() == pytest.approx(10, abs=0.15)
    assert values.std() == pytest.approx(3, rel=0.04)
    assert spread.at(-9) == pytest.approx(4, abs=0.01)
    assert spread.at(9) == pytest.approx(20, abs=0.01)
