"""Export a model's synthetic cycles: `python -m cinegan.export NAME --out FOLDER`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from cinegan.errors import CineganError, run_command
from cinegan.export.measured import warning_of
from cinegan.export.source import read_source
from cinegan.export.writing import FORMATS, export
from cinegan.params import load_params

ABOUT = """Export a model's synthetic cycles with their labels for other people's training.

dicom: a series a cycle, with a segmentation. nifti: whole cycles (4D), and the labelled frames as a
dataset that nnU-Net v2 reads. arrays: .npy. A card says how they were made, from what, how true to
life they are and how much was copied. Samples are those of data/samples/NAME, which `dvc repro
sample@NAME` draws."""


def main(arguments: Sequence[str]) -> None:
    """Read, check, write and say what was written.

    Raises
    ------
    CineganError
        If samples or labels are not to be had, or the folder exists.
    """
    options = _parser().parse_args(arguments)
    formats = options.formats.split(",")
    for each in formats:
        if each not in FORMATS:
            raise CineganError(f"--formats: no format {each!r}; there are {', '.join(FORMATS)}")
    if options.out.exists():  # before anything is read, which takes a while
        raise CineganError(f"{options.out}: exists already; name a folder that does not")
    source = read_source(
        options.name, load_params(), options.cycles, labelled=not options.without_labels
    )
    files = export(
        source,
        options.out,
        formats,
        dataset_id=options.dataset_id,
        synthetic_data=options.synthetic_data,
    )
    told = ", ".join(f"{number} {kind}" for kind, number in files.items())
    print(f"{len(source.cycles)} cycles in {options.out}: {told}; its CARD.md says what they are")
    if warning := warning_of(source.figures):
        print(f"warning: {warning}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cinegan.export",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="a model of params.yaml")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="to be made")
    parser.add_argument(
        "--formats",
        default=",".join(FORMATS),
        metavar="NAMES",
        help="of dicom, nifti, arrays (default: %(default)s)",
    )
    parser.add_argument(
        "--cycles", type=_within(1, None), metavar="N", help="the first N (default: all)"
    )
    parser.add_argument(
        "--without-labels", action="store_true", help="cycles alone, of models that make no labels"
    )
    parser.add_argument(
        "--dataset-id",
        type=_within(1, 999),
        default=900,
        metavar="N",
        help="of nnU-Net's dataset (default: %(default)s)",
    )
    parser.add_argument(
        "--synthetic-data",
        action="store_true",
        help="also the DICOM attribute Synthetic Data (0008,001C), which validators from before "
        "2024 take for an error",
    )
    return parser


def _within(least: int, most: int | None) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < least or (most is not None and int(text) > most):
            raise argparse.ArgumentTypeError(
                f"{text}; at least {least}" + ("" if most is None else f", at most {most}")
            )
        return int(text)

    return number


if __name__ == "__main__":
    run_command(main)
