"""Code for processors of every shape: those that this one can play are run, the others are compiled and looked at."""

import dataclasses
import re

import llvmlite.binding as llvm
import pytest
import torch

from recurra import cells
from recurra.backends import reference
from recurra.backends.cpu import library, prepare
from recurra.backends.cpu import run as cpu
from recurra.backends.cpu.prepare import loop_ir
from recurra.backends.cpu.target import host
from recurra.cells import CATALOGUE, modifiers
from support.machine_code import MULTIPLY, MULTIPLY_ADD, TARGETS, assembly_of, calls, functions_of, seen_from_outside
from support.problems import random_problem, worst_error
from support.random_cells import random_cell

EVERY_TARGET = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
CELLS = {"lstm": cells.LSTM, "normalised": modifiers.layer_norm(cells.GRU), "s-lstm": cells.SLSTM}
LOOPS = ("forward", "training", "backward")
OF_THE_SYSTEM = {"windows": {"__chkstk"}}
"""What compiled code may call all the same: ntdll, part of every process there, makes room on the stack."""


def text_of(cell, which, double, target):
    """The IR that a cell's loop is compiled from."""
    return loop_ir(cell, which, target, double=double)[1]()


# Compiled for others -------------------------------------------------------------------------------------------------


@EVERY_TARGET
def test_object_code_for_every_target(target):
    """Means, noise, several stages and every kind of operand among what is compiled."""
    kinds = {"wasm32": b"\0asm", "x86_64": b"\x7fELF", "aarch64": b"\x7fELF", "riscv64": b"\x7fELF"}
    kinds["arm64"] = b"\xcf\xfa\xed\xfe"  # Mach-O
    cell = modifiers.zoneout(modifiers.layer_norm(cells.MinimalGatedUnit), 0.3)
    code = library.compile_to_object(text_of(cell, "backward", double=False, target=target), target)
    assert code.startswith(kinds[target.triple.partition("-")[0]])


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("name", TARGETS)
def test_a_target_s_own_instructions_and_no_library(name, double):
    """Whole vectors in tanh and sigmoid, and in their gradients; nothing is called that must be found elsewhere."""
    target = TARGETS[name]
    for which, instruction, least in (("training", MULTIPLY_ADD, 5 * 5), ("backward", MULTIPLY, 10)):
        assembly = assembly_of(text_of(cells.LSTM, which, double, target), target)
        found = re.findall(instruction[name][double], assembly)
        assert len(found) >= least, (which, len(found))
        assert calls(assembly) - OF_THE_SYSTEM.get(name, set()) <= functions_of(assembly), which
        assert not re.search(r"\b(fmaf?|expf?|tanhf?|logf?|memcpy|memset)\b", assembly), which


def test_numbers_that_are_too_small_are_flushed_where_a_processor_can():
    """Turned on once and put back once; and nothing of the kind where there is no such mode."""
    modes = {
        "neon": (r"\bmrs\s+\w+, FPCR", r"\bmsr\s+FPCR"),
        "macos": (r"\bmrs\s+\w+, FPCR", r"\bmsr\s+FPCR"),
        "windows": (r"\bv?stmxcsr", r"\bv?ldmxcsr"),
        "avx2": (r"\bv?stmxcsr", r"\bv?ldmxcsr"),
        "avx512": (r"\bv?stmxcsr", r"\bv?ldmxcsr"),
        "amx": (r"\bv?stmxcsr", r"\bv?ldmxcsr"),
        "sse2": (r"\bstmxcsr", r"\bldmxcsr"),
    }
    for name, target in TARGETS.items():
        assembly = assembly_of(text_of(cells.MinGRU, "forward", double=False, target=target), target)
        if name in modes:
            saved, written = modes[name]
            assert len(re.findall(saved, assembly)) == 1
            assert len(re.findall(written, assembly)) >= 2
        else:
            assert not re.search(r"mxcsr|fpcr", assembly.lower())


def test_tiles_are_given_back_before_a_loop_ends():
    """Else the system would have to keep them whenever it lets others run; only where there are any."""
    for name in ("amx", "avx512"):
        for double in (False, True):
            assembly = assembly_of(text_of(cells.LSTM, "backward", double, TARGETS[name]), TARGETS[name])
            assert len(re.findall(r"\btilerelease", assembly)) == (name == "amx" and not double)


def test_only_the_entry_is_seen_from_outside():
    for place, cell in enumerate(CATALOGUE.values()):
        assert seen_from_outside(text_of(cell, LOOPS[place % 3], place % 2 == 1, host())) == ["entry"], cell


def test_the_same_loop_is_the_same_text():
    for which in LOOPS:
        assert text_of(cells.LSTM, which, False, host()) == text_of(cells.LSTM, which, False, host())


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


STACK_IS_THERE = "define win64cc void @__chkstk() { ret void }"
WAY_IN = """
declare win64cc void @entry(i64)
define void @called_as_here(i64 %table) {
    call win64cc void @entry(i64 %table)
    ret void
}
"""


@pytest.mark.skipif(not host().triple.startswith("x86_64"), reason="the convention is that of x86-64")
def test_code_for_windows_computes_the_same(monkeypatch, code_for):
    """The loops, their stages and the products they call follow its calling convention; only the way in is ours."""
    prepare.matrix_function("pack", True)  # so that there is a linker
    stack, way_in = (library.compile_to_object(text, host()) for text in (STACK_IS_THERE, WAY_IN))
    loops = []

    def link(key, code, functions):
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_object_img(stack)
        if functions == ("entry",):
            loops.append(key)
            builder, functions = builder.add_object_img(way_in), ("called_as_here",)
        for function in functions:
            builder.export_symbol(function)
        tracker = builder.link(library._jit[0], f"windows_{key}")
        return library.Compiled(key, {function: tracker[function] for function in functions}, tracker)

    monkeypatch.setattr(library, "_link", link)
    with code_for(dataclasses.replace(host(), triple="x86_64-pc-windows-msvc-elf")):
        for cell in (cells.LSTM, modifiers.layer_norm(cells.GRU)):
            problem = random_problem(cell, 0, steps=3, batch=5, input_size=3, hidden_size=9, ragged=True)
            check_outputs(problem)
            check_gradients(problem)
    assert len(loops) == len(LOOPS) * 2


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
