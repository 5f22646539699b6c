"""Code for processors of every shape: those that this one can play are run, the others are compiled and looked at."""

import re
import types

import llvmlite.binding as llvm
import pytest
import torch

from recurra import cells
from recurra.backends import reference
from recurra.backends.cpu import emit, library, prepare
from recurra.backends.cpu import run as cpu
from recurra.backends.cpu.target import Target, host
from recurra.backends.plan import plan
from recurra.cells import CATALOGUE, modifiers
from support.problems import random_problem, worst_error
from support.random_cells import random_cell

TARGETS = {
    "neon": Target("aarch64-unknown-linux-gnu", "cortex-a72", "", 16, 32),
    "wasm": Target("wasm32-unknown-unknown", "generic", "+simd128", 16, 16),
    "avx512": Target("x86_64-unknown-linux-gnu", "skylake-avx512", "", 64, 32),
    "avx2": Target("x86_64-unknown-linux-gnu", "haswell", "", 32, 16),
    "sse2": Target("x86_64-unknown-linux-gnu", "x86-64", "", 16, 16),
    "riscv": Target("riscv64-unknown-linux-gnu", "generic-rv64", "+m,+d", 8, 16),
}
EVERY_TARGET = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
CELLS = {"lstm": cells.LSTM, "normalised": modifiers.layer_norm(cells.GRU), "s-lstm": cells.SLSTM}
LOOPS = ("forward", "training", "backward")


def text_of(cell, which, double, target):
    """The IR that a cell's loop is compiled from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "host", lambda: target)
        patch.setattr(prepare.library, "load", lambda description, emit, target: types.SimpleNamespace(text=emit()))
        return prepare._code.__wrapped__(cell, which, double).text


def assembly_of(text, target):
    """What it is compiled to, as the processor's own assembly; optimised as it would be."""
    written = []
    with pytest.MonkeyPatch.context() as patch:
        machine = library._machine

        def watched(target):
            own = machine(target)
            patch.setattr(
                type(own), "emit_object", lambda self, module: written.append(self.emit_assembly(module)) or b""
            )
            return own

        patch.setattr(library, "_machine", watched)
        library.compile_to_object(text, target)
    return written[0]


def calls(assembly):
    """The names of all functions that are called."""
    found = re.findall(r"^\s+(?:call|callq|bl|b|jmp|tail)\s+([A-Za-z_][\w.]*)(?:@PLT)?\s*$", assembly, re.MULTILINE)
    return {name for name in found if not name.startswith((".L", "_L"))}


def own_functions(assembly):
    return set(re.findall(r"^([A-Za-z_][\w.]*):", assembly, re.MULTILINE))


# Compiled for others -------------------------------------------------------------------------------------------------


@EVERY_TARGET
def test_object_code_for_every_target(target):
    """Means, noise, several stages and every kind of operand among what is compiled."""
    kinds = {"wasm32": b"\0asm", "x86_64": b"\x7fELF", "aarch64": b"\x7fELF", "riscv64": b"\x7fELF"}
    cell = modifiers.zoneout(modifiers.layer_norm(cells.MinimalGatedUnit), 0.3)
    code = library.compile_to_object(text_of(cell, "backward", double=False, target=target), target)
    assert code.startswith(kinds[target.triple.partition("-")[0]])


INSTRUCTIONS = {
    # For float32, then for float64: a product of a tile, and how a number is spread over a vector for it.
    "neon": (r"fmla\s+v\d+\.4s", r"fmla\s+v\d+\.2d"),
    "wasm": (r"f32x4\.mul", r"f64x2\.mul"),
    "avx512": (r"vfmadd\w+ps\s.*zmm", r"vfmadd\w+pd\s.*zmm"),
    "avx2": (r"vfmadd\w+ps\s.*ymm", r"vfmadd\w+pd\s.*ymm"),
    "sse2": (r"mulps\s.*xmm", r"mulpd\s.*xmm"),
    "riscv": (r"fmadd\.s", r"fmadd\.d"),
}


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("name", TARGETS)
def test_a_target_s_own_instructions_and_no_library(name, double):
    """Whole vectors in the products and in exp and tanh; nothing is called that must be found elsewhere."""
    target = TARGETS[name]
    rows, blocks = emit.tile_shape(4, target.registers)
    for which in LOOPS[1:]:
        assembly = assembly_of(text_of(cells.LSTM, which, double, target), target)
        found = re.findall(INSTRUCTIONS[name][double], assembly)
        assert len(found) >= rows * blocks, (which, len(found))
        assert calls(assembly) <= own_functions(assembly), which
        assert not re.search(r"\b(fmaf?|expf?|tanhf?|logf?|memcpy|memset)\b", assembly), which


def test_numbers_that_are_too_small_are_flushed_where_a_processor_can():
    """Turned on once and put back once; and nothing of the kind where there is no such mode."""
    modes = {
        "neon": (r"\bmrs\s+\w+, FPCR", r"\bmsr\s+FPCR"),
        "avx512": (r"\bv?stmxcsr", r"\bv?ldmxcsr"),
        "sse2": (r"\bstmxcsr", r"\bldmxcsr"),
    }
    for name, target in TARGETS.items():
        assembly = assembly_of(text_of(cells.MinGRU, "forward", double=False, target=target), target)
        if name in modes:
            saved, written = modes[name]
            assert len(re.findall(saved, assembly)) == 1
            assert len(re.findall(written, assembly)) >= 2
        else:
            assert name == "avx2" or not re.search(r"mxcsr|fpcr", assembly.lower())


@pytest.mark.parametrize("which", LOOPS)
def test_only_the_entry_is_seen_from_outside(which):
    for place, cell in enumerate(CATALOGUE.values()):
        module = llvm.parse_assembly(text_of(cell, which, place % 2 == 1, host()))
        module.verify()
        outside = [f.name for f in module.functions if not f.is_declaration and f.linkage == llvm.Linkage.external]
        assert outside == ["entry"]
        assert all(f.name.startswith("llvm.") for f in module.functions if f.is_declaration), cell


def test_the_same_loop_is_the_same_text():
    for which in LOOPS:
        assert text_of(cells.LSTM, which, False, host()) == text_of(cells.LSTM, which, False, host())


# Tiles ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("registers", [8, 16, 32])
@pytest.mark.parametrize("groups", range(1, 25))
def test_a_tile_fits_the_registers(groups, registers):
    """Its sums, and beside them what one of its products needs; unless one row alone does not."""
    rows, blocks = emit.tile_shape(groups, registers)
    assert rows >= 1
    assert blocks >= 1
    wide = groups * blocks
    assert rows * wide + min(rows, wide) + 1 <= registers or (rows, blocks) == (1, 1)


@pytest.mark.parametrize("cell", CATALOGUE.values(), ids=CATALOGUE)
def test_segments_hold_every_product_once_by_operand(cell):
    made = plan(cell)
    for loop in (made.forward, made.training, made.backward):
        for stage in loop.stages:
            found = [(s.operand, *entry) for s in emit.segments(loop, stage) for entry in s.entries]
            every = [
                (term.operand, place, term.matrix, term.part, term.transposed)
                for place, number in enumerate(stage.sums)
                for term in loop.operations[number].sum.terms
            ]
            assert sorted(found) == sorted(every)
            operands = [s.operand for s in emit.segments(loop, stage)]
            assert len(set(operands)) == len(operands)


# Run here ------------------------------------------------------------------------------------------------------------


def check_gradients(problem):
    assert worst_error(problem.autograd(cpu.run), problem.autograd(reference.run)) < 1e-12, problem.cell


def check_outputs(problem):
    outputs, last = problem.run(cpu.run)
    expected, expected_last = problem.run()
    assert worst_error({"outputs": outputs, **last}, {"outputs": expected, **expected_last}) < 1e-12, problem.cell


@pytest.mark.parametrize("cell", [*CELLS.values(), cells.MinGRU], ids=[*CELLS, "min-gru"])
def test_every_shape_of_processor_computes_the_same(shape, cell):
    for seed, hidden in enumerate((1, 9, shape.vector_bytes)):
        options = {"ragged": hidden == 9, "reverse": hidden == 1}
        problem = random_problem(cell, seed, steps=2, batch=5, input_size=3, hidden_size=hidden, **options)
        if cell is cells.SLSTM:  # whose normaliser is never negative
            problem = problem.replace(state={key: s.abs() for key, s in problem.state.items()})
        assert prepare.prepare(cell, True, 3, hidden).width % (shape.vector_bytes // 8) == 0
        check_outputs(problem)
        check_gradients(problem)


@pytest.mark.parametrize("block", range(6))
def test_random_cells_on_every_shape_of_processor(shapes, block):
    known, shape_of = shapes
    for seed in range(1000 + 5 * block, 1005 + 5 * block):
        cell = random_cell(seed, noise=True)
        if cpu.refusal(cell, torch.device("cpu"), torch.float64) is None:
            options = {"ragged": seed % 4 > 0, "reverse": seed % 2 == 1}
            batch, hidden = [(1, 1), (3, 5), (7, 9), (4, 8)][seed // 2 % 4]
            with shape_of(*list(known.values())[seed % len(known)]):
                sizes = {"steps": 3, "batch": batch, "input_size": 3, "hidden_size": hidden}
                check_gradients(random_problem(cell, seed, **sizes, **options))
