"""The forward pass in plain PyTorch: what no state reaches at once for all steps, the rest a step at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from recurra.backends.layout import Layout
from recurra.backends.reference.interpret import Blocks, Program, Values, blocks, constants, working_dtype
from recurra.equations.cell import Cell
from recurra.equations.graph import Graph

__all__ = ["Unrolled", "hidden_size", "run", "unroll", "whole"]


def run(
    cell: Cell,
    parameters: Mapping[str, Tensor],
    x: Tensor,
    state: Mapping[str, Tensor],
    *,
    lengths: Tensor | None = None,
    reverse: bool = False,
    noise: Mapping[str, Tensor] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run a cell over a batch of sequences, forward or backward in time.

    Args:
        cell: The cell.
        parameters: The value of each of its parameters, by name.
        x: The inputs (T, B, I).
        state: The state before the first step, (B, H) for each key of `cell.carried`.
        lengths: How many steps of each row count (B,), from 1 to T; None for all.
        reverse: Whether to run from each row's last step to its first.
        noise: What was drawn for each noise of the cell: (T, B, H), or (B, H) if it is one for a whole sequence.

    Returns:
        The outputs (T, B, H), zero past each row's length, and the state after each row's last step.
    """
    layout = Layout.of(x.shape[0], x.shape[1], lengths)
    unrolled = unroll(cell, parameters, x, state, layout, reverse=reverse, noise=noise or {}, keep=False)
    outputs = layout.unpack(torch.cat(unrolled.outputs))
    # After fewer steps than a lag, what lies that far back is the state that was given: it is returned as a copy, or to
    # change the one in place would change the other, which may be a parameter.
    lagged = {key for key in unrolled.state if "[" in key}
    last = {key: layout.unsort(value) for key, value in unrolled.state.items()}
    return outputs, {key: value.clone() if key in lagged else value for key, value in last.items()}


@dataclass
class Unrolled:
    """A forward pass, unrolled: the outputs of each step in the order of time, the last state, rows sorted.

    With `keep`, also every value of every step: `values[t][node]`.
    """

    outputs: list[Tensor]
    state: dict[str, Tensor]
    values: list[Values]
    matrices: Blocks


def unroll(
    cell: Cell,
    parameters: Mapping[str, Tensor],
    x: Tensor,
    state: Mapping[str, Tensor],
    layout: Layout,
    *,
    reverse: bool,
    noise: Mapping[str, Tensor],
    keep: bool,
    given: Mapping[int, Tensor] | None = None,
) -> Unrolled:
    """Run the cell over all steps of a layout; see `run`. Nodes that no state reaches may be `given`, packed."""
    step, graph = cell.graph, cell.graph.graph
    hidden = hidden_size(parameters, state)
    dtype = working_dtype(graph, x.dtype)
    values = constants(graph, x.to(dtype), x.shape[2], hidden)
    matrices = blocks(step.parameters, parameters, x.shape[2])
    for number, node in enumerate(graph.nodes):
        if node.kind == "vector":
            values[number] = parameters[node.name].to(dtype)
        elif node.kind == "input":
            values[number] = layout.pack(x).to(dtype)
        elif node.kind == "noise":
            drawn = noise[node.name].to(dtype)
            values[number] = layout.repeat(drawn) if cell.noise[node.name].each == "sequence" else layout.pack(drawn)
    given = given or {}
    for number, value in given.items():
        values[number] = value

    wanted = range(len(graph)) if keep else step.roots
    at_once = _without_state(graph)
    inside = Program(graph, [n for n in wanted if n not in at_once], given=at_once)
    Program(graph, [n for n in {*wanted, *inside.reads} if n in at_once], given=given).run(values, matrices)

    # What differs from step to step is packed (N, width); vectors and numbers are the same at every step.
    per_step = {
        n: torch.split(value, layout.sizes) for n, value in enumerate(values) if value is not None and value.dim() == 2
    }
    carried = {key: layout.sort(state[key]) for key in cell.carried}
    outputs: list[Tensor | None] = [None] * len(layout.sizes)
    kept: list[Values] = [[] for _ in layout.sizes]
    times = range(len(layout.sizes))
    for t in reversed(times) if reverse else times:
        running = layout.sizes[t]
        for number, pieces in per_step.items():
            values[number] = pieces[t]
        for number, node in enumerate(graph.nodes):
            if node.kind == "state":
                values[number] = carried[_key(node.name, node.index)][:running].to(dtype)
        inside.run(values, matrices)
        outputs[t] = whole(values[step.values[step.output]], running).to(x.dtype)
        new = {name: whole(values[step.values[name]], running).to(x.dtype) for name in step.states}
        carried = _advance(cell, carried, new, running)
        if keep:
            kept[t] = list(values)
    return Unrolled([o for o in outputs if o is not None], carried, kept, matrices)


def hidden_size(parameters: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> int:
    """H, as the states tell it, or else the parameters."""
    return next((tensor.shape[-1] for tensor in state.values()), 0) or next(
        (tensor.shape[0] for tensor in parameters.values()), 1
    )


def _key(name: str, lag: int) -> str:
    return name if lag == 1 else f"{name}[t-{lag - 1}]"


def _without_state(graph: Graph) -> set[int]:
    """The nodes that no state reaches: they can be computed for all steps at once."""
    reached: set[int] = set()
    for number, node in enumerate(graph.nodes):
        if node.kind == "state" or any(a in reached for a in node.args):
            reached.add(number)
    return set(range(len(graph))) - reached


def whole(value: Tensor | None, rows: int) -> Tensor:
    """A value that is the same for all rows, given to each of them."""
    assert value is not None
    return value if value.dim() == 2 else value.expand(rows, -1)


def _advance(cell: Cell, carried: Mapping[str, Tensor], new: Mapping[str, Tensor], running: int) -> dict[str, Tensor]:
    """The state after a step: rows that have ended keep theirs, and older values move back by one."""
    advanced: dict[str, Tensor] = {}
    for key, (name, lag) in cell.carried.items():
        value = new[name] if lag == 1 else carried[_key(name, lag - 1)][:running]
        old = carried[key]
        advanced[key] = value if running == old.shape[0] else torch.cat([value, old[running:]])
    return advanced
