"""One training step of an adversarial pair, compiled; every random draw comes from (seed, step)."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from cinegan.data import intensity
from cinegan.params import Training
from cinegan.training.losses import discriminator_loss, generator_loss, generator_share
from cinegan.training.schedule import ema_decay

METRICS = ("loss_discriminator", "loss_generator", "belief_real", "belief_fake")
# Streams of random draws; the networks' layers draw from those after these, in order of calls.
ORDER, LATENT, LAYERS = 0, 1, 2
EPSILON = 1e-7  # of Adam, Keras' default


class TrainingStep:
    """Both networks, their optimizers and the generator's moving average; a call is one step.

    Parameters
    ----------
    generator, discriminator, average : keras.Model
        `average` has the generator's architecture; its weights receive the moving average. Its
        batch statistics are not those of these weights until `settle_statistics` is called.
    cycles : (n, H, W, T) uint8
        Real cycles as grey levels, all in memory.
    independent_logits : bool
        Whether the discriminator judges each cycle by itself, without statistics of the batch.
    """

    def __init__(
        self,
        generator: Any,
        discriminator: Any,
        average: Any,
        cycles: np.ndarray,
        training: Training,
        seed: int,
        *,
        independent_logits: bool,
    ) -> None:
        self.independent_logits = independent_logits
        self.generator, self.discriminator, self.average = generator, discriminator, average
        self.training, self.seed = training, seed
        self._cycles = tf.constant(cycles)
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        average.set_weights(generator.get_weights())
        self._adam = {
            network.name: Adam([v.value for v in network.trainable_variables], training)
            for network in (generator, discriminator)
        }
        self._draws = 0
        for network in (generator, discriminator):
            for layer in network.layers:
                if hasattr(layer, "draw"):
                    layer.draw = self._mask

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self._step)

    def state(self) -> dict[str, np.ndarray]:
        """Return everything that the next step depends on."""
        return {name: variable.numpy() for name, variable in self._variables().items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state."""
        for name, variable in self._variables().items():
            variable.assign(state[name])

    def __call__(self) -> np.ndarray:
        """Train one step; return the values that METRICS names, (4,) float32."""
        return self._run().numpy()

    def _variables(self) -> dict[str, tf.Variable]:
        networks = (self.generator, self.discriminator, self.average)
        named = {
            f"{prefix}/{v.path}": v.value
            for prefix, network in zip(("g", "d", "average"), networks, strict=True)
            for v in network.variables
            if "seed_generator" not in v.path
        }
        for network, adam in self._adam.items():
            for i, moments in enumerate(adam.moments):
                named |= {f"adam/{network}/{i}/{k}": moment for k, moment in enumerate(moments)}
        return {**named, "step": self._step}

    @tf.function
    def _run(self) -> tf.Tensor:
        self._draws = 0  # counts while the step is traced, so each draw has a stream of its own
        real = self._real_cycles()
        latents = tf.random.stateless_normal(
            (self.training.batch, self.generator.input_shape[-1]),
            tf.cast(self._seed_of(LATENT), tf.int64),
            alg="philox",
        )
        generator_gradients, discriminator_gradients, metrics = self._gradients(real, latents)
        self._adam[self.generator.name].apply(generator_gradients, self._step)
        self._adam[self.discriminator.name].apply(discriminator_gradients, self._step)
        self._update_average()
        self._step.assign_add(1)
        return metrics

    def _seed_of(self, stream: int) -> tf.Tensor:
        """Seed of a stream of draws at this step, (2,) uint32."""
        return tf.stack(
            [
                tf.constant((self.seed * 65_537 + stream) % 2**32, tf.uint32),
                tf.cast(self._step, tf.uint32),
            ]
        )

    def _mask(self, shape: tuple[int, ...], rate: float) -> tf.Tensor:
        """Draw a mask, True with probability `rate`, from 16 random bits an element."""
        count = int(np.prod(shape))
        words = tf.random.stateless_uniform(
            (-(-count // 2),),
            tf.cast(self._seed_of(LAYERS + self._draws), tf.int64),
            minval=None,
            maxval=None,
            dtype=tf.uint32,
            alg="philox",
        )
        self._draws += 1
        bits = tf.reshape(tf.bitcast(words, tf.int16), (-1,))[:count]
        return tf.reshape(bits, shape) < tf.constant(round(rate * 2**16) - 2**15, tf.int16)

    def _real_cycles(self) -> tf.Tensor:
        """The real cycles of this step, (batch, H, W, T) in [-1, 1]: each once an epoch."""
        count = self._cycles.shape[0]
        shown = self._step * self.training.batch + tf.range(self.training.batch, dtype=tf.int64)
        epoch = tf.cast(shown // count, tf.uint32)
        stream = tf.fill(epoch.shape, self._seed_of(ORDER)[0])
        order = tf.raw_ops.RandomIndexShuffle(
            index=shown % count,
            seed=tf.stack([stream, epoch, tf.zeros_like(epoch)], axis=-1),
            max_index=count - 1,
        )
        return intensity.to_network(tf.cast(tf.gather(self._cycles, order), tf.float32))

    def _gradients(
        self, real: tf.Tensor, latents: tf.Tensor
    ) -> tuple[list[tf.Tensor], list[tf.Tensor], tf.Tensor]:
        """Gradients of both networks, from one pass back through the discriminator if it can be."""
        generator_weights = [v.value for v in self.generator.trainable_variables]
        weights = [v.value for v in self.discriminator.trainable_variables]
        with tf.GradientTape() as generator_tape:
            fake = self.generator(latents, training=True)
        with tf.GradientTape(persistent=not self.independent_logits) as tape:
            tape.watch(fake)
            real_logits = self.discriminator(real, training=True)
            fake_logits = self.discriminator(fake, training=True)
            loss = tf.reduce_mean(discriminator_loss(real_logits, fake_logits))
            loss_of_generator = tf.reduce_mean(generator_loss(fake_logits))
        if self.independent_logits:
            *discriminator_gradients, fake_gradient = tape.gradient(loss, [*weights, fake])
            fake_gradient *= generator_share(fake_logits)[:, :, None, None]  # (batch, 1, 1, 1)
        else:
            discriminator_gradients = tape.gradient(loss, weights)
            fake_gradient = tape.gradient(loss_of_generator, fake)
        generator_gradients = generator_tape.gradient(
            fake, generator_weights, output_gradients=fake_gradient
        )
        metrics = [
            loss,
            loss_of_generator,
            tf.reduce_mean(tf.sigmoid(real_logits)),
            tf.reduce_mean(tf.sigmoid(fake_logits)),
        ]
        return generator_gradients, discriminator_gradients, tf.stack(metrics)

    def _update_average(self) -> None:
        """Move the average's weights towards the generator's."""
        decay = ema_decay(self.training.ema_decay, tf.cast(self._step, tf.float32))
        for average, current in zip(
            self.average.trainable_variables, self.generator.trainable_variables, strict=True
        ):
            average.value.assign_sub((1.0 - decay) * (average.value - current.value))


class Adam:
    """Adam in TensorFlow's fused kernel, which needs no optimizer object to be restored.

    Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization".
    """

    def __init__(self, weights: list[tf.Variable], training: Training) -> None:
        self.weights, self.training = weights, training
        self.moments = [
            (tf.Variable(tf.zeros_like(w)), tf.Variable(tf.zeros_like(w))) for w in weights
        ]

    def apply(self, gradients: list[tf.Tensor], step: tf.Tensor) -> None:
        """Update the weights at a step that counts from 0."""
        beta_1, beta_2 = self.training.beta_1, self.training.beta_2
        done = tf.cast(step + 1, tf.float32)
        for weight, (first, second), gradient in zip(
            self.weights, self.moments, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyAdam(
                var=weight.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=tf.pow(beta_1, done),
                beta2_power=tf.pow(beta_2, done),
                lr=self.training.learning_rate,
                beta1=beta_1,
                beta2=beta_2,
                epsilon=EPSILON,
                grad=gradient,
            )
