"""Two devices against one: the same training but for rounding; stops, losses and refusals.

The two are two processes on loopback, or two logical devices of the CPU. Each training takes
seconds; what costs time is that every process loads TensorFlow, so they share processes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import h5py
import numpy as np
import pandas as pd
import pytest
import worker
from digests import sha256_of_folder

from cinegan.errors import CineganError
from cinegan.models import DISCRIMINATOR_WEIGHTS, WEIGHTS, pggan
from cinegan.training import devices
from cinegan.training.step import AVERAGED

PATIENCE_S = 300  # for a group of processes, on a machine with other work; then they are killed
# Sums over a batch are taken in another order, in float32: of its 24 bits, losses of about 1 lose
# the last few in 10 steps. The curves are written with 6 digits, which is 1e-6 of them. Weights
# differ more, since Adam divides by gradients that may be small: a tenth of its step is allowed.
LOSSES_WITHIN = 1e-5
WEIGHTS_WITHIN = 1e-4
# Layers in bfloat16 keep 8 bits: losses of about 1 may differ by some of 1/256, and where a
# gradient is near 0 its sign may, so that Adam goes the other way at each of the 10 steps.
LOSSES_WITHIN_BFLOAT16 = 0.01
WEIGHTS_WITHIN_BFLOAT16 = 0.01


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def work(folder, jobs, count=2):
    """Let processes do the jobs to the end, each in a folder of its own: exit statuses, logs."""
    cluster = {"worker": [f"127.0.0.1:{free_port()}" for _ in range(count)]}
    own = [folder / str(index) for index in range(count)]
    processes, end = [], time.monotonic() + PATIENCE_S
    try:
        for index in range(count):
            own[index].mkdir(exist_ok=True)
            environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
            if count > 1:
                task = {"type": "worker", "index": index}
                environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
            with (own[index] / "log").open("w") as log:
                command = [sys.executable, worker.__file__, *map(str, jobs)]
                process = subprocess.Popen(
                    command, cwd=own[index], env=environment, stdout=log, stderr=log
                )
            processes.append(process)
        codes = [process.wait(max(0.1, end - time.monotonic())) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return codes, [(folder / "log").read_text() for folder in own]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory, model, growing_model, cycles_at):
    """Folder of what is to be trained: PAIR-DEVICES, and a pair that does not get through."""
    folder = tmp_path_factory.mktemp("jobs")
    switches = {"r1": 1.0, "augment": ["translation"], "augment_target": 0.5}
    exact = model.training.model_copy(update={"precision": "float32", **switches})
    spectral = model.network.model_copy(update={"spectral_normalization": True})
    dcgan = model.model_copy(update={"training": exact, "network": spectral})
    short = exact.model_copy(update={"precision": "bfloat16"})
    bfloat16 = dcgan.model_copy(update={"training": short})
    # 4x4 for 2 steps, 8x8 fading in for 3, whole for 2.
    budget = growing_model.budgets.smoke.model_copy(update={"total_kimg": 0.028})
    budgets = growing_model.budgets.model_copy(update={"smoke": budget})
    pggan = growing_model.model_copy(update={"budgets": budgets})
    for kind in ("one", "all", "workers"):
        worker.prepare(folder / f"dcgan-{kind}", dcgan, cycles_at, devices=kind)
    for kind in ("one", "workers"):
        worker.prepare(folder / f"pggan-{kind}", pggan, cycles_at, devices=kind)
        worker.prepare(folder / f"bfloat16-{kind}", bfloat16, cycles_at, devices=kind)
    worker.prepare(folder / "unlike", pggan, cycles_at, devices="workers", longer=1)
    for name, *when in (("stopped", 3, signal.SIGTERM), ("killed", 1, signal.SIGKILL)):
        options = {"devices": "workers", "signal": [1, *map(int, when)]}  # to the second worker
        worker.prepare(folder / name, pggan, cycles_at, **options)
    return folder


@pytest.fixture(scope="module")
def one(jobs, tmp_path_factory):
    """Folder of what this process trains with one device."""
    folder = tmp_path_factory.mktemp("one")
    with contextlib.chdir(folder):
        for pair in ("dcgan", "pggan", "bfloat16"):
            worker.train_as_told(jobs / f"{pair}-one", threads=2)
    return folder


@pytest.fixture(scope="module")
def two(jobs, tmp_path_factory):
    """Folder of two workers' folders, exit statuses and logs.

    They train three pairs, then one that is stopped and goes on, then one of which one of them has
    another budget, with more networks to build, then one at which one is killed.
    """
    folder = tmp_path_factory.mktemp("two")
    pairs = ("dcgan-workers", "pggan-workers", "bfloat16-workers")
    names = (*pairs, "stopped", "stopped", "unlike", "killed")
    return folder, *work(folder, [jobs / name for name in names])


def weights(folder):
    """All weights of both networks, by their place in the files."""
    found = {}
    for name in (WEIGHTS, DISCRIMINATOR_WEIGHTS):
        with h5py.File(folder / name) as file:

            def keep(place, item, name=name):
                if isinstance(item, h5py.Dataset):
                    found[f"{name}/{place}"] = item[()]

            file.visititems(keep)
    return found


def distances(first, second):
    """Largest distances of two results: of the losses, of the weights."""
    curves = [pd.read_csv(folder / "training.csv") for folder in (first, second)]
    pd.testing.assert_frame_equal(*(table[["kimg", "size"]] for table in curves))
    a, b = weights(first), weights(second)
    assert a.keys() == b.keys()
    losses = [table[list(AVERAGED)].to_numpy() for table in curves]
    return np.abs(losses[0] - losses[1]).max(), max(np.abs(a[k] - b[k]).max() for k in a)


@pytest.mark.parametrize(
    ("pair", "losses_within", "weights_within"),
    [
        ("dcgan", LOSSES_WITHIN, WEIGHTS_WITHIN),
        ("pggan", LOSSES_WITHIN, WEIGHTS_WITHIN),
        ("bfloat16", LOSSES_WITHIN_BFLOAT16, WEIGHTS_WITHIN_BFLOAT16),
    ],
)
def test_two_workers_train_as_one_device_does(one, two, pair, losses_within, weights_within):
    """Normalisations, dropout, R1, steered augmentation in one; growth, groups, WGAN-GP in one."""
    folder = two[0]
    of_losses, of_weights = distances(one / f"{pair}-one", folder / "0" / f"{pair}-workers")
    print(f"{pair}: losses within {of_losses:.1e}, weights within {of_weights:.1e}")
    assert of_losses < losses_within
    assert of_weights < weights_within


def test_two_devices_of_one_machine_train_as_one_does(one, jobs, tmp_path):
    codes, logs = work(tmp_path, [jobs / "dcgan-all"], count=1)
    assert codes == [0], logs
    of_losses, of_weights = distances(one / "dcgan-one", tmp_path / "0" / "dcgan-all")
    print(f"losses within {of_losses:.1e}, weights within {of_weights:.1e}")
    assert of_losses < LOSSES_WITHIN
    assert of_weights < WEIGHTS_WITHIN


def test_only_the_first_worker_writes_and_shows_progress(two):
    folder, _, logs = two
    assert (folder / "0/dcgan-workers").is_dir()
    assert sorted(path.name for path in (folder / "1").iterdir()) == ["log"]
    assert ["img/s" in log for log in logs] == [True, False]


def test_a_stop_of_one_worker_stops_both_and_they_go_on_to_the_same_bytes(two):
    folder, _, logs = two
    for log in logs:
        assert "stopped: tiny: interrupted after step 4 of 7; its state is saved" in log
        assert "tiny: goes on from step 4 of 7" in log
    whole, stopped = (folder / "0" / name for name in ("pggan-workers", "stopped"))
    assert sha256_of_folder(whole) == sha256_of_folder(stopped)


def test_workers_with_different_parameters_are_all_refused_in_one_line(two):
    folder, _, logs = two
    for log in logs:
        assert "unlike: tiny: the workers differ in parameters, data, code or libraries; " in log
    assert not (folder / "0/unlike").exists()


def test_a_worker_that_is_killed_ends_the_other_in_one_line(two):
    folder, codes, logs = two
    assert codes == [0, -signal.SIGKILL], "\n".join(logs)
    assert "killed: tiny: another worker has ended or cannot be reached; the same" in logs[0]
    assert "Traceback" not in logs[0]
    assert not (folder / "0/killed").exists()


@pytest.mark.parametrize(
    ("batch", "group", "expected"),
    [
        (3, 1, "tiny: a batch of 3 does not divide over 2 devices"),
        (4, 4, "tiny: on each of 2 devices a batch of 2 is not made of whole groups of 4"),
    ],
)
def test_a_batch_that_cannot_be_spread_is_refused(batch, group, expected):
    network = pggan.Network(latent=8, filters=64, most_filters=16, group=group)
    with pytest.raises(CineganError, match=f"^{expected}$"):
        devices.check_batch("tiny", batch, 2, network.check_batch)


CLUSTER = {"cluster": {"worker": ["a:1", "b:1"]}}


@pytest.mark.parametrize(
    "config",
    [
        None,
        "not JSON",
        "[]",
        json.dumps(CLUSTER),
        json.dumps({**CLUSTER, "task": {"type": "worker", "index": 2}}),
        json.dumps({**CLUSTER, "task": {"type": "chief", "index": 0}}),
    ],
)
def test_workers_without_their_list_are_refused(monkeypatch, config):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    for ask in (devices.strategy_of, devices.is_chief):
        with pytest.raises(CineganError, match=r"^devices: workers needs TF_CONFIG, such as .*$"):
            ask("workers")


def test_the_first_worker_is_the_chief_and_every_process_that_is_alone(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps({**CLUSTER, "task": {"type": "worker", "index": 1}}))
    assert not devices.is_chief("workers")
    assert devices.is_chief("one")
    assert devices.is_chief("all")
