"""One step: the right gradients, the right draws, and a state that says it all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from recipes import training_with

from cinegan.data.conditions import Conditions
from cinegan.data.labels import UNKNOWN
from cinegan.models import dcgan
from cinegan.params import load_params
from cinegan.sampling import draw_cycles
from cinegan.training import loop
from cinegan.training.draws import Draws
from cinegan.training.losses import slope_from_one, squared_norm
from cinegan.training.networks import settle_statistics
from cinegan.training.schedule import Level
from cinegan.training.step import AVERAGED, METRICS

STEPS = Level(size=16, fading=False, batch=4, first=0, steps=10**6, images=0)
# Every switch on, one at a time.
SWITCHES = {
    "plain": {},
    "soft labels": {"label_smoothing": 0.1},
    "flipped labels": {"label_flips": 0.5},
    "noise": {"input_noise": 0.3},
    "augmented": {"augment": ["translation", "cutout", "contrast"], "augment_strength": 0.5},
    "adaptive": {"augment": ["brightness"], "augment_strength": 0.5, "augment_target": 0.6},
    "mirrored": {"mirror": True},
    "warped": {"warp": 0.05},
    "R1": {"r1": 2.0, "r1_every": 2},
    "WGAN-GP": {"loss": "wasserstein", "gradient_penalty": 10.0, "drift": 0.001},
    "penalised cross-entropy": {"gradient_penalty": 1.0},
    "generator dropout": {"generator_dropout": 0.5},
}


@pytest.fixture(scope="session")
def make(model, cycles_at):
    """Make a step of the tiny DCGAN; keywords replace parameters of its training."""

    def build(seed=3, level=STEPS, generator_dropout=0.0, discriminator=None, **changes):
        training = training_with(**({"precision": "float32"} | changes))
        network = {"generator_dropout": generator_dropout}
        network |= {"discriminator": discriminator} if discriminator else {}
        network = model.network.model_copy(update=network)
        block = model.model_copy(update={"training": training, "network": network})
        record = block.model_dump(exclude={"budgets"}) | {"phases": 6, "seed": seed, "threads": 2}
        return loop.prepare(level, block, record, cycles_at)

    return build


@pytest.fixture(scope="session")
def make_growing(growing_model, cycles_at):
    def build(size=8, fading=False, seed=3, **changes):
        training = growing_model.training.model_copy(update=changes)
        block = growing_model.model_copy(update={"training": training})
        record = block.model_dump(exclude={"budgets"})
        record |= {"phases": 6, "seed": seed, "threads": 2, "size": size, "fading": fading}
        level = Level(size, fading, batch=4, first=0, steps=10, images=0, fade_steps=10)
        return loop.prepare(level, block, record, cycles_at)

    return build


def gradients_by_the_book(step, real, latents, labels=(1.0, 0.0)):
    """Both networks' gradients, each from a pass of its own with its textbook loss."""
    training, (real_label, fake_label) = step.training, labels
    with tf.GradientTape(persistent=True) as tape:
        fake = step.pair.generator(latents, training=True)
        on_fake = step.pair.discriminator(fake, training=True)
        on_real = step.pair.discriminator(real, training=True)
        if training.loss == "bce":
            cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits
            d_loss = tf.reduce_mean(
                cross_entropy(real_label * tf.ones_like(on_real), on_real)
                + cross_entropy(fake_label * tf.ones_like(on_fake), on_fake)
            )
            g_loss = tf.reduce_mean(cross_entropy(tf.ones_like(on_fake), on_fake))
        else:
            d_loss = tf.reduce_mean(on_fake - on_real + training.drift * on_real**2)
            g_loss = -tf.reduce_mean(on_fake)
    return [
        tape.gradient(loss, [v.value for v in network.trainable_variables])
        for network, loss in ((step.pair.generator, g_loss), (step.pair.discriminator, d_loss))
    ]


def same_masks(step):
    """What is compared must drop the same."""
    for layer in step.pair.discriminator.layers:
        if hasattr(layer, "draw"):
            layer.draw = lambda shape, rate: tf.reshape(tf.range(np.prod(shape)) % 3 == 0, shape)


def assert_gradients_equal(found, expected, share=2e-5):
    for network, reference in zip(found, expected, strict=True):
        for a, b in zip(network, reference, strict=True):
            np.testing.assert_allclose(a, b, atol=share * float(tf.reduce_max(tf.abs(b))) + 1e-9)


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ({}, (1.0, 0.0)),
        ({"label_smoothing": 0.1}, (0.9, 0.0)),
        ({"loss": "wasserstein", "drift": 0.5}, None),
    ],
)
@pytest.mark.parametrize("one_pass", [True, False])
def test_both_networks_get_their_own_gradients_in_one_pass_back_or_two(
    make, changes, labels, one_pass
):
    step = make(**changes)
    step._one_pass_back = one_pass
    same_masks(step)
    real, latents = tf.random.normal((4, 16, 16, 6)), tf.random.normal((4, 8))
    _, ours, theirs, _, _ = step._gradients(real, latents, tf.constant(0.0), False)
    expected = gradients_by_the_book(step, real, latents, labels or (1.0, 0.0))
    assert_gradients_equal((ours, theirs), expected)


@pytest.mark.parametrize(("precision", "share"), [("float32", 2e-5), ("bfloat16", 0.05)])
@pytest.mark.parametrize("logit", [0.0, -40.0, -49.0, -51.0, -75.0, -90.0, -1000.0, 60.0])
def test_gradients_are_right_however_sure_the_discriminator_is(make, precision, share, logit):
    """Within 5 % of the largest in bfloat16, which has 8 bits and is rounded on two roads."""
    assert_gradients_right_at(logit, make(precision=precision), share)


@pytest.mark.parametrize("logit", [-40.0, -75.0])
def test_gradients_are_right_compiled_and_through_wide_layers(make, logit):
    """Layers of 256 filters and more have gradients of their own."""
    step = make(discriminator=[8, 256])
    assert_gradients_right_at(logit, step, 2e-5, compiled=True)


def assert_gradients_right_at(logit, step, share, compiled=False):
    assert step._one_pass_back
    same_masks(step)
    real, latents = tf.random.normal((4, 16, 16, 6)), tf.random.normal((4, 8))
    scores = step.pair.discriminator(step.pair.generator(latents), training=True)
    step.pair.discriminator.get_layer("logit").bias.assign([logit - tf.reduce_mean(scores)])

    def gradients(real, latents):
        return step._gradients(real, latents, tf.constant(0.0), False)[1:3]

    found = (tf.function(gradients) if compiled else gradients)(real, latents)
    assert_gradients_equal(found, gradients_by_the_book(step, real, latents), share)
    if logit < 0:  # the generator's derivative by the logit is -1 then
        assert max(float(tf.reduce_max(tf.abs(gradient))) for gradient in found[0]) > 1e-4


@pytest.mark.parametrize("loss", ["bce", "wasserstein"])
def test_gradients_are_right_where_a_score_depends_on_the_cycles_beside_it(make_growing, loss):
    step = make_growing(loss=loss, gradient_penalty=0.0, drift=0.1 if loss != "bce" else 0.0)
    assert step._one_pass_back == (loss == "wasserstein")
    real, latents = tf.random.normal((4, 8, 8, 6)), tf.random.normal((4, 8))
    _, ours, theirs, _, _ = step._gradients(real, latents, tf.constant(0.0), False)
    assert_gradients_equal((ours, theirs), gradients_by_the_book(step, real, latents))


def test_the_gradient_penalty_of_a_known_gradient(make):
    """A score of 3 times the sum of a cycle's pixels has a gradient of norm 3 sqrt(pixels)."""
    step = make(gradient_penalty=10.0)
    step.pair = step.pair._replace(
        discriminator=lambda x, training: 3.0 * tf.reduce_sum(x, axis=(1, 2, 3))[:, None]
    )
    step._traced.draws = type("Draws", (), {"uniform": lambda *_: tf.fill((4, 1), 0.25)})()
    real, fake = tf.ones((4, 2, 2, 1)), tf.zeros((4, 2, 2, 1))
    assert float(step._penalty(real, fake, None)) == pytest.approx(10 * (3 * 2 - 1) ** 2)
    step.pair = step.pair._replace(  # a gradient of 2 x, where x is between the two
        discriminator=lambda x, training: tf.reduce_sum(x**2, axis=(1, 2, 3))[:, None]
    )
    assert float(step._penalty(real, fake, None)) == pytest.approx(10 * (2 * 0.75 * 2 - 1) ** 2)
    slope = tf.fill((4, 2, 2, 1), 3.0)
    step = make(r1=2.0, r1_every=8)
    assert float(step._penalty(real, fake, slope)) == pytest.approx(8 * 2 / 2 * 36)


@pytest.mark.parametrize("loss", ["bce", "wasserstein"])
def test_the_gradient_penalty_is_the_discriminators_alone(make, loss):
    """The generator does not learn to make the discriminator steep."""
    real, latents = tf.random.normal((4, 16, 16, 6)), tf.random.normal((4, 8))
    found = []
    for weight in (0.0, 10.0):
        step = make(loss=loss, gradient_penalty=weight)
        step._traced.draws = type("Draws", (), {"uniform": lambda *_: tf.fill((4, 1), 0.25)})()
        same_masks(step)
        found.append(step._gradients(real, latents, tf.constant(0.0), False)[1:3])
    (without, plain), (with_penalty, penalised) = found
    assert_gradients_equal([with_penalty], [without])
    assert any(not np.allclose(a, b) for a, b in zip(plain, penalised, strict=True))


def test_a_penalty_is_finite_where_the_gradient_is_zero():
    zero = tf.zeros((2, 4, 4, 3))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(zero)
        penalties = slope_from_one(zero), squared_norm(zero)
    np.testing.assert_allclose(penalties[0], 1.0, rtol=1e-5)
    for penalty in penalties:
        assert np.isfinite(tape.gradient(penalty, zero)).all()


def test_r1_comes_every_so_many_steps(make):
    step = make(r1=2.0, r1_every=3)
    penalties = [step()[0][AVERAGED.index("penalty")] for _ in range(7)]
    assert [penalty > 0 for penalty in penalties] == [True, False, False] * 2 + [True]


def test_r1_is_taken_at_real_cycles_through_what_is_done_to_them(make):
    """A score of the sum of pixels, seen at 3 times the contrast, has a gradient of 3 by each."""
    step = make(r1=2.0, r1_every=1)
    step.pair = step.pair._replace(
        discriminator=lambda x, training: tf.reduce_sum(x, axis=(1, 2, 3))[:, None]
    )
    seen, scores, slope = step._judged(tf.ones((4, 2, 2, 1)), lambda cycles: 3.0 * cycles, True)
    np.testing.assert_array_equal(seen, 3.0)
    np.testing.assert_array_equal(scores, 12.0)
    np.testing.assert_array_equal(slope, 3.0)


def weights_after_four_steps(make, **changes):
    step = make(**changes)
    assert np.isfinite([step()[0] for _ in range(4)]).all()
    return np.concatenate([w.ravel() for w in step.pair.average.get_weights()]).tobytes()


@pytest.fixture(scope="session")
def plain_weights(make):
    return weights_after_four_steps(make)


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_trains_reproducibly_and_changes_what_is_learnt(make, plain_weights, switch):
    changed = weights_after_four_steps(make, **SWITCHES[switch])
    assert changed == weights_after_four_steps(make, **SWITCHES[switch])
    assert (changed == plain_weights) == (switch == "plain")


def test_noise_falls_to_nothing(make):
    level = Level(size=16, fading=False, batch=4, first=0, steps=1000, images=10_000)
    noisy, plain = make(level=level, input_noise=0.5, input_noise_kimg=10.0), make(level=level)
    assert noisy()[0].tobytes() == plain()[0].tobytes()


def test_bending_grows_from_nothing(make):
    bent, plain = make(warp=0.1, warp_kimg=1.0), make()
    assert bent()[0] == pytest.approx(plain()[0], rel=1e-4, abs=1e-4)  # cycles shown: none yet
    assert bent()[0] != pytest.approx(plain()[0], rel=1e-4, abs=1e-4)


def test_a_switch_of_flipped_labels_swaps_their_share(make):
    step = make(label_flips=0.25)
    draws = tf.constant([[0.1], [0.3], [0.2], [0.9]])
    step._traced.draws = type("Draws", (), {"uniform": lambda *_: draws})()
    real, fake = step._labels(4)
    np.testing.assert_array_equal(real[:, 0], [0, 1, 0, 1])
    np.testing.assert_array_equal(fake[:, 0], [1, 0, 1, 0])


def test_mirroring_is_of_left_and_right_only_where_drawn(make, cycles):
    step = make(mirror=True)
    draws = tf.constant([[0.1], [0.9], [0.2], [0.8]])
    step._traced.draws = type("Draws", (), {"uniform": lambda *_: draws})()
    real = tf.constant(cycles[:4], tf.float32)
    seen = step._real_cycles((real,), tf.constant(1.0), tf.constant(0.0))
    np.testing.assert_array_equal(seen[0], cycles[0][:, ::-1])
    np.testing.assert_array_equal(seen[1], cycles[1])


def test_real_cycles_fade_from_the_smaller_size_to_the_larger(make_growing, cycles_at):
    step = make_growing(16, fading=True)
    full, half = (tf.constant(cycles_at(size)[:4], tf.float32) for size in (16, 8))
    coarse = np.asarray(half).repeat(2, axis=1).repeat(2, axis=2)
    for share in (0.0, 0.25, 1.0):
        seen = step._real_cycles((full, half), tf.constant(share), tf.constant(0.0))
        np.testing.assert_allclose(seen, coarse + share * (full - coarse), atol=1e-4)


@pytest.mark.parametrize("changes", [{"mirror": True}, {"warp": 0.05}])
def test_real_cycles_are_changed_before_the_smaller_size_is_doubled(make_growing, changes):
    """At a share of 0 they are made of squares, as the fake ones are."""
    step = make_growing(16, fading=True, **changes)
    step._traced.draws = Draws(3, tf.constant(0, tf.int64), 4)
    full, half = tf.random.uniform((4, 16, 16, 6)), tf.random.uniform((4, 8, 8, 6))
    bend = tf.constant(0.05)
    seen = np.asarray(step._real_cycles((full, half), tf.constant(0.0), bend))
    squares = seen.reshape(4, 8, 2, 8, 2, 6)
    np.testing.assert_array_equal(squares, np.broadcast_to(squares[:, :, :1, :, :1], squares.shape))
    np.testing.assert_array_equal(squares[:, :, 0, :, 0], step._changed(half, bend))
    assert not np.array_equal(squares[:, :, 0, :, 0], half)


def test_a_fading_step_sets_the_share_in_all_three_networks(make_growing):
    step = make_growing(8, fading=True)
    for _ in range(3):
        step()
    for network in step.pair:
        assert float(network.get_layer("fade").share) == pytest.approx(0.2)  # of the third of ten


@pytest.mark.parametrize(("sureness", "strength"), [(9.0, 0.5 + 4 * 0.04), (-9.0, 0.5 - 4 * 0.04)])
def test_the_strength_follows_the_overfitting(make, sureness, strength):
    step = make(augment=["brightness"], augment_strength=0.5, augment_target=0.0, augment_kimg=0.1)
    step.pair.discriminator.get_layer("logit").bias.assign([sureness])  # real for certain, or fake
    told = [step()[0][METRICS.index("augment_strength")] for _ in range(5)]
    assert told[0] == 0.5
    assert told[-1] == pytest.approx(strength, abs=1e-6)  # 4 cycles of 100 a step, four times


def test_metrics_tell_a_collapse_and_saturation(make):
    step = make()
    real = tf.random.uniform((4, 16, 16, 6), -0.5, 0.5)
    one = tf.ones((4, 16, 16, 6))
    gradients = [tf.constant([3.0, 4.0])]
    measured = np.asarray(step._measure(real, one, gradients, gradients))
    told = dict(zip(METRICS[len(AVERAGED) :], measured, strict=True))
    assert told["gradient_discriminator"] == pytest.approx(5)
    assert told["diversity"] == pytest.approx(0, abs=1e-3)
    assert told["saturation"] == pytest.approx(1)
    again = step._measure(real, real, gradients, gradients)
    np.testing.assert_allclose(again[2:4], [1, 0], atol=1e-4)


def test_a_stop_asked_for_comes_back(make):
    step = make()
    assert step(stop=False)[1] is False
    assert step(stop=True)[1] is True


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_same_seed_same_bits_and_another_seed_others(make, precision):
    def weights(seed):
        step = make(seed, precision=precision)
        for _ in range(3):
            step()
        return np.concatenate([w.ravel() for w in step.pair.average.get_weights()]).tobytes()

    assert weights(3) == weights(3) != weights(4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_arithmetic_is_in_the_precision_asked_for_and_the_average_in_float32(make, precision):
    step = make(precision=precision)
    for network in step.pair[:2]:
        convolutions = [layer for layer in network.layers if "conv" in layer.name]
        assert {layer.compute_dtype for layer in convolutions} == {precision}
        assert {v.dtype for v in network.trainable_variables} == {"float32"}
    assert {layer.compute_dtype for layer in step.pair.average.layers} == {"float32"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"augment": ["scale"], "augment_target": 0.1, "augment_kimg": 0.1},
        {"generator_dropout": 0.5},
    ],
)
def test_a_restored_state_goes_on_to_the_same_bits(make, changes):
    whole, second = make(**changes), make(**changes)
    assert_goes_on_to_the_same_bits(whole, second, before=2, after=3)
    assert second.done == 5


def assert_goes_on_to_the_same_bits(whole, second, before, after):
    """Another step that takes up the state of one gets to where that one gets; what it measured."""
    for _ in range(before):
        whole()
    second.restore(whole.state())
    for _ in range(after):
        metrics, _ = whole()
        second()
        assert np.isfinite(metrics).all()
    ends = second.state()
    for name, value in whole.state().items():
        assert value.tobytes() == ends[name].tobytes(), name
    return metrics


@pytest.fixture
def make_ours(cycles_at):
    """Make a step of a tiny pair of our own, with all that its block in params.yaml turns on."""
    params = load_params(Path(__file__).parents[2] / "params.yaml")
    block = params.model_named("cinegan64")
    narrow = {"latent": 8, "generator": [16, 8, 8], "discriminator": [8, 8]}
    training = {"batch": 4, "r1_every": 2, "augment_strength": 0.5, "warp_kimg": 0.01}
    block = block.model_copy(
        update={
            "size": 16,
            "network": block.network.model_copy(update=narrow),
            "training": block.training.model_copy(update=training),
        }
    )
    record = block.model_dump(exclude={"budgets"}) | {"phases": 6, "seed": 3, "threads": 2}
    return lambda: loop.prepare(STEPS, block, record, cycles_at)


def test_a_state_with_a_sure_discriminator_goes_on_to_the_same_bits(make):
    """The generator's pass is its own then."""
    steps = make(), make()
    for step in steps:
        step.pair.discriminator.get_layer("logit").bias.assign([-60.0])
    metrics = assert_goes_on_to_the_same_bits(*steps, before=1, after=2)
    assert metrics[METRICS.index("score_fake")] < -50
    assert metrics[METRICS.index("gradient_generator")] > 1e-3


def test_our_own_pair_as_it_is_trained_goes_on_to_the_same_bits(make_ours):
    metrics = assert_goes_on_to_the_same_bits(make_ours(), make_ours(), before=3, after=3)
    assert metrics[METRICS.index("augment_strength")] != 0.5  # steered


def test_a_growing_pair_in_bfloat16_goes_on_to_the_same_bits(make_growing):
    options = {"size": 16, "fading": True, "precision": "bfloat16"}
    whole, second = make_growing(**options), make_growing(**options)
    assert_goes_on_to_the_same_bits(whole, second, before=2, after=2)


def test_growth_keeps_every_weight_that_both_levels_have(make_growing):
    small = make_growing(8)
    for _ in range(2):
        small()
    large = make_growing(16, fading=True)
    fresh = {v.path: v.numpy() for v in large.pair.generator.variables}
    large.take_over(small)
    for before, after in zip(small.pair, large.pair, strict=True):
        kept = {v.path: v.numpy() for v in before.variables}
        for v in after.variables:
            if v.path in kept:
                np.testing.assert_array_equal(v.numpy(), kept[v.path])
    new = large.pair.generator.get_layer("16_conv_1").trainable_variables[0]
    np.testing.assert_array_equal(new.numpy(), fresh[new.path])
    # At the start of a fade the larger network makes what the smaller one made.
    latents = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    made = np.asarray(small.pair.average(latents)).repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(large.pair.average(latents), made, atol=1e-5)


def test_growth_begins_with_fresh_optimizers(make_growing):
    small = make_growing(8)
    for _ in range(3):
        small()
    large = make_growing(16, fading=True)
    large.take_over(small)
    moments = [value for name, value in large.state().items() if name.startswith("adam/")]
    assert moments
    assert not any(value.any() for value in moments)
    before = large.pair.generator.get_layer("8_conv_1").trainable_variables[0].numpy()
    large()
    moved = large.pair.generator.get_layer("8_conv_1").trainable_variables[0].numpy() - before
    # Adam's first step, whose moments are the gradient's own, is of the learning rate.
    assert np.abs(moved).max() == pytest.approx(large.training.learning_rate, rel=0.01)


def test_growth_keeps_the_augmentation_and_r1_serves_a_growing_pair(make_growing):
    changes = {
        "loss": "bce", "gradient_penalty": 0.0, "drift": 0.0, "r1": 1.0, "r1_every": 2,
        "augment": ["brightness"], "augment_strength": 0.5, "augment_target": 0.6,
        "augment_kimg": 0.1,
    }  # fmt: skip
    small = make_growing(8, **changes)
    penalties = [small()[0][AVERAGED.index("penalty")] for _ in range(3)]
    assert [penalty > 0 for penalty in penalties] == [True, False, True]
    large = make_growing(16, fading=True, **changes)
    large.take_over(small)
    before, after = small.state(), large.state()
    assert before["strength"] != np.float32(0.5)
    for name in ("strength", "overfitting"):
        assert after[name] == before[name]
    assert np.isfinite([large()[0] for _ in range(2)]).all()


def test_average_follows_its_formula(make):
    step = make()
    before = step.pair.average.trainable_variables[0].numpy().copy()
    step()
    after = step.pair.average.trainable_variables[0].numpy()
    current = step.pair.generator.trainable_variables[0].numpy()
    decay = 1 / 10  # the ramp at step 0
    np.testing.assert_allclose(after, decay * before + (1 - decay) * current, rtol=1e-5, atol=1e-7)


def test_a_small_pair_learns_the_mean_picture(make, cycles):
    step = make(precision="bfloat16")
    for _ in range(1000):
        metrics, _ = step(measure=False)
    assert np.isfinite(metrics).all()
    settle_statistics(step.pair.average, 0)
    made = np.asarray(step.pair.average(tf.random.normal((32, 8))))
    real = cycles / 127.5 - 1
    assert np.corrcoef(made.mean(0).ravel(), real.mean(0).ravel())[0, 1] > 0.6


def test_a_small_growing_pair_learns_the_mean_picture(make_growing, cycles_at):
    """By WGAN-GP."""
    step = make_growing(8)
    for _ in range(700):
        metrics, _ = step(measure=False)
    assert np.isfinite(metrics).all()
    made = np.asarray(step.pair.average(tf.random.normal((32, 8), seed=0)))
    real = cycles_at(8) / 127.5 - 1
    assert np.corrcoef(made.mean(0).ravel(), real.mean(0).ravel())[0, 1] > 0.8


def test_a_small_pair_covers_both_modes_of_a_toy_set(model):
    """Bright squares on the left or on the right: neither may be forgotten."""
    cycles = np.full((16, 16, 16, 2), 20, np.uint8)
    cycles[:8, 4:12, 2:7], cycles[8:, 4:12, 9:14] = 230, 230
    training = training_with(
        batch=16, beta_1=0.5, beta_2=0.99, learning_rate=2e-3, r1=1.0, precision="float32"
    )
    network = dcgan.Network(**(model.network.model_dump() | {"dropout": 0.0}))
    block = model.model_copy(update={"training": training, "network": network})
    record = block.model_dump(exclude={"budgets"}) | {"phases": 2, "seed": 1, "threads": 2}
    level = Level(size=16, fading=False, batch=16, first=0, steps=10**6, images=0)
    step = loop.prepare(level, block, record, lambda size: cycles)
    for _ in range(400):
        step(measure=False)
    settle_statistics(step.pair.average, 0)
    made = np.asarray(step.pair.average(tf.random.normal((64, 8), seed=0)))
    left, right = made[:, 4:12, 2:7].mean((1, 2, 3)), made[:, 4:12, 9:14].mean((1, 2, 3))
    assert 0.15 < np.mean(left > right) < 0.85
    assert np.abs(left - right).mean() > 0.5  # one or the other, not both at once


UNKNOWN_VALUE = np.float32(UNKNOWN / 127.5 - 1)


@pytest.fixture(scope="module")
def labelled():
    """Cycles of six phases with two maps, of which the second is known of every other cycle."""
    draw = np.random.default_rng(0)
    cycles = draw.integers(0, 256, (8, 16, 16, 8), dtype=np.uint8)
    cycles[::2, ..., 7] = UNKNOWN
    return cycles


def with_labels(model, cycles, **changes):
    training = training_with(precision="float32", **changes)
    block = model.model_copy(update={"training": training})
    record = block.model_dump(exclude={"budgets"}) | {"phases": 6, "seed": 3, "threads": 2}
    record["label_channels"] = ["endo", "epi"]
    return loop.prepare(STEPS, block, record, lambda size: cycles)


@pytest.mark.parametrize(
    "changes", [{}, {"augment": ["translation", "brightness"]}, {"input_noise": 0.3}], ids=str
)
def test_maps_that_nobody_drew_look_alike_in_real_and_fake_cycles(model, labelled, changes):
    step = with_labels(model, labelled, **changes)
    real = (labelled[:4] / np.float32(127.5) - 1).astype(np.float32)
    known = step._known(tf.constant(real))
    np.testing.assert_array_equal(known[:, 0, 0], [[True, False], [True, True]] * 2)
    step._traced.draws = Draws(3, tf.constant(0, tf.int64), 4)
    fake = np.random.default_rng(1).uniform(-1, 1, real.shape).astype(np.float32)
    for cycles, streams in ((real, (4, 6)), (fake, (5, 7))):
        seen = step._seen(tf.constant(0.3), known, *streams, tf.constant(cycles)).numpy()
        assert (seen[::2, ..., 7] == UNKNOWN_VALUE).all()
        assert (seen[1::2, ..., 7] != UNKNOWN_VALUE).any()
        assert (seen[..., 6] != UNKNOWN_VALUE).any()


@pytest.mark.parametrize("changes", [{}, {"augment": ["translation"], "r1": 1.0, "warp": 0.05}])
def test_a_pair_trains_on_cycles_with_maps(model, labelled, changes):
    step = with_labels(model, labelled, **changes)
    assert step.pair.generator.output_shape[-1] == step.pair.discriminator.input_shape[-1] == 8
    before = [w.copy() for w in step.pair.generator.get_weights()]
    for _ in range(3):
        metrics, _ = step()
        assert np.isfinite(metrics).all()
    after = step.pair.generator.get_weights()
    assert any(abs(a - b).max() > 0 for a, b in zip(before, after, strict=True))


def test_a_map_that_is_never_known_teaches_its_weights_nothing(model, labelled):
    cycles = labelled.copy()
    cycles[..., 7] = UNKNOWN
    step = with_labels(model, cycles)
    last = step.pair.generator.get_layer("to_phases")
    before = np.array(last.kernel)
    for _ in range(3):
        step()
    moved = abs(np.array(last.kernel) - before)
    axis = list(before.shape).index(8)
    by_channel = moved.max(axis=tuple(k for k in range(4) if k != axis))
    assert by_channel[7] == 0
    assert (by_channel[:7] > 0).all()


TOLD = pd.DataFrame({"group": ["dark", "light"] * 8})
KNOWN = Conditions.among(TOLD)


def told_step(model, cycles, level=STEPS, **changes):
    """A step of the tiny DCGAN, without dropout, that is told which cycles are dark."""
    training = training_with(**({"precision": "float32"} | changes))
    network = model.network.model_copy(update={"dropout": 0.0})
    block = model.model_copy(update={"training": training, "network": network})
    record = block.model_dump(exclude={"budgets"}) | {"seed": 1, "threads": 2}
    record |= {"phases": cycles.shape[-1], "condition_inputs": KNOWN.names}
    return loop.prepare(level, block, record, lambda size: cycles, KNOWN.vectors(TOLD))


@pytest.mark.parametrize("loss", ["bce", "wasserstein"])
def test_the_discriminator_is_told_by_even_maps_that_nothing_changes(model, loss):
    """Of real cycles, of the fake ones at their places, and of those between."""
    cycles = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 6), dtype=np.uint8)
    step = told_step(
        model, cycles, loss=loss, augment=["brightness", "translation", "cutout"], warp=0.05,
        input_noise=0.5, gradient_penalty=1.0, r1=1.0,
    )  # fmt: skip
    step._traced.draws = Draws(3, tf.constant(0, tf.int64), 4)
    discriminator, seen = step.pair.discriminator, []

    def listening(cycles, training):
        seen.append(np.asarray(cycles))
        return discriminator(cycles, training=training)

    step.pair = step.pair._replace(discriminator=listening)
    wanted = tf.constant([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    real, latents = tf.random.normal((4, 16, 16, 6)), tf.random.normal((4, 10))
    step._gradients(real, latents, tf.constant(0.5), True, None, wanted)
    assert len(seen) == 3
    for each in seen:
        assert each.shape == (4, 16, 16, 8)
        maps = np.broadcast_to(np.asarray(wanted)[:, None, None], (4, 16, 16, 2))
        np.testing.assert_array_equal(each[..., 6:], maps)
    assert abs(seen[0][..., :6] - seen[1][..., :6]).max() > 0.1


def test_what_is_asked_for_is_no_part_of_a_penaltys_gradient(make):
    """As above: a score of 3 times the sum of all pixels, maps included."""
    step = make(gradient_penalty=10.0)
    step.pair = step.pair._replace(
        discriminator=lambda x, training: 3.0 * tf.reduce_sum(x, axis=(1, 2, 3))[:, None]
    )
    step._traced.draws = type("Draws", (), {"uniform": lambda *_: tf.fill((4, 1), 0.25)})()
    real, fake, wanted = tf.ones((4, 2, 2, 1)), tf.zeros((4, 2, 2, 1)), tf.ones((4, 5))
    penalty = step._penalty(real, fake, None, wanted)
    assert float(penalty) == pytest.approx(10 * (3 * 2 - 1) ** 2)
    _, scores, slope = step._judged(real, tf.identity, True, wanted)
    np.testing.assert_array_equal(scores, 3.0 * 4 * (1 + 5))
    np.testing.assert_array_equal(slope, tf.fill((4, 2, 2, 1), 3.0))


def test_fake_cycles_are_asked_to_be_what_the_real_ones_at_their_places_are(model):
    cycles = np.zeros((16, 16, 16, 2), np.uint8)
    cycles[1::2] = 255
    step = told_step(model, cycles)
    step()
    (real, told), asked = next(step._batches), []
    np.testing.assert_array_equal(np.asarray(real)[:, 0, 0, 0] > 0, np.asarray(told)[:, 1] == 1)
    generator = step.pair.generator

    def asking(latents, training):
        asked.append(latents)
        return generator(latents, training=training)

    asking.input_shape = generator.input_shape
    step.pair = step.pair._replace(generator=asking)
    controls = tf.constant([1.0, 0.0, 0.0, 0.0])
    step._update((real, told), tf.constant(0, tf.int64), controls, tf.constant(False), regularise=0)
    np.testing.assert_array_equal(asked[0][:, 8:], told)
    np.testing.assert_array_equal(
        asked[0][:, :8], Draws(1, tf.constant(0, tf.int64), 4).normal(1, 8)
    )


def test_a_small_pair_learns_to_make_what_it_is_asked_for(model):
    draw = np.random.default_rng(0)
    grey = np.tile([60, 200], 8)[:, None, None, None]
    cycles = (grey + draw.integers(-20, 21, (16, 16, 16, 2))).astype(np.uint8)
    level = Level(size=16, fading=False, batch=16, first=0, steps=10**6, images=0)
    recipe = {"batch": 16, "beta_1": 0.5, "beta_2": 0.99, "learning_rate": 2e-3, "r1": 1.0}
    step = told_step(model, cycles, level, **recipe)
    for _ in range(100):
        step(measure=False)
    settle_statistics(step.pair.average, 0, KNOWN)
    for group, expected in (("dark", 60), ("light", 200)):
        made = draw_cycles(step.pair.average, 16, 0, KNOWN.only([group], []), progress=False)
        assert (abs(made.mean(axis=(1, 2, 3)) - expected) < 50).all()
