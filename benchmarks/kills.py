"""Twenty kills of a training at moments drawn at random, each time ended by the same command.

A DCGAN and a pair that grows, both small, train on noise with a state saved after every step. Each
run is killed once (SIGKILL), at a moment of one of five kinds, and then started again to its end:
at any time, while a block fades in, at a step of growth, while a state is being written, or at the
end, while results are written and the state is deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.ours import THREADS
from cinegan.errors import CineganError

ROOT = Path(__file__).resolve().parents[1]
KILLS, SEED = 20, 0
# What the training says as it goes, to be killed at.
STEP, FADE, GROWTH, WRITE = "at a step", "in a fade", "at a growth step", "in a write"
END = "at the end"
KINDS = {
    "dcgan": [STEP] * 12 + [WRITE] * 5 + [END] * 3,
    "growing": [STEP] * 6 + [FADE] * 5 + [GROWTH] * 4 + [WRITE] * 3 + [END] * 2,
}
# From the word to the kill, at most: a write is short.
LATEST_S = {STEP: 0.03, FADE: 0.03, GROWTH: 2.0, WRITE: 0.01, END: 0.03}


def measure(only: str | None = None) -> dict[str, Any]:
    """Kill both trainings KILLS times, or `only` the one named."""
    if only is not None and only not in KINDS:
        raise CineganError(f"no training {only!r}; there are {', '.join(KINDS)}")
    return {name: _kills(name) for name in KINDS if only in (None, name)}


def _kills(name: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        undisturbed = _run(name, Path(folder), None)
    draw = random.Random(SEED)
    told, digests = [], []
    for number, kind in enumerate(KINDS[name], start=1):
        with tempfile.TemporaryDirectory() as folder:
            killed = {"killed": False}
            while not killed["killed"]:  # it may have ended before
                at = draw.randrange(len(undisturbed["words"][kind]))
                shutil.rmtree(folder)
                Path(folder).mkdir()
                killed = _run(name, Path(folder), (kind, at, draw.uniform(0, LATEST_S[kind])))
            again = _run(name, Path(folder), None)
        digests.append(again["sha256"])
        told.append(f"{kind}, after step {killed['step']}: {again['from']}")
        same = "same bytes" if again["sha256"] == undisturbed["sha256"] else "OTHER BYTES"
        print(f"{name} {number}/{KILLS}: {told[-1]}; {same}", file=sys.stderr, flush=True)
    return {
        "kills": told,
        "hashes_like_the_undisturbed": digests.count(undisturbed["sha256"]),
        "different_hashes": len({*digests, undisturbed["sha256"]}),
        "sha256": undisturbed["sha256"],
    }


def _run(name: str, folder: Path, kill: tuple[str, int, float] | None) -> dict[str, Any]:
    """Train to the end, or until killed some time after a kind of word has come so many times."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.kills", name],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    words: dict[str, list[int]] = {kind: [] for kind in LATEST_S}
    step, start = 0, "from the start"
    for line in process.stdout:
        if found := re.search(r"goes on (from step \d+ of \d+)", line):
            start = f"goes on {found[1]}"
        kind, _, number = line.strip().rpartition(" ")
        if kind not in words:
            continue
        step = int(number) or step
        words[kind].append(step)
        if kill and kind == kill[0] and len(words[kind]) > kill[1]:
            time.sleep(kill[2])
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    reason = process.stderr.read()
    code = process.wait()
    if code not in ((-signal.SIGKILL, 0) if kill else (0,)):
        raise CineganError(f"{name}: the training ended with {code}: {reason.strip()[-500:]}")
    killed = code == -signal.SIGKILL
    result = {"words": words, "step": step, "from": start, "killed": killed}
    return result if kill else {**result, "sha256": _sha256(folder / "models" / name)}


def _sha256(folder: Path) -> str:
    """SHA-256 of all files of a folder, their names included."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            whole.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return whole.hexdigest()


def _train(name: str) -> None:
    """Train in the current folder, saying each step, growth and write as it begins."""
    import numpy as np

    from cinegan.params import Budget, load_params
    from cinegan.tracking.runs import Run
    from cinegan.training import loop
    from cinegan.training.checkpoint import Checkpoints
    from cinegan.training.networks import options_of
    from cinegan.training.step import TrainingStep

    model = load_params(ROOT / "params.yaml").model_named("dcgan64")
    changes: dict[str, Any] = {"size": 32}
    if name == "growing":
        network = {"latent": 16, "filters": 256, "most_filters": 32, "group": 4}
        changes |= {"architecture": "pggan", "size": 16}
        training = {"batch": [8, 8, 8], "loss": "wasserstein", "gradient_penalty": 10.0}
        budget = Budget(total_kimg=0.32, snapshot_kimg=0.1, fade_kimg=0.064, stable_kimg=0.048)
    else:
        network = model.network.model_dump()
        network |= {"generator": [64, 32, 16], "discriminator": [16, 32, 64]}
        training = {"batch": 8, "augment": ["translation"], "augment_target": 0.5, "r1": 1.0}
        budget = Budget(total_kimg=0.32, snapshot_kimg=0.1)
    changes["network"] = options_of({**model.model_dump(), **changes, "network": network})
    changes["training"] = model.training.model_copy(update=training)
    model = model.model_copy(update=changes)

    def say(kind: str, number: int) -> None:
        print(kind, number, flush=True)

    step, save, grow = TrainingStep.__call__, Checkpoints.save, loop._Training._grow
    save_networks, delete = loop.save_networks, Checkpoints.delete

    def saying_step(self: Any, *arguments: Any) -> Any:
        say(FADE if self.level.fading else STEP, self.done)
        return step(self, *arguments)

    def saying_save(self: Any, state: Any, begun: float) -> None:
        say(WRITE, int(state["step"]))
        save(self, state, begun)

    def saying_growth(self: Any, level: Any) -> None:
        say(GROWTH, self.step.done)
        grow(self, level)

    def saying_end(*arguments: Any) -> None:
        say(END, 0)
        save_networks(*arguments)

    def saying_deletion(self: Any) -> None:
        say(END, 0)
        delete(self)

    loop.save_networks = saying_end  # type: ignore
    Checkpoints.delete = saying_deletion  # type: ignore
    TrainingStep.__call__ = saying_step  # type: ignore
    Checkpoints.save = saying_save  # type: ignore
    Checkpoints.due = lambda self: True  # type: ignore
    loop._Training._grow = saying_growth  # type: ignore
    noise = np.random.default_rng(0)
    cycles = {s: noise.integers(0, 256, (24, s, s, 8), dtype=np.uint8) for s in (4, 8, 16, 32)}
    loop.train(
        cycles.__getitem__,
        np.repeat(["a", "b"], 12),
        name=name,
        model=model,
        budget=budget,
        seed=1,
        threads=THREADS,
        devices="one",
        folder=Path("models") / name,
        curves=Path("models") / name / "training.csv",
        run=Run(),
    )


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        _train(sys.argv[1])
