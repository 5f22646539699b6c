"""Compiled code is kept: found again without compiling, made again where it is not what it should be."""

import ctypes
import dataclasses
import functools
import gc
import hashlib
import os
import random
import re
import threading
from pathlib import Path

import pytest

import recurra
from recurra.backends.cpu import library
from recurra.backends.cpu.target import host

TEXT = """
define void @entry(ptr %at) {
  store i32 NUMBER, ptr %at
  ret void
}
"""


class Emitter:
    """Code that stores a number, and how often it was asked for."""

    def __init__(self, number):
        self.number, self.asked = number, 0

    def __call__(self):
        self.asked += 1
        return TEXT.replace("NUMBER", str(self.number))

    def load(self, description="a test", target=None):
        """What the code that is loaded stores."""
        code = library.load(description, self, target or host())
        place = ctypes.c_int32(-1)
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(code.address)(ctypes.addressof(place))
        return place.value


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache on disk and in this process."""
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / "cache"))
    new_process(monkeypatch)
    return tmp_path / "cache"


def new_process(monkeypatch):
    """Forget what this process has loaded; what runs already stays where it is."""
    monkeypatch.setattr(library, "_loaded", {})
    monkeypatch.setattr(library, "_jit", [])


@pytest.fixture
def no_compiler(monkeypatch):
    def fail(*_):
        raise AssertionError("it was compiled again")

    return lambda: monkeypatch.setattr(library, "compile_to_object", fail)


def entry(folder):
    (path,) = folder.glob("*")
    return path


def test_code_is_compiled_once_in_a_process(no_compiler):
    emitter = Emitter(1)
    assert emitter.load() == 1
    no_compiler()
    assert [emitter.load() for _ in range(3)] == [1, 1, 1]
    assert emitter.asked == 1


def test_a_later_process_finds_it_and_neither_emits_nor_compiles(folder, monkeypatch, no_compiler):
    assert Emitter(1).load() == 1
    assert entry(folder).suffix == ".o"
    new_process(monkeypatch)
    no_compiler()
    later = Emitter(2)
    assert later.load() == 1
    assert later.asked == 0


def test_another_description_or_target_is_another_entry(folder):
    bare = dataclasses.replace(host(), registers=host().registers + 1)
    assert Emitter(1).load("one") == 1
    assert Emitter(2).load("another") == 2
    assert Emitter(3).load("one", bare) == 3
    assert len(list(folder.glob("*.o"))) == 3


@pytest.mark.parametrize("field", ["triple", "processor", "features", "vector_bytes", "registers", "matrix_unit"])
def test_every_part_of_a_target_counts(field):
    mine = getattr(host(), field)
    other = dataclasses.replace(host(), **{field: not mine if isinstance(mine, bool) else type(mine)(7)})
    assert library.key_of("a test", other) != library.key_of("a test", host())


def test_the_version_of_the_compiler_and_of_what_emits_count(monkeypatch):
    before = library.key_of("a test", host())
    for module, name in ((library.llvmlite, "__version__"), (library.llvm, "llvm_version_info"), (library, "EMITTER")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, "another")
            assert library.key_of("a test", host()) != before
    assert library.key_of("a test", host()) == before


def test_what_emits_is_told_by_its_source(monkeypatch, tmp_path):
    for name in library.EMITTERS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.py").write_text("")
    monkeypatch.setattr(library.resources, "files", lambda _: tmp_path)
    found = [library._emitter()]
    for name in library.EMITTERS:
        (tmp_path / f"{name}.py").write_text(f"# {name}")
        found.append(library._emitter())
    assert len(set(found)) == len(library.EMITTERS) + 1
    (tmp_path / "backends" / "cpu" / "emit.py").unlink()  # installed without its source
    assert library._emitter() == hashlib.sha256(library.version("recurra").encode()).hexdigest()


def test_every_module_that_code_is_made_by_is_among_what_emits():
    """All that those that write code import, directly or not; but for the target, each of whose parts counts."""
    package, needed = Path(recurra.__file__).parent, {"backends/cpu/library"}
    pending = ["backends/cpu/cross_entropy", "backends/cpu/emit", "backends/cpu/products"]
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            imported = re.findall(
                r"^ *from recurra\.((?:backends|equations)[\w.]*) import", source(package, name), re.M
            )
            pending += [module.replace(".", "/") for module in imported]
    assert needed - {"backends/cpu/target"} == set(library.EMITTERS)


def source(package, name):
    path = package / f"{name}.py"
    return (path if path.exists() else package / name / "__init__.py").read_text()


def test_several_functions_of_one_code(folder, monkeypatch, no_compiler):
    text = TEXT.replace("NUMBER", "1") + TEXT.replace("@entry", "@other").replace("NUMBER", "2")

    def stored():
        code = library.load("two", lambda: text, host(), ("other", "entry"))
        assert list(code.addresses) == ["other", "entry"]
        assert code.address == code.addresses["other"]
        place = ctypes.c_int32(-1)
        for address in code.addresses.values():
            ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(ctypes.addressof(place))
            yield place.value

    assert list(stored()) == [2, 1]
    new_process(monkeypatch)
    no_compiler()
    assert list(stored()) == [2, 1]


DAMAGES = {
    "empty": lambda content: b"",
    "cut off in its head": lambda content: content[:20],
    "cut off": lambda content: content[:-1],
    "longer": lambda content: content + b"\0",
    "one bit": lambda content: content[:-40] + bytes([content[-40] ^ 1]) + content[-39:],
    "one bit of the digest": lambda content: content[:30] + bytes([content[30] ^ 1]) + content[31:],
    "another's": lambda content: b"\x7fELF" + content[4:],
    "of an older kind": lambda content: b"recurra object 0\n" + content[len(library.MAGIC) :],
    "only code": lambda content: content[len(library.MAGIC) + 32 :],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_ignored_and_made_again(folder, monkeypatch, no_compiler, damage):
    assert Emitter(1).load() == 1
    path, whole = entry(folder), entry(folder).read_bytes()
    path.write_bytes(DAMAGES[damage](whole))
    new_process(monkeypatch)
    later = Emitter(1)
    assert later.load() == 1
    assert later.asked == 1
    assert path.read_bytes() == whole
    new_process(monkeypatch)
    no_compiler()
    assert Emitter(2).load() == 1


def test_a_whole_entry_under_the_name_of_another_is_ignored(folder, monkeypatch):
    """Code that is right in itself would compute something else."""
    assert Emitter(1).load("one") == 1
    first = entry(folder)
    content = first.read_bytes()
    assert Emitter(2).load("another") == 2
    (second,) = set(folder.glob("*.o")) - {first}
    second.write_bytes(content)
    new_process(monkeypatch)
    assert Emitter(2).load("another") == 2
    assert second.read_bytes() != content


def test_a_folder_in_the_place_of_an_entry_is_no_harm(folder, monkeypatch):
    assert Emitter(1).load() == 1
    path = entry(folder)
    path.unlink()
    path.mkdir()
    new_process(monkeypatch)
    assert Emitter(1).load() == 1
    assert sorted(folder.iterdir()) == [path]


@pytest.mark.parametrize("place", ["a file", "below a file", "below a link to nowhere"])
def test_where_nothing_can_be_written_code_is_compiled_all_the_same(tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere" / "at" / "all")
    given = {"a file": "file", "below a file": "file/cache", "below a link to nowhere": "link/cache"}[place]
    monkeypatch.setenv("RECURRA_CACHE", str(tmp_path / given))
    emitter = Emitter(1)
    assert [emitter.load(), emitter.load()] == [1, 1]
    assert emitter.asked == 1
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="this user may write anywhere")
def test_a_folder_without_permission(folder):
    folder.mkdir()
    folder.chmod(0o500)
    assert Emitter(1).load() == 1
    assert list(folder.iterdir()) == []


def test_a_disk_that_is_full_leaves_nothing_half_written(folder, monkeypatch):
    def full(path, content):
        with path.open("wb") as file:
            file.write(content[:100])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(library.Path, "write_bytes", full)
        assert Emitter(1).load() == 1
    assert list(folder.iterdir()) == []


def test_an_entry_is_written_beside_and_then_moved_to_its_place(folder, monkeypatch):
    """Under a name of each process and thread, so that nobody ever sees half of one."""
    own, seen = library.Path.write_bytes, []

    def watched(path, content):
        assert list(folder.glob("*.o")) == []
        seen.append(path)
        return own(path, content)

    monkeypatch.setattr(library.Path, "write_bytes", watched)
    library._write("key", b"code")
    monkeypatch.setattr(library.os, "getpid", lambda: 7)
    entry(folder).unlink()
    library._write("key", b"code")
    entry(folder).unlink()
    thread = threading.Thread(target=library._write, args=("key", b"code"))
    thread.start()
    thread.join()
    assert len({path.name for path in seen}) == 3
    assert entry(folder).name == "key.o"


def test_an_empty_setting_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RECURRA_CACHE", "")
    monkeypatch.chdir(tmp_path)
    assert library.cache_folder() is None
    assert Emitter(1).load() == 1
    new_process(monkeypatch)
    assert Emitter(2).load() == 2
    assert list(tmp_path.iterdir()) == []


def test_where_the_cache_is(tmp_path, monkeypatch):
    assert library.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("RECURRA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert library.cache_folder() == tmp_path / "caches" / "recurra"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(library.Path, "home", lambda: tmp_path / "home")
    assert library.cache_folder() == tmp_path / "home" / ".cache" / "recurra"

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(library.Path, "home", homeless)
    assert library.cache_folder() is None


def test_many_threads_that_want_one_code_compile_it_once():
    emitter, found, gate = Emitter(1), [], threading.Barrier(8)

    def work():
        gate.wait()
        found.append(emitter.load())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 8
    assert emitter.asked == 1


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_waits_while_code_is_emitted_and_is_then_as_it_was(collects):
    emitter, seen = Emitter(3), []

    def emit():
        seen.append(gc.isenabled())
        if len(seen) == 1:  # another thread emits meanwhile, and is done before
            other = threading.Thread(target=library.load, args=("another", emit, host()))
            other.start()
            other.join()
            seen.append(gc.isenabled())
        return emitter()

    def fail():
        raise ZeroDivisionError

    was = gc.isenabled()
    try:
        (gc.enable if collects else gc.disable)()
        library.load("one", emit, host())
        assert gc.isenabled() == collects
        with pytest.raises(ZeroDivisionError):
            library.load("two", fail, host())
        assert gc.isenabled() == collects
    finally:
        (gc.enable if was else gc.disable)()
    assert seen == [False, False, False]


def test_an_error_of_the_compiler_leaves_nothing_behind(folder, monkeypatch):
    with pytest.raises(RuntimeError):
        library.load("a test", lambda: "define void @entry(", host())
    assert not folder.exists()
    assert Emitter(1).load() == 1


def test_processes_side_by_side_do_not_trip_over_each_other(folder, monkeypatch, start):
    """Four at once, each of which wants the same twelve entries, in another order, and runs them."""
    gate, opened = os.pipe()

    def work(seed):
        os.close(opened)
        os.read(gate, 1)  # until the others are there as well
        for number in random.Random(seed).sample(range(12), 12):
            assert Emitter(number).load(str(number)) == number

    new_process(monkeypatch)
    ends = [start(functools.partial(work, seed)) for seed in range(4)]
    os.close(opened)
    assert [end() for end in ends] == [0] * 4
    os.close(gate)
    assert len(list(folder.glob("*.o"))) == len(list(folder.iterdir())) == 12
    assert all(library._read(path.stem) is not None for path in folder.iterdir())
