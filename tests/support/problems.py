"""What a cell is run on in a test: parameters, inputs, a state, lengths, noise, and gradients that arrive at the end.

    problem = random_problem(cell, seed=3, steps=5, batch=3, input_size=3, hidden_size=5)
    worst_error(problem.autograd(), problem.backpropagate())

A gradient is a dict from a name to a tensor: "x", "state h", "parameter W". Another backend is put to the same test by
giving its `run`, which takes what the reference's `run` takes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.backends import reference
from recurra.equations import Cell

__all__ = ["Problem", "loss", "random_problem", "worst_error"]


@dataclass(frozen=True)
class Problem:
    """A cell and everything it is run on."""

    cell: Cell
    parameters: dict[str, Tensor]
    x: Tensor
    state: dict[str, Tensor]
    output_gradients: Tensor
    state_gradients: dict[str, Tensor]
    lengths: Tensor | None = None
    reverse: bool = False
    noise: dict[str, Tensor] | None = None

    @property
    def hidden_size(self) -> int:
        return self.output_gradients.shape[-1]

    def to(self, to: torch.dtype | torch.device) -> Problem:
        """The same problem in another dtype or on another device."""

        def moved(value: object) -> object:
            if isinstance(value, dict):
                return {name: tensor.to(to) for name, tensor in value.items()}
            floating = isinstance(value, Tensor) and (value.is_floating_point() or isinstance(to, torch.device))
            return value.to(to) if floating else value

        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return Problem(**{name: moved(value) for name, value in fields.items()})

    def replace(self, **changes: object) -> Problem:
        """The same problem but for some of its parts."""
        return dataclasses.replace(self, **changes)

    def run(self, run: Callable = reference.run) -> tuple[Tensor, dict[str, Tensor]]:
        """The outputs and the last state."""
        return run(
            self.cell,
            self.parameters,
            self.x,
            self.state,
            lengths=self.lengths,
            reverse=self.reverse,
            noise=self.noise,
        )

    def autograd(self, run: Callable = reference.run) -> dict[str, Tensor]:
        """The gradients by PyTorch's own differentiation of a forward pass."""
        leaf = self.replace(
            parameters={name: p.detach().requires_grad_() for name, p in self.parameters.items()},
            x=self.x.detach().requires_grad_(),
            state={key: s.detach().requires_grad_() for key, s in self.state.items()},
        )
        wanted = _named(leaf.x, leaf.state, leaf.parameters)
        total = loss(*leaf.run(run), leaf)
        if not total.requires_grad:
            return {name: torch.zeros_like(tensor) for name, tensor in wanted.items()}
        found = torch.autograd.grad(total, list(wanted.values()), allow_unused=True)
        return {
            name: torch.zeros_like(tensor) if gradient is None else gradient
            for (name, tensor), gradient in zip(wanted.items(), found, strict=True)
        }

    def backpropagate(self) -> dict[str, Tensor]:
        """The gradients by the derived backward graph."""
        found = reference.backpropagate(
            self.cell,
            self.parameters,
            self.x,
            self.state,
            self.output_gradients,
            self.state_gradients,
            lengths=self.lengths,
            reverse=self.reverse,
            noise=self.noise,
        )
        return _named(found.x, found.state, found.parameters)


def loss(outputs: Tensor, last: dict[str, Tensor], problem: Problem) -> Tensor:
    """A loss whose gradients at the outputs that count and at the last state are those of the problem."""
    steps = torch.arange(outputs.shape[0], device=outputs.device)[:, None, None]
    counts = True if problem.lengths is None else steps < problem.lengths[:, None]
    total = torch.where(torch.as_tensor(counts, device=outputs.device), outputs * problem.output_gradients, 0.0).sum()
    for key, gradient in problem.state_gradients.items():
        total = total + (last[key] * gradient).sum()
    return total


def random_problem(
    cell: Cell,
    seed: int,
    *,
    steps: int,
    batch: int,
    input_size: int,
    hidden_size: int,
    ragged: bool = True,
    reverse: bool = False,
    dtype: torch.dtype = torch.float64,
) -> Problem:
    """Draw what a cell is run on, within the bounds that random cells are made for; drawn in float64, whatever `dtype`.

    Args:
        cell: The cell.
        seed: The same seed draws the same problem.
        steps: T.
        batch: B.
        input_size: I.
        hidden_size: H.
        ragged: Whether each row has a length of its own, from 1 to T; else all are T long.
        reverse: Whether the rows run from their last step to their first.
        dtype: That of every tensor.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64) * 2 - 1

    parameters = {}
    for name, parameter in cell.parameters.items():
        shape = parameter.shape(input_size, hidden_size)
        parameters[name] = draw(*shape) * (1.5 / max(shape) if parameter.kind == "matrix" else 1.0)
    noise = {}
    for name, kind in cell.noise.items():
        shape = (steps, batch, hidden_size) if kind.each == "step" else (batch, hidden_size)
        noise[name] = (draw(*shape) < 2 * kind.probability - 1) * torch.tensor(kind.value, dtype=torch.float64)
    lengths = torch.randint(1, steps + 1, (batch,), generator=generator) if ragged else None
    problem = Problem(
        cell,
        parameters,
        draw(steps, batch, input_size) * 2,
        {key: draw(batch, hidden_size) for key in cell.carried},
        draw(steps, batch, hidden_size),
        {key: draw(batch, hidden_size) for key in cell.carried},
        lengths,
        reverse,
        noise,
    )
    return problem.to(dtype)


def worst_error(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """The greatest difference, relative to the greatest entry of its own tensor.

    A tensor whose entries are all a thousand times smaller than those of the others is measured by theirs, since
    rounding in the others reaches it; where all are nothing, by 1e-4.
    """
    assert list(found) == list(expected)
    overall = max((float(e.abs().max()) for e in expected.values() if e.numel()), default=0.0)
    worst = 0.0
    for name, e in expected.items():
        assert found[name].shape == e.shape, (name, found[name].shape, e.shape)
        if e.numel():
            scale = max(float(e.abs().max()), 1e-3 * overall, 1e-4)
            error = float((found[name].to(e.dtype) - e).abs().max()) / scale
            worst = max(worst, error if error == error else float("inf"))
    return worst


def _named(x: Tensor, state: dict[str, Tensor], parameters: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        "x": x,
        **{f"state {key}": tensor for key, tensor in state.items()},
        **{f"parameter {name}": tensor for name, tensor in parameters.items()},
    }
