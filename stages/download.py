"""Raw studies from the source named in params.yaml: data/raw."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from cinegan import estimate
from cinegan.data import sunnybrook
from cinegan.data.deidentify import pseudonym_key
from cinegan.data.packing import pack_folder
from cinegan.data.phantom.archives import write_cohort
from cinegan.errors import run_command
from cinegan.files import atomic_folder
from cinegan.params import load_params
from cinegan.workspace import main_checkout, own_folder

RAW = Path("data/raw")


def main(_: Sequence[str]) -> None:
    """Run the stage."""
    params = load_params()
    data = params.data
    estimate.check_disk(estimate.disk_bytes(data), RAW)
    match data.source:
        case "phantom":
            with atomic_folder(RAW) as partial:
                write_cohort(
                    partial,
                    seed=params.seed,
                    patients_per_group=data.phantom.patients_per_group,
                    slices=data.phantom.slices,
                    phases=data.phases,
                    size=data.phantom.size,
                    progress=lambda patients: tqdm(patients, desc="drawing", unit="patient"),
                )
        case "sunnybrook" if data.mirror:
            sunnybrook.bring(sunnybrook.mirror_sources(data.mirror, main_checkout()), RAW)
        case "sunnybrook":
            sunnybrook.bring(sunnybrook.official_sources(), RAW)
        case "folder":
            key = pseudonym_key(main_checkout())
            with atomic_folder(RAW) as partial:
                report = pack_folder(own_folder(data.folder), partial, key, data.strict)
            print(report.told())
            for line in report.warnings():
                print(line, file=sys.stderr)


if __name__ == "__main__":
    run_command(main)
