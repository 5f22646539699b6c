"""The compiled loops as operators that torch.compile and torch.export keep whole in their graphs.

`recurra::recurrence` is a cell over a batch of sequences, `recurra::recurrence_backward` its gradients. In a graph a
cell is a string that says all that it is, so that a graph that was saved runs in a process that never met the cell.
A graph knows shapes but no numbers: the lengths of rows are an operand, and which steps count is worked out inside.
What the forward pass keeps for the gradient is one more of its results, with a row for each step of the padded batch,
since how many of those count is not known before.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from recurra.backends import gate
from recurra.backends.cpu import spare
from recurra.backends.cpu.kept import blocks_of, kept_whole
from recurra.backends.cpu.passes import Call, Pass, Results, results, whole
from recurra.backends.cpu.prepare import Prepared, prepare
from recurra.backends.cpu.run import _differentiable_backward, operands
from recurra.backends.layout import Layout
from recurra.backends.plan import plan
from recurra.equations.cell import Cell, Noise
from recurra.errors import ShapeError

__all__ = ["describe", "read", "recurrence", "recurrence_backward", "run"]

_OPERANDS = (
    "str cell, Tensor[] operands, Tensor[] parameters, Tensor[] state, Tensor[] noise, Tensor? lengths, "
    "SymInt steps, SymInt batch, SymInt input_size, bool reverse"
)


def describe(cell: Cell) -> str:
    """All that decides what a cell computes, as a string.

    Example:
        >>> describe(Cell("h[t] = tanh(W @ [h[t-1], x[t]])"))
        '{"equations": "h[t] = tanh(W @ [h[t-1], x[t]])", "constants": {}, "noise": {}}'
    """
    noise = {name: asdict(noise) for name, noise in cell.noise.items()}
    return json.dumps({"equations": cell.text, "constants": cell.constants, "noise": noise})


@lru_cache(maxsize=512)
def read(description: str) -> Cell:
    """The cell that a string describes."""
    parts = json.loads(description)
    noise = {name: Noise(**values) for name, values in parts["noise"].items()}
    return Cell(parts["equations"], constants=parts["constants"], noise=noise)


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
    """Run a cell over a batch of sequences, in a graph; see `recurra.backends.reference.run`."""
    description, wanted = _traced(cell)
    carried = list(cell.carried)
    drawn = {name: (noise or {})[name] for name in cell.noise}
    steps, batch, input_size = x.shape
    hidden = parameters[next(iter(parameters))].shape[0]
    given = [operand.contiguous() for operand in operands(cell, wanted, hidden, x, lengths, drawn)]
    matrices, before = [parameters[name] for name in cell.parameters], [state[key] for key in carried]
    training = torch.is_grad_enabled() and any(t.requires_grad for t in [*given, *matrices, *before])
    results = torch.ops.recurra.recurrence(
        description,
        given,
        matrices,
        before,
        list(drawn.values()),
        lengths,
        steps,
        batch,
        input_size,
        reverse,
        training,
    )
    return results[0], dict(zip(carried, results[1 : 1 + len(carried)], strict=True))


def _traced(cell: Cell) -> tuple[str, tuple[int, ...]]:
    """What a trace reads of a cell: its description, and the nodes that products before the loop read."""
    return describe(cell), tuple(dict.fromkeys(operand for *_, operand in plan(cell).products))


# A trace calls it and keeps what it gives; see `recurra.backends.cpu.run.refusal`.
_traced._dynamo_marked_constant = True  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class _Tensors:
    """The call and the tensors of an operator, as the compiled loops take them."""

    call: Call
    given: list[Tensor]

    @classmethod
    def of(
        cls,
        cell: str,
        operands: Sequence[Tensor],
        parameters: Sequence[Tensor],
        state: Sequence[Tensor],
        noise: Sequence[Tensor],
        lengths: Tensor | None,
        steps: int,
        batch: int,
        input_size: int,
        reverse: bool,
    ) -> _Tensors:
        prepared = _prepared(cell, parameters, input_size)
        given = dict(zip(prepared.cell.noise, noise, strict=True))
        shapes = results(prepared, int(steps), int(batch))
        cls._check(prepared, shapes, [*operands, *parameters, *state], given, steps, batch)
        if lengths is not None:
            gate.check_lengths(lengths, steps, batch)
        layout = whole(steps, batch) if lengths is None else Layout.of(steps, batch, lengths)
        packed = [
            (layout.repeat if own.each == "sequence" else layout.pack)(given[name])
            for name, own in prepared.cell.noise.items()
        ]
        # Of x nothing is read but what the operands are: nothing is what it holds.
        x = parameters[0].new_full((), torch.nan).expand(steps, batch, input_size)
        call = Call(prepared, layout, reverse, packed, x, given, shapes, shapes.state)
        return cls(call, [*operands, *parameters, *state])

    @staticmethod
    def _check(
        prepared: Prepared,
        shapes: Results,
        tensors: Sequence[Tensor],
        noise: Mapping[str, Tensor],
        steps: int,
        batch: int,
    ) -> None:
        """A graph that was saved or compiled may be given anything."""
        cell, hidden = prepared.cell, prepared.hidden
        names = [f"operand {number}" for number, _ in enumerate(prepared.outside)]
        names += gate.labels(cell, None, reverse=False)
        if len(tensors) != len(names):
            raise ShapeError(f"{len(tensors)} operands, parameters and states came; expected {len(names)}")
        named = [*zip(names, tensors, shapes.shapes[1:], strict=True)]
        for name, drawn in noise.items():
            named.append((f"the noise {name!r}", drawn, gate.noise_shape(cell.noise[name], steps, batch, hidden)))
        gate.check(gate.Operand(*each) for each in named)


def _prepared(cell: str, parameters: Sequence[Tensor], input_size: int) -> Prepared:
    if not parameters or not parameters[0].dim():
        raise ShapeError("the first parameter tells how many units there are: it has at least one axis")
    return prepare(read(cell), parameters[0].dtype == torch.float64, int(input_size), int(parameters[0].shape[0]))


@torch.library.custom_op(
    "recurra::recurrence", mutates_args=(), schema=f"({_OPERANDS}, bool training) -> Tensor[]", device_types="cpu"
)
def recurrence(*given: Any) -> list[Tensor]:  # noqa: ANN401
    """A cell over a batch of sequences: outputs (T, B, H), last states (B, H), and in training what is kept."""
    *operands, training = given
    tensors = _Tensors.of(*operands)
    layout, pass_ = tensors.call.layout, Pass(tensors.call, tensors.given)
    output, *last = pass_.forward(training=training)
    results = [output, *last]
    if training:
        assert pass_.saved is not None
        kept = pass_.saved[: math.prod(pass_.saved_shape)].view(pass_.saved_shape)
        results.append(_with_rows(kept, layout.steps * layout.batch))
    return results


def _with_rows(saved: Tensor, rows: int) -> Tensor:
    """The array with as many rows as a graph says that it has, zeros past its own."""
    return saved if len(saved) == rows else torch.cat([saved, saved.new_zeros(rows - len(saved), *saved.shape[1:])])


@recurrence.register_fake
def _shapes(*given: Any) -> list[Tensor]:  # noqa: ANN401
    cell, _, parameters, state, _, _, steps, batch, input_size, _, training = given
    like, hidden = parameters[0], parameters[0].shape[0]
    results = [like.new_empty(steps, batch, hidden), *(like.new_empty(batch, hidden) for _ in state)]
    if training:
        prepared = _prepared(cell, parameters, input_size)
        results.append(like.new_empty(steps * batch, len(prepared.plan.saved), prepared.width))
    return results


@torch.library.custom_op(
    "recurra::recurrence_backward",
    mutates_args=(),
    schema=f"({_OPERANDS}, Tensor saved, Tensor[] gradients, bool[] needs) -> Tensor[]",
    device_types="cpu",
)
def recurrence_backward(*given: Any) -> list[Tensor]:  # noqa: ANN401
    """The gradients of those operands, parameters and states that need one, in this order."""
    *operands, saved, (output, *last), needs = given
    tensors = _Tensors.of(*operands)
    layout, pass_ = tensors.call.layout, Pass(tensors.call, tensors.given)
    # The loop writes gradients over what was kept, and a graph may be gone through again.
    numbers = math.prod(pass_.saved_shape)
    pass_.saved = spare.take(numbers, saved.dtype)
    pass_.saved[:numbers] = saved[: layout.total].flatten()
    found = pass_.backward([output, *last], needs)
    return _apart([g for g, needed in zip(found, needs, strict=True) if needed and g is not None])


def _apart(results: Sequence[Tensor]) -> list[Tensor]:
    """Results of an operator: contiguous, none of them a part of the memory of another."""
    places, apart = set(), []
    for result in results:
        own = result.contiguous()
        place = own.untyped_storage().data_ptr()
        apart.append(own.clone() if place in places else own)
        places.add(place)
    return apart


@recurrence_backward.register_fake
def _shapes_of_gradients(*given: Any) -> list[Tensor]:  # noqa: ANN401
    _, operands, parameters, state, *_, needs = given
    tensors = [*operands, *parameters, *state]
    return [t.new_empty(t.shape) for t, needed in zip(tensors, needs, strict=True) if needed]


def _keep(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:  # noqa: ANN401
    ctx.cell, operands, parameters, state, noise, lengths, *ctx.settings, training = inputs
    ctx.set_materialize_grads(False)
    ctx.counts = [len(operands), len(parameters), len(state), len(noise)]
    if training:
        ctx.mark_non_differentiable(output[-1])
        kept, ctx.blocks = kept_whole([*operands, *parameters, *state, *noise])
        ctx.save_for_backward(*kept, lengths, output[-1])


def _backward(ctx: Any, received: Sequence[Tensor | None]) -> tuple[Any, ...]:  # noqa: ANN401
    *tensors, lengths, saved = ctx.saved_tensors
    groups = _cut(blocks_of(tensors, ctx.blocks), ctx.counts)
    steps, batch, _, _ = ctx.settings
    like, hidden = groups[1][0], groups[1][0].shape[0]
    shapes = [(steps, batch, hidden)] + [(batch, hidden)] * len(groups[2])
    gradients = [like.new_zeros(s) if g is None else g for g, s in zip(received, shapes, strict=False)]
    needs = [needed for group in ctx.needs_input_grad[1:4] for needed in group]
    inputs = (ctx.cell, *groups, lengths, *ctx.settings)
    if torch.is_grad_enabled():
        found = _differentiable(inputs, gradients, needs)
    else:
        several = iter(torch.ops.recurra.recurrence_backward(*inputs, saved, gradients, needs))
        found = [next(several) if needed else None for needed in needs]
    return (None, *_cut(found, ctx.counts[:3]), [None] * ctx.counts[3], *[None] * 6)


def _cut(values: Sequence[Any], counts: Sequence[int]) -> list[list[Any]]:
    rest = iter(values)
    return [[next(rest) for _ in range(count)] for count in counts]


def _differentiable(inputs: tuple[Any, ...], gradients: Sequence[Tensor], needs: Sequence[bool]) -> list[Tensor | None]:
    tensors = _Tensors.of(*inputs)
    return _differentiable_backward(tensors.call, tensors.given, gradients, needs)


recurrence.register_autograd(_backward, setup_context=_keep)
