"""Conversion beside dcm2niix and a plain pydicom loop: the same pixels, and how fast.

Speed is measured on phantom patients, deflated in one zip archive as published cohorts are; the
peers, which read no zips, get the same files unpacked. Every figure is the median of three rounds,
taken in turns, start-up and contact sheets aside; the cohort of 45 patients is converted once.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
from tqdm import tqdm

from cinegan.data import images
from cinegan.data.containers import open_containers
from cinegan.data.cycles import Frame
from cinegan.data.phantom.archives import write_cohort
from cinegan.data.stacks import short_axis_stacks

ROOT = Path(__file__).resolve().parents[1]
SUNNYBROOK = Path(os.environ.get("CINEGAN_SUNNYBROOK", ROOT.parent / "shared" / "sunnybrook"))
ROUNDS = 3
SLICES = 11  # as Sunnybrook has on average: with long axis and scouts 243 files a patient
COHORT = 45

TIMED = """
import json, resource, sys, time
from pathlib import Path
from cinegan.conversion import convert
from cinegan.params import load_params
raw, folder, data = Path(sys.argv[1]), Path(sys.argv[2]), load_params().data
start = time.perf_counter()
convert(raw, folder, data, seed=None)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "peak_mib": peak}))
"""


def measure() -> dict[str, Any]:
    """Fidelity on real patients where they are at hand, then speed on phantoms."""
    result: dict[str, Any] = {"fidelity": _fidelity()}
    with tempfile.TemporaryDirectory() as temporary:
        result |= _speed(Path(temporary))
    return result


def _fidelity() -> dict[str, Any] | str:
    """Every real short-axis frame as this project and as dcm2niix see it, before any resampling."""
    if not (SUNNYBROOK / "SHA256SUMS").is_file():
        return f"skipped: no real patients at {SUNNYBROOK} (set CINEGAN_SUNNYBROOK)"
    totals = {"patients": 0, "slices": 0, "frames": 0, "frames_identical_in_place": 0}
    for stack, volume, affine in _both_ways(SUNNYBROOK):
        # Theirs runs towards the head, ours from base to apex; the order itself is compared.
        heights = np.array([affine[:3, 3] + k * affine[:3, 2] for k in range(volume.shape[2])])
        ours = [header.position_mm * (-1, -1, 1) for header, _ in stack]  # LPS to RAS
        if (heights[-1] - heights[0]) @ (ours[-1] - ours[0]) < 0:
            volume = volume[:, :, ::-1]
        totals["patients"] += 1
        totals["slices"] += len(stack)
        for k, (_, cycle) in enumerate(stack):
            for t, picture in enumerate(cycle):
                theirs = volume[:, ::-1, k, t].T  # x, y to rows and columns; their rows run up
                totals["frames"] += 1
                totals["frames_identical_in_place"] += int(np.array_equal(picture, theirs))
    return totals


def _both_ways(raw: Path) -> Iterator[tuple[list[tuple[Any, list[np.ndarray]]], Any, np.ndarray]]:
    """For each patient: our slices as (first header, frames), their volume and its affine."""
    with open_containers(raw) as containers, tempfile.TemporaryDirectory() as temporary:
        by_patient: dict[str, list[Frame]] = {}
        for name, container in containers.items():
            for file in (f for f in container.files() if f.endswith(".dcm")):
                for header in images.read_headers(container, file):
                    frame = Frame(header, name, file)
                    by_patient.setdefault(header.patient_id, []).append(frame)
        for patient, frames in by_patient.items():
            stack = short_axis_stacks(frames)[0][0]
            folder, made = Path(temporary, patient, "in"), Path(temporary, patient, "out")
            folder.mkdir(parents=True)
            made.mkdir()
            cycles = []
            for cine in stack.slices:
                for frame in cine.frames:
                    content = containers[frame.container].read(frame.file)
                    (folder / f"{frame.header.uid}.dcm").write_bytes(content)
                pictures = [
                    images.read_pixels(containers[f.container], f.file, f.header)[0]
                    for f in cine.frames
                ]
                cycles.append((cine.frames[0].header, pictures))
            _dcm2niix(folder, made)
            (volume,) = (nibabel.Nifti1Image.from_filename(path) for path in made.glob("*.nii"))
            yield cycles, np.asanyarray(volume.dataobj), volume.affine


def _speed(folder: Path) -> dict[str, Any]:
    """Seconds for 1, 4 and 16 patients beside the peers, and for a cohort of 45."""
    drawn = _drawn(folder / "drawn")
    result: dict[str, Any] = {}
    for patients in (1, 4, 16):
        raw, loose = folder / f"raw{patients}", folder / f"loose{patients}"
        files = _multiply(drawn, patients, raw, loose)
        rounds: dict[str, list[float]] = {"cinegan": [], "dcm2niix": [], "pydicom loop": []}
        for _ in tqdm(range(ROUNDS), desc=f"{patients} patient(s)", unit="round"):
            rounds["cinegan"].append(_convert(raw, folder / "cycles")["seconds"])
            rounds["dcm2niix"].append(_seconds(_dcm2niix, loose, folder))
            rounds["pydicom loop"].append(_seconds(_pydicom_loop, loose))
        result[f"{patients} patients, {files} files"] = {
            name: {
                "seconds": round(statistics.median(seconds), 2),
                "ms_per_file": round(1000 * statistics.median(seconds) / files, 2),
            }
            for name, seconds in rounds.items()
        }
    files = _multiply(drawn, COHORT, folder / "raw", None)
    timed = _convert(folder / "raw", folder / "cycles")
    result[f"{COHORT} patients, {files} files"] = {
        "seconds": round(timed["seconds"], 1),
        "ms_per_file": round(1000 * timed["seconds"] / files, 2),
        "peak_mib": round(timed["peak_mib"]),
    }
    return result


def _drawn(folder: Path) -> list[dict[str, bytes]]:
    """Files of four phantom patients, one per group."""
    write_cohort(folder, seed=1, patients_per_group=1, slices=SLICES)
    patients = []
    for path in sorted(folder.glob("SCD_IMAGES_*.zip")):
        with zipfile.ZipFile(path) as archive:
            patients.append({name: archive.read(name) for name in archive.namelist()})
    return patients


def _multiply(drawn: list[dict[str, bytes]], patients: int, raw: Path, loose: Path | None) -> int:
    """Write as many patients as asked for, under new names; return the number of files."""
    raw.mkdir()
    files = 0
    with zipfile.ZipFile(raw / "cohort.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
        for number in range(patients):
            own = drawn[number % len(drawn)]
            old = next(iter(own)).split("/")[1]
            new = f"PHB{number + 1:05d}01"
            for name, content in own.items():
                # Names are of one length, so that the elements' lengths hold.
                renamed = content.replace(old.encode(), new.encode())
                place = name.replace(old, new)
                zipped.writestr(place, renamed)
                files += 1
                if loose is not None:
                    (loose / place).parent.mkdir(parents=True, exist_ok=True)
                    (loose / place).write_bytes(renamed)
    return files


def _convert(raw: Path, folder: Path) -> dict[str, float]:
    """Convert in a process of its own; seconds and peak memory, start-up aside."""
    done = subprocess.run(
        [sys.executable, "-c", TIMED, str(raw), str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _dcm2niix(folder: Path, out: Path) -> None:
    executable = Path(sys.executable).with_name("dcm2niix")
    subprocess.run(
        [executable, "-b", "n", "-z", "n", "-w", "1", "-o", out, folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,  # it counts the scouts that it cannot stack as errors
    )


def _pydicom_loop(folder: Path) -> None:
    for path in sorted(folder.rglob("*.dcm")):
        _ = pydicom.dcmread(path).pixel_array


def _seconds(work: Any, *arguments: Any) -> float:
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start
