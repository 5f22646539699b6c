"""Backpropagation through time, written out: a loop over the derived backward graph, from the last step to the first.

    for t = T, ..., 1:
        grad_h[t]    = what the loss sends to the output at t + what step t+1 sent back
        grad_h[t-1]  = by the derived equations of the cell, from grad_h[t] and the values of step t
    grad_W = sum over t and batch of outer(rows, columns), one product after the loop

Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors" (1986); Werbos,
"Backpropagation through time: what it does and how to do it" (1990).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.backends.layout import Layout
from recurra.backends.reference.forward import unroll
from recurra.backends.reference.interpret import Program, Values, constants, working_dtype
from recurra.equations.cell import Cell

__all__ = ["Gradients", "backpropagate"]


@dataclass(frozen=True)
class Gradients:
    """The gradients of a loss.

    Args:
        x: dL/dx (T, B, I), zero past each row's length.
        state: dL/d(initial state), (B, H) for each key of `cell.carried`.
        parameters: dL/d(parameter), in the shape of each.
    """

    x: Tensor
    state: dict[str, Tensor]
    parameters: dict[str, Tensor]


@torch.no_grad()
def backpropagate(
    cell: Cell,
    parameters: Mapping[str, Tensor],
    x: Tensor,
    state: Mapping[str, Tensor],
    output_gradients: Tensor,
    state_gradients: Mapping[str, Tensor],
    *,
    lengths: Tensor | None = None,
    reverse: bool = False,
    noise: Mapping[str, Tensor] | None = None,
) -> Gradients:
    """Carry gradients at the outputs and at the last state back through time to everything they depend on.

    Args:
        cell: The cell.
        parameters: The value of each of its parameters, by name.
        x: The inputs (T, B, I).
        state: The state before the first step, (B, H) for each key of `cell.carried`.
        output_gradients: dL/d(outputs) (T, B, H).
        state_gradients: dL/d(last state), (B, H) for each key of `cell.carried`.
        lengths: How many steps of each row count (B,); None for all.
        reverse: Whether the cell ran from each row's last step to its first.
        noise: What was drawn for each noise of the cell.

    Returns:
        The gradients of x, the initial state and every parameter.
    """
    layout = Layout.of(x.shape[0], x.shape[1], lengths)
    forward = unroll(cell, parameters, x, state, layout, reverse=reverse, noise=noise or {}, keep=True)
    hidden = output_gradients.shape[2]
    dtype = working_dtype(cell.graph.graph, x.dtype)
    walk = _Walk(cell, x.new_zeros((), dtype=dtype), x.shape[2], hidden)
    from_above = torch.split(layout.pack(output_gradients).to(dtype), layout.sizes)
    # The gradient at each slot of the state as it stands after the step; at first, after the last one.
    flow = {key: layout.sort(state_gradients[key]).to(dtype, copy=True) for key in cell.carried}
    times = range(len(layout.sizes))
    for t in times if reverse else reversed(times):
        walk.back(t, forward.values[t], forward.matrices, from_above[t], flow)
    return Gradients(
        layout.unpack(torch.cat([walk.x[t] for t in times])).to(x.dtype),
        {key: layout.unsort(value).to(x.dtype) for key, value in flow.items()},
        {name: walk.parameter(name, parameters[name].to(dtype)).to(x.dtype) for name in cell.parameters},
    )


class _Walk:
    """The way back through the steps, gathering what the sums over steps need."""

    def __init__(self, cell: Cell, like: Tensor, input_size: int, hidden_size: int) -> None:
        self.cell, self.backward = cell, cell.backward_graph
        self.like, self.input_size, self.hidden_size = like, input_size, hidden_size
        self.first = len(self.backward.step.owners)
        self.program = Program(self.backward.graph, self.backward.roots, given=range(self.first))
        self.numbers = constants(self.backward.graph, like, input_size, hidden_size)
        self.x: dict[int, Tensor] = {}
        self.vectors: dict[str, Tensor] = {}
        self.outer: dict[tuple[str, int, int], tuple[list[Tensor], list[Tensor]]] = {}

    def back(
        self,
        t: int,
        saved: Values,
        matrices: Mapping[tuple[str, int], Tensor],
        from_above: Tensor,
        flow: dict[str, Tensor],
    ) -> None:
        """One step back: replace in `flow` the gradient at the state after step t by that at the state before."""
        backward, rows = self.backward, from_above.shape[0]
        values = list(self.numbers)
        values[: self.first] = saved
        for number, node in enumerate(backward.graph.nodes):
            if node.kind == "received":
                received = flow[node.name][:rows] if node.name in flow else torch.zeros_like(from_above)
                values[number] = received + from_above if node.name == self.cell.output else received
        self.program.run(values, matrices)

        def of(node: int, width: int) -> Tensor:
            value = values[node]
            assert value is not None
            return value.expand(rows, width)

        before: dict[str, Tensor] = {}
        for key, (name, lag) in self.cell.carried.items():
            # What was `lag` steps back before this step is one further back after it.
            older = next((k for k, place in self.cell.carried.items() if place == (name, lag + 1)), None)
            gradient = torch.zeros_like(from_above) if older is None else flow[older][:rows]
            if (name, lag) in backward.state_gradients:
                gradient = gradient + of(backward.state_gradients[name, lag], self.hidden_size)
            before[key] = gradient
        for key, gradient in before.items():
            flow[key] = torch.cat([gradient, flow[key][rows:]])

        to_x = backward.input_gradient
        self.x[t] = self.like.new_zeros(rows, self.input_size) if to_x is None else of(to_x, self.input_size)
        for name, gathered in backward.vector_gradients.items():
            summed = of(gathered, self.hidden_size).sum(0)
            self.vectors[name] = self.vectors[name] + summed if name in self.vectors else summed
        for name, parts in backward.matrix_gradients.items():
            for place, part in enumerate(parts):
                left, right = self.outer.setdefault((name, part.part, place), ([], []))
                left.append(of(part.rows, self.hidden_size))
                right.append(of(part.columns, self._columns(name)[part.part]))

    def _columns(self, matrix: str) -> tuple[int, ...]:
        return self.cell.parameters[matrix].column_sizes(self.input_size, self.hidden_size)

    def parameter(self, name: str, like: Tensor) -> Tensor:
        """The gradient of a parameter, summed over steps and batch."""
        if self.cell.parameters[name].kind != "matrix":
            return self.vectors.get(name, torch.zeros_like(like))
        gradient = torch.zeros_like(like)
        pieces = torch.split(gradient, list(self._columns(name)), dim=1)
        for (matrix, part, _), (left, right) in self.outer.items():
            if matrix == name:
                pieces[part].add_(torch.cat(left).T @ torch.cat(right))
        return gradient
