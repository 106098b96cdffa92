"""Names of real persons are told from pseudonyms, in any script."""

import pytest

from cinegan.data.identity import (
    identity_names_a_person,
    identity_of,
    names_a_person,
    path_names_a_person,
)

NAMES = [
    "DOE^JOHN", "Smith John", "smith john", "mustermann", "DOE_JOHN_01", "Müller^Jürgen^^Dr.",
    "O'Brien", "Mueller-Luedenscheid^Anna", "Wu^Yi", "DOE^^^2", "J. Smith", "Smith, John 1964",
    "王^小明", "王·小明", "山田^太郎=やまだ^たろう", "김^철수", "Иванов Иван", "Παπαδόπουλος",
    "محمد^علي", "नरेंद्र मोदी", "Müller", "Casey", "Norman", "Nora", "smith.john",
]  # fmt: skip
PSEUDONYMS = [
    "", " ", "^", "SCD0000101", "ANONYMIZED", "Anonymous", "ANON^12", "P-012", "sub-01",
    "Patient 7", "SC-HF-I-01", "SC-HYP-37", "HCM_012", "12345", "P3EDFF4C7F7", "XXX", "unknown",
    "no name",
    "De-Identified", "Phantom", "test", "volunteer 3", "A0S9V9", "patient001", "NORMAL^CONTROL",
    "X^Y",
]  # fmt: skip


@pytest.mark.parametrize("text", NAMES)
def test_a_name_is_known_as_one(text):
    assert names_a_person(text)


@pytest.mark.parametrize("text", PSEUDONYMS)
def test_a_pseudonym_is_no_name(text):
    assert not names_a_person(text)


@pytest.mark.parametrize("identity", ["Smith", "SMITH", "smith", "Wong", "DOE_JOHN", "DOE^JOHN"])
def test_an_identity_of_letters_is_a_name_unless_it_is_a_short_code(identity):
    assert identity_names_a_person(identity)


@pytest.mark.parametrize("identity", ["", "HCM", "SCDX", "ANONYMOUS", "SCD0000101", "A1", "4711"])
def test_a_code_or_a_placeholder_is_no_persons_identity(identity):
    assert not identity_names_a_person(identity)


@pytest.mark.parametrize(
    "path",
    ["Mustermann_Erika/IM1", "Geheim.zip/1.dcm", "a/Doe John/SAX/1", "p1/Mustermann^E.dcm",
     "mustermann_erika_4d.nii.gz", "x/王小明/1"],
)  # fmt: skip
def test_a_path_with_a_name_in_it_is_known(path):
    assert path_names_a_person(path)


@pytest.mark.parametrize(
    "path",
    ["SCD_IMAGES_01.zip/SCD0000101/CINESAX_300/IM-0001-0025.dcm", "data/case0/cine/00_001.dcm",
     "contours.zip/SCD_ManualContours/SC-HF-I-01/contours-manual/IRCCI-expert/"
     "IM-0001-0048-icontour-manual.txt", "Localizers_1/1", "raw/patient001/patient001_4d.nii.gz",
     "Cine Short Axis/4CH/IM_7", "P3EDFF4C7F7.zip/P3EDFF4C7F7/study_639640/series_1/IM-1.dcm"],
)  # fmt: skip
def test_what_studies_are_called_beside_patients_is_no_name(path):
    assert not path_names_a_person(path)


@pytest.mark.parametrize(
    ("patient_id", "identity"),
    [("SCD0000101", "SCD0000101"), ("ANON0001", "ANON0001"), ("Patient 7", "Patient 7"),
     ("sub-00", "sub-00"), ("10", "10"), ("Smith", "Smith"), ("ANONYMOUS", "1.2.3"),
     ("anon", "1.2.3"), ("Anon^Anon", "1.2.3"), ("", "1.2.3"), ("^", "1.2.3"), ("0000", "1.2.3")],
)  # fmt: skip
def test_the_study_tells_patients_apart_where_their_ids_do_not(patient_id, identity):
    assert identity_of(patient_id, "1.2.3") == identity
