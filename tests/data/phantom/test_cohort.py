"""Groups and patients."""

import re

import pytest

from cinegan.data.phantom.cohort import GROUPS, Patient, cohort, group_of
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
