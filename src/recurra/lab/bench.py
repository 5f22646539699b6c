"""The bench: what every experiment works on: random numbers from one seed, trials in turn, and training."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.checks import LARGEST_SEED, whole_number
from recurra.errors import TrainingError
from recurra.lab.examples import IGNORED, Draw, Examples
from recurra.lab.finished import FinishedTrials
from recurra.lab.watch import Watch
from recurra.training import Observer, StepEvent, StepLoss, TrainingSettings, train

__all__ = ["Bench", "Course", "accuracy", "mean_squared_error", "parts", "summed_loss"]

ItemT = TypeVar("ItemT")

ROWS = 250
"""How many sequences are measured at once."""


@dataclass(frozen=True, slots=True)
class Course:
    """How training went.

    Args:
        losses: The loss of every step.
        norms: The norm of the gradient of every step, before clipping.
        failure: The error that ended it, in one line, or None.
    """

    losses: list[float]
    norms: list[float]
    failure: str | None = None

    def smoothed(self, points: int = 50) -> list[tuple[int, float]]:
        """The last step of each of equal spans with its mean loss; those that are not finite are left out.

        Example:
            >>> Course([4.0, 2.0, 1.0, 0.0], []).smoothed(2)
            [(2, 3.0), (4, 0.5)]
        """
        size = max(1, len(self.losses) // points)
        spans = [self.losses[at : at + size] for at in range(0, len(self.losses) - size + 1, size)]
        means = [((number + 1) * size, sum(span) / len(span)) for number, span in enumerate(spans)]
        return [(step, loss) for step, loss in means if math.isfinite(loss)]


class _Drawn:
    """Examples drawn anew for every step of the one epoch there is."""

    def __init__(self, draw: Draw, random: torch.Generator, steps: int) -> None:
        self.draw, self.random, self.steps = draw, random, steps

    def __len__(self) -> int:
        return self.steps

    def epoch(self, number: int, start: int = 0) -> Iterator[Examples]:
        """The examples of each step."""
        for step in range(start, self.steps):
            yield self.draw(self.random, step)


class _Recorder(Observer):
    """Keeps the course of training, and tells the watch."""

    def __init__(self, watch: Watch, steps: int) -> None:
        self.watch, self.steps = watch, steps
        self.losses: list[float] = []
        self.norms: list[float] = []

    def on_step(self, event: StepEvent) -> None:
        """Keep the figures."""
        self.losses.append(event.loss)
        self.norms.append(event.gradient_norm)
        self.watch.step(event.step / self.steps, event.loss)


class Bench:
    """Where an experiment is made: the same seed gives the same numbers, bit for bit, on the same machine.

    Args:
        seed: What all randomness comes from.
        watch: Is told how it goes on.
        finished: Keeps the trials that are finished, and knows those of an experiment that was stopped.

    Attributes:
        seconds: How long each trial took.

    Example:
        >>> bench = Bench(seed=3)
        >>> one, other = bench.random("adding", 100), bench.random("adding", 200)
        >>> torch.equal(torch.rand(2, generator=one), torch.rand(2, generator=other))
        False
    """

    def __init__(self, seed: int = 0, watch: Watch | None = None, finished: FinishedTrials | None = None) -> None:
        self.seed, self.watch = whole_number("seed", seed, 0, LARGEST_SEED), watch or Watch()
        self.finished = finished
        self.seconds: dict[str, float] = {}

    def seed_for(self, *purpose: object) -> int:
        """A seed in [0, 2**32) of its own for a purpose, whatever was drawn before."""
        text = "/".join(map(str, (self.seed, *purpose)))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")

    def random(self, *purpose: object) -> torch.Generator:
        """A generator of its own for a purpose."""
        return torch.Generator().manual_seed(self.seed_for(*purpose))

    def each(
        self, trials: Iterable[tuple[str, ItemT]], measured: dict[str, Any] | None = None
    ) -> Iterator[tuple[str, ItemT]]:
        """The trials in turn, each a name and what it needs; the watch hears of each beginning.

        All random numbers that torch draws by itself in a trial, such as initial weights, depend on its name alone.

        Args:
            trials: The trials, all of the experiment.
            measured: Where the loop puts what it measures, as JSON has it: all that is left of a trial. Where finished
                trials are kept, it is filled with what they measured, and they are passed over.
        """
        planned = list(trials)
        if self.finished is not None and measured is not None:
            before, self.seconds = self.finished.load()
            _restore(measured, before)
            if self.seconds:
                self.watch.resume(len(self.seconds), len(planned))
        for number, (name, item) in enumerate(planned, 1):
            if name in self.seconds:
                continue
            self.watch.begin(name, number, len(planned))
            torch.manual_seed(self.seed_for(name))
            began = time.perf_counter()
            yield name, item
            self.seconds[name] = time.perf_counter() - began
            if self.finished is not None and measured is not None:
                self.finished.save(measured, self.seconds)

    def train(self, model: nn.Module, draw: Draw, steps: int, name: str, **settings: Any) -> Course:  # noqa: ANN401
        """Train a model whose first answer is what `Reader` gives.

        Args:
            model: Takes inputs and a state, and returns answers and a state.
            draw: Draws the examples of each step.
            steps: How many steps.
            name: The trial's name, which the examples are drawn by.
            settings: Of `TrainingSettings`, where they differ from Adam with the norm clipped at 1 and a rate that
                falls along half a cosine.

        Raises:
            KeyboardInterrupt: Ctrl-C.
        """
        chosen = {"optimiser": "adam", "schedule": "cosine", "clip_norm": 1.0, "device": "cpu", **settings}
        seed = self.seed_for(name, "training")
        recorder = _Recorder(self.watch, steps)
        failure = None
        try:
            result = train(
                model,
                _Drawn(draw, self.random(name, "examples"), steps),
                summed_loss,
                TrainingSettings(epochs=1, max_steps=steps, seed=seed, **chosen),
                observers=[recorder],
            )
        except TrainingError as error:
            failure = str(error)
        else:
            if result.interrupted:
                raise KeyboardInterrupt
        return Course(recorder.losses, recorder.norms, failure)


def _restore(measured: dict[str, Any], before: dict[str, Any]) -> None:
    """Put what was measured before into the dicts and lists that are there, which others hold as well."""
    for key, value in before.items():
        here = measured.get(key)
        if isinstance(here, dict) and isinstance(value, dict):
            _restore(here, value)
        elif isinstance(here, list) and isinstance(value, list):
            here[:] = value
        else:
            measured[key] = value


def summed_loss(model: nn.Module, examples: Examples, carried: Any) -> StepLoss:  # noqa: ANN401  (the model's own)
    """Squared error where the answers are numbers, cross-entropy in nats where they are classes."""
    answers, after = model(examples.inputs, carried)
    if examples.targets.is_floating_point():
        return StepLoss(((answers[..., 0] - examples.targets) ** 2).sum(), examples.count, after)
    total = F.cross_entropy(answers.flatten(0, -2), examples.targets.flatten(), ignore_index=IGNORED, reduction="sum")
    return StepLoss(total, examples.count, after)


def parts(examples: Examples) -> Iterator[Examples]:
    """The same examples a few hundred sequences at a time."""
    for start in range(0, len(examples.inputs), ROWS):
        yield Examples(examples.inputs[start : start + ROWS], examples.targets[start : start + ROWS])


@torch.no_grad()
def mean_squared_error(model: nn.Module, examples: Examples) -> float:
    """The mean squared error, or for classes the mean cross-entropy in nats, over all answers."""
    model.eval()
    total = sum(float(summed_loss(model, part, None).total.double()) for part in parts(examples))
    return total / examples.count


@torch.no_grad()
def accuracy(model: nn.Module, examples: Examples) -> float:
    """The share of answers that are right."""
    model.eval()
    right = 0
    for part in parts(examples):
        answers: Tensor = model(part.inputs)[0]
        right += int((answers.argmax(-1) == part.targets).sum())
    return right / examples.count
