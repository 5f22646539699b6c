"""The compiled loops as an operation that PyTorch differentiates through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from recurra.backends.cpu import emit, library, threads
from recurra.backends.cpu.table import slots
from recurra.backends.cpu.target import Target, host
from recurra.backends.layout import Layout
from recurra.backends.plan import Loop, Plan, Stage, plan
from recurra.backends.reference.forward import unroll
from recurra.backends.reference.interpret import Program, constants
from recurra.equations.cell import Cell

__all__ = ["refusal", "run"]


def refusal(cell: Cell, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why this backend cannot run a cell, or None if it can."""
    if device.type != "cpu":
        return f"it is for processors, and the tensors are on {device}"
    if dtype not in (torch.float32, torch.float64):
        return f"it computes in float32 and float64, not {dtype}"
    if not cell.parameters:
        return "the cell has no parameters, and so nothing tells its width"
    return None


@dataclass(frozen=True)
class Kernel:
    """A compiled loop with what it takes to call it."""

    loop: Loop
    code: library.Compiled
    slots: dict[str, int]


@dataclass(frozen=True)
class Kernels:
    """A cell compiled for the host in one dtype."""

    plan: Plan
    target: Target
    lanes: int
    forward: Kernel
    training: Kernel
    backward: Kernel


@lru_cache(maxsize=256)
def _kernel(cell: Cell, which: str, double: bool) -> Kernel:
    made, target = plan(cell), host()
    loop: Loop = getattr(made, which)
    states, noises = cell.states, tuple(cell.noise)
    counts = {"products": len(made.products), "saved": len(made.saved), "gradients": len(made.gradients)}
    vectors = _vectors(cell)

    def source() -> str:
        return emit.emit(
            loop,
            target,
            double=double,
            states=states,
            noises=noises,
            vectors=vectors,
            counts=counts,
            output=cell.output,
            keeps="gradients" if which == "backward" else "saved",
        )

    description = repr((loop, double, states, noises, vectors, counts, cell.output, which, emit.VERSION))
    return Kernel(loop, library.load(description, source, target), slots(loop, states, noises))


def _vectors(cell: Cell) -> tuple[str, ...]:
    return tuple(name for name, p in cell.parameters.items() if p.kind != "matrix")


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
    layout = Layout.of(x.shape[0], x.shape[1], lengths)
    drawn = {}
    for name, value in (noise or {}).items():
        whole = cell.noise[name].each == "sequence"
        drawn[name] = layout.repeat(value) if whole else layout.pack(value)
    hidden = next(iter(parameters.values())).shape[0]
    operands = _operands(cell, layout.pack(x), drawn, hidden)
    call = _Call(cell, layout, reverse, x.dtype, drawn, tuple(operands), x.detach(), noise or {})
    tensors = [*operands.values(), *(parameters[n] for n in cell.parameters), *(state[k] for k in cell.carried)]
    packed, *last = _Recurrence.apply(call, *tensors)  # type: ignore[no-untyped-call]
    return layout.unpack(packed), dict(zip(cell.carried, last, strict=True))


def _operands(cell: Cell, x: Tensor, noise: Mapping[str, Tensor], hidden: int) -> dict[int, Tensor]:
    """What the products before the loop read, by node: x, or what is computed from x alone, a packed row each."""
    graph = cell.graph.graph
    wanted = list(dict.fromkeys(operand for *_, operand in plan(cell).products))
    values = constants(graph, x, x.shape[1], hidden)
    for number, node in enumerate(graph.nodes):
        if node.kind == "input":
            values[number] = x
        elif node.kind == "noise":
            values[number] = noise[node.name]
    Program(graph, wanted).run(values, {})
    found = {}
    for number in wanted:
        value = values[number]
        assert value is not None
        found[number] = value.expand(x.shape[0], -1)
    return found


@dataclass
class _Call:
    """What a call is, but for its tensors."""

    cell: Cell
    layout: Layout
    reverse: bool
    dtype: torch.dtype
    noise: dict[str, Tensor]
    operands: tuple[int, ...]
    x: Tensor
    drawn: Mapping[str, Tensor]


class _Recurrence(torch.autograd.Function):
    """(operands, parameters, state) → (packed outputs, last state)."""

    @staticmethod
    def forward(ctx: Any, call: _Call, *tensors: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401
        training = any(ctx.needs_input_grad)
        pass_ = _Pass(call, tensors)
        outputs = pass_.forward(training)
        if training:
            ctx.call, ctx.saved_array, ctx.products = call, pass_.saved, pass_.products
            ctx.save_for_backward(*tensors)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        if torch.is_grad_enabled():
            return (None, *_differentiable_backward(ctx, gradients))
        pass_ = _Pass(ctx.call, ctx.saved_tensors)
        pass_.saved, pass_.products = ctx.saved_array, ctx.products
        return (None, *pass_.backward(gradients, ctx.needs_input_grad[1:]))


def _differentiable_backward(ctx: Any, gradients: Sequence[Tensor]) -> list[Tensor | None]:  # noqa: ANN401
    """The gradients as something that can be differentiated again, which only plain PyTorch gives."""
    call, tensors = ctx.call, ctx.saved_tensors
    count = len(call.operands) + len(call.cell.parameters)
    names = list(call.cell.parameters)
    unrolled = unroll(
        call.cell,
        dict(zip(names, tensors[len(call.operands) : count], strict=True)),
        call.x,
        dict(zip(call.cell.carried, tensors[count:], strict=True)),
        call.layout,
        reverse=call.reverse,
        noise=call.drawn,
        keep=False,
        given=dict(zip(call.operands, tensors, strict=False)),
    )
    outputs = [torch.cat(unrolled.outputs), *(call.layout.unsort(unrolled.state[k]) for k in call.cell.carried)]
    wanted = [t for t, needed in zip(tensors, ctx.needs_input_grad[1:], strict=True) if needed]
    found = iter(torch.autograd.grad(outputs, wanted, gradients, create_graph=True, materialize_grads=True))
    return [next(found) if needed else None for needed in ctx.needs_input_grad[1:]]


class _Pass:
    """One call of the loops, forward or backward: arrays laid out, the table filled, results taken out."""

    def __init__(self, call: _Call, tensors: Sequence[Tensor]) -> None:
        self.call, self.cell, self.layout = call, call.cell, call.layout
        self.plan = plan(call.cell)
        count = len(call.operands)
        names = list(self.cell.parameters)
        self.operands = dict(zip(call.operands, tensors[:count], strict=True))
        self.parameters = dict(zip(names, tensors[count : count + len(names)], strict=True))
        self.state = dict(zip(self.cell.carried, tensors[count + len(names) :], strict=True))
        self.double = call.dtype == torch.float64
        self.lanes = host().vector_bytes // (8 if self.double else 4)
        self.hidden = next(iter(self.parameters.values())).shape[0]
        step = self.lanes * emit.granule((self.plan.forward, self.plan.training, self.plan.backward), host())
        self.width = -(-self.hidden // step) * step
        self.total = sum(self.layout.sizes)
        self.saved: Tensor | None = None
        self.products: Tensor | None = None
        self.vectors = _vectors(self.cell)
        self.held: list[Tensor] = []

    def new(self, *shape: int, zero: bool = False) -> Tensor:
        """An array of the call's dtype; kept alive until the call is over."""
        make = torch.zeros if zero else torch.empty
        array = make(shape, dtype=self.call.dtype)
        self.held.append(array)
        return array

    def padded(self, array: Tensor) -> Tensor:
        """Rows of hidden width as rows of whole vectors."""
        if self.width == self.hidden and array.is_contiguous():
            self.held.append(array)
            return array
        wide = self.new(*array.shape[:-1], self.width, zero=self.width != self.hidden)
        wide[..., : self.hidden] = array
        return wide

    def block(self, matrix: str, part: int) -> Tensor:
        """The block of a matrix that meets a part of its operand."""
        parameter = self.cell.parameters[matrix]
        columns = self._columns(matrix)
        tensor = self.parameters[matrix]
        assert parameter.kind == "matrix"
        return tensor[:, columns[part] : columns[part + 1]]

    def _columns(self, matrix: str) -> list[int]:
        """Where the blocks of a matrix begin; the width of the input is what the others leave."""
        parameter, tensor = self.cell.parameters[matrix], self.parameters[matrix]
        inputs = sum(c.inputs for c in parameter.columns)
        hidden = sum(c.hiddens for c in parameter.columns) * self.hidden
        size = (tensor.shape[1] - hidden) // inputs if inputs else 0
        places = [0]
        for width in parameter.columns:
            places.append(places[-1] + width.size(size, self.hidden))
        return places

    def forward(self, training: bool) -> tuple[Tensor, ...]:
        """Outputs and last state."""
        kernel = _kernel(self.cell, "training" if training else "forward", self.double)
        self.products = self._products()
        self.saved = self.new(self.total, len(self.plan.saved), self.width) if training else self.new(0)
        output = self.new(self.total, self.width)
        rings = self._rings({k: self.layout.sort(v) for k, v in self.state.items()}, backwards=self.call.reverse)
        arrays = {"products": self.products, "saved": self.saved, "output": output}
        self._call(kernel, arrays, rings, backwards=self.call.reverse)
        last = self._last(rings, backwards=self.call.reverse)
        return (output[:, : self.hidden], *(self.layout.unsort(last[k]) for k in self.cell.carried))

    def _products(self) -> Tensor:
        """The products before the loop, (N, products, width): one product of matrices for each operand."""
        products = self.plan.products
        result = self.new(self.total, len(products), self.width, zero=self.width != self.hidden)
        for operand, group in self._by_operand().items():
            first, last = group[0], group[-1]
            matrices = [self._outside_block(k) for k in group]
            if group == list(range(first, last + 1)) and self.width == self.hidden:
                flat = result.view(self.total, -1)[:, first * self.width : (last + 1) * self.width]
                torch.mm(
                    self.operands[operand], torch.cat(matrices).T, out=flat
                ) if flat.is_contiguous() else flat.copy_(self.operands[operand] @ torch.cat(matrices).T)
            else:
                for k, matrix in zip(group, matrices, strict=True):
                    result[:, k, : self.hidden] = self.operands[operand] @ matrix.T
        return result

    def _by_operand(self) -> dict[int, list[int]]:
        groups: dict[int, list[int]] = {}
        for k, (*_, operand) in enumerate(self.plan.products):
            groups.setdefault(operand, []).append(k)
        return groups

    def _outside_block(self, k: int) -> Tensor:
        matrix, part, transposed, _ = self.plan.products[k]
        block = self.block(matrix, part)
        return block.T if transposed else block

    def backward(self, gradients: Sequence[Tensor], needs: Sequence[bool]) -> list[Tensor | None]:
        """The gradients of operands, parameters and state."""
        kernel = _kernel(self.cell, "backward", self.double)
        made = self.plan
        deltas = self.new(self.total, max(1, len(made.gradients)), self.width)
        sums = self.new(threads.available(), max(1, len(self.vectors)), self.width, zero=True)
        received = self.padded(gradients[0].contiguous())
        flows = {k: self.layout.sort(g) for k, g in zip(self.cell.carried, gradients[1:], strict=True)}
        rings = self._rings(flows, backwards=not self.call.reverse, after=True)
        arrays = {
            "saved": self.saved,
            "products": self.products,
            "gradients": deltas,
            "received": received,
            "sums": sums,
        }
        self._call(kernel, arrays, rings, backwards=not self.call.reverse)
        first = self._last(rings, backwards=not self.call.reverse, after=True)
        by_vector = sums.sum(0)[:, : self.hidden]
        count = len(self.call.operands)
        results: list[Tensor | None] = []
        for operand, needed in zip(self.call.operands, needs[:count], strict=True):
            results.append(self._operand_gradient(operand, deltas) if needed else None)
        matrices = self._matrix_gradients(deltas)
        for name in self.cell.parameters:
            if name in matrices:
                results.append(matrices[name])
            elif name in self.vectors:
                results.append(by_vector[self.vectors.index(name)])
            else:
                results.append(torch.zeros_like(self.parameters[name]))
        results += [self.layout.unsort(first[k]) for k in self.cell.carried]
        return results

    def _delta(self, deltas: Tensor, group: Sequence[int]) -> Tensor:
        """The gradients at some of the products, side by side (N, len · H)."""
        places = [self.plan.product_gradients[k] for k in group]
        if self.width == self.hidden and places == list(range(places[0], places[0] + len(places))):
            return deltas[:, places[0] : places[-1] + 1].flatten(1)
        return torch.cat([deltas[:, p, : self.hidden] for p in places], 1)

    def _with_gradient(self, operand: int) -> list[int]:
        return [k for k in self._by_operand()[operand] if self.plan.product_gradients[k] >= 0]

    def _operand_gradient(self, operand: int, deltas: Tensor) -> Tensor:
        group = self._with_gradient(operand)
        if not group:
            return torch.zeros_like(self.operands[operand])
        return self._delta(deltas, group) @ torch.cat([self._outside_block(k) for k in group])

    def _matrix_gradients(self, deltas: Tensor) -> dict[str, Tensor]:
        """The gradients of the matrices: products over steps and batch."""
        result = {n: torch.zeros_like(t) for n, t in self.parameters.items() if t.dim() == 2}
        for operand in self._by_operand():
            group = self._with_gradient(operand)
            if not group:
                continue
            pieces = torch.split(self._delta(deltas, group).T @ self.operands[operand], self.hidden)
            for k, piece in zip(group, pieces, strict=True):
                matrix, part, transposed, _ = self.plan.products[k]
                columns = self._columns(matrix)
                result[matrix][:, columns[part] : columns[part + 1]] += piece.T if transposed else piece
        self._inner_gradients(deltas, result)
        return result

    def _inner_gradients(self, deltas: Tensor, result: dict[str, Tensor]) -> None:
        """Those of the loop's own matrices; terms that share their columns are one product."""
        assert self.saved is not None
        arrays = {"saved": self.saved, "gradient": deltas}

        def side(place: tuple[str, int]) -> Tensor:
            return arrays[place[0]][:, place[1], : self.hidden]

        shared: dict[tuple[str, int], list[Any]] = {}
        for term in self.plan.outer:
            shared.setdefault(term.columns, []).append(term)
        for columns, terms in shared.items():
            rows = torch.cat([side(t.rows) for t in terms], 1)
            pieces = torch.split(rows.T @ side(columns), self.hidden)
            for term, piece in zip(terms, pieces, strict=True):
                places = self._columns(term.matrix)
                result[term.matrix][:, places[term.part] : places[term.part + 1]] += piece

    # -- the loop's own memory --------------------------------------------------------------------------------

    def _ends(self, backwards: bool) -> tuple[Tensor, Tensor]:
        """For each row, sorted, the first and the last step of the walk at which it is running."""
        sizes = self.layout.sizes
        steps = len(sizes)
        if self.layout.order is None:
            first = torch.zeros(self.layout.batch, dtype=torch.long)
            return first, first + steps - 1
        lengths = (torch.tensor(sizes)[:, None] > torch.arange(self.layout.batch)).sum(0)
        if backwards:
            return steps - lengths, torch.full_like(lengths, steps - 1)
        return torch.zeros_like(lengths), lengths - 1

    def _rings(self, values: Mapping[str, Tensor], *, backwards: bool, after: bool = False) -> dict[str, Tensor]:
        """The ring of every state, with what it begins with where each row's first step will look for it.

        Forward, a value `lag` steps back stands `lag` places before the row's first step. On the way back (`after`)
        the gradient at a value that the last state holds waits where its own step will look.
        """
        first, _ = self._ends(backwards)
        rows = torch.arange(self.layout.batch)
        rings = {}
        for name, furthest in self.cell.states.items():
            ring = self.new(furthest + 1, self.layout.batch, self.width, zero=True)
            for key, (of, lag) in self.cell.carried.items():
                if of == name:
                    place = first + lag - 1 if after else first - lag
                    ring[place % (furthest + 1), rows, : self.hidden] = values[key]
            rings[name] = ring
        return rings

    def _last(self, rings: Mapping[str, Tensor], *, backwards: bool, after: bool = False) -> dict[str, Tensor]:
        """What the rings hold after each row's last step."""
        _, end = self._ends(backwards)
        rows = torch.arange(self.layout.batch)
        found = {}
        for key, (name, lag) in self.cell.carried.items():
            place = end + lag if after else end - lag + 1
            found[key] = rings[name][place % (self.cell.states[name] + 1), rows, : self.hidden]
        return found

    def _panels(self, loop: Loop, stage: Stage) -> Tensor:
        """The weights of a stage in the order in which its tiles read them."""
        blocks = self.width // self.lanes
        pieces = []
        for segment in emit.segments(loop, stage):
            matrices = []
            for _, matrix, part, transposed in segment.entries:
                block = self.block(matrix, part)
                block = block.T if transposed else block
                if self.width != self.hidden:
                    block = torch.nn.functional.pad(block, (0, 0, 0, self.width - self.hidden))
                matrices.append(block.reshape(blocks, self.lanes, self.hidden).transpose(1, 2))
            pieces.append(torch.stack(matrices, 2).reshape(blocks, -1))
        panels = torch.cat(pieces, 1) if len(pieces) > 1 else pieces[0]
        self.held.append(panels)
        return panels

    def _call(
        self, kernel: Kernel, arrays: Mapping[str, Tensor | None], rings: Mapping[str, Tensor], *, backwards: bool
    ) -> None:
        """Fill the table and run the loop."""
        loop, layout = kernel.loop, self.layout
        used = min(threads.available(), layout.batch)
        splits = torch.tensor(_split(layout.sizes, layout.batch, used))
        sizes = torch.tensor(layout.sizes)
        offsets = torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)])
        scratch = self.new(layout.batch, max(1, len(loop.scratch)), self.width)
        means = self.new(layout.batch, max(1, sum(len(s.means) for s in loop.stages)))
        vectors = self.new(max(1, len(self.vectors)), self.width, zero=True)
        for place, name in enumerate(self.vectors):
            vectors[place, : self.hidden] = self.parameters[name]
        self.held += [splits, sizes, offsets]
        words: dict[str, int] = {
            "thread": threads.thread_number(),
            "steps": len(layout.sizes),
            "backwards": int(backwards),
            "rows": layout.batch,
            "hidden": self.hidden,
            "width": self.width,
        }
        placed: dict[str, Tensor | None] = {
            **arrays,
            "splits": splits,
            "sizes": sizes,
            "offsets": offsets,
            "scratch": scratch,
            "means": means,
            "vectors": vectors,
            **{f"ring.{n}": r for n, r in rings.items()},
            **{f"noise.{n}": self.padded(v) for n, v in self.call.noise.items()},
        }
        for number, stage in enumerate(loop.stages):
            if stage.sums:
                placed[f"panels.{number}"] = self._panels(loop, stage)
        words.update({name: array.data_ptr() for name, array in placed.items() if array is not None})
        table = torch.tensor([words.get(name, 0) for name in kernel.slots])
        threads.parallel(kernel.code.address, table.data_ptr(), used)


def _split(sizes: Sequence[int], batch: int, parts: int) -> list[int]:
    """Rows shared out over threads so that each has about the same number of steps."""
    if parts == 1 or sizes[-1] == batch:
        return [batch * k // parts for k in range(parts + 1)]
    lengths = [0] * batch
    for size in sizes:
        for row in range(size):
            lengths[row] += 1
    total, done, places = sum(lengths), 0, [0]
    for row, length in enumerate(lengths):
        done += length
        while len(places) < parts and done * parts >= total * len(places):
            places.append(row + 1)
    return [*places, *[batch] * (parts + 1 - len(places))]
