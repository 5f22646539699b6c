"""The description of the processor that this runs on, and of others by what they can do."""

import platform

import llvmlite.binding as llvm
import pytest

from recurra.backends.cpu import target
from recurra.backends.cpu.target import Target, host


class Features(dict):
    def flatten(self):
        return ",".join(f"+{name}" for name, there in self.items() if there)


@pytest.fixture
def described(monkeypatch):
    """What is made of a processor that says what it can do."""

    def describe(machine, **features):
        with monkeypatch.context() as patch:
            patch.setattr(platform, "machine", lambda: machine)
            patch.setattr(llvm, "get_host_cpu_features", lambda: Features(features))
            return host.__wrapped__()

    return describe


@pytest.mark.parametrize(
    ("machine", "features", "vector_bytes", "registers"),
    [
        ("x86_64", ["avx", "avx2", "fma", "avx512f", "avx512vl"], 64, 32),
        ("x86_64", ["avx", "avx2", "fma", "avx512f"], 32, 16),
        ("AMD64", ["avx", "avx2", "fma"], 32, 16),
        ("x86_64", ["avx", "avx2"], 16, 16),
        ("x86_64", [], 16, 16),
        ("aarch64", ["neon"], 16, 32),
        ("arm64", [], 16, 32),
        ("riscv64", [], 16, 16),
    ],
)
def test_a_processor_by_what_it_can_do(described, machine, features, vector_bytes, registers):
    found = described(machine, **dict.fromkeys(features, True))
    assert (found.vector_bytes, found.registers) == (vector_bytes, registers)
    assert found.features == Features(dict.fromkeys(features, True)).flatten()


def test_this_processor_is_described_once_and_as_llvm_knows_it():
    assert host() is host()
    assert host().triple == llvm.get_process_triple()
    assert host().processor == llvm.get_host_cpu_name()
    assert target.host().features == llvm.get_host_cpu_features().flatten()


def test_code_for_windows_goes_into_elf_objects(described, monkeypatch):
    """LLVM's JIT linker loses the constants of the other kind."""
    monkeypatch.setattr(llvm, "get_process_triple", lambda: "x86_64-pc-windows-msvc")
    assert described("AMD64", avx2=True, fma=True).triple == "x86_64-pc-windows-msvc-elf"
    assert llvm.get_object_format("x86_64-pc-windows-msvc-elf") == "ELF"
    for triple in ("arm64-apple-darwin23.0.0", "x86_64-unknown-linux-gnu"):
        monkeypatch.setattr(llvm, "get_process_triple", lambda triple=triple: triple)
        assert described("x86_64").triple == triple


def test_where_llvm_cannot_ask_what_a_processor_can_do_its_name_says_it(monkeypatch):
    def fail():
        raise RuntimeError("failed to get host cpu features.")

    monkeypatch.setattr(llvm, "get_host_cpu_features", fail)
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    described = host.__wrapped__()
    assert (described.features, described.processor, described.vector_bytes) == ("", llvm.get_host_cpu_name(), 16)


@pytest.mark.parametrize(
    ("features", "granted", "environment", "expected"),
    [
        (["avx512f", "avx512vl", "amx-tile", "amx-bf16"], 0, {}, True),
        (["avx512f", "avx512vl", "amx-tile", "amx-bf16"], 0, {"RECURRA_MATRIX_UNIT": "1"}, True),
        (["avx512f", "avx512vl", "amx-tile", "amx-bf16"], 0, {"RECURRA_MATRIX_UNIT": "0"}, False),
        (["avx512f", "avx512vl", "amx-tile", "amx-bf16"], -1, {}, False),
        (["avx512f", "avx512vl", "amx-tile", "amx-int8"], 0, {}, False),
        (["avx512f", "avx512vl"], 0, {}, False),
        (["avx2", "fma", "amx-tile", "amx-bf16"], 0, {}, False),
    ],
)
def test_a_unit_for_tiles_is_used_where_there_is_one_and_the_system_lets_it(
    described, monkeypatch, features, granted, environment, expected
):
    monkeypatch.delenv("RECURRA_MATRIX_UNIT", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(target.sys, "platform", "linux")
    asked = []

    class System:
        def syscall(self, *number):
            asked.append(number)
            return granted

    monkeypatch.setattr(target.ctypes, "CDLL", lambda name: System())
    assert described("x86_64", **dict.fromkeys(features, True)).matrix_unit is expected
    assert set(asked) <= {(158, 0x1023, 18)}
    monkeypatch.setattr(target.sys, "platform", "win32")
    assert not described("x86_64", **dict.fromkeys(features, True)).matrix_unit


def test_a_target_is_a_value():
    one = Target("a", "b", "c", 16, 32)
    assert one == Target("a", "b", "c", 16, 32)
    assert one != Target("a", "b", "c", 16, 16)
    assert repr(one) == repr(Target("a", "b", "c", 16, 32))
