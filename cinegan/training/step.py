"""One training step of an adversarial pair, compiled; every random draw comes from (seed, step)."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from cinegan.data import intensity
from cinegan.data.labels import UNKNOWN
from cinegan.errors import CineganError
from cinegan.params import Training
from cinegan.training import augment
from cinegan.training.devices import mean_over_devices, part_of_this_device
from cinegan.training.draws import (
    AUGMENT_FAKE,
    AUGMENT_REAL,
    FLIP_FAKE,
    FLIP_REAL,
    LATENT,
    MIRROR,
    MIX,
    NOISE_FAKE,
    NOISE_REAL,
    ORDER,
    WARP,
    Draws,
)
from cinegan.training.inputs import batches
from cinegan.training.losses import loss_of, slope_from_one, squared_norm
from cinegan.training.optimizer import Adam, move_average, set_value
from cinegan.training.schedule import Level, ema_decay, noise_deviation, warp_deviation
from cinegan.training.warp import DRAWS as WARP_DRAWS
from cinegan.training.warp import warp

# What a step returns: first what is averaged over the steps between two points of the curves, then
# what is measured at a point only.
AVERAGED = ("loss_discriminator", "loss_generator", "penalty", "score_real", "score_fake")
MEASURED = (
    "gradient_discriminator",  # norms
    "gradient_generator",
    "diversity",  # deviation over a device's part, fake over real: towards 0 in a collapse
    "saturation",  # share of fake pixels at the very ends of the range, less that of real ones
    "augment_strength",
)
METRICS = AVERAGED + MEASURED
SATURATED = 0.99
OVERFITTING_IMAGES = 1000.0  # over about so many real cycles goes the mean that steers augmentation


class Pair(NamedTuple):
    """Both networks, and the generator whose weights are the moving average."""

    generator: Any
    discriminator: Any
    average: Any


class TrainingStep:
    """A pair, its optimizers and the state of its training at one level; a call is one step.

    Under a `tf.distribute` strategy, which then is in scope, each device works on its part of the
    batch. All draws are made for the whole batch, so they do not depend on the devices.

    Parameters
    ----------
    pair : Pair
        The average receives the generator's weights now and moves after them at each step. Its
        batch statistics are not those of its weights until `settle_statistics` is called.
    cycles : tuple of (n, H, W, T) uint8
        Real cycles as grey levels at the level's size; while it fades, also at half of it.
    independent_logits : bool
        Whether the discriminator judges each cycle by itself, without statistics of the batch.
    fresh : bool
        Whether the training began with fresh weights, which the average should soon forget.
    labels : int
        Last channels of the cycles that are label maps; one that is `labels.UNKNOWN` all over is
        not known of that cycle.
    conditions : (n, K) float32, optional
        What both networks are told of each cycle.
    """

    def __init__(
        self,
        pair: Pair,
        cycles: tuple[np.ndarray, ...],
        training: Training,
        level: Level,
        seed: int,
        *,
        independent_logits: bool,
        fresh: bool = True,
        labels: int = 0,
        conditions: np.ndarray | None = None,
    ) -> None:
        self.pair, self.training, self.level, self.seed = pair, training, level, seed
        self.done = level.first  # steps
        self._strategy = tf.distribute.get_strategy()
        none = np.zeros((len(cycles[0]), 0), np.float32)
        self._of_cycles = (*cycles, none if conditions is None else conditions)
        self._batches: Iterator[tuple[tf.Tensor, ...]] | None = None
        self._fresh, self._phases = fresh, cycles[0].shape[-1] - labels
        self._loss = loss_of(training)
        self._one_pass_back = independent_logits or self._loss.shared_by_coupled_logits
        self._weights = [v.value for v in pair.generator.trainable_variables]
        self._averages = [v.value for v in pair.average.trainable_variables]
        self._discriminator_weights = [v.value for v in pair.discriminator.trainable_variables]
        self._adam = {
            "generator": Adam(self._weights, training),
            "discriminator": Adam(self._discriminator_weights, training),
        }
        strength = training.augment_strength if training.augment else 0.0  # as the curves tell it
        self._strength = tf.Variable(strength, trainable=False)
        # Begins at the target, so that the first batches decide which way the strength goes.
        self._overfitting = tf.Variable(training.augment_target or 0.0, trainable=False)
        pair.average.set_weights(pair.generator.get_weights())
        # Draws of the step that is being traced; each device is traced in a thread of its own.
        self._traced = threading.local()
        for network in (pair.generator, pair.discriminator):
            for layer in network.layers:
                if hasattr(layer, "draw"):
                    layer.draw = lambda shape, rate: self._traced.draws.mask(shape, rate)

    def state(self) -> dict[str, np.ndarray]:
        """Return everything that the next step depends on."""
        values = {name: variable.numpy() for name, variable in self._variables().items()}
        return {**values, "step": np.int64(self.done)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state."""
        for name, variable in self._variables().items():
            variable.assign(state[name])
        self.done, self._batches = int(state["step"]), None

    def take_over(self, previous: TrainingStep) -> None:
        """Go on from the level before: every weight that both have, and the augmentation."""
        for network, source in zip(self.pair, previous.pair, strict=True):
            carry_weights(source, network)
        self._strength.assign(previous._strength.numpy())
        self._overfitting.assign(previous._overfitting.numpy())

    def start_from(self, generator: Any, discriminator: Any) -> None:
        """Begin with the weights of trained networks, which are named as these are."""
        for network, source in zip(self.pair, (generator, discriminator, generator), strict=True):
            named = [{v.path for v in each.variables} for each in (network, source)]
            if lacking := {path for path in named[0] - named[1] if "seed_generator" not in path}:
                raise CineganError(
                    f"start_from: the trained {source.name} has no {min(lacking)}; give each layer "
                    "a name in its architecture's file"
                )
            carry_weights(source, network)

    def __call__(self, measure: bool = True, stop: bool = False) -> tuple[np.ndarray, bool]:
        """Train one step.

        Parameters
        ----------
        measure : bool
            Whether what MEASURED names is worth its time now; else it is 0.
        stop : bool
            Whether this process has been asked to stop.

        Returns
        -------
        metrics : (len(METRICS),) float32
        stop : bool
            Whether any process has been asked to.
        """
        training, level = self.training, self.level
        shown = level.shown(self.done)
        if self._batches is None:
            self._batches = batches(self._of_cycles, level.batch, shown, (self.seed, ORDER))
        share = level.share(self.done)
        if level.fading:
            for network in self.pair:
                network.get_layer("fade").share.assign(share)
        noise = noise_deviation(training.input_noise, training.input_noise_kimg, shown)
        bend = warp_deviation(training.warp, training.warp_kimg, shown)
        *metrics, asked = self._run(
            next(self._batches),
            tf.constant(self.done, tf.int64),
            tf.constant([share, noise, bend, stop], tf.float32),
            tf.constant(measure),
            regularise=bool(training.r1) and self.done % training.r1_every == 0,
        ).numpy()
        self.done += 1
        return np.array(metrics), bool(asked)

    def _variables(self) -> dict[str, tf.Variable]:
        named = {
            f"{prefix}/{v.path}": v.value
            for prefix, network in zip(Pair._fields, self.pair, strict=True)
            for v in network.variables
            if "seed_generator" not in v.path
        }
        for network, adam in self._adam.items():
            for i, moments in enumerate(adam.moments):
                named |= {f"adam/{network}/{i}/{k}": moment for k, moment in enumerate(moments)}
        return {**named, "strength": self._strength, "overfitting": self._overfitting}

    @tf.function(autograph=False)  # what it branches on, `tf.cond` says; translating takes seconds
    def _run(self, *given: Any, regularise: bool) -> tf.Tensor:
        on_each = self._strategy.run(lambda: self._update(*given, regularise=regularise))
        return self._strategy.experimental_local_results(on_each)[0]

    def _update(
        self,
        of_reals: tuple[tf.Tensor, ...],
        done: tf.Tensor,
        controls: tf.Tensor,
        measure: tf.Tensor,
        *,
        regularise: bool,
    ) -> tf.Tensor:
        """Train one step on this device's part of the batch; all devices end up alike."""
        self._traced.draws = draws = Draws(self.seed, done, self.level.batch)
        share, noise, bend, stop = tf.unstack(controls)
        *reals, told_of_reals = of_reals
        real, wanted = self._real_cycles(reals, share, bend), part_of_this_device(told_of_reals)
        size = self.pair.generator.input_shape[-1] - wanted.shape[-1]
        latents = tf.concat([draws.normal(LATENT, size), wanted], axis=1)
        fake, of_generator, of_discriminator, averaged, real_scores = self._gradients(
            real, latents, noise, regularise, self._known(reals[0]), wanted
        )
        of_generator, of_discriminator = mean_over_devices((of_generator, of_discriminator))
        since = done - self.level.first  # optimizers begin anew at each level
        self._adam["generator"].apply(of_generator, since)
        self._adam["discriminator"].apply(of_discriminator, since)
        decay = ema_decay(self.training.ema_decay, tf.cast(done, tf.float32), self._fresh)
        move_average(self._averages, self._weights, decay)
        measured = tf.cond(
            measure,
            lambda: self._measure(real, fake, of_discriminator, of_generator),
            lambda: tf.zeros(len(MEASURED)),
        )
        sign = tf.reduce_mean(tf.sign(real_scores))
        told = mean_over_devices(tf.concat([averaged, measured, [stop, sign]], axis=0))
        if self.training.augment_target is not None:
            self._adapt(told[-1], self.training.augment_target)
        return told[:-1]

    def _gradients(
        self,
        real: tf.Tensor,
        latents: tf.Tensor,
        noise: tf.Tensor,
        regularise: bool,
        known: tf.Tensor | None = None,
        wanted: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, list[tf.Tensor], list[tf.Tensor], tf.Tensor, tf.Tensor]:
        """Fake cycles, both networks' gradients, what AVERAGED names, and the real scores.

        One pass back through the discriminator serves both networks if the loss allows it; where a
        fake cycle's logit is too low for that, the generator gets a pass of its own. `wanted`,
        (n, K), is what the real cycle at each place is, and what the fake one there is asked to be.
        """
        labels = self._labels(tf.shape(real)[0])
        with tf.GradientTape() as generator_tape:
            fake = self.pair.generator(latents, training=True)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(fake)
            see_real = partial(self._seen, noise, known, AUGMENT_REAL, NOISE_REAL)
            see_fake = partial(self._seen, noise, known, AUGMENT_FAKE, NOISE_FAKE)
            seen_real, real_scores, slope = self._judged(real, see_real, regularise, wanted)
            seen_fake, fake_scores, _ = self._judged(fake, see_fake, False, wanted)
            loss = tf.reduce_mean(self._loss.discriminator(real_scores, fake_scores, *labels))
            penalty = self._penalty(seen_real, seen_fake, slope, wanted)
            loss_of_generator = tf.reduce_mean(self._loss.generator(fake_scores))
            whole = loss + penalty
        own_pass = partial(tape.gradient, loss_of_generator, fake)
        if self._one_pass_back:
            *of_discriminator, of_fake = tape.gradient(whole, [*self._discriminator_weights, fake])
            ratio = self._loss.gradient_ratio(fake_scores, labels[1])
            of_fake *= ratio[:, :, None, None]  # (n, 1, 1, 1)
            if self._loss.lowest_shared is not None:
                shared, too_low = of_fake, tf.reduce_min(fake_scores) < self._loss.lowest_shared
                of_fake = tf.cond(too_low, own_pass, lambda: shared)
        else:
            of_discriminator = tape.gradient(whole, self._discriminator_weights)
            of_fake = own_pass()
        of_generator = generator_tape.gradient(fake, self._weights, output_gradients=of_fake)
        averaged = tf.stack(
            [
                loss,
                loss_of_generator,
                penalty,
                tf.reduce_mean(real_scores),
                tf.reduce_mean(fake_scores),
            ]
        )
        return fake, of_generator, of_discriminator, averaged, real_scores

    def _judged(
        self,
        cycles: tf.Tensor,
        see: Callable[[tf.Tensor], tf.Tensor],
        with_slope: bool,
        wanted: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
        """What is seen of cycles, its scores and, where asked, their gradient by the cycles."""
        if not with_slope:
            seen = see(cycles)
            return seen, self._scores(seen, wanted), None
        with tf.GradientTape() as tape:
            tape.watch(cycles)
            seen = see(cycles)
            scores = self._scores(seen, wanted)
            total = tf.reduce_sum(scores)
        return seen, scores, tape.gradient(total, cycles)

    def _scores(self, seen: tf.Tensor, wanted: tf.Tensor | None) -> tf.Tensor:
        """Scores of cycles as they are seen, (n, 1).

        What they are asked to be stands behind them as even maps, a channel for each number. It
        comes here, after all else, so that nothing augments it and no penalty is a slope along it.
        """
        if wanted is not None and wanted.shape[-1]:
            maps = tf.tile(wanted[:, None, None], (1, *seen.shape[1:3], 1))  # (n, H, W, K)
            seen = tf.concat([seen, maps], axis=-1)
        return self.pair.discriminator(seen, training=True)

    def _penalty(
        self,
        seen_real: tf.Tensor,
        seen_fake: tf.Tensor,
        slope: tf.Tensor | None,
        wanted: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """What keeps the discriminator smooth, a scalar; `slope` is that at real cycles, for R1."""
        penalty = tf.constant(0.0)
        if slope is not None:  # every r1_every steps, so that many times as strong
            weight = self.training.r1_every * self.training.r1 / 2
            penalty += weight * tf.reduce_mean(squared_norm(slope))
        if self.training.gradient_penalty:
            place = self._traced.draws.uniform(MIX, 1)[:, :, None, None]  # (n, 1, 1, 1)
            between = tf.stop_gradient(seen_real + (seen_fake - seen_real) * place)
            _, _, slope_between = self._judged(between, tf.identity, True, wanted)
            penalties = slope_from_one(slope_between)
            penalty += self.training.gradient_penalty * tf.reduce_mean(penalties)
        return penalty

    def _known(self, real: tf.Tensor) -> tf.Tensor | None:
        """Which label maps of this device's real cycles somebody drew, (n, 1, 1, labels) bool."""
        maps = part_of_this_device(real)[..., self._phases :]
        if not maps.shape[-1]:
            return None
        drawn = tf.abs(maps - intensity.to_network(float(UNKNOWN))) > 1e-3
        return tf.reduce_any(drawn, axis=(1, 2), keepdims=True)

    def _seen(
        self,
        noise: tf.Tensor,
        known: tf.Tensor | None,
        stream: int,
        of_noise: int,
        cycles: tf.Tensor,
    ) -> tf.Tensor:
        """What the discriminator sees of cycles: augmented, with noise.

        Maps that nobody drew look alike in real cycles and in fake ones: of each fake cycle those
        are hidden that are not known of the real one at its place.
        """
        if self.training.augment:
            draws = self._traced.draws.uniform(stream, augment.DRAWS)
            kinds = tuple(self.training.augment)
            labels = cycles.shape[-1] - self._phases
            cycles = augment.augment(cycles, draws, self._strength, kinds, labels)
        if self.training.input_noise:
            cycles += noise * self._traced.draws.normal(of_noise, *cycles.shape[1:])
        if known is not None:
            maps = tf.where(
                known, cycles[..., self._phases :], intensity.to_network(float(UNKNOWN))
            )
            cycles = tf.concat([cycles[..., : self._phases], maps], axis=-1)
        return cycles

    def _labels(self, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """What the discriminator is told of real and of fake cycles, (n, 1) each; 1 means real."""
        real, fake = tf.fill((count, 1), 1.0 - self.training.label_smoothing), tf.zeros((count, 1))
        if self.training.label_flips:
            rate = self.training.label_flips
            real = tf.where(self._traced.draws.uniform(FLIP_REAL, 1) < rate, 0.0, real)
            fake = tf.where(self._traced.draws.uniform(FLIP_FAKE, 1) < rate, 1.0, fake)
        return real, fake

    def _real_cycles(
        self, reals: Sequence[tf.Tensor], share: tf.Tensor, bend: tf.Tensor
    ) -> tf.Tensor:
        """The real cycles of this device; while a block fades in, as blurred as the fake ones."""
        real, *half = (self._changed(part_of_this_device(each), bend) for each in reals)
        if half:  # doubled after all changes, so that its pixels are where the fake ones' are
            coarse = tf.repeat(tf.repeat(half[0], 2, axis=1), 2, axis=2)  # (n, H, W, T)
            real = coarse + (real - coarse) * share
        return real

    def _changed(self, real: tf.Tensor, bend: tf.Tensor) -> tf.Tensor:
        """Real cycles mirrored and bent, at any size alike."""
        if self.training.mirror:
            flipped = self._traced.draws.uniform(MIRROR, 1)[:, :, None, None] < 0.5  # (n, 1, 1, 1)
            real = tf.where(flipped, real[:, :, ::-1], real)
        if self.training.warp:
            bends = self._traced.draws.normal(WARP, *WARP_DRAWS)
            real = warp(real, bends, bend)
        return real

    def _measure(
        self,
        real: tf.Tensor,
        fake: tf.Tensor,
        of_discriminator: list[tf.Tensor],
        of_generator: list[tf.Tensor],
    ) -> tf.Tensor:
        """What MEASURED names, (5,), of the phases alone."""
        real, fake = real[..., : self._phases], fake[..., : self._phases]

        def deviation(cycles: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(tf.math.reduce_std(cycles, axis=0))

        def saturated(cycles: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(tf.cast(tf.abs(cycles) > SATURATED, tf.float32))

        return tf.stack(
            [
                tf.linalg.global_norm(of_discriminator),
                tf.linalg.global_norm(of_generator),
                deviation(fake) / (deviation(real) + 1e-6),
                saturated(fake) - saturated(real),
                self._strength,
            ]
        )

    def _adapt(self, sign: tf.Tensor, target: float) -> None:
        """Augment more where the discriminator is too sure of the real cycles, else less."""
        memory = math.exp(-self.level.batch / OVERFITTING_IMAGES)
        moved = memory * self._overfitting + (1.0 - memory) * sign
        set_value(self._overfitting, moved)
        strength = augment.adapted_strength(
            self._strength, moved, target, self.level.batch, self.training.augment_kimg
        )
        set_value(self._strength, strength)


def carry_weights(source: Any, target: Any) -> None:
    """Give a network every weight that another has under the same name."""
    values = {v.path: v.numpy() for v in source.variables}
    for v in target.variables:
        if v.path in values:
            v.assign(values[v.path])
