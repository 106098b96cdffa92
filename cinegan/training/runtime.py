"""TensorFlow set up so that the same inputs give the same bits."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf
from keras.src.utils.naming import reset_uids
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.eager import context

CPUINFO = Path("/proc/cpuinfo")  # of Linux
# Instructions without which a processor only emulates bfloat16: with AVX2 alone, many times slower
# than it computes in float32.
BFLOAT16 = {"avx512_bf16", "amx_bf16"}
AMPERE = (8, 0)  # NVIDIA's first GPUs that compute in bfloat16


def precision_of(asked: str) -> str:
    """Arithmetic that is meant on this machine, "bfloat16" or "float32".

    Parameters
    ----------
    asked : str
        One of both, or "auto": bfloat16 where the GPUs, or the processor, compute in it.
    """
    if asked != "auto":
        return asked
    return "bfloat16" if _computes_in_bfloat16() else "float32"


def _computes_in_bfloat16() -> bool:
    if gpus := tf.config.list_physical_devices("GPU"):
        details = map(tf.config.experimental.get_device_details, gpus)
        return all(each.get("compute_capability", (0, 0)) >= AMPERE for each in details)
    return CPUINFO.exists() and not BFLOAT16.isdisjoint(CPUINFO.read_text().split())


def configure(threads: int, precision: str = "float32", deterministic: bool = True) -> None:
    """Pin threads and determinism, and set the arithmetic of layers built from now on.

    Parameters
    ----------
    threads : int
        Threads within an operation. Sums are split among them, so results depend on their number.
    precision : str
        As `precision_of` takes it; in bfloat16, weights stay float32.
    deterministic : bool
        False lets TensorFlow choose kernels whose sums differ from run to run, faster on some
        devices; it cannot be taken back from True within a process.
    """
    threading = tf.config.threading
    within, between = threads, min(threads, 2)
    if (
        threading.get_intra_op_parallelism_threads() != within
        or threading.get_inter_op_parallelism_threads() != between
    ):
        threading.set_intra_op_parallelism_threads(within)
        threading.set_inter_op_parallelism_threads(between)
    if deterministic:
        tf.config.experimental.enable_op_determinism()
        _sum_in_one_order()
    short = precision_of(precision) == "bfloat16"
    keras.config.set_dtype_policy("mixed_bfloat16" if short else "float32")


def set_seed(seed: int) -> None:
    """Make fresh weights, and the layers' names kept with them, a function of the seed."""
    # Not `clear_session`, which would also leave the scope of a `tf.distribute` strategy.
    reset_uids()
    keras.utils.set_random_seed(seed)


def _sum_in_one_order() -> None:
    """Keep sums of several tensors, such as gradients, as they were written.

    Where a graph is large, TensorFlow's memory optimizer turns each sum of more than two tensors
    into additions in the order in which these happen to be ready, also under op determinism. There
    is no public switch for this optimizer alone.
    """
    config = context.context().config
    config.graph_options.rewrite_options.memory_optimization = RewriterConfig.NO_MEM_OPT
    context.context().function_call_options = context.FunctionCallOptions(config_proto=config)
