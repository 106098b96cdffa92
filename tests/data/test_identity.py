"""Names of real persons are told from pseudonyms, in any script."""

import pytest

from cinegan.data.identity import names_a_person

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
