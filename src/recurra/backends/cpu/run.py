"""The compiled loops as an operation that PyTorch differentiates through."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad

from recurra.backends import reference
from recurra.backends.cpu import spare, threads
from recurra.backends.cpu.arrange import arrange, covered
from recurra.backends.cpu.arrangement import Arrangement, Memory, launch
from recurra.backends.cpu.prepare import Prepared, Which, prepare
from recurra.backends.job import Job
from recurra.backends.layout import Layout
from recurra.backends.reference.forward import unroll
from recurra.backends.reference.interpret import Program, constants
from recurra.equations.cell import Cell
from recurra.errors import BackendError, ShapeError

__all__ = ["operands", "refusal", "run", "together"]

_HERE = torch.device("cpu")
"""Named wherever memory is made, since the caller may have made another device the default."""


def refusal(cell: Cell, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why this backend cannot run a cell, or None if it can."""
    if device.type != "cpu":
        return f"it is for processors, and the tensors are on {device}"
    if dtype not in (torch.float32, torch.float64):
        return f"it computes in float32 and float64, not {dtype}"
    if not cell.parameters:
        return "the cell has no parameters, and so nothing tells its width"
    if torch._C._functorch.maybe_current_level() is not None:
        return "torch.func goes through PyTorch's own operations only"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation goes through PyTorch's own operations only"
    return None


# A trace asks and keeps the answer; what is asked of the moment, torch.compile guards itself. This is all that
# torch.compiler.assume_constant_result does, but that takes a second and more to import what few processes need.
refusal._dynamo_marked_constant = True  # type: ignore[attr-defined]


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
    """Run a cell over a batch of sequences; see `recurra.backends.reference.run`."""
    if torch.is_autocast_enabled("cpu"):
        # Compiled code computes in the dtype it is given, and its products before the loop must do so too.
        with torch.autocast("cpu", enabled=False):
            return run(cell, parameters, x, state, lengths=lengths, reverse=reverse, noise=noise)
    if not x.shape[1]:
        return reference.run(cell, parameters, x, state, lengths=lengths, reverse=reverse, noise=noise)
    if torch.compiler.is_compiling():
        # Imported here because it is made of what stands below; a graph keeps its operator whole.
        from recurra.backends.cpu import operator

        return operator.run(cell, parameters, x, state, lengths=lengths, reverse=reverse, noise=noise)
    job = Job(cell, parameters, x, state, lengths, reverse, noise)
    return _run([job])[0]


def together(jobs: Sequence[Job]) -> list[tuple[Tensor, dict[str, Tensor]]]:
    """Run several cells over sequences, side by side where each is too small for all threads: the two directions."""
    plain = not (torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling())
    if plain and all(job.x.shape[1] for job in jobs):
        return _run(jobs)
    return [run(j.cell, j.parameters, j.x, j.state, lengths=j.lengths, reverse=j.reverse, noise=j.noise) for j in jobs]


def _run(jobs: Sequence[Job]) -> list[tuple[Tensor, dict[str, Tensor]]]:
    calls, tensors = [], []
    for job in jobs:
        call, own = _call(job)
        calls.append(call)
        tensors.append(own)
    if torch.is_grad_enabled() and any(t.requires_grad for own in tensors for t in own):
        flat = list(_Recurrence.apply(calls, *(t for own in tensors for t in own)))  # type: ignore[no-untyped-call]
    else:
        flat = _forward([_Pass(call, own) for call, own in zip(calls, tensors, strict=True)], training=False)
    found = []
    for call in calls:
        count = 1 + len(call.prepared.carried)
        (outputs, *last), flat = flat[:count], flat[count:]
        found.append((outputs, dict(zip(call.prepared.carried, last, strict=True))))
    return found


def _call(job: Job) -> tuple[_Call, list[Tensor]]:
    """What a job is as a call of a loop, and the tensors that it is differentiated in."""
    cell, x, given = job.cell, job.x, job.noise or {}
    steps, batch = x.shape[:2]
    layout = _layout(steps, batch) if job.lengths is None else Layout.of(steps, batch, job.lengths)
    drawn = {
        name: (layout.repeat if noise.each == "sequence" else layout.pack)(given[name])
        for name, noise in cell.noise.items()
    }
    parameters, state = job.parameters, job.state
    hidden = next(iter(parameters.values())).shape[0]
    prepared = prepare(cell, x.dtype == torch.float64, x.shape[2], hidden)
    if prepared.plain:
        read = [x] * len(prepared.wanted)
    else:
        read = operands(cell, prepared.wanted, hidden, x, job.lengths if layout.ragged else None, given)
    tensors = [operand.contiguous() for operand in read]  # here, so that both passes read the one copy
    tensors += [parameters[n] for n in prepared.parameters]
    tensors += [state[k] for k in prepared.carried]
    _check(x, [*tensors, *drawn.values()])
    return _Call(prepared, layout, job.reverse, drawn, x, given), tensors


def _has_memory(tensor: Tensor) -> bool:
    """Whether a tensor has an address: those that stand for a batch of others, or for none, have not."""
    if hasattr(tensor, "fake_mode"):  # a tracer's, made up for its shape
        return False
    try:
        return bool(tensor.data_ptr()) or not tensor.numel()
    except RuntimeError:
        return False


def _check(x: Tensor, tensors: Sequence[Tensor]) -> None:
    """Refuse what compiled code would read as something else: it takes addresses, and knows no types."""
    if not _has_memory(x):
        raise BackendError("the cpu backend needs tensors that have memory; backend='reference' takes any")
    dtype = x.dtype
    for tensor in tensors:
        if tensor.dtype != dtype or not tensor.is_cpu:
            raise ShapeError(
                f"x is {x.dtype} on {x.device}, and a tensor that goes with it {tensor.dtype} on {tensor.device}; "
                "move one of them with .to(...)"
            )


@lru_cache(maxsize=256)
def _layout(steps: int, batch: int) -> Layout:
    return Layout.of(steps, batch, None)


def operands(
    cell: Cell,
    wanted: Sequence[int],
    hidden: int,
    x: Tensor,
    lengths: Tensor | None = None,
    noise: Mapping[str, Tensor] | None = None,
) -> list[Tensor]:
    """What the products before the loop read: x, or what is computed from x alone.

    A tracer's tensors are taken as well.

    Args:
        cell: The cell.
        wanted: The nodes of its graph that the products read.
        hidden: H.
        x: Inputs (T, B, I).
        lengths: How many steps of each row count (B,); None for all.
        noise: What is drawn for this pass, by name, (T, B, H) or (B, H).

    Returns:
        For each node its value (T, B, ·).
    """
    graph, (steps, batch, inputs) = cell.graph.graph, x.shape
    if all(graph[number].kind == "input" for number in wanted):
        return [x] * len(wanted)  # of a graph, too, which could not follow it through other shapes and back
    if lengths is not None:
        # Padding may hold anything, and a function of it be infinite: what is read there is a step that counts.
        counts = torch.arange(steps, device=x.device)[:, None, None] < lengths[:, None]
        x = torch.where(counts, x, x[:1])
    rows = x.reshape(steps * batch, inputs)
    values = constants(graph, rows, inputs, hidden)
    for number, node in enumerate(graph.nodes):
        if node.kind == "input":
            values[number] = rows
        elif node.kind == "noise":
            values[number] = (noise or {})[node.name].expand(steps, batch, hidden).reshape(steps * batch, hidden)
    Program(graph, wanted).run(values, {})
    found = [values[number] for number in wanted]
    return [value.expand(steps * batch, -1).reshape(steps, batch, -1) for value in found if value is not None]


class _Call(NamedTuple):
    """What a call is, but for its tensors: `noise` packed, `drawn` as it was given."""

    prepared: Prepared
    layout: Layout
    reverse: bool
    noise: dict[str, Tensor]
    x: Tensor
    drawn: Mapping[str, Tensor]


class _Recurrence(torch.autograd.Function):
    """(operands (T, B, ·), parameters, state) → (outputs (T, B, H), last state) of each call."""

    @staticmethod
    def forward(ctx: Any, calls: Sequence[_Call], *tensors: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401
        passes = [_Pass(call, own) for call, own in zip(calls, _shared_out(calls, tensors), strict=True)]
        outputs = _forward(passes, training=True)
        ctx.calls, ctx.kept = calls, [[pass_.saved for pass_ in passes]]
        ctx.save_for_backward(*tensors)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        tensors = _shared_out(ctx.calls, ctx.saved_tensors)
        needs = _shared_out(ctx.calls, ctx.needs_input_grad[1:])
        rest = list(gradients)
        received = []
        for call in ctx.calls:
            count = 1 + len(call.prepared.carried)
            received.append(rest[:count])
            rest = rest[count:]
        if torch.is_grad_enabled() or not all(_has_memory(g) for g in gradients):
            with torch.enable_grad():
                found = [
                    _differentiable_backward(*each) for each in zip(ctx.calls, tensors, received, needs, strict=True)
                ]
            return (None, *(g for own in found for g in own))
        passes = [_Pass(call, own) for call, own in zip(ctx.calls, tensors, strict=True)]
        try:
            for pass_, saved in zip(passes, ctx.kept.pop(), strict=True):
                pass_.saved = saved
        except IndexError:
            # Gradients take the place of what was kept for them, so a second time it is computed anew.
            _forward(passes, training=True)
        return (None, *(g for own in _backward(passes, received, needs) for g in own))


T = TypeVar("T")


def _shared_out(calls: Sequence[_Call], values: Sequence[T]) -> list[Sequence[T]]:
    """The operands, parameters and states of each call."""
    found, first = [], 0
    for call in calls:
        prepared = call.prepared
        end = first + len(prepared.outside) + len(prepared.parameters) + len(prepared.carried)
        found.append(values[first:end])
        first = end
    return found


def _most(passes: Sequence[_Pass]) -> int:
    """How many threads a pass may take: one where there are others and too few rows to share out well."""
    most = threads.available()
    if len(passes) == 1:
        return most
    few = all(pass_.layout.batch < 12 * most for pass_ in passes)
    return 1 if few and most <= len(passes) else most


def _forward(passes: Sequence[_Pass], *, training: bool) -> list[Tensor]:
    most = _most(passes)
    calls = [pass_.begin_forward(most, training=training) for pass_ in passes]
    launch(calls)
    return [tensor for pass_, call in zip(passes, calls, strict=True) for tensor in pass_.end_forward(*call)]


def _backward(
    passes: Sequence[_Pass], received: Sequence[Sequence[Tensor]], needs: Sequence[Sequence[bool]]
) -> list[list[Tensor | None]]:
    most = _most(passes)
    calls = [pass_.begin_backward(most, g, n) for pass_, g, n in zip(passes, received, needs, strict=True)]
    launch(calls)
    return [pass_.end_backward(*call) for pass_, call in zip(passes, calls, strict=True)]


def _differentiable_backward(
    call: _Call, tensors: Sequence[Tensor], gradients: Sequence[Tensor], needs: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients as something that can be differentiated again, which only plain PyTorch gives.

    That a gradient will be differentiated is known only when it is taken (`create_graph=True`), long after a backend
    was chosen: the reference's steps are then gone through from the same tensors. Forward mode and torch.func are
    known before, and `refusal` says why the reference runs instead.
    """
    cell, layout = call.prepared.cell, call.layout
    first = len(call.prepared.outside)
    count = first + len(cell.parameters)
    unrolled = unroll(
        cell,
        dict(zip(cell.parameters, tensors[first:count], strict=True)),
        call.x.detach(),
        dict(zip(cell.carried, tensors[count:], strict=True)),
        layout,
        reverse=call.reverse,
        noise=call.drawn,
        keep=False,
        given={
            group.operand: layout.pack(tensor) for group, tensor in zip(call.prepared.outside, tensors, strict=False)
        },
    )
    outputs = [
        layout.unpack(torch.cat(unrolled.outputs)),
        *(layout.unsort(unrolled.state[k]) for k in cell.carried),
    ]
    wanted = [t for t, needed in zip(tensors, needs, strict=True) if needed]
    reached = [(o, g) for o, g in zip(outputs, gradients, strict=True) if o.requires_grad]
    found = iter(
        torch.autograd.grad(
            [o for o, _ in reached],
            wanted,
            [g for _, g in reached],
            create_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
    )
    return [next(found) if needed else None for needed in needs]


class _Pass:
    """One call of the loops, forward or backward: results made, addresses given, what is left added up."""

    def __init__(self, call: _Call, tensors: Sequence[Tensor]) -> None:
        prepared = call.prepared
        self.call, self.prepared, self.layout = call, prepared, call.layout
        self.cell, self.hidden, self.width = prepared.cell, prepared.hidden, prepared.width
        self.dtype = torch.float64 if prepared.double else torch.float32
        # What is named here is held until the loop has run, since only its address is given away.
        self.given: dict[str, Tensor] = dict(
            zip(prepared.names, [tensor.contiguous() for tensor in tensors], strict=True)
        )
        for name, drawn in call.noise.items():
            self.given[f"noise.{name}"] = self.padded(drawn)
        self.total = call.layout.total
        self.saved: Tensor | None = None

    @property
    def saved_shape(self) -> tuple[int, int, int]:
        """What the forward loop keeps: some values of every step that counts. They stand first in `saved`."""
        return self.total, len(self.prepared.plan.saved), self.width

    def new_rows(self, width: int) -> Tensor:
        """Something for all steps of all rows (T, B, width), zero where a step does not count."""
        rows = spare.lend((self.layout.steps, self.layout.batch, width), self.dtype)
        return rows.zero_() if self.layout.ragged else rows

    def padded(self, array: Tensor) -> Tensor:
        """Rows of hidden width as contiguous rows of whole vectors."""
        if self.width == self.hidden:
            return array.contiguous()
        wide = torch.zeros(*array.shape[:-1], self.width, dtype=self.dtype, device=_HERE)
        wide[..., : self.hidden] = array
        return wide

    def ready(
        self, which: Which, backwards: bool, most: int, wanted: tuple[bool, ...] = ()
    ) -> tuple[Arrangement, Memory]:
        """A call of a loop with its memory."""
        arrangement = arrange(self.prepared, which, self.layout, backwards, most, wanted)
        return arrangement, arrangement.memory(self.layout)

    def address(self, arrangement: Arrangement, memory: Memory) -> None:
        arrangement.address(memory, {name: tensor.data_ptr() for name, tensor in self.given.items()})

    def new_last(self) -> list[Tensor]:
        """Rows for what the loop ends with."""
        shape = self.layout.batch, self.hidden
        after = [torch.empty(shape, dtype=self.dtype, device=_HERE) for _ in self.prepared.after]
        self.given.update(zip(self.prepared.after, after, strict=True))
        return after

    def forward(self, *, training: bool) -> tuple[Tensor, ...]:
        """Outputs and last state."""
        return tuple(_forward([self], training=training))

    def backward(self, gradients: Sequence[Tensor], needs: Sequence[bool]) -> list[Tensor | None]:
        """The gradients of operands, parameters and state."""
        return _backward([self], [gradients], [needs])[0]

    def begin_forward(self, most: int, *, training: bool) -> tuple[Arrangement, Memory]:
        """What the forward loop takes, laid out."""
        self.given["output"] = self.new_rows(self.width)
        if training:
            self.saved = self.given["saved"] = spare.take(math.prod(self.saved_shape), self.dtype)
        self.last = self.new_last()
        call = self.ready("training" if training else "forward", self.call.reverse, most)
        self.address(*call)
        return call

    def end_forward(self, arrangement: Arrangement, memory: Memory) -> list[Tensor]:
        """Outputs and last state."""
        arrangement.give_back(memory)
        output = self.given["output"]
        if self.width != self.hidden:
            # None of what is returned is a view, so that each may be changed in place.
            wide = output
            output = spare.lend((*wide.shape[:2], self.hidden), self.dtype).copy_(wide[..., : self.hidden])
        return [output, *self.last]

    def begin_backward(
        self, most: int, gradients: Sequence[Tensor], needs: Sequence[bool]
    ) -> tuple[Arrangement, Memory]:
        """What the backward loop takes, laid out."""
        assert self.saved is not None
        groups, names = self.prepared.outside, self.prepared.parameters
        self.given |= {"saved": self.saved, "received": self.padded(gradients[0])}
        # It begins with the gradients at the last state, and ends with those at the first.
        first = self.prepared.names[len(groups) + len(names) :]
        self.given.update(zip(first, [rows.contiguous() for rows in gradients[1:]], strict=True))
        self.last = self.new_last()
        self.wanted = wanted = tuple(needs[: len(groups) + len(names)])
        for number, (group, needed) in enumerate(zip(groups, wanted, strict=False)):
            if needed:
                operand = self.given[f"operand.{number}"]
                reached = any(place >= 0 for place in group.gradients)
                result = self.new_rows(operand.shape[2]) if reached else torch.zeros_like(operand)
                self.given[f"gradient.operand.{number}"] = result
        for name, needed in zip(names, wanted[len(groups) :], strict=True):
            if needed and name not in self.prepared.vectors:
                parameter = self.given[f"parameter.{name}"]
                whole = covered(self.prepared, name)
                result = spare.lend(parameter.shape, self.dtype)
                self.given[f"gradient.{name}"] = result if whole else result.zero_()
        call = self.ready("backward", not self.call.reverse, most, wanted)
        # What the gradients of vectors are added up in, by each thread its own.
        shape = call[0].used, len(self.prepared.vectors), self.width
        self.given["sums"] = self.sums = torch.zeros(shape, dtype=self.dtype, device=_HERE)
        self.address(*call)
        return call

    def end_backward(self, arrangement: Arrangement, memory: Memory) -> list[Tensor | None]:
        """The gradients of operands, parameters and state; None where none is wanted."""
        groups, names = self.prepared.outside, self.prepared.parameters
        sums = self.sums[0] if len(self.sums) == 1 else self.sums.sum(0)
        sums = sums if self.width == self.hidden else sums[:, : self.hidden]
        by_vector = dict(zip(self.prepared.vectors, sums.unbind(), strict=True))
        arrangement.give_back(memory)
        assert self.saved is not None
        spare.give(self.saved)
        results = [self.given.get(f"gradient.operand.{number}") for number in range(len(groups))]
        for name, needed in zip(names, self.wanted[len(groups) :], strict=True):
            found = by_vector[name] if name in by_vector else self.given.get(f"gradient.{name}")
            results.append(found if needed else None)
        return results + list(self.last)
