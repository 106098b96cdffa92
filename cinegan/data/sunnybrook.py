"""The Sunnybrook Cardiac Data: addresses, hashes and patient table.

Radau et al. 2009, "Evaluation Framework for Algorithms Segmenting Short Axis Cardiac MRI", The
MIDAS Journal, hdl.handle.net/10380/3070. CC0 1.0.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pooch
from requests.exceptions import RequestException

from cinegan.data.contours import canonical_id
from cinegan.errors import CineganError
from cinegan.files import atomic_file, sha256

PAGE = "https://www.cardiacatlas.org/sunnybrook-cardiac-data/"
SUMS = "SHA256SUMS"
TABLE = "scd_patientdata.csv"

_SHARE = "https://www.cardiacatlas.org/share/download.php?id={id}&token={token}&download"
# file: (id, token, SHA-256)
_OFFICIAL = {
    "SCD_IMAGES_01.zip": (
        98,
        "kUVtCTMzfjlHwunzFYST7yNGFnlUtV7W",
        "708ce04db1ac33948a00b9052d44e9548c6807121a4841f4c35080d6db127b72",
    ),
    "SCD_IMAGES_02.zip": (
        99,
        "2euh4WH03DynHi9Y5elb2HSWJaJIeWER",
        "ea97bd11dfc1154bdcf02b6466c00637bc7e0dc04b5ddc3d94d68a7cd7a3e6a5",
    ),
    "SCD_IMAGES_03.zip": (
        100,
        "eT37AbXslu1JQp1GSZy2BmmWzWmXDdfx",
        "5b065fadef1b523bbabfec0d85327f375f743f2dd72810a5927b21b834b45deb",
    ),
    "SCD_IMAGES_04.zip": (
        101,
        "Qn0dY2lHTyTIBF5qNHRkbHdUSnWnS4Yy",
        "2a8d7054d9b89b5af4c9764b4b04eecee57b61b71b69f5ac69ec12629e9a615c",
    ),
    "SCD_IMAGES_05.zip": (
        102,
        "nYALJl6kS6cj5jgK9R8CKDpgQwZn1pm3",
        "e65a818fe89c665c344317222a052360e210936c81f89ceb9d36e8e3c6e2d6e9",
    ),
    "SCD_ManualContours.zip": (
        61,
        "gFjv8psvCQu2vDYldUW9TYUIDic11fDt",
        "93d8e06dfa53fc384e78810aeac86c336b5bdecbff1c9c175ec9254851cc2162",
    ),
    TABLE: (
        66,
        "Y1D66ieUdbXFlqmZ4icHJheJy44MXUPY",
        "c39eb11924d021e8ec51bb984daa57d1adadcc8eb7e342640181ce151dae5ded",
    ),
}


@dataclass(frozen=True)
class Patient:
    """What the patient table says of a patient."""

    original_id: str
    pathology: str


@dataclass(frozen=True)
class Source:
    """One file to bring: its address (a URL or a path) and its SHA-256."""

    address: str
    sha256: str


def official_sources() -> dict[str, Source]:
    """All files as the Cardiac Atlas Project shares them."""
    return {
        name: Source(_SHARE.format(id=number, token=token), digest)
        for name, (number, token, digest) in _OFFICIAL.items()
    }


def mirror_sources(mirror: str, base: Path) -> dict[str, Source]:
    """All files that a mirror's SHA256SUMS lists; what it lacks is not fetched elsewhere.

    Parameters
    ----------
    mirror : str
        A base URL, or a directory taken relative to `base`.
    """
    if urlsplit(mirror).scheme in ("http", "https"):
        address = mirror.rstrip("/") + "/"
        sums = _fetch_text(address + SUMS)
    else:
        address = f"{base / mirror}/"
        try:
            sums = Path(address, SUMS).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            raise CineganError(
                f"data.mirror: {address}{SUMS} not found; a mirror is a directory or base URL "
                "that holds the archives and their SHA256SUMS"
            ) from None
        except UnicodeDecodeError:
            raise CineganError(f"data.mirror: {address}{SUMS}: not a text file") from None
    return {name: Source(address + name, digest) for name, digest in _parse_sums(sums, address)}


def bring(sources: dict[str, Source], folder: Path, say: Callable[[str], None] = print) -> None:
    """Bring every file whole into `folder`; what is there and intact is kept, all else goes.

    Raises
    ------
    CineganError
        If a file cannot be fetched or has another hash than expected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in sources:
            path.unlink()
    for name, source in sources.items():
        path = folder / name
        if path.exists() and sha256(path) == source.sha256:
            say(f"{name}: already here, intact")
        elif urlsplit(source.address).scheme in ("http", "https"):
            _fetch(source, path)
        else:
            _copy(source, path)


def read_patient_table(folder: Path) -> dict[str, Patient]:
    """Pathology and contour name of each patient; empty where there is no table.

    Raises
    ------
    CineganError
        If the table lacks a column or cannot be read as text.
    """
    path = folder / TABLE
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return {
                row["PatientID"].strip(): Patient(
                    canonical_id(row["OriginalID"]), row["Pathology"].strip()
                )
                for row in csv.DictReader(stream)
            }
    except (KeyError, AttributeError, UnicodeDecodeError, csv.Error) as error:
        raise CineganError(
            f"{path}: needs the columns PatientID, OriginalID and Pathology ({error!r})"
        ) from None


def _parse_sums(text: str, where: str) -> list[tuple[str, str]]:
    """Name and digest of each line of a SHA256SUMS file."""
    pairs = []
    for line in text.splitlines():
        digest, _, name = line.strip().partition(" ")
        name = name.strip().removeprefix("*")
        if not line.strip():
            continue
        if not (re.fullmatch(r"[0-9A-Fa-f]{64}", digest) and re.fullmatch(r"[^./][^/]*", name)):
            raise CineganError(f"{where}{SUMS}: not a SHA-256 and a plain file name: {line!r}")
        pairs.append((name, digest.lower()))
    if not pairs:
        raise CineganError(f"{where}{SUMS}: lists no files")
    return pairs


def _copy(source: Source, path: Path) -> None:
    origin = Path(source.address)
    if not origin.exists():
        raise CineganError(f"{origin}: not found, though the mirror's {SUMS} lists it")
    with atomic_file(path) as partial:
        partial.write_bytes(b"")
        with origin.open("rb") as stream, partial.open("wb") as target:
            while block := stream.read(2**20):
                target.write(block)
        if sha256(partial) != source.sha256:
            raise CineganError(
                f"{origin}: its SHA-256 differs from the mirror's {SUMS}; copy the file anew"
            )


def _fetch(source: Source, path: Path) -> None:
    """Download with progress bar and three retries; the file appears only if its hash is right."""
    path.unlink(missing_ok=True)
    try:
        pooch.create(
            path=path.parent,
            base_url="",
            registry={path.name: f"sha256:{source.sha256}"},
            urls={path.name: source.address},
            retry_if_failed=3,
        ).fetch(path.name, downloader=pooch.HTTPDownloader(progressbar=True, timeout=60))
    except ValueError:
        raise CineganError(_by_hand(source, path, "what came has another SHA-256")) from None
    except (RequestException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise CineganError(_by_hand(source, path, _cause(error))) from None


def _fetch_text(address: str) -> str:
    import requests

    try:
        answer = requests.get(address, timeout=60)
        answer.raise_for_status()
    except RequestException as error:
        raise CineganError(f"data.mirror: {address} cannot be fetched: {_cause(error)}") from None
    return answer.text


def _by_hand(source: Source, path: Path, why: str) -> str:
    return (
        f"{path.name} cannot be fetched from {source.address.partition('?')[0]}: {why}; try again "
        f"later, or fetch it by hand from {PAGE} and put it in {path.parent}"
    )


def _cause(error: Exception) -> str:
    """The innermost reason, which says more than the layers around it."""
    while error.__context__ is not None and isinstance(error.__context__, Exception):
        error = error.__context__
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line.partition(" for url: ")[0][:160]
