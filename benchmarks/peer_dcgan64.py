"""The same DCGAN-64 in PyTorch, as a careful user of it would train it on a CPU.

Same layers, losses, optimizer, batch and average as ours, and the same simultaneous update: the
generator runs forward once a step, the discriminator once on real and once on fake, and both
gradients come from that pass. Stock operations, in any of the settings that PyTorch offers. Runs
in an environment of its own and needs nothing of cinegan.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

LATENT, PHASES, SIZE, BATCH, WARMUP = 100, 20, 64, 32, 4

# name: (precision, channels_last, compiled, real and fake in one batch)
SETTINGS = {
    "+".join(
        [
            precision,
            *(["channels_last"] if channels_last else []),
            *(["compiled"] if compiled else []),
            *(["one_batch"] if one_batch else []),
        ]
    ): (precision, channels_last, compiled, one_batch)
    for precision in ("float32", "bfloat16_autocast")
    for channels_last in (False, True)
    for compiled in (False, True)
    for one_batch in (False, True)
}


class Generator(nn.Module):
    """Latents to cycles."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(LATENT, 512 * 8 * 8, bias=False)
        self.norm = nn.BatchNorm1d(512 * 8 * 8, eps=1e-3, momentum=0.01)
        blocks: list[nn.Module] = []
        for cin, cout, stride in ((512, 256, 1), (256, 128, 2), (128, 64, 2)):
            blocks += [
                nn.ConvTranspose2d(cin, cout, 5, stride, 2, stride - 1, bias=False),
                nn.BatchNorm2d(cout, eps=1e-3, momentum=0.01),
                nn.LeakyReLU(0.3, inplace=True),
            ]
        last = nn.ConvTranspose2d(64, PHASES, 5, 2, 2, 1, bias=False)
        self.blocks = nn.Sequential(*blocks, last, nn.Tanh())

    def forward(self, latents: Tensor) -> Tensor:
        """(n, latent) to (n, phases, size, size)."""
        x = nn.functional.leaky_relu(self.norm(self.dense(latents)), 0.3).view(-1, 512, 8, 8)
        return self.blocks(x)


class Discriminator(nn.Module):
    """Cycles to logits."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for cin, cout in itertools.pairwise((PHASES, 64, 128, 256, 512)):
            convolution = nn.Conv2d(cin, cout, 5, 2, padding=2)
            blocks += [convolution, nn.LeakyReLU(0.3, inplace=True), nn.Dropout(0.3)]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(512 * 4 * 4, 1)

    def forward(self, cycles: Tensor) -> Tensor:
        """(n, phases, size, size) to (n, 1)."""
        return self.head(self.blocks(cycles).flatten(1))


def make_step(
    precision: str, channels_last: bool, compiled: bool, one_batch: bool
) -> Callable[[], None]:
    """Build both networks and return a function that trains them one step."""
    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    generator = Generator().to(memory_format=layout)
    discriminator = Discriminator().to(memory_format=layout)
    data = (torch.rand(256, PHASES, SIZE, SIZE) * 2 - 1).contiguous(memory_format=layout)
    networks = [list(generator.parameters()), list(discriminator.parameters())]
    optimizers = [torch.optim.Adam(weights, lr=1e-4, fused=True) for weights in networks]
    average = [weight.detach().clone() for weight in networks[0]]
    make: Callable[[Tensor], Tensor] = torch.compile(generator) if compiled else generator
    judge: Callable[[Tensor], Tensor] = torch.compile(discriminator) if compiled else discriminator
    entropy = nn.functional.binary_cross_entropy_with_logits

    def step() -> None:
        real = data[torch.randint(len(data), (BATCH,))]
        with (
            torch.autocast("cpu", torch.bfloat16)
            if precision == "bfloat16_autocast"
            else contextlib.nullcontext()
        ):
            fake = make(torch.randn(BATCH, LATENT))
            if one_batch:
                on_real, on_fake = judge(torch.cat([real.to(fake.dtype), fake])).float().chunk(2)
            else:
                on_real, on_fake = judge(real).float(), judge(fake).float()
        ones, zeros = torch.ones_like(on_real), torch.zeros_like(on_real)
        losses = [entropy(on_fake, ones), entropy(on_real, ones) + entropy(on_fake, zeros)]
        first = torch.autograd.grad(losses[0], networks[0], retain_graph=True)
        second = torch.autograd.grad(losses[1], networks[1])
        for weights, gradients in zip(networks, (first, second), strict=True):
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient
        for optimizer in optimizers:
            optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, networks[0], 1e-3)

    return step


def rate(step: Callable[[], None], steps: int) -> float:
    """Images a second, from the median time of a step."""
    times = []
    for _ in range(steps):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return BATCH / statistics.median(times)


def main() -> None:
    """Print the rate of every setting as JSON, or serve one setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=SETTINGS, help="answer every line with a rate")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.serve:
        step = make_step(*SETTINGS[arguments.serve])
        rate(step, WARMUP)
        print("ready", flush=True)
        for _ in sys.stdin:
            print(f"{rate(step, 4):.3f}", flush=True)
        return
    rates = {}
    for name, setting in SETTINGS.items():
        torch.compiler.reset()
        step = make_step(*setting)
        rate(step, WARMUP)
        rates[name] = round(rate(step, 8), 1)
    print(json.dumps({"torch": torch.__version__, "images_per_s": rates}))


if __name__ == "__main__":
    main()
