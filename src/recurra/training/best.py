"""The best weights of a run, kept while it goes on."""

import copy
import math

from torch import Tensor, nn


class BestModel:
    """Keeps a copy of the weights of the best validation so far, in main memory.

    Args:
        model: The module whose weights are copied and restored.

    Example:
        >>> import torch
        >>> model = nn.Linear(1, 1)
        >>> best = BestModel(model)
        >>> best.keep(step=10, value=2.5, metrics={"loss": 2.5})
        >>> best.is_beaten_by(2.6)
        False
        >>> kept = model.weight.item()
        >>> _ = nn.init.zeros_(model.weight)
        >>> best.restore()
        >>> model.weight.item() == kept
        True
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._weights: dict[str, object] | None = None
        self._value = math.inf
        self.step: int | None = None
        self.metrics: dict[str, float] = {}

    def is_beaten_by(self, value: float) -> bool:
        """Say whether a value is better, which is lower, than the best; what is not a number never is."""
        return value < self._value

    def keep(self, step: int, value: float, metrics: dict[str, float]) -> None:
        """Copy the weights as they are now.

        Args:
            step: The step they were reached at.
            value: What they are compared by; lower is better.
            metrics: All that is known of them.
        """
        # The copy is whole before it takes the place of the one before, so that nothing can leave half of each.
        weights = {name: _copy(value) for name, value in self._model.state_dict().items()}
        self._weights, self._value, self.step, self.metrics = weights, value, step, dict(metrics)

    def restore(self) -> None:
        """Give the model its best weights back; without any kept, leave it as it is."""
        if self._weights is not None:
            self._model.load_state_dict(self._weights)


def _copy(value: object) -> object:
    return value.detach().to("cpu", copy=True) if isinstance(value, Tensor) else copy.deepcopy(value)
