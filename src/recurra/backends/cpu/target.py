"""The processor that code is written for."""

from __future__ import annotations

import platform
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
    """

    triple: str
    processor: str
    features: str
    vector_bytes: int
    registers: int


@lru_cache(maxsize=1)
def host() -> Target:
    """The processor this runs on."""
    triple = str(llvm.get_process_triple())
    features = llvm.get_host_cpu_features()
    name, flat = str(llvm.get_host_cpu_name()), str(features.flatten())
    if platform.machine().lower() in {"aarch64", "arm64"}:
        return Target(triple, name, flat, 16, 32)
    if features.get("avx512f") and features.get("avx512vl"):
        return Target(triple, name, flat, 64, 32)
    if features.get("avx2") and features.get("fma"):
        return Target(triple, name, flat, 32, 16)
    return Target(triple, name, flat, 16, 16)
