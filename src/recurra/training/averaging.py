"""Averages of the weights over the steps of a run, which often do better than the weights of any one of them.

Both kinds keep a second copy of the weights beside those that are trained, and hand it out for validation and to be
kept; training itself never sees it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from recurra.training.settings import TrainingSettings
from recurra.training.world import full, sharded_like

__all__ = ["ExponentialAverage", "NoAverage", "TriggeredAverage", "WeightAverage", "build_average"]


class WeightAverage:
    """What every kind of average shares: the copy, and the exchange with the weights.

    Args:
        model: Its parameters that ask for a gradient are averaged.
    """

    def __init__(self, model: nn.Module) -> None:
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.values: list[Tensor] | None = None
        self.steps = 0  # that the average covers

    def update(self) -> None:
        """Take in the weights after a step."""
        raise NotImplementedError

    def observe(self, value: float) -> None:
        """Take the value of a validation; lower is better."""

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model the average inside, and its own weights again after."""
        if self.values is None:
            yield
            return
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        assert self.values is not None
        for parameter, value in zip(self.parameters, self.values, strict=True):
            own = parameter.detach().clone()
            parameter.copy_(value)
            value.copy_(own)

    def _copy(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self.parameters]

    def _move(self, share: float) -> None:
        """Bring the average nearer to the weights: average <- average + share * (weights - average)."""
        assert self.values is not None
        torch._foreach_lerp_(self.values, [parameter.detach() for parameter in self.parameters], share)

    def state(self) -> dict[str, Any]:
        """All that it knows, for a checkpoint."""
        return {"steps": self.steps, "values": None if self.values is None else [full(value) for value in self.values]}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Know what a checkpoint says."""
        self.steps, values = state["steps"], state["values"]
        if values is None:
            self.values = None
            return
        self.values = self._copy()
        for own, value in zip(self.values, values, strict=True):
            own.copy_(sharded_like(value, own))


class NoAverage(WeightAverage):
    """The weights themselves."""

    def update(self) -> None:
        """Nothing to take in."""


class ExponentialAverage(WeightAverage):
    """The exponential moving average: average <- decay * average + (1 - decay) * weights.

    In the first steps the decay is at most (1 + steps) / (10 + steps), so that the weights of the beginning are soon
    forgotten, as in TensorFlow's average of this name.

    Args:
        model: The module.
        decay: How much of the average a step leaves, such as 0.999.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> average = ExponentialAverage(model, 0.9)
        >>> for weight in (1.0, 2.0):
        ...     _ = nn.init.constant_(model.weight, weight)
        ...     average.update()
        >>> with average.applied():
        ...     print(f"{model.weight.item():.3f}")
        1.818
        >>> model.weight.item()
        2.0
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__(model)
        self.decay = decay

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        if self.values is None:
            self.values = self._copy()
            return
        self._move(1 - min(self.decay, self.steps / (self.steps + 9)))


class TriggeredAverage(WeightAverage):
    """The mean of the weights since validations stopped improving: NT-ASGD.

    Averaging begins when a validation is worse than the best of those at least `after` validations before it
    (Merity, Keskar and Socher, "Regularizing and optimizing LSTM language models", ICLR 2018, algorithm 1).

    Args:
        model: The module.
        after: n, the non-monotone interval, in validations.

    Example:
        >>> model = nn.Linear(1, 1)
        >>> average = TriggeredAverage(model, after=2)
        >>> for value in (3.0, 2.0, 2.5, 2.4, 2.3):
        ...     average.observe(value)
        ...     print(average.triggered, end=" ")
        False False False False True
    """

    def __init__(self, model: nn.Module, after: int) -> None:
        super().__init__(model)
        self.after = after
        self.triggered = False
        self.seen: list[float] = []

    def observe(self, value: float) -> None:
        """Take the value of a validation, and begin to average if it is time."""
        if len(self.seen) > self.after and value > min(self.seen[: -self.after]):
            self.triggered = True
        self.seen.append(value)

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step, once averaging has begun."""
        if not self.triggered:
            return
        self.steps += 1
        if self.values is None:
            self.values = self._copy()
        else:
            self._move(1 / self.steps)

    def state(self) -> dict[str, Any]:
        """All that it knows, for a checkpoint."""
        return {**super().state(), "triggered": self.triggered, "seen": self.seen}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Know what a checkpoint says."""
        super().resume(state)
        self.triggered, self.seen = state["triggered"], list(state["seen"])


def build_average(model: nn.Module, settings: TrainingSettings) -> WeightAverage:
    """The average that the settings ask for: optimiser "asgd" has its own, weight_average the exponential one."""
    if settings.optimiser == "asgd":
        return TriggeredAverage(model, settings.average_after)
    return ExponentialAverage(model, settings.weight_average) if settings.weight_average else NoAverage(model)
