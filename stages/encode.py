"""Real cycles of train patients -> an encoder of cycles: data/encoders/<input>."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cinegan.data.cohort import Cohort
from cinegan.errors import CineganError, run_command
from cinegan.evaluation.cardiac import SIZE, teach, write_encoder
from cinegan.params import load_params
from cinegan.training.runtime import configure

FOLDERS = {"ventricles": Path("data/ventricles"), "frame": Path("data/cycles")}


def main(arguments: Sequence[str]) -> None:
    """Run the stage for the input named in the arguments."""
    if len(arguments) != 1 or arguments[0] not in FOLDERS:
        raise CineganError(f"name one input of {', '.join(FOLDERS)}, not {' '.join(arguments)!r}")
    params = load_params()
    configure(params.threads)
    cohort = Cohort(FOLDERS[arguments[0]])
    cycles, _ = cohort.split("train", SIZE)
    steps = params.evaluate.encoder_steps
    encoder = teach(cycles, cohort.levels("train"), seed=params.seed, steps=steps)
    folder = Path("data/encoders") / arguments[0]
    write_encoder(folder, encoder, {"seed": params.seed, "steps": steps, "cycles": len(cycles)})
    print(f"{folder}: taught on {len(cycles)} cycles of train patients")


if __name__ == "__main__":
    run_command(main)
