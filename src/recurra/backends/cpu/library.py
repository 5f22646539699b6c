"""Compiled code: made once, kept in the process and on disk.

What is on disk is object code, named by everything it depends on: the IR's source (the plan, the tile shapes, the
dtype), the processor, the code that emits it, and the version of LLVM. An entry that is damaged or stands under
another's name is ignored and made again. Writing is atomic, so that processes that run side by side never see half an
entry.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from importlib.metadata import version
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm

from recurra.backends.cpu.target import Target

__all__ = ["Compiled", "cache_folder", "compile_to_object", "load"]

MAGIC = b"recurra object 2\n"


EMITTERS = (
    *("backends/cpu/building", "backends/cpu/cross_entropy", "backends/cpu/digest"),
    *("backends/cpu/emit", "backends/cpu/gradients"),
    *("backends/cpu/library", "backends/cpu/mathematics", "backends/cpu/parts", "backends/cpu/products"),
    *("backends/cpu/stages", "backends/cpu/table", "backends/cpu/tiles", "backends/plan"),
    *("equations/cell", "equations/differentiate", "equations/display", "equations/expression", "equations/foreign"),
    *("equations/functions", "equations/graph", "equations/parse", "equations/shapes", "equations/simplify"),
    "equations/slips",
)
"""The modules of the package that the code depends on: all that those which write it import, directly or not."""


def _emitter() -> str:
    """A digest of what emits the code, so that none is taken that an older version of it has left."""
    package = resources.files("recurra")
    try:
        content = [package.joinpath(f"{name}.py").read_bytes() for name in EMITTERS]
    except OSError:  # installed without its source
        content = [version("recurra").encode()]
    return hashlib.sha256(b"".join(content)).hexdigest()


EMITTER = _emitter()

_lock = threading.Lock()
_locks: dict[str, threading.Lock] = {}
_loaded: dict[str, Compiled] = {}
_jit: list[llvm.LLJIT] = []
_emitting = 0
_collects = True


def _forget_locks() -> None:
    """In a process that was forked while another thread was compiling: that thread is not here to open its locks."""
    global _lock, _emitting
    _lock = threading.Lock()
    _locks.clear()
    if _emitting and _collects:
        gc.enable()
    _emitting = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)


class Compiled:
    """Code in memory: the addresses of its functions, that of the first as `address`, and what keeps it there."""

    def __init__(self, key: str, addresses: dict[str, int], tracker: object) -> None:
        self.key, self.addresses, self._tracker = key, addresses, tracker
        self.address = next(iter(addresses.values()))


def cache_folder() -> Path | None:
    """Where object code is kept: RECURRA_CACHE, else the user's cache; None if RECURRA_CACHE is empty."""
    given = os.environ.get("RECURRA_CACHE")
    if given is not None:
        return Path(given) if given else None
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(base) / "recurra" if base else Path.home() / ".cache" / "recurra"
    except RuntimeError:  # this user has no home
        return None


def key_of(description: str, target: Target) -> str:
    """The name of an entry: a digest of all that the code depends on."""
    parts = [description, repr(target), EMITTER, llvmlite.__version__, str(llvm.llvm_version_info)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def compile_to_object(ir: str, target: Target) -> bytes:
    """Object code for a target, optimised."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    # A context of its own, since other threads may be compiling too.
    module = llvm.parse_assembly(ir, llvm.create_context())
    module.verify()
    machine = _machine(target)
    passes = llvm.create_new_module_pass_manager()
    # The loops are vectorised and unrolled as they are to be, so what is left to do is little: combining instructions
    # and numbering values took a tenth of the time and made nothing faster, the whole of a compiler's passes ten times.
    passes.add_sroa_pass()
    passes.add_simplify_cfg_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    return bytes(machine.emit_object(module))


def _machine(target: Target) -> llvm.TargetMachine:
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.processor, features=target.features, opt=2, reloc="pic", codemodel="default"
    )


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Let Python's collector wait: IR is thousands of objects, for which it goes through all of torch's, for 0.1 s."""
    global _emitting, _collects
    with _lock:
        if not _emitting:
            _collects = gc.isenabled()
            gc.disable()
        _emitting += 1
    try:
        yield
    finally:
        with _lock:
            _emitting -= 1
            if not _emitting and _collects:
                gc.enable()


def load(description: str, emit: Callable[[], str], target: Target, functions: Sequence[str] = ("entry",)) -> Compiled:
    """Code for the host, from the process, from disk, or compiled now.

    Args:
        description: All that the IR depends on, but for the target.
        emit: Gives the IR, if it is needed.
        target: The host.
        functions: Those that are called from outside.
    """
    key = key_of(description, target)
    with _lock:
        own = _locks.setdefault(key, threading.Lock())
    # What is not the same is compiled side by side.
    with own:
        if key not in _loaded:
            code = _read(key)
            if code is None:
                with _uncollected():
                    ir = emit()
                code = compile_to_object(ir, target)
                _write(key, code)
            with _lock:
                _loaded[key] = _link(key, code, functions)
        return _loaded[key]


def _link(key: str, code: bytes, functions: Sequence[str]) -> Compiled:
    if not _jit:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        _jit.append(llvm.create_lljit_compiler())
    builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
    for function in functions:
        builder.export_symbol(function)
    tracker = builder.link(_jit[0], f"recurra_{key[:16]}")
    return Compiled(key, {function: tracker[function] for function in functions}, tracker)


def _read(key: str) -> bytes | None:
    folder = cache_folder()
    if folder is None:
        return None
    try:
        content = (folder / f"{key}.o").read_bytes()
    except OSError:
        return None
    head = len(MAGIC) + 32
    code = content[head:]
    return code if content[:head] == _head(key, code) else None


def _head(key: str, code: bytes) -> bytes:
    """What an entry begins with: whose it is, and a digest of its name and content."""
    return MAGIC + hashlib.sha256(key.encode() + code).digest()


def _write(key: str, code: bytes) -> None:
    folder = cache_folder()
    if folder is None:
        return
    beside = folder / f".{key}.{os.getpid()}.{threading.get_ident()}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(_head(key, code) + code)
        beside.replace(folder / f"{key}.o")
    except OSError:
        # A cache that cannot be written costs time at the next start and nothing else.
        with contextlib.suppress(OSError):
            beside.unlink()
