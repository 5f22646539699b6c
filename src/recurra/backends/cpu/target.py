"""The processor that code is written for."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import llvmlite.binding as llvm

__all__ = ["Target", "host"]


@dataclass(frozen=True, slots=True)
class Target:
    """What the emitter needs to know of a processor.

    Args:
        triple: LLVM's name for processor, vendor and system.
        processor: LLVM's name for the model.
        features: LLVM's list of what it can do.
        vector_bytes: The width of a vector register in bytes.
        registers: How many vector registers there are.
        matrix_unit: Whether it has a unit that multiplies tiles of bfloat16, AMX, and this process may use it.
    """

    triple: str
    processor: str
    features: str
    vector_bytes: int
    registers: int
    matrix_unit: bool = False


@lru_cache(maxsize=1)
def host() -> Target:
    """The processor this runs on."""
    triple = str(llvm.get_process_triple())
    if "-windows-" in triple:
        # LLVM's JIT linker loses the floating-point constants of Windows' own object format, COFF, so the code goes
        # into an ELF object; calling convention and stack probes stay those of Windows.
        triple += "-elf"
    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:  # LLVM cannot ask this system; the model's name implies what the code may use
        features = llvm.FeatureMap()
    name, flat = str(llvm.get_host_cpu_name()), str(features.flatten())
    if platform.machine().lower() in {"aarch64", "arm64"}:
        return Target(triple, name, flat, 16, 32)
    if features.get("avx512f") and features.get("avx512vl"):
        return Target(triple, name, flat, 64, 32, _matrix_unit(features))
    if features.get("avx2") and features.get("fma"):
        return Target(triple, name, flat, 32, 16)
    return Target(triple, name, flat, 16, 16)


ARCH_PRCTL, REQUEST, TILES = 158, 0x1023, 18
"""Linux's call by which a process asks for the state of tiles, which is 8 KiB more for each of its threads to keep."""


def _matrix_unit(features: Mapping[str, bool]) -> bool:
    """Whether there is such a unit, RECURRA_MATRIX_UNIT does not say 0, and the system lets this process use it."""
    there = features.get("amx-tile") and features.get("amx-bf16")
    if not there or os.environ.get("RECURRA_MATRIX_UNIT") == "0" or not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).syscall(ARCH_PRCTL, REQUEST, TILES) == 0)
    except (OSError, AttributeError):
        return False
