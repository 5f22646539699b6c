"""Losses and gradients that are not finite: steps that are skipped, and why."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import TrainingError
from recurra.training.settings import TrainingSettings

__all__ = ["Skips", "all_finite", "first_not_finite"]

NORMS = 5
"""How many gradient norms of the steps before are told."""


class Skips:
    """Counts the steps that were skipped, and ends training when there are too many in a row.

    Args:
        settings: skip_limit is read, and what the message says is tried next.
    """

    def __init__(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self.total = self.in_row = 0
        self.untold = 0  # since the last step that was taken
        self._norms: deque[float] = deque(maxlen=NORMS)
        self._began = ""

    def taken(self, norm: float) -> int:
        """A step was taken, with a gradient of this norm; returns how many were skipped just before it."""
        self._norms.append(norm)
        self.in_row, untold, self.untold = 0, self.untold, 0
        return untold

    def skipped(self, where: str, why: str, diagnose: Callable[[], str | None]) -> str | None:
        """A step was skipped.

        Args:
            where: Which step of which epoch.
            why: What is not finite.
            diagnose: Finds the layer where it begins; asked for the first of a row only.

        Returns:
            What to tell whoever looks after the run; None unless it is the first of a row.

        Raises:
            TrainingError: It was one too many.
        """
        self.total, self.in_row, self.untold = self.total + 1, self.in_row + 1, self.untold + 1
        if self.in_row == 1:
            layer = diagnose()
            self._began = f"{where}: {why}" + (f"; it begins in {layer}" if layer else "")
        if self.in_row > self._settings.skip_limit:
            raise TrainingError(self._message())
        return f"{self._began}; the step is skipped" if self.in_row == 1 else None

    def _message(self) -> str:
        norms = ", ".join(f"{norm:.3g}" for norm in self._norms)
        history = f"the gradient norms before: {norms}" if norms else "no step came before it"
        row = f"{self.in_row} steps in a row could not be taken, the first at {self._began}"
        return f"{row if self.in_row > 1 else self._began}; {history}; {self._mends()}"

    def _mends(self) -> str:
        settings, norm = self._settings, self._settings.clip_norm
        return (
            f"try a lower learning_rate (now {settings.learning_rate:g}), "
            f"a lower clip_norm (now {'off' if norm is None else f'{norm:g}'}) or more warmup_steps "
            f"(now {settings.warmup_steps}), and look for values in the data that are not finite"
        )

    def state(self) -> dict[str, Any]:
        """What it has counted, for a checkpoint."""
        return {"total": self.total, "in_row": self.in_row, "untold": self.untold, "norms": list(self._norms)}

    def resume(self, state: dict[str, Any]) -> None:
        """Have counted what a checkpoint says."""
        self.total, self.in_row, self.untold = state["total"], state["in_row"], state["untold"]
        self._norms = deque(state["norms"], maxlen=NORMS)


@torch.no_grad()
def first_not_finite(model: nn.Module, again: Callable[[], object]) -> str | None:
    """Say which layer first gives what is not finite.

    Args:
        model: The module.
        again: Runs the forward pass that went wrong once more.

    Returns:
        A parameter that is not finite, else the layer whose output is not while its input is; None if all is finite.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
        >>> _ = nn.init.constant_(model[0].weight, 3e38)
        >>> first_not_finite(model, lambda: model(torch.tensor([[2.0]])))
        "layer '0' (Linear)"
    """
    for name, parameter in model.named_parameters():
        if not all_finite(parameter):
            return f"parameter {name!r}, which is not finite itself"
    found: list[str] = []
    with _watched(model, found):
        again()
    return found[0] if found else None


@contextmanager
def _watched(model: nn.Module, found: list[str]) -> Iterator[None]:
    """Note the layers that make what is not finite from what is, innermost first."""

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def note(module: nn.Module, inputs: Any, outputs: Any) -> None:  # noqa: ANN401
            if not all_finite(outputs) and all_finite(inputs):
                found.append(f"layer {name!r} ({type(module).__name__})" if name else type(module).__name__)

        return note

    handles = [module.register_forward_hook(hook(name)) for name, module in model.named_modules()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def all_finite(nested: object) -> bool:
    """Say whether all numbers of nested tensors are finite."""
    match nested:
        case Tensor():
            return not nested.is_floating_point() or bool(nested.isfinite().all())
        case dict():
            return all(all_finite(value) for value in nested.values())
        case list() | tuple():
            return all(all_finite(value) for value in nested)
    return True
