"""What tells one patient from another, and whether that looks like a real person's name.

Names are known in any script; pseudonyms are none.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# What stands in the place of a name that was taken away.
PLACEHOLDER = re.compile(
    r"(anon\w*|de|(de)?identified|pseudo\w*|phantom\w*|(no|none|null|name|names?less|removed|unknown|"
    r"undefined|unnamed|withheld|redacted|hidden|confidential|deleted|empty|blind(ed)?|dummy|"
    r"tests?|sample|example|patients?|pat|pt|subjects?|subj|sub|person|volunteers?|vol|healthy|"
    r"synthetic|normals?|controls?|cases?|study|studies|scan|image|x+|id|mr|mri|cmr|ct|cine|cardiac|heart))",
    re.IGNORECASE,
)
# What folders and files of studies are called beside their patients: CINESAX_300, 4CH, raw data.
KINDS = re.compile(
    r"(short|long|axis|axes|axial|sax?|lax?|ch|chambers?|views?|cine|cines|images?|img|series|"
    r"stacks?|slices?|frames?|phases?|localizers?|localisers?|scouts?|perf(usion)?|tagging|flow|"
    r"mag(nitude)?|dicoms?|dcm|ima|nifti|nii|gz|zip|txt|im|raw|data|dataset|archive|export|download|"
    r"cohort|train(ing)?|val(idation)?|testing|site|cent(er|re)|visit|exam|baseline|follow|up|"
    r"rest|stress|first|second|old|new|own|copy|deep|contours?|[io]contour|manual|auto|expert|ircci|"
    r"anat|ses(sion)?|run|scd)+",
    re.IGNORECASE,
)
SEPARATORS = r"[\s_^=,;:._·・/\\()\[\]-]+"
LONGEST_CODE = 4  # capitals: "SCDX" is a code, "SMITH" a name


def names_a_person(text: str) -> bool:
    """Whether a text holds a name: words that are neither a code nor in the place of a name.

    A single word beside digits is a code ("HCM_012", "SC-HF-I-01"), two of them are a name
    ("DOE_JOHN_01"), and so is any word in DICOM's form with carets ("DOE^^^2").
    """
    words = _words(text)
    if not any(character.isdigit() for character in text):
        return bool(words)
    words = [word for word in words if len(word) > 2 or not word.isascii()]
    return len(words) > 1 or ("^" in text and bool(words))


def identity_names_a_person(identity: str) -> bool:
    """Whether what tells patients apart is itself a name.

    Its rule is that of `names_a_person`, except that one word of up to four capitals is a code
    ("HCM", but neither "Smith" nor "SMITH").
    """
    code = identity.isalpha() and identity.isupper() and len(identity) <= LONGEST_CODE
    return names_a_person(identity) and not code


def path_names_a_person(path: str) -> bool:
    """Whether a folder or file in a path seems to be called after a person.

    Words that such names are made of, whoever was scanned, do not count ("CINESAX", "contours").
    """
    return any(map(_part_names_a_person, path.split("/")))


@lru_cache(4096)  # files share their folders
def _part_names_a_person(part: str) -> bool:
    words = [word for word in _split(part) if not KINDS.fullmatch(word)]
    return identity_names_a_person(" ".join(words))


def identity_of(patient_id: str, study: str) -> str:
    """What tells one patient from another: PatientID or, if it says nothing, StudyInstanceUID.

    Cohorts are published in which every PatientID is "ANONYMOUS" or 0. Empty if neither tells.
    """
    return study if is_placeholder(patient_id) else patient_id


def is_placeholder(identity: str) -> bool:
    """Whether all patients may be called so, since it holds nothing but words for "no name"."""
    said = [word for word in _split(identity) if word]
    return not identity.strip("0") or not any(
        any(map(str.isdigit, word)) or not PLACEHOLDER.fullmatch(word) for word in said
    )


def _words(text: str) -> list[str]:
    """The words of letters alone: two of an alphabet, one where a letter is a word."""
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKD", text)
        if not unicodedata.category(character).startswith("M") and character not in "'’`"
    )
    return [
        word
        for word in _split(plain)
        if word.isalpha()
        and (len(word) > 1 or word >= "\u3040")
        and not PLACEHOLDER.fullmatch(word)
    ]


def _split(text: str) -> list[str]:
    return re.split(SEPARATORS, text)
