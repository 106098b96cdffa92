"""A trained generator -> synthetic cycles: data/samples/<name>."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cinegan.data.conditions import Conditions
from cinegan.data.labels import Channels
from cinegan.errors import run_command
from cinegan.files import read_json, sha256
from cinegan.models import RECORD, WEIGHTS
from cinegan.params import load_params
from cinegan.sampling import draw_cycles, write_samples
from cinegan.tracking.runs import run_of_weights
from cinegan.training.networks import load_generator
from cinegan.training.runtime import configure


def main(arguments: Sequence[str]) -> None:
    """Run the stage for the model named in the arguments."""
    params = load_params()
    name = params.model_name(arguments)
    configure(params.threads)
    trained, folder = Path("models") / name, Path("data/samples") / name
    generator, record = load_generator(trained), read_json(trained / RECORD)
    known = Conditions(record["condition_counts"])
    wanted = known.only(params.sample.groups, params.sample.levels)
    drawn = draw_cycles(generator, params.sample.cycles, params.seed, wanted)
    asked = wanted.draw(params.seed, 0, len(drawn))
    labels = Channels(record["label_channels"], record["label_phases"])
    made = {"seed": params.seed, "weights_sha256": sha256(trained / WEIGHTS)}
    write_samples(folder, drawn, labels, params.sample.shown, asked, made)
    with run_of_weights(trained / WEIGHTS, name) as run:
        run.artifact(folder / "preview.png", "samples")
        run.artifact(folder / "preview.gif", "samples")
    print(f"{len(drawn)} cycles in {folder}")


if __name__ == "__main__":
    run_command(main)
