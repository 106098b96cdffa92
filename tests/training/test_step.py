"""One step: the right gradients, the right draws, and a state that says it all."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from cinegan.training import step as step_module
from cinegan.training.losses import discriminator_loss, generator_loss
from cinegan.training.networks import build_discriminator, build_generator, settle_statistics
from cinegan.training.runtime import configure, set_seed
from cinegan.training.step import TrainingStep


@pytest.fixture
def make(model, cycles):
    record = model.model_dump(exclude={"budgets"}) | {"phases": cycles.shape[-1]}

    def build(seed=3, precision="float32"):
        configure(2, precision)
        set_seed(seed)
        pair = build_generator(record), build_discriminator(record)
        configure(2)
        return TrainingStep(
            *pair,
            build_generator(record),
            cycles,
            model.training,
            seed,
            independent_logits=True,
        )

    return build


@pytest.mark.parametrize("independent", [True, False])
def test_both_networks_get_their_own_gradients_in_one_pass_back_or_two(make, independent):
    step = make()
    step.independent_logits = independent
    for layer in step.discriminator.layers:  # what is compared must drop the same
        if hasattr(layer, "draw"):
            layer.draw = lambda shape, rate: tf.reshape(tf.range(np.prod(shape)) % 3 == 0, shape)
    real, latents = tf.random.normal((4, 16, 16, 6)), tf.random.normal((4, 8))
    ours, theirs, _ = step._gradients(real, latents)

    with tf.GradientTape(persistent=True) as tape:
        fake = step.generator(latents, training=True)
        fake_logits = step.discriminator(fake, training=True)
        real_logits = step.discriminator(real, training=True)
        d_loss = tf.reduce_mean(discriminator_loss(real_logits, fake_logits))
        g_loss = tf.reduce_mean(generator_loss(fake_logits))
    for network, loss, found in (
        (step.generator, g_loss, ours),
        (step.discriminator, d_loss, theirs),
    ):
        expected = tape.gradient(loss, [v.value for v in network.trainable_variables])
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5 * float(tf.reduce_max(tf.abs(b))) + 1e-9)


def test_each_epoch_shows_each_cycle_once(make, cycles):
    step = make()
    seen = []
    for number in range(5):  # two epochs of ten
        step._step.assign(number)
        real = np.asarray(step._real_cycles())
        assert real.min() >= -1
        assert real.max() <= 1
        grey = np.rint((real + 1) * 127.5).astype(np.uint8)
        seen += [np.flatnonzero((cycles == one).all(axis=(1, 2, 3))).item() for one in grey]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10] != seen[10:]


def test_masks_drop_their_share_and_differ_by_step_and_place(make):
    step = make()
    step._draws = 0
    masks = [np.asarray(step._mask((100, 1001), 0.3)) for _ in range(2)]
    step._step.assign(1)
    step._draws = 0
    masks.append(np.asarray(step._mask((100, 1001), 0.3)))
    for mask in masks:
        assert mask.mean() == pytest.approx(0.3, abs=0.01)
    assert 0.4 < (masks[0] == masks[1]).mean() < 0.7
    assert 0.4 < (masks[0] == masks[2]).mean() < 0.7


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_same_seed_same_bits_and_another_seed_others(make, precision):
    def weights(seed):
        step = make(seed, precision)
        for _ in range(3):
            step()
        return np.concatenate([w.ravel() for w in step.average.get_weights()])

    assert weights(3).tobytes() == weights(3).tobytes()
    assert weights(3).tobytes() != weights(4).tobytes()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_arithmetic_is_in_the_precision_asked_for_and_the_average_in_float32(make, precision):
    step = make(precision=precision)
    for network in (step.generator, step.discriminator):
        convolutions = [layer for layer in network.layers if "conv" in layer.name]
        assert {layer.compute_dtype for layer in convolutions} == {precision}
        assert {v.dtype for v in network.trainable_variables} == {"float32"}
    assert {layer.compute_dtype for layer in step.average.layers} == {"float32"}


def test_a_restored_state_goes_on_to_the_same_bits(make):
    whole = make()
    for _ in range(5):
        whole()
    first, second = make(), make(seed=3)
    for _ in range(2):
        first()
    second.restore(first.state())
    for _ in range(3):
        second()
    assert second.step == 5
    for name, value in whole.state().items():
        assert value.tobytes() == second.state()[name].tobytes(), name


def test_average_follows_its_formula(make, model):
    step = make()
    before = step.average.trainable_variables[0].numpy().copy()
    step()
    after = step.average.trainable_variables[0].numpy()
    current = step.generator.trainable_variables[0].numpy()
    decay = 1 / 10  # the ramp at step 0
    np.testing.assert_allclose(after, decay * before + (1 - decay) * current, rtol=1e-5, atol=1e-7)


def test_adam_equals_keras_adam(model):
    import keras

    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 4)).astype("float32")
    ours, theirs = tf.Variable(start), keras.Variable(start)
    training = model.training
    adam = step_module.Adam([ours], training)
    reference = keras.optimizers.Adam(
        training.learning_rate, training.beta_1, training.beta_2, epsilon=step_module.EPSILON
    )
    for number in range(5):
        gradient = tf.constant(rng.normal(size=(3, 4)), tf.float32)
        adam.apply([gradient], tf.constant(number, tf.int64))
        reference.apply([gradient], [theirs])
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5)


def test_a_small_pair_learns_the_mean_picture(make, cycles):
    step = make()
    for _ in range(1000):
        metrics = step()
    assert np.isfinite(metrics).all()
    settle_statistics(step.average, 0)
    made = np.asarray(step.average(tf.random.normal((32, 8))))
    real = cycles / 127.5 - 1
    assert np.corrcoef(made.mean(0).ravel(), real.mean(0).ravel())[0, 1] > 0.6
