"""Which images are one patient's, and what to call it where anyone may read the name."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import takewhile

from cinegan.data.cycles import Frame
from cinegan.data.deidentify import pseudonym
from cinegan.data.identity import identity_of, path_names_a_person
from cinegan.errors import CineganError

ZIP = re.compile(r"\.zip$", re.IGNORECASE)


def name_patients(frames: list[Frame], key: Callable[[], bytes] | None) -> dict[str, list[Frame]]:
    """Images of each patient, under a name that a file can bear and anyone may see.

    Parameters
    ----------
    key : callable or None
        Gives the secret behind pseudonyms; asked only if a study seems to carry a real name.

    Raises
    ------
    CineganError
        If one does and there is no key.
    """
    found: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        found[_identity(frame)].append(frame)
    called = _called(found)
    shown: dict[str, list[Frame]] = {}
    for identity, own in found.items():
        identifying = {keyword for frame in own for keyword in frame.header.identifying}
        if called[identity] != identity and path_names_a_person(called[identity]):
            identifying.add("the name of its folder or archive")
        if not identifying:
            name = _file_name(called[identity])
            # A folder called after a patient tells no more than that name, if anything.
            shown[name] = [
                replace(frame, alias=name) if path_names_a_person(frame.name) else frame
                for frame in own
            ]
            continue
        elements = ", ".join(sorted(identifying))
        if key is None:
            raise CineganError(
                f"a study seems to carry a real person's data ({elements}); bring it "
                "in with data.source: folder, which removes them"
            )
        name = pseudonym(identity, key())
        warnings.warn(
            f"{name}: seemed to carry a real person's data; {elements}, PatientID "
            "and the names of its files were left out",
            stacklevel=3,
        )
        shown[name] = [replace(frame, alias=name) for frame in own]
    return dict(sorted(shown.items()))


def _identity(frame: Frame) -> str:
    """What tells a frame's patient from others; without an ID or a study, where its file lies."""
    header = frame.header
    place = "/".join(filter(None, (*frame.series[:2], header.patient_id)))
    return identity_of(header.patient_id, header.study) or place


def _called(found: dict[str, list[Frame]]) -> dict[str, str]:
    """What to call each patient: PatientID or, if it says nothing, a folder or archive.

    Of the folders in which all images of a patient lie it is the uppermost that holds no other
    patient's; without one, patients are unnamed, and told apart by a hash.
    """
    folders = {identity: _folders(own) for identity, own in found.items()}
    shared = Counter(name for own in folders.values() for name in set(own))
    called = {}
    for identity, own in found.items():
        if any(frame.header.patient_id == identity for frame in own):
            called[identity] = identity
        else:
            alone = (name for name in folders[identity] if shared[name] == 1)
            called[identity] = next(alone, own[0].header.patient_id or "unnamed")
    counts = Counter(called.values())
    return {
        identity: name if counts[name] == 1 or name == identity else f"{name}-{_hash(identity)}"
        for identity, name in called.items()
    }


def _folders(frames: list[Frame]) -> list[str]:
    """The archive and folders, from the uppermost, in which all of these images lie."""
    places = {frame.series[:2] for frame in frames}
    paths = [
        [part for part in (*re.sub(ZIP, "", container).split("/"), *folder.split("/")) if part]
        for container, folder in places
    ]
    levels = takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False))
    return [names[0] for names in levels]


def _hash(identity: str) -> str:
    return hashlib.sha256(identity.encode(errors="surrogatepass")).hexdigest()[:8]


def _file_name(identity: str) -> str:
    """A patient's name as a file can bear it; one that has to change stays distinct by a hash."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", identity)[:80]
    if plain == identity and not plain.startswith("."):
        return plain
    return f"{plain.lstrip('.')}-{_hash(identity)}"
