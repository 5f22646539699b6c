"""The learning-rate range test: which rates a model learns at, found in one short sweep."""

from __future__ import annotations

import copy
import io
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from recurra.data.batching import Batches
from recurra.errors import DataError, SettingError, TrainingError
from recurra.extras import need
from recurra.training.devices import choose_device
from recurra.training.engine import Engine, scaled
from recurra.training.loss import Loss
from recurra.training.randomness import seed_everything, undisturbed
from recurra.training.settings import TrainingSettings
from recurra.training.world import World

__all__ = ["RangeTest", "range_test"]

BatchT = TypeVar("BatchT")

SMOOTHING = 0.8
"""Share of the smoothed loss that comes from the steps before."""

DIVERGED = 4.0
"""How many times its lowest value the smoothed loss may reach."""

SLOPE = 0.05
"""Share of the steps over which a slope is taken."""

SETTLING = 0.1
"""Share of the steps, the first, whose descent is not looked at: there a mean of few losses still moves by chance."""


@dataclass(frozen=True)
class RangeTest:
    """What a range test found: the loss at each learning rate, and where it falls fastest.

    Attributes:
        rates: The learning rate of each step that was taken.
        losses: The mean loss of its batch in nats, before the step.
        smoothed: The losses' moving average.
        diverged: Whether the loss ran away before the highest rate.

    Example:
        >>> found = RangeTest((0.01, 0.1, 1.0, 10.0), (4.0, 3.9, 2.0, 9.0), (4.0, 3.9, 2.0, 9.0), True)
        >>> found.steepest, found.largest, found.suggestion
        (0.316..., 1.0, 0.1)
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    diverged: bool

    @property
    def largest(self) -> float:
        """The largest rate before the loss turns up: that of the lowest smoothed loss."""
        return self.rates[min(range(len(self.rates)), key=self.smoothed.__getitem__)]

    @property
    def steepest(self) -> float | None:
        """The rate at which the smoothed loss falls fastest by the logarithm of the rate; None where it never falls.

        It is the middle of the steps, a twentieth of all, over which it falls most, sought up to `largest` and after
        the first tenth.
        """
        count, last = len(self.rates), self.rates.index(self.largest)
        width = max(1, round(SLOPE * count))
        first = min(int(SETTLING * count), max(last - width, 0))
        # Rates are evenly spaced by logarithm, so that the fall over as many steps says it.
        falls = {place: self.smoothed[place] - self.smoothed[place + width] for place in range(first, last - width + 1)}
        place = max(falls, key=falls.__getitem__, default=None)
        if place is None or falls[place] <= 0:
            return None
        return math.sqrt(self.rates[place] * self.rates[place + width])

    @property
    def suggestion(self) -> float:
        """A learning rate to begin with: the lesser of `steepest` and a tenth of `largest`."""
        return self.largest / 10 if self.steepest is None else min(self.steepest, self.largest / 10)

    def plot(self) -> bytes:
        """The loss over the learning rate, as PNG.

        Raises:
            SettingError: matplotlib is not installed.
        """
        need("matplotlib", "a plot")
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4), dpi=150, layout="constrained")
        axes = figure.add_subplot()
        axes.plot(self.rates, self.losses, color="#0072B2", alpha=0.3, linewidth=1, label="loss of a batch")
        axes.plot(self.rates, self.smoothed, color="#0072B2", linewidth=2, label="smoothed")
        marks = [("steepest fall", self.steepest, "#009E73"), ("largest", self.largest, "#D55E00")]
        for name, rate, colour in marks:
            if rate is not None:
                axes.axvline(rate, color=colour, linestyle="--", linewidth=1, label=f"{name}: {rate:.2g}")
        axes.axvline(self.suggestion, color="black", linewidth=1.5, label=f"suggestion: {self.suggestion:.2g}")
        lowest, first = min(self.losses), self.smoothed[0]
        room = max(first - lowest, 1e-3)
        # What ran away at the end would flatten what is to be seen.
        axes.set_ylim(lowest - 0.1 * room, first + 0.4 * room)
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss", title="Learning-rate range test")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
        axes.legend(frameon=False, fontsize="small", loc="lower left")
        file = io.BytesIO()
        figure.savefig(file, format="png")
        return file.getvalue()


def range_test(
    model: nn.Module,
    batches: Batches[BatchT],
    loss: Loss[BatchT],
    settings: TrainingSettings,
    low: float = 1e-5,
    high: float = 10.0,
    steps: int = 100,
    *,
    watch: Callable[[int], None] = lambda done: None,
) -> RangeTest:
    """Train for a few steps while the learning rate rises from step to step, and see at which the loss falls.

        rate<i> = low * (high / low)^(i / (steps - 1))        i = 0, ..., steps - 1
        s<i> = 0.8 s<i-1> + 0.2 loss<i>, s<-1> = 0        smoothed<i> = s<i> / (1 - 0.8^(i+1))

    It ends early where the smoothed loss exceeds 4 times its lowest value so far, or a loss or a gradient is not
    finite. Smith, "Cyclical learning rates for training neural networks", WACV 2017. The batches, the optimiser, the
    clipping and the precision are those of the settings; schedule and averaging have no part in it. The model, its
    mode and the random state are left as they were.

    Args:
        model: What would be trained; it is moved to the device of the settings.
        batches: What it would be trained on, from epoch 0 on.
        loss: Gives the loss of a batch; see `StepLoss`.
        settings: Those of the training; the learning rate is not read.
        low: The lowest rate, above 0.
        high: The highest, above the lowest.
        steps: How many rates are tried, from 10.
        watch: Called after each step with how many were taken.

    Returns:
        The losses by rate, and what they suggest.

    Raises:
        SettingError: low, high or steps are out of their range.
        DataError: The batches have nothing to learn from.
        TrainingError: Not one step can be taken.

    Example:
        >>> from recurra.training.loss import StepLoss
        >>> model = nn.Linear(1, 1)
        >>> class Points:
        ...     def epoch(self, number, start=0):
        ...         return [torch.linspace(-1, 1, 16).unsqueeze(1)]
        >>> def squared_error(model, batch, carried):
        ...     return StepLoss(((model(batch) - torch.exp(batch)) ** 2).sum(), count=len(batch))
        >>> settings = TrainingSettings(optimiser="sgd", clip_norm=None, device="cpu")
        >>> found = range_test(model, Points(), squared_error, settings, low=1e-3, high=100)
        >>> found.diverged, 0.01 < found.suggestion < 1
        (True, True)
    """
    _check(low, high, steps)
    device = choose_device(settings.device)
    model.to(device)
    weights = {name: copy.deepcopy(value) for name, value in model.state_dict().items()}
    modes = {module: module.training for module in model.modules()}
    gradients = {parameter: parameter.grad for parameter in model.parameters()}
    with undisturbed():
        seed_everything(settings.seed)
        try:
            sweep = _Sweep(model.train(), loss, settings, device)
            return sweep.run(_without_end(batches), low, high, steps, watch)
        finally:
            model.load_state_dict(weights)
            for module, training in modes.items():
                module.training = training
            for parameter, gradient in gradients.items():
                parameter.grad = gradient


def _check(low: float, high: float, steps: int) -> None:
    if not 0 < low < high < math.inf:
        raise SettingError(f"low is {low:g} and high {high:g}; expected 0 < low < high")
    if steps < 10:
        raise SettingError(f"steps is {steps}; it must be 10 or more, since fewer show no curve")


def _without_end(batches: Batches[BatchT]) -> Iterator[BatchT]:
    """The batches of one epoch after another."""
    number = 0
    while True:
        any_ = False
        for batch in batches.epoch(number):
            any_ = True
            yield batch
        if not any_:
            raise DataError(f"epoch {number + 1} has nothing to train on: the data are shorter than one batch")
        number += 1


class _Sweep(Generic[BatchT]):
    """The steps of one range test."""

    def __init__(self, model: nn.Module, loss: Loss[BatchT], settings: TrainingSettings, device: torch.device) -> None:
        self.settings, self.device = settings, device
        self.engine: Engine[BatchT] = Engine(model, loss, settings, device, World())
        self.carried: Any = None

    def run(
        self, batches: Iterator[BatchT], low: float, high: float, steps: int, watch: Callable[[int], None]
    ) -> RangeTest:
        rates: list[float] = []
        losses: list[float] = []
        smoothed: list[float] = []
        average = 0.0
        for step in range(steps):
            rate = low * (high / low) ** (step / (steps - 1))
            value = self._step(batches, rate)
            if value is None:
                break
            watch(step + 1)
            average = SMOOTHING * average + (1 - SMOOTHING) * value
            rates.append(rate)
            losses.append(value)
            smoothed.append(average / (1 - SMOOTHING ** (step + 1)))
            if smoothed[-1] > DIVERGED * min(smoothed) > 0:
                break
        else:
            return RangeTest(tuple(rates), tuple(losses), tuple(smoothed), diverged=False)
        if not rates:
            raise TrainingError("the loss or its gradient is not finite at the first step: look at the data")
        return RangeTest(tuple(rates), tuple(losses), tuple(smoothed), diverged=True)

    def _step(self, batches: Iterator[BatchT], rate: float) -> float | None:
        """One step at a rate; returns the mean loss before it, or None if it or the gradient is not finite."""
        count = 0
        while not count:  # a batch in which nothing counts makes no step
            group: list[Any] = list(itertools.islice(batches, self.settings.accumulate))
            moved = [batch.to(self.device) if hasattr(batch, "to") else batch for batch in group]
            sums = self.engine.backward(moved, self.carried, "the range test")
            self.carried, count = sums.carried, sums.count
        mean = sums.total / count
        return None if isinstance(self.engine.step(mean, len(moved), count, scaled(rate, group)), str) else mean
