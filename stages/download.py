"""Raw studies from the source named in params.yaml: data/raw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cinegan import estimate
from cinegan.data import deidentify, phantom, sunnybrook
from cinegan.errors import run_command
from cinegan.params import load_params
from cinegan.workspace import main_checkout

RAW = Path("data/raw")


def main(_: Sequence[str]) -> None:
    """Run the stage."""
    params = load_params()
    data = params.data
    estimate.check_disk(estimate.disk_bytes(data), RAW)
    match data.source:
        case "phantom":
            sunnybrook.keep_only(RAW, phantom.FILES)
            phantom.write_cohort(
                RAW,
                seed=params.seed,
                patients_per_group=data.phantom.patients_per_group,
                slices=data.phantom.slices,
                size=data.phantom.size,
            )
        case "sunnybrook" if data.mirror:
            sunnybrook.bring(sunnybrook.mirror_sources(data.mirror, main_checkout()), RAW)
        case "sunnybrook":
            sunnybrook.bring(sunnybrook.official_sources(), RAW)
        case "folder":
            key = deidentify.pseudonym_key(main_checkout())
            deidentify.pack_folder(main_checkout() / data.folder, RAW, key, data.strict)


if __name__ == "__main__":
    run_command(main)
