"""The compiled loops as an operation that PyTorch differentiates through."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from recurra.backends import reference
from recurra.backends.cpu import threads
from recurra.backends.cpu.prepare import Kernel, Outside, Prepared, prepare
from recurra.backends.layout import Layout
from recurra.backends.plan import Side
from recurra.backends.reference.forward import unroll
from recurra.backends.reference.interpret import Program, constants
from recurra.equations.cell import Cell
from recurra.errors import BackendError, ShapeError

__all__ = ["refusal", "run"]


def refusal(cell: Cell, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why this backend cannot run a cell, or None if it can."""
    if device.type != "cpu":
        return f"it is for processors, and the tensors are on {device}"
    if dtype not in (torch.float32, torch.float64):
        return f"it computes in float32 and float64, not {dtype}"
    if not cell.parameters:
        return "the cell has no parameters, and so nothing tells its width"
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "torch.func goes through PyTorch's own operations only"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation goes through PyTorch's own operations only"
    if torch.compiler.is_compiling():
        return "torch.compile traces PyTorch's own operations only"
    return None


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
    layout = _layout(x.shape[0], x.shape[1]) if lengths is None else Layout.of(x.shape[0], x.shape[1], lengths)
    drawn = {}
    for name in cell.noise:
        value = (noise or {})[name]
        drawn[name] = layout.repeat(value) if cell.noise[name].each == "sequence" else layout.pack(value)
    hidden = next(iter(parameters.values())).shape[0]
    prepared = prepare(cell, x.dtype == torch.float64, x.shape[2], hidden)
    operands = _operands(prepared, layout.pack(x), drawn)
    call = _Call(prepared, layout, reverse, drawn, x.detach(), noise or {})
    tensors = [*operands, *(parameters[n] for n in cell.parameters), *(state[k] for k in cell.carried)]
    _check(x, [*tensors, *drawn.values()])
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        packed, *last = _Recurrence.apply(call, *tensors)  # type: ignore[no-untyped-call]
    else:
        packed, *last = _Pass(call, tensors).forward(training=False)
    return layout.unpack(packed), dict(zip(cell.carried, last, strict=True))


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
    for tensor in tensors:
        if tensor.dtype != x.dtype or tensor.device != x.device:
            raise ShapeError(
                f"x is {x.dtype} on {x.device}, and a tensor that goes with it {tensor.dtype} on {tensor.device}; "
                "move one of them with .to(...)"
            )


@lru_cache(maxsize=256)
def _layout(steps: int, batch: int) -> Layout:
    return Layout.of(steps, batch, None)


def _operands(prepared: Prepared, x: Tensor, noise: Mapping[str, Tensor]) -> list[Tensor]:
    """What the products before the loop read: x, or what is computed from x alone, a packed row each."""
    graph = prepared.cell.graph.graph
    wanted = [group.operand for group in prepared.outside]
    if all(graph[n].kind == "input" for n in wanted):
        return [x] * len(wanted)
    values = constants(graph, x, prepared.input_size, prepared.hidden)
    for number, node in enumerate(graph.nodes):
        if node.kind == "input":
            values[number] = x
        elif node.kind == "noise":
            values[number] = noise[node.name]
    Program(graph, wanted).run(values, {})
    found = [values[number] for number in wanted]
    return [value.expand(x.shape[0], -1) for value in found if value is not None]


@dataclass(frozen=True, slots=True)
class _Call:
    """What a call is, but for its tensors: `noise` packed, `drawn` as it was given."""

    prepared: Prepared
    layout: Layout
    reverse: bool
    noise: dict[str, Tensor]
    x: Tensor
    drawn: Mapping[str, Tensor]


class _Recurrence(torch.autograd.Function):
    """(operands, parameters, state) → (packed outputs, last state)."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401
        pass_ = _Pass(call, tensors)
        outputs = pass_.forward(training=True)
        ctx.call, ctx.saved_array, ctx.products = call, pass_.saved, pass_.products
        ctx.save_for_backward(*tensors)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        if torch.is_grad_enabled() or not all(_has_memory(g) for g in gradients):
            with torch.enable_grad():
                return (None, *_differentiable_backward(ctx, gradients))
        pass_ = _Pass(ctx.call, ctx.saved_tensors)
        pass_.saved, pass_.products = ctx.saved_array, ctx.products
        return (None, *pass_.backward(gradients, ctx.needs_input_grad[1:]))


def _differentiable_backward(ctx: Any, gradients: Sequence[Tensor]) -> list[Tensor | None]:  # noqa: ANN401
    """The gradients as something that can be differentiated again, which only plain PyTorch gives."""
    call, tensors = ctx.call, ctx.saved_tensors
    cell, layout = call.prepared.cell, call.layout
    first = len(call.prepared.outside)
    count = first + len(cell.parameters)
    unrolled = unroll(
        cell,
        dict(zip(cell.parameters, tensors[first:count], strict=True)),
        call.x,
        dict(zip(cell.carried, tensors[count:], strict=True)),
        layout,
        reverse=call.reverse,
        noise=call.drawn,
        keep=False,
        given={group.operand: tensor for group, tensor in zip(call.prepared.outside, tensors, strict=False)},
    )
    outputs = [torch.cat(unrolled.outputs), *(layout.unsort(unrolled.state[k]) for k in cell.carried)]
    needs = ctx.needs_input_grad[1:]
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
    """One call of the loops, forward or backward: arrays laid out, the table filled, results taken out."""

    def __init__(self, call: _Call, tensors: Sequence[Tensor]) -> None:
        self.call, self.prepared, self.layout = call, call.prepared, call.layout
        self.cell, self.hidden, self.width = call.prepared.cell, call.prepared.hidden, call.prepared.width
        first = len(self.prepared.outside)
        count = first + len(self.cell.parameters)
        self.operands = tensors[:first]
        self.parameters = dict(zip(self.cell.parameters, tensors[first:count], strict=True))
        self.state = dict(zip(self.cell.carried, tensors[count:], strict=True))
        self.dtype = torch.float64 if self.prepared.double else torch.float32
        self.total = sum(self.layout.sizes)
        self.exact = self.width == self.hidden
        self.saved: Tensor | None = None
        self.products: Tensor | None = None

    def new(self, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=self.dtype, device="cpu")

    def zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=self.dtype, device="cpu")

    def padded(self, array: Tensor) -> Tensor:
        """Rows of hidden width as contiguous rows of whole vectors."""
        if self.exact:
            return array.contiguous()
        wide = self.zeros(*array.shape[:-1], self.width)
        wide[..., : self.hidden] = array
        return wide

    def forward(self, *, training: bool) -> tuple[Tensor, ...]:
        """Outputs and last state."""
        kernel = self.prepared.kernel("training" if training else "forward")
        self.products = self._products()
        self.saved = self.new(self.total, len(self.prepared.plan.saved), self.width) if training else None
        output = self.new(self.total, self.width)
        walk = _Walk(self, self.call.reverse, after=False)
        rings = walk.rings({k: self.layout.sort(v) for k, v in self.state.items()})
        self._call(kernel, walk, rings, {"products": self.products, "saved": self.saved, "output": output})
        last = walk.last(rings)
        # None of what is returned is a view, so that each may be changed in place.
        outputs = output if self.exact else output[:, : self.hidden].clone()
        return (outputs, *(self.layout.unsort(last[k]).clone() for k in self.cell.carried))

    def _blocks(self, group: Outside) -> Tensor:
        """The matrices of the products before the loop that read one operand, below one another (len · H, width)."""
        blocks = [b.of(self.parameters[b.matrix]) for b in group.blocks]
        return torch.cat(blocks) if len(blocks) > 1 else blocks[0]

    def _products(self) -> Tensor:
        """The products before the loop, (N, products, width): one product of matrices for each operand."""
        count = len(self.prepared.plan.products)
        if self.exact and len(self.prepared.outside) == 1:
            return torch.mm(self.operands[0], self._blocks(self.prepared.outside[0]).T)
        result = self.new(self.total, count, self.width) if self.exact else self.zeros(self.total, count, self.width)
        for group, operand in zip(self.prepared.outside, self.operands, strict=True):
            computed = torch.mm(operand, self._blocks(group).T).view(self.total, len(group.places), self.hidden)
            result[:, list(group.places), : self.hidden] = computed
        return result

    def backward(self, gradients: Sequence[Tensor], needs: Sequence[bool]) -> list[Tensor | None]:
        """The gradients of operands, parameters and state."""
        made = self.prepared.plan
        deltas = self.new(self.total, len(made.gradients), self.width)
        sums = self.zeros(threads.available(), len(self.prepared.vectors), self.width)
        walk = _Walk(self, not self.call.reverse, after=True)
        rings = walk.rings({k: self.layout.sort(g) for k, g in zip(self.cell.carried, gradients[1:], strict=True)})
        arrays = {"saved": self.saved, "products": self.products, "gradients": deltas, "sums": sums}
        self._call(self.prepared.kernel("backward"), walk, rings, {**arrays, "received": self.padded(gradients[0])})
        first = walk.last(rings)
        results: list[Tensor | None] = []
        matrices = {n: torch.zeros_like(t) for n, t in self.parameters.items() if t.dim() == 2}
        for group, operand, needed in zip(self.prepared.outside, self.operands, needs, strict=False):
            results.append(self._outside_gradients(group, operand, needed, deltas, matrices))
        self._inner_gradients(deltas, matrices)
        by_vector = sums.sum(0)[:, : self.hidden]
        for name in self.cell.parameters:
            results.append(matrices[name] if name in matrices else by_vector[self.prepared.vectors.index(name)])
        return results + [self.layout.unsort(first[k]) for k in self.cell.carried]

    def _outside_gradients(
        self, group: Outside, operand: Tensor, needed: bool, deltas: Tensor, matrices: dict[str, Tensor]
    ) -> Tensor | None:
        """The gradients of the matrices before the loop, into `matrices`, and of their operand."""
        reached = [(p, b) for p, b in zip(group.gradients, group.blocks, strict=True) if p >= 0]
        if not reached:
            return torch.zeros_like(operand) if needed else None
        delta = self._side_by_side(deltas, [p for p, _ in reached])
        blocks = [b for _, b in reached]
        for block, piece in zip(blocks, torch.split(torch.mm(delta.T, operand), self.hidden), strict=True):
            matrices[block.matrix][:, block.start : block.stop] += piece.T if block.transposed else piece
        if not needed:
            return None
        return torch.mm(delta, torch.cat([b.of(self.parameters[b.matrix]) for b in blocks]))

    def _side_by_side(self, array: Tensor, places: Sequence[int]) -> Tensor:
        """Some of the values of each row of (N, values, width), side by side (N, len · H)."""
        first, count = places[0], len(places)
        if self.exact and list(places) == list(range(first, first + count)):
            return array.view(self.total, -1)[:, first * self.width : (first + count) * self.width]
        return torch.cat([array[:, p, : self.hidden] for p in places], 1)

    def _inner_gradients(self, deltas: Tensor, matrices: dict[str, Tensor]) -> None:
        """The gradients of the loop's own matrices; terms that share their columns are one product."""
        assert self.saved is not None
        arrays: dict[Side, Tensor] = {"saved": self.saved, "gradient": deltas}
        for (kind, place), terms in self.prepared.outer:
            columns = arrays[kind][:, place, : self.hidden]
            kinds = {rows[0] for rows, _ in terms}
            if len(kinds) == 1:
                rows_ = self._side_by_side(arrays[kinds.pop()], [rows[1] for rows, _ in terms])
            else:
                rows_ = torch.cat([arrays[rows[0]][:, rows[1], : self.hidden] for rows, _ in terms], 1)
            pieces = torch.split(torch.mm(rows_.T, columns), self.hidden)
            for (_, block), piece in zip(terms, pieces, strict=True):
                matrices[block.matrix][:, block.start : block.stop] += piece

    def _panels(self, segments: tuple[tuple[Any, ...], ...]) -> Tensor:
        """The weights of a stage in the order in which its tiles read them."""
        blocks, lanes = self.width // self.prepared.lanes, self.prepared.lanes
        pieces = []
        for segment in segments:
            matrices = []
            for block in segment:
                matrix = block.of(self.parameters[block.matrix])
                if not self.exact:
                    matrix = torch.nn.functional.pad(matrix, (0, 0, 0, self.width - self.hidden))
                matrices.append(matrix.reshape(blocks, lanes, self.hidden).transpose(1, 2))
            pieces.append(torch.stack(matrices, 2).view(blocks, -1))
        return torch.cat(pieces, 1) if len(pieces) > 1 else pieces[0]

    def _call(
        self, kernel: Kernel, walk: _Walk, rings: Mapping[str, Tensor], arrays: Mapping[str, Tensor | None]
    ) -> None:
        """Fill the table and run the loop."""
        loop, layout = kernel.loop, self.layout
        used = min(threads.available(), layout.batch)
        # Everything whose address goes into the table is held here until the loop has run.
        placed: dict[str, Tensor] = {name: array for name, array in arrays.items() if array is not None}
        placed["splits"], placed["sizes"], placed["offsets"] = _plan_of_rows(tuple(layout.sizes), layout.batch, used)
        if loop.scratch:
            placed["scratch"] = self.new(layout.batch, len(loop.scratch), self.width)
        means = sum(len(stage.means) for stage in loop.stages)
        if means:
            placed["means"] = self.new(layout.batch, means)
        if self.prepared.vectors:
            placed["vectors"] = self.padded(torch.stack([self.parameters[n] for n in self.prepared.vectors]))
        for name, ring in rings.items():
            placed[f"ring.{name}"] = ring
        for name, drawn in self.call.noise.items():
            placed[f"noise.{name}"] = self.padded(drawn)
        for name, segments in kernel.panels:
            placed[name] = self._panels(segments)
        table = (ctypes.c_int64 * len(kernel.slots))()
        for name, array in placed.items():
            if name in kernel.slots:
                table[kernel.slots[name]] = array.data_ptr()
        for name, word in (
            ("thread", threads.thread_number() if used > 1 else threads.single()),
            ("steps", len(layout.sizes)),
            ("backwards", int(walk.backwards)),
            ("rows", layout.batch),
            ("hidden", self.hidden),
            ("width", self.width),
        ):
            table[kernel.slots[name]] = word
        threads.parallel(kernel.address, ctypes.addressof(table), used)


class _Walk:
    """The order in which a loop goes over the steps, and where each row's state waits for it.

    Args:
        pass_: The call.
        backwards: Whether the last step comes first.
        after: Whether the rings hold gradients, which wait where their own step will look, rather than values, which
            stand before the row's first step.
    """

    def __init__(self, pass_: _Pass, backwards: bool, *, after: bool) -> None:
        self.pass_, self.backwards, self.after = pass_, backwards, after
        layout = pass_.layout
        self.first: int | Tensor = 0
        self.end: int | Tensor = len(layout.sizes) - 1
        self.rows: slice | Tensor = slice(None)
        if layout.order is not None:
            lengths = (_integers(layout.sizes)[:, None] > torch.arange(layout.batch, device="cpu")).sum(0)
            steps = len(layout.sizes)
            self.first = steps - lengths if backwards else torch.zeros_like(lengths)
            self.end = torch.full_like(lengths, steps - 1) if backwards else lengths - 1
            self.rows = torch.arange(layout.batch, device="cpu")

    def rings(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The ring of every state, (lag + 1, B, width), with the given values in their places."""
        of, rings = self.pass_, {}
        for name, furthest in of.cell.states.items():
            rings[name] = of.zeros(furthest + 1, of.layout.batch, of.width)
        for key, (name, lag) in of.cell.carried.items():
            place = self.first + lag - 1 if self.after else self.first - lag
            rings[name][place % (of.cell.states[name] + 1), self.rows, : of.hidden] = values[key]
        return rings

    def last(self, rings: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the rings hold after each row's last step."""
        of, found = self.pass_, {}
        for key, (name, lag) in of.cell.carried.items():
            place = self.end + lag if self.after else self.end - lag + 1
            found[key] = rings[name][place % (of.cell.states[name] + 1), self.rows, : of.hidden]
        return found


@lru_cache(maxsize=256)
def _plan_of_rows(sizes: tuple[int, ...], batch: int, parts: int) -> tuple[Tensor, Tensor, Tensor]:
    """The first row of each thread, how many rows run at each step, and the packed place of each step's first."""
    counts = _integers(sizes)
    return _integers(_split(sizes, batch, parts)), counts, torch.cat([_integers([0]), counts.cumsum(0)])


def _integers(values: Sequence[int]) -> Tensor:
    # Named, since the caller may have made another device the default.
    return torch.tensor(values, dtype=torch.int64, device="cpu")


def _split(sizes: Sequence[int], batch: int, parts: int) -> list[int]:
    """Rows shared out over threads so that each has about the same number of steps."""
    if parts == 1 or sizes[-1] == batch:
        return [batch * k // parts for k in range(parts + 1)]
    lengths = [sum(size > row for size in sizes) for row in range(batch)]
    total, done, places = sum(lengths), 0, [0]
    for row, length in enumerate(lengths):
        done += length
        while len(places) < parts and done * parts >= total * len(places):
            places.append(row + 1)
    return [*places, *[batch] * (parts + 1 - len(places))]
