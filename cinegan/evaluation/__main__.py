"""Judge any two sets of cycles: `python -m cinegan.evaluation REAL FAKE`."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cinegan.errors import CineganError, run_command
from cinegan.evaluation.extractors import chosen
from cinegan.evaluation.features import MIN_SIDE, unfit
from cinegan.evaluation.judge import judge, pixels_told, write_plots
from cinegan.evaluation.reading import read_cycles
from cinegan.files import write_json

ABOUT = """Judge synthetic cycles against real ones: fidelity, coverage, motion, variety, copies.

REAL and FAKE are .npy files, or folders of them, one file a patient: cycles of shape (n, H, W, T),
phases last, uint8, or other numbers with --range. REAL, best what the generator was trained on,
sets the scale of features. Every figure has a floor beside it, real against real: REAL against
--held-out, cycles of other patients, or else one half of REAL's files against the other. With
--held-out and --val, a third set of patients, near-copies are counted, too."""

Cycles = tuple[np.ndarray, np.ndarray]

ENDS = "(_low|_high|_se)?(_reason)?$"
OF_TEST = re.compile(f"_(test|ratio){ENDS}|^n_test_patients$")
OF_FLOOR = re.compile(f"_floor(_train)?{ENDS}")
OF_COPIES = re.compile(r"^(copied|authentic|likeness|nearer|nearest|n_pool|n_val)_?")


def main(arguments: Sequence[str]) -> None:
    """Read, check, judge and print; files are written if --out names a folder.

    Raises
    ------
    CineganError
        If cycles cannot be read or compared, or figures cannot be told and --partial is not given.
    """
    options = _parser().parse_args(arguments)
    paths = {"train": options.real, "val": options.val, "test": options.held_out}
    how = {"value_range": options.range, "size": options.size}
    read = {split: _real(path, how) for split, path in paths.items() if path is not None}
    samples, _ = read_cycles(options.fake, **how)
    if fault := unfit(samples, read["train"][0]):
        raise CineganError(f"{options.fake}: {fault} (--range says what is black and white)")
    given = set(read)
    if "test" not in read and len(set(read["train"][1])) > 1:
        read["train"], read["test"] = _halves(*read["train"], options.seed)
    nobody = samples[:0], np.empty(0, dtype=str)
    real = {split: read.get(split, nobody)[0] for split in paths}
    patients = {split: read.get(split, nobody)[1] for split in paths}
    names = options.extractors.split(",")
    extractors = chosen(
        names,
        size=min(samples.shape[1:3]),
        seed=options.seed,
        encoder=options.encoder,
        weights=options.inception_weights,
        required=names,
    )
    judged = judge(
        samples, real, patients, extractors, seed=options.seed, centred=not options.frames
    )
    report = {
        "pixels": pixels_told(*samples.shape[1:3]),
        "range": "8 bits" if options.range is None else list(options.range),
        "whole_frames": options.frames,
        "seed": options.seed,
        **_asked_for(judged.report, given, floor="test" in read),
    }
    reasons = [
        report[f"{key}_reason"]
        for key, value in report.items()
        if value is None and not key.endswith(("_low", "_high", "_se"))
    ]
    if reasons and not options.partial:
        raise CineganError(
            f"{len(reasons)} figures cannot be told: {'; '.join(dict.fromkeys(reasons))}. Give "
            "more cycles, or take what can be told: --partial"
        )
    if options.out:
        write_json(options.out / "metrics.json", report)
        told = judged._replace(report=report)
        write_plots(options.out, options.fake.name, told, samples, real, options.seed)
    print(json.dumps(report, indent=2) if options.json else _table(report))
    if "test" not in read:
        print(
            "no floor: give --held-out, or REAL as a folder with a file a patient", file=sys.stderr
        )


def _real(path: Path, how: dict[str, Any]) -> Cycles:
    """Cycles, and the patient of each: a file of a folder, or who is in the one file."""
    cycles, owners = read_cycles(path, **how)
    return cycles, owners if path.is_dir() else np.full(len(cycles), str(path))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cinegan.evaluation",
        description=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("real", type=Path, metavar="REAL")
    parser.add_argument("fake", type=Path, metavar="FAKE")
    parser.add_argument("--held-out", type=Path, metavar="OTHER", help="real, of other patients")
    parser.add_argument("--val", type=Path, metavar="THIRD", help="real, to fix a threshold on")
    parser.add_argument(
        "--range",
        type=float,
        nargs=2,
        metavar=("BLACK", "WHITE"),
        help="of arrays that are not uint8, such as -1 1",
    )
    parser.add_argument(
        "--size", type=_at_least(MIN_SIDE), help="resize all cycles to so many pixels per side"
    )
    parser.add_argument(
        "--extractors",
        default="texture,motion,patches",
        metavar="NAMES",
        help="of texture, motion, patches, cardiac, inception (default: %(default)s)",
    )
    parser.add_argument(
        "--encoder", type=Path, default=Path("data/encoders/ventricles"), help="of cardiac"
    )
    parser.add_argument("--inception-weights", type=Path, metavar="FILE", help="of inception")
    parser.add_argument(
        "--frames", action="store_true", help="whole fields of view, the heart not in the middle"
    )
    parser.add_argument("--seed", type=_at_least(0), default=0, help="of every draw (default: 0)")
    parser.add_argument("--partial", action="store_true", help="take what can be told")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="also figures, plots and a page")
    return parser


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"{text}; at least {least}")
        return int(text)

    return number


def _halves(cycles: np.ndarray, patients: np.ndarray, seed: int) -> tuple[Cycles, Cycles]:
    """Two halves of the patients, drawn from the seed."""
    owners = np.random.default_rng(seed).permutation(sorted(set(patients)))
    first = np.isin(patients, owners[: -(-len(owners) // 2)])
    return (cycles[first], patients[first]), (cycles[~first], patients[~first])


def _asked_for(report: dict[str, Any], given: set[str], floor: bool) -> dict[str, Any]:
    """Without the figures that take a set which was not given.

    Halves of REAL make a floor. They are no cycles that the generator has not seen, so nothing is
    told of `test`, nor of copies, which may be of either half.
    """
    return {
        key: value
        for key, value in report.items()
        if ("test" in given or not OF_TEST.search(key))
        and (floor or not OF_FLOOR.search(key))
        and ({"test", "val"} <= given or not OF_COPIES.match(key))
    }


def _table(report: dict[str, Any]) -> str:
    """A line a figure, with its interval."""
    lines = []
    for key, value in report.items():
        if key.removesuffix("_reason").endswith(("_low", "_high", "_se")):
            continue
        low, high, error = (report.get(f"{key}_{end}") for end in ("low", "high", "se"))
        told = "" if low is None else f"   {low:.4g} to {high:.4g}"
        told += "" if error is None else f"   standard error {error:.2g}"
        shown = f"{value:.4g}" if isinstance(value, float) else str(value)
        lines.append(f"{key:<32} {shown}{told}")
    return "\n".join(lines)


if __name__ == "__main__":
    run_command(main)
