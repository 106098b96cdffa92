"""Whether a text looks like a real person's name, whatever the script; pseudonyms do not."""

from __future__ import annotations

import re
import unicodedata

# What stands in the place of a name that was taken away.
PLACEHOLDER = re.compile(
    r"(anon\w*|de|(de)?identified|pseudo\w*|phantom\w*|(no|none|null|name|names?less|removed|unknown|"
    r"undefined|unnamed|withheld|redacted|hidden|confidential|deleted|empty|blind(ed)?|dummy|"
    r"tests?|sample|example|patients?|pat|pt|subjects?|subj|sub|person|volunteers?|vol|healthy|"
    r"normals?|controls?|cases?|study|studies|scan|image|x+|id|mr|mri|cmr|ct|cine|cardiac|heart))",
    re.IGNORECASE,
)
SEPARATORS = r"[\s_^=,;:._·・/\\()\[\]-]+"


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


def _words(text: str) -> list[str]:
    """The words of letters alone: two of an alphabet, one where a letter is a word."""
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKD", text)
        if not unicodedata.category(character).startswith("M") and character not in "'’`"
    )
    return [
        word
        for word in re.split(SEPARATORS, plain)
        if word.isalpha()
        and (len(word) > 1 or word >= "\u3040")
        and not PLACEHOLDER.fullmatch(word)
    ]
