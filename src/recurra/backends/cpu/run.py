"""The compiled loops as an operation that PyTorch differentiates through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from recurra.backends import gate, reference
from recurra.backends.cpu import passes
from recurra.backends.cpu.limits import size_refusal
from recurra.backends.cpu.passes import Call, Pass
from recurra.backends.cpu.prepare import prepare
from recurra.backends.job import Job, one_by_one
from recurra.backends.layout import Layout
from recurra.backends.reference.forward import hidden_size, unroll
from recurra.backends.reference.interpret import Program, constants
from recurra.equations.cell import Cell
from recurra.errors import BackendError

__all__ = ["operands", "refusal", "run", "together"]


def refusal(cell: Cell, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why this backend cannot run a cell, or None if it can."""
    if device.type != "cpu":
        return f"it is for processors, and the tensors are on {device}"
    if dtype not in (torch.float32, torch.float64):
        return f"it computes in float32 and float64, not {dtype}"
    if not cell.parameter_names:
        return "the cell has no parameters, and so nothing tells its width"
    return gate.tracer() or size_refusal(cell)


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
        return _as_operator(cell, parameters, x, state, lengths, reverse, noise)
    job = Job(cell, hidden_size(parameters, state), parameters, x, state, lengths, reverse, noise)
    if lengths is not None:
        gate.check_lengths(lengths, *x.shape[:2])
    if gate.watched():
        gate.check(gate.operands_of(job))
        _refuse_unreadable(job)
        return _as_operator(cell, parameters, x, state, lengths, reverse, noise)
    return _run([job], stacked=False)[0]


def _as_operator(
    cell: Cell,
    parameters: Mapping[str, Tensor],
    x: Tensor,
    state: Mapping[str, Tensor],
    lengths: Tensor | None,
    reverse: bool,
    noise: Mapping[str, Tensor] | None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The same as one operation of PyTorch's, which a graph keeps whole and a mode can watch."""
    # Imported here because it is made of what stands below.
    from recurra.backends.cpu import operator

    return operator.run(cell, parameters, x, state, lengths=lengths, reverse=reverse, noise=noise)


def together(jobs: Sequence[Job]) -> list[tuple[Tensor, dict[str, Tensor]]]:
    """Run several cells over sequences, side by side where each is too small for all threads: the two directions."""
    plain = not (torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling() or gate.watched())
    if plain and all(job.x.shape[1] for job in jobs):
        return _run(jobs, stacked=True)
    return one_by_one(run, jobs)


def _run(jobs: Sequence[Job], *, stacked: bool) -> list[tuple[Tensor, dict[str, Tensor]]]:
    """Outputs and last states of each job, these with an axis of their own for layers if `stacked`."""
    made = [_call(job, stacked) for job in jobs]
    tensors = made[0][1] if len(made) == 1 else [t for _, own in made for t in own]
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        flat = iter(_Recurrence.apply([call for call, _ in made], *tensors))  # type: ignore[no-untyped-call]
    else:
        flat = iter(passes.forward([Pass(call, own) for call, own in made], training=False))
    return [(next(flat), dict(zip(call.prepared.carried, flat, strict=False))) for call, _ in made]


def _call(job: Job, stacked: bool) -> tuple[Call, list[Tensor]]:
    """What a job is as a call of a loop, and the tensors that it is differentiated in."""
    cell, hidden, parameters, x, state, lengths, reverse, noise, layer = job
    try:
        steps, batch, inputs = x.shape
    except RuntimeError:  # it is nested
        raise _refusal(job) from None
    if type(steps) is not int:
        raise gate.UnreadableError(f"the cpu backend cannot run this cell: {gate.tracer() or 'its sizes are unknown'}")
    layout = passes.whole(steps, batch) if lengths is None else Layout.of(steps, batch, lengths)
    prepared = prepare(cell, x.dtype == torch.float64, inputs, hidden)
    results = passes.results(prepared, steps, batch)
    weights = [parameters[name] for name in prepared.parameters]
    states = [state[key] for key in prepared.carried if key in state] if state else []
    ready = results.before.accepts([x, *weights, *states])
    if ready is None or (x.data_ptr() < gate.LOW and not x._is_zerotensor()):
        raise _refusal(job)
    if not ready:
        x = gate.stored(x)
    given, drawn = noise or {}, []
    if cell.noise:
        _check_noise(job)
        drawn = [(layout.repeat if n.each == "sequence" else layout.pack)(given[k]) for k, n in cell.noise.items()]
    # Contiguous here, so that both passes read the one copy.
    if prepared.plain:
        tensors = [x.contiguous()] * len(prepared.wanted)
    else:
        read = operands(cell, prepared.wanted, hidden, x, lengths if layout.ragged else None, given)
        tensors = [operand.contiguous() for operand in read]
    tensors += weights
    tensors += (
        states if len(states) == len(prepared.carried) else [state.get(k, results.state) for k in prepared.carried]
    )
    checked = len(tensors) if states else len(tensors) - len(prepared.carried)
    last = results.stacked if stacked else results.state
    return Call(prepared, layout, reverse, drawn, x, given, results, last, ready, checked, layer), tensors


def _check_noise(job: Job) -> None:
    """What is drawn must fit before it is packed."""
    cell, (steps, batch, _), noise = job.cell, job.x.shape, job.noise or {}
    expected = [gate.noise_shape(own, steps, batch, job.hidden_size) for own in cell.noise.values()]
    if not gate.check_plain([noise[name] for name in cell.noise], expected, job.x.dtype):
        raise _refusal(job)


def _refusal(job: Job) -> BackendError:
    """What is said of a job with a tensor that compiled code cannot take; of one that nothing can, that is raised."""
    gate.check(gate.operands_of(job))
    _refuse_unreadable(job)
    return gate.UnreadableError("the cpu backend cannot run this cell: it needs tensors that have memory of their own")


def _refuse_unreadable(job: Job) -> None:
    for operand in gate.operands_of(job):
        reason = gate.unreadable(operand.label, operand.tensor)
        if reason:
            raise gate.UnreadableError(f"the cpu backend cannot run this cell: {reason}; backend='reference' takes any")


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


class _Recurrence(torch.autograd.Function):
    """(operands (T, B, ·), parameters, state) → (outputs (T, B, H), last state) of each call."""

    @staticmethod
    def forward(ctx: Any, calls: Sequence[Call], *tensors: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401
        made = [Pass(call, own) for call, own in zip(calls, _shared_out(calls, tensors), strict=True)]
        outputs = passes.forward(made, training=True)
        ctx.calls, ctx.kept = calls, [[pass_.saved for pass_ in made]]
        ctx.save_for_backward(*tensors)
        ctx.set_materialize_grads(False)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        try:
            tensors = _shared_out(ctx.calls, ctx.saved_tensors)
        except RuntimeError as error:
            if "is a view" not in str(error):
                raise
            # So torch tells of a gate's block of a weight.
            raise BackendError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: a "
                "weight was changed after the forward pass; take the gradient before, or run the layer again"
            ) from None
        needs = _shared_out(ctx.calls, ctx.needs_input_grad[1:])
        by_steps = torch.is_grad_enabled() or gate.watched() or gate.tracer() is not None
        if not all(g is None or gate.readable(g) for g in gradients):
            gradients = tuple(g if g is None or g.layout is torch.strided else g.to_dense() for g in gradients)
            by_steps = by_steps or any(g is not None and gate.unreadable("a gradient", g) for g in gradients)
        rest = list(gradients)
        received = []
        for call, own in zip(ctx.calls, tensors, strict=True):
            _check_again(call, own)
            count = 1 + len(call.prepared.carried)
            received.append(rest[:count])
            rest = rest[count:]
        if by_steps:
            with torch.enable_grad():
                found = [
                    _differentiable_backward(*each) for each in zip(ctx.calls, tensors, received, needs, strict=True)
                ]
            return (None, *(g for own in found for g in own))
        made = [Pass(call, own) for call, own in zip(ctx.calls, tensors, strict=True)]
        try:
            for pass_, saved in zip(made, ctx.kept.pop(), strict=True):
                pass_.saved = saved
        except IndexError:
            # Gradients take the place of what was kept for them, so a second time it is computed anew.
            passes.forward(made, training=True)
        return (None, *(g for own in passes.backward(made, received, needs) for g in own))


T = TypeVar("T")


def _shared_out(calls: Sequence[Call], values: Sequence[T]) -> list[Sequence[T]]:
    """The operands, parameters and states of each call."""
    found, first = [], 0
    for call in calls:
        prepared = call.prepared
        end = first + len(prepared.outside) + len(prepared.parameters) + len(prepared.carried)
        found.append(values[first:end])
        first = end
    return found


def _check_again(call: Call, tensors: Sequence[Tensor]) -> None:
    """Refuse tensors that are not what they were in the forward pass: a parameter's data can be replaced meanwhile."""
    results, outside = call.results, len(call.prepared.outside)
    first = max(0, outside - 1) if call.prepared.plain else 0  # where all operands are the input, one is
    if results.after.accepts(tensors[first : call.checked]) is not None:
        return
    cell = call.prepared.cell
    named = ["x"] * outside + gate.labels(cell, call.layer, reverse=call.reverse)
    gate.check(
        gate.Operand(f"{label}, in the backward pass,", tensor, shape)
        for label, tensor, shape in zip(named, tensors, results.shapes[1:], strict=True)
    )
    raise BackendError("what the forward pass kept for the gradient is no longer a tensor that has memory of its own")


def _differentiable_backward(
    call: Call, tensors: Sequence[Tensor], gradients: Sequence[Tensor | None], needs: Sequence[bool]
) -> list[Tensor | None]:
    """The gradients as something that can be differentiated again, which only plain PyTorch gives.

    That a gradient will be differentiated is known only when it is taken (`create_graph=True`), long after a backend
    was chosen: the reference's steps are then gone through from the same tensors. Forward mode and torch.func are
    known before, and `refusal` says why the reference runs instead.
    """
    if torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            return _differentiable_backward(call, tensors, gradients, needs)
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
    pairs = [(o, g.reshape(o.shape)) for o, g in zip(outputs, gradients, strict=True) if g is not None]
    reached = [(o, g) for o, g in pairs if o.requires_grad]
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
