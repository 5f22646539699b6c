"""What every call of a cell at given sizes shares: worked out once, since a call may be a single short step."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from recurra.backends.cpu import emit, library
from recurra.backends.cpu.products import emit_products, modules_for
from recurra.backends.cpu.table import slots
from recurra.backends.cpu.target import Target, host
from recurra.backends.plan import Loop, Plan, Side, plan
from recurra.equations.cell import Cell

__all__ = ["Block", "Kernel", "Outside", "Prepared", "Which", "loop_ir", "matrix_function", "prepare"]

Which = Literal["forward", "training", "backward"]


@dataclass(frozen=True, slots=True)
class Block:
    """Columns of a matrix that meet a part of its operand, or their transpose."""

    matrix: str
    start: int
    stop: int
    transposed: bool


@dataclass(frozen=True)
class Kernel:
    """A compiled loop with what it takes to call it.

    Args:
        which: Which of the plan's loops it is.
        loop: The loop.
        address: Of its entry.
        slots: The place of every word of its table.
        panels: The blocks of matrices that its stages read as panels, by the number of the stage.
        inputs: Likewise for the products before the loop.
        code: What keeps the code in memory.
    """

    which: Which
    loop: Loop
    address: int
    slots: dict[str, int]
    panels: dict[int, tuple[Block, ...]]
    inputs: dict[str, Block]
    code: library.Compiled

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


@dataclass(frozen=True)
class Outside:
    """The products before the loop that read one operand.

    Args:
        operand: Its node.
        places: The places of the products.
        blocks: Their matrices.
        gradients: For each, the place of its gradient; -1 if it has none.
    """

    operand: int
    places: tuple[int, ...]
    blocks: tuple[Block, ...]
    gradients: tuple[int, ...]


@dataclass(frozen=True)
class Prepared:
    """A cell at given sizes.

    Args:
        cell: The cell.
        plan: Its plan.
        double: Whether numbers are float64.
        lanes: How many numbers a vector holds.
        input_size: I.
        hidden: H.
        width: H, up to a whole number of vectors.
        parameters: The names of the learned parameters.
        vectors: The learned vectors, in the order of their array.
        carried: What is carried from call to call.
        outside: The products before the loop, by operand.
        outer: The gradients of the loop's own matrices: what makes the columns, and the rows and blocks they go with.
    """

    cell: Cell
    plan: Plan
    double: bool
    lanes: int
    input_size: int
    hidden: int
    width: int
    parameters: tuple[str, ...]
    vectors: tuple[str, ...]
    carried: tuple[str, ...]
    outside: tuple[Outside, ...]
    outer: tuple[tuple[tuple[Side, int], tuple[tuple[tuple[Side, int], Block], ...]], ...]

    def block(self, matrix: str, part: int, transposed: bool) -> Block:
        """The block of a matrix that meets a part of its operand."""
        return _block(self.cell, self.input_size, self.hidden, matrix, part, transposed)

    @cached_property
    def wanted(self) -> tuple[int, ...]:
        """The nodes of the cell's graph that the products before the loop read."""
        return tuple(group.operand for group in self.outside)

    @cached_property
    def plain(self) -> bool:
        """Whether all that the products before the loop read is the input itself."""
        graph = self.cell.graph.graph
        return all(graph[number].kind == "input" for number in self.wanted)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the operands, the parameters and the states at first are called where a call is given its tensors."""
        return (
            *(f"operand.{number}" for number, _ in enumerate(self.outside)),
            *(f"parameter.{name}" for name in self.parameters),
            *(f"before.{key}" for key in self.carried),
        )

    @cached_property
    def after(self) -> tuple[str, ...]:
        """What the states at last are called there."""
        return tuple(f"after.{key}" for key in self.carried)

    def kernel(self, which: Which) -> Kernel:
        """A loop, compiled when it is first called."""
        return _kernel(self, which)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


@lru_cache(maxsize=512)
def prepare(cell: Cell, double: bool, input_size: int, hidden: int) -> Prepared:
    """Work out what the calls of a cell share.

    Args:
        cell: The cell.
        double: Whether numbers are float64; else float32.
        input_size: I.
        hidden: H.
    """
    made, target = plan(cell), host()
    lanes = target.vector_bytes // (8 if double else 4)
    outside: dict[int, list[int]] = {}
    for place, (*_, operand) in enumerate(made.products):
        outside.setdefault(operand, []).append(place)

    def block(matrix: str, part: int, transposed: bool) -> Block:
        return _block(cell, input_size, hidden, matrix, part, transposed)

    outer: dict[tuple[Side, int], list[tuple[tuple[Side, int], Block]]] = {}
    for term in made.outer:
        outer.setdefault(term.columns, []).append((term.rows, block(term.matrix, term.part, False)))
    return Prepared(
        cell,
        made,
        double,
        lanes,
        input_size,
        hidden,
        -(-hidden // lanes) * lanes,
        tuple(cell.parameters),
        _vectors(cell),
        tuple(cell.carried),
        tuple(
            Outside(
                operand,
                tuple(group),
                tuple(block(*made.products[k][:3]) for k in group),
                tuple(made.product_gradients[k] for k in group),
            )
            for operand, group in outside.items()
        ),
        tuple((columns, tuple(terms)) for columns, terms in outer.items()),
    )


def _vectors(cell: Cell) -> tuple[str, ...]:
    return tuple(name for name, p in cell.parameters.items() if p.kind != "matrix")


def _block(cell: Cell, input_size: int, hidden: int, matrix: str, part: int, transposed: bool) -> Block:
    sizes = cell.parameters[matrix].column_sizes(input_size, hidden)
    start = sum(sizes[:part])
    return Block(matrix, start, start + sizes[part], transposed)


@lru_cache(maxsize=256)
def _ahead(cell: Cell, double: bool, training: bool) -> None:
    """Have made on other threads what is needed next: products of matrices, and after training its gradient.

    LLVM works on one of these at a time, but IR is written meanwhile.
    """
    work: list[Callable[[], object]] = [lambda: matrix_function("pack", double)]
    work.append(lambda: _code(cell, "backward", double) if training else matrix_function("repack", double))
    for one in work:
        threading.Thread(target=one, name="recurra compiles").start()


@lru_cache(maxsize=1024)
def _kernel(prepared: Prepared, which: Which) -> Kernel:
    loop: Loop = getattr(prepared.plan, which)
    code = _code(prepared.cell, which, prepared.double)
    if which != "backward":
        _ahead(prepared.cell, prepared.double, which == "training")
    found = {}
    for number, stage in enumerate(loop.stages):
        sums = [loop.operations[place].sum for place in stage.sums]
        terms = [term for total in sums if total for term in total.terms]
        if terms:
            found[number] = tuple(prepared.block(term.matrix, term.part, term.transposed) for term in terms)
    inputs = {f"input.{place}": prepared.block(*prepared.plan.products[place][:3]) for place in loop.products}
    names = slots(loop, prepared.cell.states, tuple(prepared.cell.noise), tuple(prepared.cell.carried))
    return Kernel(which, loop, code.address, names, found, inputs, code)


@lru_cache(maxsize=1024)
def _code(cell: Cell, which: Which, double: bool) -> library.Compiled:
    target = host()
    description, emit_ = loop_ir(cell, which, target, double=double)

    def emitted() -> str:
        text = emit_()
        if which != "backward":  # not sooner, since only one thread at a time writes IR
            _ahead(cell, double, which == "training")
        return text

    return library.load(description, emitted, target)


def loop_ir(cell: Cell, which: Which, target: Target, *, double: bool) -> tuple[str, Callable[[], str]]:
    """What the IR of a cell's loop depends on beside the processor, and what writes it.

    Args:
        cell: The cell.
        which: The loop.
        target: The processor.
        double: Whether numbers are float64; else float32.
    """
    made = plan(cell)
    loop: Loop = getattr(made, which)
    arguments = {
        "double": double,
        "states": cell.states,
        "carried": cell.carried,
        "noises": tuple(cell.noise),
        "vectors": _vectors(cell),
        "counts": {"saved": len(made.saved), "gradients": made.homes.count(-1)},
        "output": cell.output,
        "keeps": "gradients" if which == "backward" else "saved",
        "homes": made.homes,
        "operands": tuple(operand for *_, operand in made.products),
    }
    return repr((loop, arguments)), lambda: emit.emit(loop, target, **arguments)  # type: ignore[arg-type]


@lru_cache(maxsize=16)
def matrix_function(name: str, double: bool) -> int:
    """The address of one of the products of matrices that all loops call."""
    names = next(names for names in modules_for(host(), double=double) if name in names)
    return _matrix_functions(names, double).addresses[name]


@lru_cache(maxsize=4)
def _matrix_functions(names: tuple[str, ...], double: bool) -> library.Compiled:
    """A module of them."""
    target = host()
    text = f"products {names} {double}"
    return library.load(text, lambda: emit_products(target, names, double=double), target, names)
