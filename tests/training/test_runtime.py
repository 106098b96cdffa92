"""The same inputs give the same bits, also where a graph is large."""

from __future__ import annotations

import pytest
import tensorflow as tf

from cinegan.params import FRESH
from cinegan.training import runtime
from cinegan.training.loop import prepare
from cinegan.training.runtime import configure, precision_of
from cinegan.training.schedule import Level


def test_a_sum_is_taken_in_one_order_however_large_the_graph():
    """Of 1, 1e8 and -1e8 the sum is 0 or 1 in float32: the order tells."""
    configure(2)

    @tf.function
    def total(one, large, minus_large, slow):
        for _ in range(10):  # keeps the first term waiting
            slow = tf.matmul(slow, slow)
        late = one + slow[0, 0]
        return tf.add_n([late, tf.abs(large), -tf.abs(minus_large)])[0, 0]

    def of(side):
        one, large = tf.ones((side, side)), tf.fill((side, side), 1e8)
        return float(total(one, large, -large, tf.zeros((2000, 2000))))

    # 100 MB a term: a graph that TensorFlow thinks too large for the CPU's memory.
    assert of(100) == of(5000) == of(5000)


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_training_is_deterministic_unless_told_otherwise(
    monkeypatch, model, cycles_at, deterministic
):
    asked = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: asked.append(True))
    training = model.training.model_copy(update={"deterministic": deterministic})
    block = model.model_copy(update={"training": training})
    recipe = {**block.model_dump(), "phases": 6, "seed": 1, "threads": 2, "start_from": FRESH}
    prepare(Level(16, False, 4, 0, 2, 0), block, recipe, cycles_at)
    assert bool(asked) == deterministic


@pytest.mark.parametrize(
    ("flags", "meant"),
    [
        ("fpu sse2 avx2 fma", "float32"),
        ("avx2 avx512f avx512bw", "float32"),
        ("avx512f avx512_bf16", "bfloat16"),
        ("amx_bf16 amx_tile", "bfloat16"),
        (None, "float32"),  # another system than Linux
    ],
)
def test_auto_is_bfloat16_where_the_processor_computes_in_it(monkeypatch, tmp_path, flags, meant):
    cpuinfo = tmp_path / "cpuinfo"
    if flags:
        cpuinfo.write_text(f"processor : 0\nflags\t\t: {flags}\nbugs : none\n")
    monkeypatch.setattr(runtime, "CPUINFO", cpuinfo)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert precision_of("auto") == meant
    assert [precision_of(asked) for asked in ("bfloat16", "float32")] == ["bfloat16", "float32"]


@pytest.mark.parametrize(
    ("capabilities", "meant"),
    [([(9, 0)], "bfloat16"), ([(8, 0), (7, 5)], "float32"), ([None], "float32")],
)
def test_auto_is_bfloat16_where_all_gpus_compute_in_it(monkeypatch, capabilities, meant):
    details = [{"compute_capability": each} if each else {} for each in capabilities]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(range(len(details))))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.__getitem__)
    assert precision_of("auto") == meant
