"""`python -m cinegan.study --draw FOLDER`: what the study's segmenters learn from, as pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cinegan.data.cohort import Cohort
from cinegan.data.labels import source_of
from cinegan.errors import run_command
from cinegan.params import load_params
from cinegan.segmentation.frames import of_patients
from cinegan.segmentation.synthetic import of_samples
from cinegan.study.pictures import draw_augmentations, draw_outlines


def main(arguments: Sequence[str]) -> None:
    """Draw augment.png, the classical arms, and outlines.png, real cycles above synthetic ones.

    Raises
    ------
    CineganError
        If the cohort has no contours, or the study's GAN has not made labels.
    """
    parser = argparse.ArgumentParser(prog="python -m cinegan.study", description=__doc__)
    parser.add_argument("--draw", type=Path, metavar="FOLDER", required=True, help="where to")
    folder = parser.parse_args(arguments).draw
    params = load_params()
    cohort = Cohort(Path("data/ventricles"))
    train = dict.fromkeys(cohort.patient_of_each("train").tolist())
    real = of_patients(cohort, train, params.model_named(params.study.gan).size)
    synthetic = of_samples(Path("data/samples") / params.study.gan, float(real.spacing_mm.mean()))
    folder.mkdir(parents=True, exist_ok=True)
    draw_augmentations(folder / "augment.png", real, params.study.affine, params.study.photometric)
    whose = "phantom" if source_of(cohort) == "truth" else "real"
    draw_outlines(folder / "outlines.png", {whose: real, "synthetic": synthetic})
    print(f"augment.png, outlines.png in {folder}")


if __name__ == "__main__":
    run_command(main)
