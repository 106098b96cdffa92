"""One device or many: the strategy in scope, each device's part of a batch, and means over all.

Results with many devices follow those with one and the same batch up to rounding: all draws are
made for the whole batch, batch normalisation takes its statistics over all devices, and the groups
of a minibatch's deviation lie within one device.
"""

from __future__ import annotations

import json
import os
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
        _check_workers()
        return tf.distribute.MultiWorkerMirroredStrategy()
    if devices == "all":
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def is_chief() -> bool:
    """Whether this process is the one that writes: the first of the workers."""
    resolver = tf.distribute.get_strategy().cluster_resolver
    return resolver is None or resolver.task_id == 0


def device_count() -> int:
    """Devices that a batch is spread over."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def check_batch(name: str, batch: int, check: Any) -> None:
    """Refuse a batch that does not divide over the devices.

    Raises
    ------
    CineganError
    """
    count = device_count()
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
    """The chief's value of an array that has one shape and dtype on all workers."""
    strategy = tf.distribute.get_strategy()
    if strategy.cluster_resolver is None:
        return value

    @tf.function
    def told(own: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        first = tf.cast(context.replica_id_in_sync_group == 0, own.dtype)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, own * first)

    on_each = strategy.run(told, args=(tf.convert_to_tensor(value),))
    return strategy.experimental_local_results(on_each)[0].numpy()


def synchronise(network: Any) -> None:
    """Let batch normalisation take its statistics over the whole batch."""
    if device_count() > 1:
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True


def _check_workers() -> None:
    hint = (
        'devices: workers needs TF_CONFIG, such as {"cluster": {"worker": ["host1:2222", '
        '"host2:2222"]}, "task": {"type": "worker", "index": 0}}; docs/scaling.md shows how'
    )
    try:
        config = json.loads(os.environ.get("TF_CONFIG", ""))
        if config["cluster"]["worker"] and config["task"]["index"] >= 0:
            return
    except (ValueError, KeyError, TypeError):
        pass
    raise CineganError(hint)
