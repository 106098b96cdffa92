"""The progressive GAN in PyTorch, stable at one resolution, as a careful user would train it.

Karras et al. 2018, "Progressive Growing of GANs for Improved Quality, Stability, and Variation",
with WGAN-GP (Gulrajani et al. 2017), phases as channels. The update is simultaneous: the generator
runs forward once a step, the discriminator once on real and once on fake, and the gradient with
respect to the fake cycles serves both networks. Stock operations.
"""

from __future__ import annotations

import argparse
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks import peer

LATENT, BATCH, GROUP = 512, 16, 4
DATA = 64  # cycles at hand
LEAK, EPSILON = 0.2, 1e-8
PENALTY, DRIFT = 10.0, 1e-3
RATE, BETAS, DECAY = 1e-3, (0.0, 0.99), 0.999
FUSED = "fused_upsampling"  # upsampling and the convolution after it as one transposed convolution


def filters(resolution: int) -> int:
    """Filters of the layers at a resolution."""
    return min(2048 * 2 // resolution, 512)


class Scaled(nn.Module):
    """A layer of equalized learning rate: weights of unit variance, scaled when they are used."""

    def __init__(self, shape: tuple[int, ...], gain: float = math.sqrt(2)) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape))
        self.bias = nn.Parameter(torch.zeros(shape[0]))
        self.scale = gain / math.sqrt(math.prod(shape[1:]))


class Dense(Scaled):
    """(n, in) to (n, out)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        return functional.linear(x, self.weight * self.scale, self.bias)


class Convolution(Scaled):
    """(n, in, h, w) to (n, out, h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        padding = self.weight.shape[-1] // 2
        return functional.conv2d(x, self.weight * self.scale, self.bias, padding=padding)


class UpsamplingConvolution(Scaled):
    """(n, in, h, w) to (n, out, 2h, 2w): each pixel becomes four, then a 3x3 convolution."""

    def __init__(self, cin: int, cout: int, fused: bool) -> None:
        super().__init__((cout, cin, 3, 3))
        self.fused = fused

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer."""
        weight = self.weight * self.scale
        if not self.fused:
            return functional.conv2d(
                functional.interpolate(x, scale_factor=2), weight, self.bias, padding=1
            )
        # A pixel's four copies meet neighbouring taps, whose sums are the taps of one 4x4 kernel.
        padded = functional.pad(weight.flip(2, 3).transpose(0, 1), (1, 1, 1, 1))
        summed = (
            padded[..., 1:, 1:]
            + padded[..., 1:, :-1]
            + padded[..., :-1, 1:]
            + padded[..., :-1, :-1]
        )
        return functional.conv_transpose2d(x, summed, self.bias, stride=2, padding=1)


def activated(x: Tensor) -> Tensor:
    """LeakyReLU."""
    return functional.leaky_relu(x, LEAK, inplace=True)


def normalised(x: Tensor) -> Tensor:
    """Each pixel's features scaled to unit mean square."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + EPSILON)


class Generator(nn.Module):
    """Latents (n, latent) to cycles (n, phases, resolution, resolution)."""

    def __init__(self, resolution: int, fused: bool = False) -> None:
        super().__init__()
        self.dense = Dense((filters(4) * 16, LATENT), math.sqrt(2) / 4)
        layers: list[nn.Module] = [Convolution((filters(4), filters(4), 3, 3))]
        size = 4
        while size < resolution:
            size *= 2
            layers.append(UpsamplingConvolution(filters(size // 2), filters(size), fused))
            layers.append(Convolution((filters(size), filters(size), 3, 3)))
        self.layers = nn.ModuleList(layers)
        self.to_phases = Convolution((peer.PHASES, filters(size), 1, 1), 1.0)

    def forward(self, latents: Tensor) -> Tensor:
        """Make cycles."""
        x = self.dense(normalised(latents)).view(-1, filters(4), 4, 4)
        x = normalised(activated(x))
        for layer in self.layers:
            x = normalised(activated(layer(x)))
        return self.to_phases(x)


class Discriminator(nn.Module):
    """Cycles (n, phases, resolution, resolution) to logits (n, 1)."""

    def __init__(self, resolution: int) -> None:
        super().__init__()
        self.from_phases = Convolution((filters(resolution), peer.PHASES, 1, 1))
        blocks: list[nn.Module] = []
        size = resolution
        while size > 4:
            here, below = filters(size), filters(size // 2)
            blocks.append(
                nn.ModuleList([Convolution((here, here, 3, 3)), Convolution((below, here, 3, 3))])
            )
            size //= 2
        self.blocks = nn.ModuleList(blocks)
        self.last = Convolution((filters(4), filters(4) + 1, 3, 3))
        self.dense = Dense((filters(4), filters(4) * 16))
        self.logit = Dense((1, filters(4)), 1.0)

    def forward(self, cycles: Tensor) -> Tensor:
        """Judge cycles."""
        x = activated(self.from_phases(cycles))
        for first, second in self.blocks:
            x = functional.avg_pool2d(activated(second(activated(first(x)))), 2)
        x = torch.cat([x, deviation(x)], 1)
        x = activated(self.last(x)).flatten(1)
        return self.logit(activated(self.dense(x)))


def deviation(x: Tensor) -> Tensor:
    """Mean standard deviation within groups of the batch, (n, c, h, w) to (n, 1, h, w)."""
    grouped = x.float().unflatten(0, (-1, GROUP))
    variance = grouped.var(1, correction=0)  # (n / group, c, h, w)
    means = torch.sqrt(variance + EPSILON).mean((1, 2, 3))
    return means.repeat_interleave(GROUP).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:]).to(x.dtype)


def make_step(setting: peer.Setting, resolution: int) -> peer.Step:
    """Build both networks and return a function that trains them one step."""
    torch.manual_seed(0)
    layout = peer.layout(setting)
    generator = Generator(resolution, FUSED in setting).to(memory_format=layout)
    discriminator = Discriminator(resolution).to(memory_format=layout)
    data = peer.cycles(DATA, resolution, setting)
    update = peer.Update(generator, discriminator, DECAY, lr=RATE, betas=BETAS, eps=EPSILON)
    make = peer.maybe_compiled(generator, setting)
    judge = peer.maybe_compiled(discriminator, setting)

    def penalty(real: Tensor, fake: Tensor) -> Tensor:
        mixed = torch.lerp(real, fake.float(), torch.rand(BATCH, 1, 1, 1)).requires_grad_()
        with peer.arithmetic(setting):
            logits = discriminator(mixed)  # torch.compile cannot differentiate a gradient
        (slope,) = torch.autograd.grad(logits.sum(), mixed, create_graph=True)
        norm = torch.sqrt(slope.square().sum((1, 2, 3)) + EPSILON)
        return (norm - 1).square().mean()

    def step() -> float:
        real = data[torch.randint(len(data), (BATCH,))]
        with peer.arithmetic(setting):
            fake = make(torch.randn(BATCH, LATENT))
            leaf = fake.detach().requires_grad_()
            on_real, on_fake = peer.logits_of(judge, real, leaf, setting)
        loss = on_fake.mean() - on_real.mean() + DRIFT * on_real.square().mean()
        loss = loss + PENALTY * penalty(real, fake.detach())
        *of_discriminator, of_fake = torch.autograd.grad(loss, [*update.discriminator, leaf])
        # The generator's loss is the negative of the discriminator's term of the fake cycles.
        of_generator = torch.autograd.grad(fake, update.generator, -of_fake)
        update.apply([*of_generator], of_discriminator)
        return float(loss.detach())

    return step


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resolution", type=int, required=True)
    peer.run(
        parser,
        peer.settings(FUSED),
        lambda setting, given: make_step(setting, given.resolution),
        BATCH,
    )
