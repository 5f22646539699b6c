"""What code for a processor looks like, whether or not this is one: assembly, and what is called and seen in it."""

import re

import llvmlite.binding as llvm
import pytest

from recurra.backends.cpu import library
from recurra.backends.cpu.target import Target

__all__ = [
    "MULTIPLY",
    "MULTIPLY_ADD",
    "TARGETS",
    "assembly_of",
    "body_of",
    "calls",
    "functions_of",
    "seen_from_outside",
]

TARGETS = {
    "neon": Target("aarch64-unknown-linux-gnu", "cortex-a72", "", 16, 32),
    "macos": Target("arm64-apple-darwin23.0.0", "apple-m1", "", 16, 32),
    "windows": Target("x86_64-pc-windows-msvc-elf", "haswell", "", 32, 16),
    "wasm": Target("wasm32-unknown-unknown", "generic", "+simd128", 16, 16),
    "avx512": Target("x86_64-unknown-linux-gnu", "skylake-avx512", "", 64, 32),
    "amx": Target("x86_64-unknown-linux-gnu", "sapphirerapids", "", 64, 32, matrix_unit=True),
    "avx2": Target("x86_64-unknown-linux-gnu", "haswell", "", 32, 16),
    "sse2": Target("x86_64-unknown-linux-gnu", "x86-64", "", 16, 16),
    "riscv": Target("riscv64-unknown-linux-gnu", "generic-rv64", "+m,+a,+d", 8, 16),
}
"""Processors of every kind that code is written for."""

MULTIPLY_ADD = {
    "neon": (r"fmla\s+v\d+\.4s", r"fmla\s+v\d+\.2d"),
    "macos": (r"fmla\.4s", r"fmla\.2d"),
    "windows": (r"vfmadd\w+ps\s.*ymm", r"vfmadd\w+pd\s.*ymm"),
    "wasm": (r"f32x4\.mul", r"f64x2\.mul"),
    "avx512": (r"vfmadd\w+ps\s.*zmm", r"vfmadd\w+pd\s.*zmm"),
    "amx": (r"vfmadd\w+ps\s.*zmm", r"vfmadd\w+pd\s.*zmm"),
    "avx2": (r"vfmadd\w+ps\s.*ymm", r"vfmadd\w+pd\s.*ymm"),
    "sse2": (r"mulps\s.*xmm", r"mulpd\s.*xmm"),
    "riscv": (r"fmadd\.s", r"fmadd\.d"),
}
"""A multiplication of whole vectors, and addition with it where that is one instruction; in float32, in float64."""

MULTIPLY = {
    "neon": (r"fmul\s+v\d+\.4s", r"fmul\s+v\d+\.2d"),
    "macos": (r"fmul\.4s", r"fmul\.2d"),
    "windows": (r"vmulps\s.*ymm", r"vmulpd\s.*ymm"),
    "wasm": (r"f32x4\.mul", r"f64x2\.mul"),
    "avx512": (r"vmulps\s.*zmm", r"vmulpd\s.*zmm"),
    "amx": (r"vmulps\s.*zmm", r"vmulpd\s.*zmm"),
    "avx2": (r"vmulps\s.*ymm", r"vmulpd\s.*ymm"),
    "sse2": (r"mulps\s.*xmm", r"mulpd\s.*xmm"),
    "riscv": (r"fmul\.s", r"fmul\.d"),
}
"""A multiplication of whole vectors alone, likewise."""


def assembly_of(text: str, target: Target) -> str:
    """What IR is compiled to, as the processor's own assembly; optimised as it would be."""
    written: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        machine = library._machine

        def watched(target: Target) -> llvm.TargetMachine:
            own = machine(target)
            patch.setattr(
                type(own), "emit_object", lambda self, module: written.append(self.emit_assembly(module)) or b""
            )
            return own

        patch.setattr(library, "_machine", watched)
        library.compile_to_object(text, target)
    return written[0]


def calls(assembly: str) -> set[str]:
    """The names of all functions that are called."""
    found = re.findall(r"^\s+(?:call|callq|bl|b|jmp|tail)\s+([A-Za-z_][\w.]*)(?:@PLT)?\s*$", assembly, re.MULTILINE)
    return {name for name in found if not name.startswith((".L", "_L"))}


def functions_of(assembly: str) -> set[str]:
    """The names of all functions that are there."""
    return set(re.findall(r"^([A-Za-z_][\w.]*):", assembly, re.MULTILINE))


def body_of(assembly: str, function: str) -> str:
    """One function of an assembly."""
    found = re.search(rf"^{function}:\n(.*?)^(?:\.?Lfunc_end|\s+end_function)", assembly, re.MULTILINE | re.DOTALL)
    assert found is not None, f"there is no function {function}"
    return found[1]


def seen_from_outside(text: str) -> list[str]:
    """The functions of IR that other code can call; all that it declares itself must be the compiler's own."""
    module = llvm.parse_assembly(text)
    module.verify()
    assert all(f.name.startswith("llvm.") for f in module.functions if f.is_declaration)
    return [f.name for f in module.functions if not f.is_declaration and f.linkage == llvm.Linkage.external]
