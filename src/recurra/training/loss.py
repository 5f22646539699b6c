"""What training minimises: the loss of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor, nn

from recurra.errors import TrainingError

__all__ = ["Loss", "StepLoss"]

BatchT = TypeVar("BatchT")


@dataclass
class StepLoss:
    """What a loss function returns for one batch.

    Raises:
        TrainingError: count is below 0.

    Attributes:
        total: The loss summed over the counted items, in nats, a scalar with its graph.
        count: How many items it sums over; with none the batch makes no step.
        carried: The state to hand to the next batch, or None; see `truncation.detach` for what it may hold.
        penalty: What is added to the mean of the loss for the gradient alone, a scalar with its graph, such as a
            regularisation of the activations; it is no part of the loss that is reported.
    """

    total: Tensor
    count: int
    carried: Any = None
    penalty: Tensor | None = None

    def __post_init__(self) -> None:
        if self.count < 0:
            raise TrainingError(f"the count of a StepLoss is {self.count}; it is how many items the loss sums over")


Loss = Callable[[nn.Module, BatchT, Any], StepLoss]
"""Takes the model, a batch, and the state carried from the batch before (None where the batch is fresh)."""
