"""The best weights of a run, kept while it goes on."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor


class BestModel:
    """Keeps a copy of the weights of the best validation so far, in main memory.

    Args:
        weights: Gives the weights by name, as a module's `state_dict` does.
        load: Takes them back, as its `load_state_dict` does.

    Attributes:
        weights: The best ones; empty before the first.
        step: The step they were reached at; None before the first.
        metrics: All that is known of them.

    Example:
        >>> from torch import nn
        >>> model = nn.Linear(1, 1)
        >>> best = BestModel(model.state_dict, model.load_state_dict)
        >>> best.keep(step=10, value=2.5, metrics={"loss": 2.5})
        >>> best.is_beaten_by(2.6)
        False
        >>> kept = model.weight.item()
        >>> _ = nn.init.zeros_(model.weight)
        >>> best.restore()
        >>> model.weight.item() == kept
        True
    """

    def __init__(self, weights: Callable[[], Mapping[str, Any]], load: Callable[[Mapping[str, Any]], object]) -> None:
        self._now, self._load = weights, load
        self.weights: dict[str, Any] = {}
        self._value = math.inf
        self.step: int | None = None
        self.metrics: dict[str, float] = {}

    def is_beaten_by(self, value: float, loss: float = math.inf) -> bool:
        """Say whether a value is better, which is lower, than the best, or as good with a lower loss.

        What is not a number never is better.
        """
        return value < self._value or (value == self._value and loss < self.metrics.get("loss", math.inf))

    def keep(self, step: int, value: float, metrics: dict[str, float]) -> None:
        """Copy the weights as they are now.

        Args:
            step: The step they were reached at.
            value: What they are compared by; lower is better.
            metrics: All that is known of them.
        """
        # The copy is whole before it takes the place of the one before, so that nothing can leave half of each.
        weights = {name: _copy(value) for name, value in self._now().items()}
        self.weights, self._value, self.step, self.metrics = weights, value, step, dict(metrics)

    def restore(self) -> None:
        """Give the model its best weights back; without any kept, leave it as it is."""
        if self.weights:
            self._load(self.weights)

    def state(self) -> dict[str, Any]:
        """What is kept, for a checkpoint."""
        return {"weights": self.weights, "value": self._value, "step": self.step, "metrics": self.metrics}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Keep what a checkpoint says."""
        self.weights, self._value = state["weights"], state["value"]
        self.step, self.metrics = state["step"], dict(state["metrics"])


def _copy(value: object) -> object:
    return value.detach().to("cpu", copy=True).contiguous() if isinstance(value, Tensor) else copy.deepcopy(value)
