"""One device or many: the strategy in scope, each device's part of a batch, and means over all.

Results with many devices follow those with one and the same batch up to rounding: all draws are
made for the whole batch, batch normalisation takes its statistics over all devices, and the groups
of a minibatch's deviation lie within one device.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cinegan.errors import CineganError


def strategy_of(devices: str) -> Any:
    """Return how training is spread.

    Parameters
    ----------
    devices : str
        "one": the first GPU, or the CPU; "all": all GPUs of this machine; "workers": the machines
        that the environment variable TF_CONFIG lists, each with all its GPUs.

    Raises
    ------
    CineganError
        If "workers" is asked for without a TF_CONFIG that lists them.
    """
    if devices == "workers":
        return _workers()
    if devices == "all":
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief(devices: str) -> bool:
    """Whether this process is the one that writes and reports: the first of the workers.

    Raises
    ------
    CineganError
        If "workers" is asked for without a TF_CONFIG that lists them.
    """
    return devices != "workers" or _index_of_this_worker() == 0


def device_count() -> int:
    """Devices that a batch is spread over."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def check_batch(name: str, batch: int, count: int, check: Any) -> None:
    """Refuse a batch that does not divide over so many devices.

    Raises
    ------
    CineganError
    """
    if batch % count:
        raise CineganError(f"{name}: a batch of {batch} does not divide over {count} devices")
    try:
        check(batch // count)
    except ValueError as error:
        raise CineganError(f"{name}: on each of {count} devices {error}") from None


def part_of_this_device(whole: tf.Tensor) -> tf.Tensor:
    """This device's part of what is there for the whole batch."""
    count = device_count()
    if count == 1:
        return whole
    part = whole.shape[0] // count
    first = part * tf.distribute.get_replica_context().replica_id_in_sync_group
    return tf.ensure_shape(whole[first : first + part], (part, *whole.shape[1:]))


def mean_over_devices(values: Any) -> Any:
    """Mean of each tensor of a structure over the devices, the same on all of them."""
    if device_count() == 1:
        return values
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, values)


def from_chief(value: np.ndarray) -> np.ndarray:
    """The chief's value, bit for bit, of an array that has one shape and dtype on all workers."""
    strategy = tf.distribute.get_strategy()
    if strategy.cluster_resolver is None:
        return value
    bits = np.ascontiguousarray(value).reshape(-1).view(np.int32)
    on_each = strategy.run(_of_first, args=(tf.constant(bits),))
    told = strategy.experimental_local_results(on_each)[0].numpy()
    return told.view(value.dtype).reshape(value.shape)


def agree(value: np.ndarray) -> bool:
    """Whether an array of int32 is the same on all workers; they all get the same answer."""
    others = tf.constant([int((from_chief(value) != value).any())])
    strategy = tf.distribute.get_strategy()
    if strategy.cluster_resolver is None:
        return True
    on_each = strategy.run(_sum, args=(others,))
    return not strategy.experimental_local_results(on_each)[0].numpy().any()


def meet() -> None:
    """Wait until all workers are here."""
    from_chief(np.zeros(1, np.int32))


@contextmanager
def loss_explained(name: str) -> Iterator[None]:
    """Say in one line that another worker is gone; without it this one cannot go on.

    Raises
    ------
    CineganError
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError):
        raise CineganError(
            f"{name}: another worker has ended or cannot be reached; the same command on all of "
            "them goes on from the last state that was saved"
        ) from None


def synchronise(network: Any) -> None:
    """Let batch normalisation take its statistics over the whole batch."""
    if device_count() > 1:
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True


@lru_cache  # a process joins the others once
def _workers() -> Any:
    _index_of_this_worker()
    usual = signal.getsignal(signal.SIGTERM)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    signal.signal(signal.SIGTERM, usual)  # TensorFlow takes it for itself, to no effect
    return strategy


@tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.int32)])
def _of_first(own: tf.Tensor) -> tf.Tensor:
    context = tf.distribute.get_replica_context()
    first = tf.cast(context.replica_id_in_sync_group == 0, tf.int32)
    return context.all_reduce(tf.distribute.ReduceOp.SUM, own * first)


@tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.int32)])
def _sum(own: tf.Tensor) -> tf.Tensor:
    here = tf.identity(own)  # on this device, which an argument is not
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)


def _index_of_this_worker() -> int:
    """Its place in the list of TF_CONFIG."""
    try:
        config = json.loads(os.environ.get("TF_CONFIG", ""))
        cluster, kind, index = config["cluster"], config["task"]["type"], config["task"]["index"]
        if [*cluster] == [kind] == ["worker"] and 0 <= index < len(cluster["worker"]):
            return index
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise CineganError(
        'devices: workers needs TF_CONFIG, such as {"cluster": {"worker": ["host1:2222", '
        '"host2:2222"]}, "task": {"type": "worker", "index": 0}}; docs/scaling.md shows how'
    )
