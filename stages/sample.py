"""A trained generator -> synthetic cycles: data/samples/<name>."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cinegan import tracking
from cinegan.errors import run_command
from cinegan.files import read_json
from cinegan.models import RECORD, WEIGHTS
from cinegan.params import load_params
from cinegan.sampling import draw_cycles, write_samples
from cinegan.training.networks import load_generator
from cinegan.training.runtime import configure


def main(arguments: Sequence[str]) -> None:
    """Run the stage for the model named in the arguments."""
    params = load_params()
    name = params.model_name(arguments)
    configure(params.threads)
    trained, folder = Path("models") / name, Path("data/samples") / name
    drawn = draw_cycles(load_generator(trained), params.sample.cycles, params.seed)
    labels = read_json(trained / RECORD)["label_channels"]
    write_samples(folder, drawn, labels, params.sample.shown)
    with tracking.run_of_weights(trained / WEIGHTS, name) as run:
        run.artifact(folder / "preview.png", "samples")
        run.artifact(folder / "preview.gif", "samples")
    print(f"{len(drawn)} cycles in {folder}")


if __name__ == "__main__":
    run_command(main)
