"""Cycles -> the ventricles: data/ventricles, metrics/crop.json and contact sheets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cinegan.contact_sheet import write_sheets
from cinegan.data.cohort import Cohort
from cinegan.errors import run_command
from cinegan.files import atomic_file, write_json
from cinegan.imaging.crop import crop_cohort, notes
from cinegan.params import load_params


def main(_: Sequence[str]) -> None:
    """Run the stage."""
    params = load_params()
    report, verdicts = crop_cohort(Path("data/cycles"), Path("data/ventricles"), params.crop)
    write_json(Path("metrics/crop.json"), report)
    write_sheets(
        Path("metrics/sheets/ventricles"),
        Cohort(Path("data/ventricles")),
        notes=lambda patient: notes(verdicts, patient),
    )
    with atomic_file(Path("metrics/plots/crop.csv")) as partial:
        verdicts.to_csv(partial, lineterminator="\n")
    print(f"{report['patients']} patients cropped to {params.crop.box_mm:g} mm")


if __name__ == "__main__":
    run_command(main)
