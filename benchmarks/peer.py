"""What the peers in PyTorch share: their settings, the search for the fastest, and its serving.

Runs in an environment of its own and needs nothing of cinegan.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
import math
import signal
import sys
import time
from collections.abc import Callable, Iterator

import torch
import torch._functorch.config
from torch import Tensor, nn

from benchmarks.timing import serve, step_seconds

# Two losses go back through one graph, whose buffers a compiled network may not give away.
torch._functorch.config.donated_buffer = False

BFLOAT16, CHANNELS_LAST, COMPILED = "bfloat16_autocast", "channels_last", "compiled"
ONE_BATCH = "one_batch"  # real and fake cycles go through the discriminator together
PHASES = 20
# Of the search: what a setting may take (compiling included), and all of them together.
SETTING_SECONDS, SEARCH_SECONDS = 100.0, 240.0
# A setting so many times slower than the fastest is not timed further.
HOPELESS = 2.0
TIMED_SECONDS = 3.0  # steps of a setting, once warm

Setting = frozenset[str]
Step = Callable[[], float]  # trains one step and returns the discriminator's loss


def settings(*others: str) -> dict[str, Setting]:
    """Every combination of the options, by name; `others` are those of one network alone."""
    options = (BFLOAT16, CHANNELS_LAST, ONE_BATCH, *others, COMPILED)
    choices = {}
    for switches in itertools.product(*[(True, False)] * (len(options) - 1), (False, True)):
        names = list(itertools.compress(options, switches))
        choices["+".join(names if BFLOAT16 in names else ["float32", *names])] = frozenset(names)
    return choices


def arithmetic(setting: Setting) -> contextlib.AbstractContextManager[object]:
    """The precision of what runs within."""
    return torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16 in setting)


def layout(setting: Setting) -> torch.memory_format:
    """How images lie in memory."""
    return torch.channels_last if CHANNELS_LAST in setting else torch.contiguous_format


def maybe_compiled(network: nn.Module, setting: Setting) -> Callable[[Tensor], Tensor]:
    """The network, compiled if the setting says so."""
    return torch.compile(network) if COMPILED in setting else network


def cycles(count: int, size: int, setting: Setting) -> Tensor:
    """Noise in the place of real cycles, (count, phases, size, size) in [-1, 1]."""
    return (torch.rand(count, PHASES, size, size) * 2 - 1).contiguous(memory_format=layout(setting))


def logits_of(
    judge: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, setting: Setting
) -> tuple[Tensor, Tensor]:
    """Logits of real and of fake cycles, float32."""
    if ONE_BATCH in setting:
        on_real, on_fake = judge(torch.cat([real.to(fake.dtype), fake])).float().chunk(2)
        return on_real, on_fake
    return judge(real).float(), judge(fake).float()


class Update:
    """Fused Adam of both networks and the moving average of the generator's weights."""

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, decay: float, **adam: object
    ) -> None:
        self.generator, self.discriminator = (
            list(network.parameters()) for network in (generator, discriminator)
        )
        self.adams = [
            torch.optim.Adam(weights, fused=True, **adam)
            for weights in (self.generator, self.discriminator)
        ]
        self.average = [weight.detach().clone() for weight in self.generator]
        self.decay = decay

    def apply(self, of_generator: list[Tensor], of_discriminator: list[Tensor]) -> None:
        """Move all weights by the gradients of both networks."""
        weights, gradients = self.generator + self.discriminator, of_generator + of_discriminator
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        for adam in self.adams:
            adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.generator, 1 - self.decay)


def search(
    choices: dict[str, Setting], make_step: Callable[[Setting], Step], batch: int
) -> dict[str, object]:
    """Images a second of every setting; null, with the reason, for one without an answer.

    The next setting is always a neighbour (one option else) of the fastest that has one untried, so
    that the time goes to the promising ones.
    """
    end = time.monotonic() + SEARCH_SECONDS
    rates: dict[Setting, float] = {}  # 0 where it cannot be run
    reasons: dict[str, str] = {}

    def promise(name: str) -> float:
        neighbours = (rate for tried, rate in rates.items() if len(tried ^ choices[name]) == 1)
        return max(neighbours, default=0.0)

    untried = list(choices)
    while untried and (left := end - time.monotonic()) > 0:
        name = max(untried, key=promise)
        untried.remove(name)
        fastest = max(rates.values(), default=0.0)
        try:
            with _limit(min(SETTING_SECONDS, left)):
                rates[choices[name]] = _rate(make_step(choices[name]), batch, fastest)
            answer = f"{rates[choices[name]]:.2f} images/s"
        except (Exception, TooLongError) as error:  # whatever a backend raises is the answer
            rates[choices[name]] = 0.0
            answer = reasons[name] = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        print(f"{name}: {answer}", file=sys.stderr, flush=True)
        torch.compiler.reset()
        gc.collect()
    if untried:
        reasons["others"] = f"{SEARCH_SECONDS:.0f} s of search were up"
    found = {name: round(rates.get(choice, 0.0), 2) or None for name, choice in choices.items()}
    return {"torch": torch.__version__, "images_per_s": found, "null_because": reasons}


def run(
    parser: argparse.ArgumentParser,
    choices: dict[str, Setting],
    make_step: Callable[[Setting, argparse.Namespace], Step],
    batch: int,
) -> None:
    """Print the rate of every setting as JSON, or serve one setting."""
    parser.add_argument("--serve", choices=choices, help="answer every line with a rate")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.serve:
        serve(make_step(choices[arguments.serve], arguments), batch)
    else:
        print(json.dumps(search(choices, lambda setting: make_step(setting, arguments), batch)))


class TooLongError(BaseException):
    """A setting took too long; no Exception, which a compiler would take for its own."""


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raise TooLongError within, once the time is up."""

    def stop(*_: object) -> None:
        raise TooLongError(f"not done within {seconds:.0f} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _rate(step: Step, batch: int, fastest: float) -> float:
    """Images a second, from one step where it is long or hopeless."""
    if not math.isfinite(step()):  # the first also compiles
        raise ArithmeticError("the loss is not finite")
    seconds = step_seconds(step, 1)
    if seconds > TIMED_SECONDS or batch / seconds * HOPELESS < fastest:
        return batch / seconds
    return batch / step_seconds(step, 8, TIMED_SECONDS)
