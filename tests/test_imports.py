"""The checker of imports catches every way to point up the house, and finds none in it."""

import graphlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "check_imports.py"

spec = importlib.util.spec_from_file_location("check_imports", SCRIPT)
assert spec is not None
assert spec.loader is not None
check_imports = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = check_imports  # dataclasses look their module up
spec.loader.exec_module(check_imports)


def faults(tmp_path, file, text):
    """The faults of a package that holds this one file, as (line, message)."""
    package = tmp_path / "recurra"
    path = package / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return [(line, message) for _, line, message in check_imports.violations(package)]


def test_the_house_is_in_order():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every import points down" in done.stdout


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ("import recurra.nn", 1),
        ("import os, recurra.nn.recurrent as layers", 1),
        ("from recurra.nn import Recurrent", 1),
        ("from recurra.nn.recurrent import Recurrent", 1),
        ("from recurra import nn", 1),
        ("from recurra import errors, nn", 1),
        ("from ..nn import Recurrent", 1),
        ("from .. import nn", 1),
        ("def late():\n    from recurra.nn import Recurrent", 2),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from recurra.nn import Recurrent", 3),
        ("try:\n    import recurra.nn\nexcept ImportError:\n    pass", 2),
        ("import importlib\nnn = importlib.import_module('recurra.nn')", 2),
        ("from importlib import import_module\nnn = import_module('recurra.nn')", 2),
        ("nn = __import__('recurra.nn')", 1),
    ],
)
def test_every_form_of_import_is_seen(tmp_path, statement, line):
    [(found, message)] = faults(tmp_path, "cells/gru.py", statement + "\n")
    assert found == line
    assert "cells imports nn; it may import errors, checks, extras, lazy, spelling, equations" in message


def test_a_relative_import_is_resolved_from_where_the_file_lies(tmp_path):
    deep = "from ..plan import plan\nfrom ...equations import Cell\nfrom ...nn import Recurrent\nfrom . import emit\n"
    [(line, message)] = faults(tmp_path, "backends/cpu/kernel.py", deep)
    assert (line, message.split(";")[0]) == (3, "backends imports nn")


@pytest.mark.parametrize("room", ["equations", "cells"])
@pytest.mark.parametrize(
    "statement", ["import torch", "from torch import Tensor", "import torch.nn.functional as F", "import os, torch"]
)
def test_the_language_needs_no_torch(tmp_path, room, statement):
    [(_, message)] = faults(tmp_path, f"{room}/gru.py", statement + "\n")
    assert message.startswith(f"{room} imports torch")


def test_torch_is_welcome_elsewhere_and_its_namesakes_everywhere(tmp_path):
    assert faults(tmp_path, "nn/recurrent.py", "import torch\n") == []
    assert faults(tmp_path, "cells/gru.py", "import torchless\nfrom torchless import nn\n") == []


@pytest.mark.parametrize("statement", ["import recurra", "from recurra import load", "import recurra.attic"])
def test_what_lies_in_no_room_cannot_be_imported_from_inside(tmp_path, statement):
    [(_, message)] = faults(tmp_path, "tasks/tagging.py", statement + "\n")
    assert "lies in no room" in message


def test_the_command_line_stands_above_the_public_names(tmp_path):
    assert faults(tmp_path, "cli/app.py", "from recurra import __version__, load\n") == []


@pytest.mark.parametrize("file", ["attic/chest.py", "helpers.py"])
def test_a_new_room_must_be_named_in_the_table(tmp_path, file):
    [(_, message)] = faults(tmp_path, file, "")
    assert "is no room of the house" in message


@pytest.mark.parametrize("file", ["__init__.py", "__main__.py"])
def test_the_package_itself_may_import_all(tmp_path, file):
    assert faults(tmp_path, file, "from recurra.cli.app import main\nfrom recurra.nn import Recurrent\n") == []
    assert len(faults(tmp_path, f"equations/{file}", "from recurra.cli.app import main\n")) == 1


def test_each_room_may_import_exactly_what_the_table_allows(tmp_path):
    everything = "".join(f"import recurra.{room}\n" for room in check_imports.ALLOWED)
    for room, listed in check_imports.ALLOWED.items():
        allowed = listed if room in check_imports.GROUND else listed | check_imports.GROUND
        refused = {
            message.split()[2].strip(";") for _, message in faults(tmp_path / room, f"{room}/file.py", everything)
        }
        assert refused == set(check_imports.ALLOWED) - allowed - {room}


def test_the_table_has_no_cycle():
    graphlib.TopologicalSorter(check_imports.ALLOWED).prepare()  # raises CycleError where there is one


def test_violations_are_printed_one_a_line_and_end_with_code_1(tmp_path):
    faults(tmp_path, "data/text.py", "import recurra.nn\n\nfrom recurra.cells import catalogue\n")
    done = subprocess.run([sys.executable, SCRIPT, tmp_path / "recurra"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    first, second = done.stdout.splitlines()
    allowed = "errors, checks, extras, lazy, spelling"
    assert first.startswith(
        f"{tmp_path / 'recurra' / 'data' / 'text.py'}:1: data imports nn; it may import {allowed}: "
    )
    assert second.startswith(f"{tmp_path / 'recurra' / 'data' / 'text.py'}:3: data imports cells; ")


def test_a_folder_that_is_not_there_is_one_line_and_code_2(tmp_path):
    done = subprocess.run([sys.executable, SCRIPT, tmp_path / "no"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_the_map_of_the_house_shows_the_table():
    """CONTRIBUTING.md prints for each room, in order, what it may import."""
    text = (SCRIPT.parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)(?:/|\.py)`\s*\|[^|]*\|([^|]*)\|$", text, re.MULTILINE)
    shown = {room: set(re.findall(r"\w+", allowed)) for room, allowed in rows}
    assert list(shown) == list(check_imports.ALLOWED)
    assert shown.pop("cli") == {"all", "of", "these"}
    assert shown == {room: set(allowed) for room, allowed in check_imports.ALLOWED.items() if room != "cli"}
