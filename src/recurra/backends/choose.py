"""Which backend runs a cell, and why.

A backend that is asked for by name runs or says why it cannot; it is never replaced in silence. Left to choose
(`auto`), the first of the table that can run does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from recurra.backends import gate, reference
from recurra.backends.cpu import operator  # noqa: F401  (saved graphs ask for it by name)
from recurra.backends.cpu import run as cpu
from recurra.backends.cpu.stream import Stepper as CpuStepper
from recurra.backends.job import Job, one_by_one
from recurra.equations.cell import Cell
from recurra.errors import BackendError, SettingError

__all__ = ["BACKENDS", "Backend", "Choice", "Run", "Stepper", "choose"]


class Run(Protocol):
    """The forward pass of one layer in one direction; see `recurra.backends.reference.run`."""

    def __call__(
        self,
        cell: Cell,
        parameters: Mapping[str, Tensor],
        x: Tensor,
        state: Mapping[str, Tensor],
        *,
        lengths: Tensor | None = None,
        reverse: bool = False,
        noise: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Outputs (T, B, H) and the last state, differentiable in all that is given."""
        ...


class Stepper(Protocol):
    """A cell that is advanced one step a call; its state (B, H) by name may be read and written in place."""

    state: dict[str, Tensor]

    def step(self, x: Tensor) -> Tensor:
        """The output (B, H) for an input (B, I), which is contiguous and of the parameters' dtype and device."""
        ...

    def bound(self, x: Tensor, out: Tensor) -> Callable[[], None]:
        """What advances it by one step a call, from what x (B, I) holds then to out (B, H)."""
        ...

    def lookup(self, inputs: Tensor, rows: Tensor, out: Tensor) -> Callable[[], None]:
        """The same from the rows of inputs (N, I) that `rows` (B,) then names."""
        ...


@dataclass(frozen=True, slots=True)
class Backend:
    """A way to run cells.

    Args:
        name: What it is asked for by.
        summary: What it is, in a few words.
        run: The forward pass.
        refusal: Why it cannot run a cell on a device in a dtype, or None if it can.
        together: The forward passes of several jobs that wait for nothing of one another, with last states
            (1, B, H) each; None if `run` does each.
        stepper: What advances a cell one step a call, from the cell, its parameters, I, H and B; None if `run` does.
        compiled: Whether it reads tensors by their addresses, and so only those that have memory of their own.
    """

    name: str
    summary: str
    run: Run
    refusal: Callable[[Cell, torch.device, torch.dtype], str | None]
    together: Callable[[Sequence[Job]], list[tuple[Tensor, dict[str, Tensor]]]] | None = None
    stepper: Callable[[Cell, Mapping[str, Tensor], int, int, int], Stepper] | None = None
    compiled: bool = False

    def all(self, jobs: Sequence[Job]) -> list[tuple[Tensor, dict[str, Tensor]]]:
        """The forward pass of each job, the last states with an axis for layers, (1, B, H) each."""
        if self.together is not None:
            return self.together(jobs)
        return one_by_one(self.run, jobs)


class Choice(NamedTuple):
    """The backend that will run, and why it is this one."""

    backend: Backend
    reason: str
    left: bool = False
    """Whether it was left to choose, so that another runs where this one meets a tensor that it cannot read."""

    def all(self, jobs: Sequence[Job]) -> list[tuple[Tensor, dict[str, Tensor]]]:
        """The forward pass of each job, the last states with an axis for layers, (1, B, H) each."""
        try:
            return self.backend.all(jobs)
        except gate.UnreadableError:
            if not self.left:
                raise
            return self.otherwise().all(jobs)

    @staticmethod
    def otherwise() -> Backend:
        """The backend that can always run."""
        return next(reversed(BACKENDS.values()))


def _reference_refusal(cell: Cell, device: torch.device, dtype: torch.dtype) -> str | None:
    return None if dtype.is_floating_point else f"it computes with floating-point numbers, not {dtype}"


# From the fastest to the one that always can.
BACKENDS: dict[str, Backend] = {
    "cpu": Backend(
        "cpu",
        "machine code for this processor, float32 and float64",
        cpu.run,
        cpu.refusal,
        cpu.together,
        CpuStepper,
        True,
    ),
    "reference": Backend(
        "reference",
        "plain PyTorch, a step at a time, on any device",
        reference.run,
        _reference_refusal,
    ),
}


def choose(
    name: str,
    cell: Cell,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    parameters: Mapping[str, Tensor] | None = None,
) -> Choice:
    """Pick the backend for a cell.

    Args:
        name: A backend's name, or "auto".
        cell: The cell to run.
        device: Where its tensors are.
        dtype: Their dtype.
        parameters: The layer's parameters by name, to ask whether the backend can read each of them.

    Returns:
        The backend and the reason for it.

    Raises:
        SettingError: There is no backend of that name.
        BackendError: The backend asked for cannot run this cell there.

    Example:
        >>> choose("auto", Cell("h[t] = tanh(W @ [h[t-1], x[t]])")).backend.name
        'cpu'
    """
    device = torch.device(device) if isinstance(device, str) else device
    if name != "auto":
        backend = BACKENDS.get(name)
        if backend is None:
            raise SettingError(f"there is no backend {name!r}; choose one of: auto, {', '.join(BACKENDS)}")
        refusal = backend.refusal(cell, device, dtype) or _unreadable(backend, parameters)
        if refusal:
            raise BackendError(f"the {name} backend cannot run this cell: {refusal}; backend='auto' takes one that can")
        return Choice(backend, "it was asked for")
    passed = ""
    for name, backend in BACKENDS.items():
        refusal = backend.refusal(cell, device, dtype) or _unreadable(backend, parameters)
        if refusal is None:
            return Choice(backend, f"{passed}{name}: the first that can run this cell", backend.compiled)
        passed += f"{name}: {refusal}; "
    raise BackendError(f"no backend can run this cell: {passed.removesuffix('; ')}")


def _unreadable(backend: Backend, parameters: Mapping[str, Tensor] | None) -> str | None:
    """Why a backend cannot read some of the parameters; None if it can."""
    if not backend.compiled or not parameters:
        return None
    reasons = (gate.unreadable(f"the parameter {name}", tensor) for name, tensor in parameters.items())
    return next((reason for reason in reasons if reason), None)
