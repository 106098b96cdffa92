"""The original's DCGANs in PyTorch, as a careful user of it would train them on a CPU.

Same layers, losses, optimizer, batch and average as ours, and the same simultaneous update: the
generator runs forward once a step, the discriminator once on real and once on fake, and each
network's gradient comes from its own loss. Stock operations, in any of the settings that PyTorch
offers.
"""

from __future__ import annotations

import argparse
import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks import peer

LATENT, BATCH, SIDE = 100, 32, 8
DATA = 256  # cycles at hand
FILTERS = {64: (64, 128, 256, 512), 128: (64, 128, 256, 512, 1024)}  # by size; generator reversed
LEAK, DROPOUT = 0.3, 0.3
RATE, DECAY, EPSILON = 1e-4, 0.999, 1e-7


class Generator(nn.Module):
    """Latents (n, latent) to cycles (n, phases, size, size)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        filters = FILTERS[size][::-1]
        self.first = (filters[0], SIDE, SIDE)
        self.dense = nn.Linear(LATENT, filters[0] * SIDE * SIDE, bias=False)
        self.norm = nn.BatchNorm1d(filters[0] * SIDE * SIDE, eps=1e-3, momentum=0.01)
        blocks: list[nn.Module] = []
        for i, (cin, cout) in enumerate(itertools.pairwise(filters)):
            stride = 1 if i == 0 else 2
            blocks += [
                nn.ConvTranspose2d(cin, cout, 5, stride, 2, stride - 1, bias=False),
                nn.BatchNorm2d(cout, eps=1e-3, momentum=0.01),
                nn.LeakyReLU(LEAK, inplace=True),
            ]
        last = nn.ConvTranspose2d(filters[-1], peer.PHASES, 5, 2, 2, 1, bias=False)
        self.blocks = nn.Sequential(*blocks, last, nn.Tanh())

    def forward(self, latents: Tensor) -> Tensor:
        """Make cycles."""
        x = functional.leaky_relu(self.norm(self.dense(latents)), LEAK)
        return self.blocks(x.unflatten(1, self.first))


class Discriminator(nn.Module):
    """Cycles (n, phases, size, size) to logits (n, 1)."""

    def __init__(self, size: int) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for cin, cout in itertools.pairwise((peer.PHASES, *FILTERS[size])):
            convolution = nn.Conv2d(cin, cout, 5, 2, padding=2)
            blocks += [convolution, nn.LeakyReLU(LEAK, inplace=True), nn.Dropout(DROPOUT)]
        self.blocks = nn.Sequential(*blocks)
        side = size // 2 ** len(FILTERS[size])
        self.logit = nn.Linear(FILTERS[size][-1] * side * side, 1)

    def forward(self, cycles: Tensor) -> Tensor:
        """Judge cycles."""
        return self.logit(self.blocks(cycles).flatten(1))


def make_step(setting: peer.Setting, size: int) -> peer.Step:
    """Build both networks and return a function that trains them one step."""
    torch.manual_seed(0)
    layout = peer.layout(setting)
    generator = Generator(size).to(memory_format=layout)
    discriminator = Discriminator(size).to(memory_format=layout)
    data = peer.cycles(DATA, size, setting)
    update = peer.Update(generator, discriminator, DECAY, lr=RATE, eps=EPSILON)
    make = peer.maybe_compiled(generator, setting)
    judge = peer.maybe_compiled(discriminator, setting)

    def step() -> float:
        real = data[torch.randint(len(data), (BATCH,))]
        with peer.arithmetic(setting):
            fake = make(torch.randn(BATCH, LATENT))
            on_real, on_fake = peer.logits_of(judge, real, fake, setting)
        loss = (functional.softplus(-on_real) + functional.softplus(on_fake)).mean()
        own = functional.softplus(-on_fake).mean()
        of_generator = torch.autograd.grad(own, update.generator, retain_graph=True)
        of_discriminator = torch.autograd.grad(loss, update.discriminator)
        update.apply([*of_generator], [*of_discriminator])
        return float(loss.detach())

    return step


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, choices=FILTERS, required=True)
    peer.run(parser, peer.settings(), lambda setting, given: make_step(setting, given.size), BATCH)
