"""Packages that import their public names on demand are like any other, but light."""

import importlib
import subprocess
import sys

import pytest

LAZY = ["recurra", "recurra.data", "recurra.lab", "recurra.tasks", "recurra.training"]


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_recurra_imports_no_torch_and_sets_how_threads_wait_before_it_does():
    code = """
import os, sys
for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
    os.environ.pop(name, None)
import recurra, recurra.data, recurra.lab, recurra.tasks, recurra.training
assert not {"torch", "numpy", "pydantic"} & set(sys.modules)
assert os.environ["GOMP_SPINCOUNT"] == "1000"
from recurra import Cell, Recurrent
assert "torch" in sys.modules
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_a_star_imports_every_public_name():
    code = "import recurra\nfrom recurra import *\nassert set(recurra.__all__) <= set(globals())"
    done = run(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", LAZY)
def test_every_public_name_is_listed_and_comes_from_the_module_that_is_named(name):
    package = importlib.import_module(name)
    assert set(package.__all__) <= set(dir(package))
    for public, module in package._modules.items():
        assert public in package.__all__
        value = getattr(package, public)
        if module != name:
            assert value is getattr(importlib.import_module(module), public)


@pytest.mark.parametrize("name", LAZY)
def test_a_name_that_there_is_not_is_an_attribute_error(name):
    package = importlib.import_module(name)
    for absent in ("nothing", "_nothing", "__nothing__", "not a name", "a.b", ""):
        with pytest.raises(AttributeError, match="has no attribute"):
            getattr(package, absent)
    with pytest.raises(ImportError):
        exec(f"from {name} import nothing")


def test_a_module_of_the_same_name_does_not_hide_a_public_function():
    code = """
import recurra.data.mackey_glass
from recurra.data import mackey_glass
assert callable(mackey_glass)
"""
    done = run(code)
    assert done.returncode == 0, done.stderr


def test_a_module_of_the_package_is_there_without_an_import():
    done = run("import recurra\nassert recurra.training.settings.TrainingSettings().epochs")
    assert done.returncode == 0, done.stderr
