"""How to get what is missing, said so that the command works as it is printed."""

import shutil
import sys
from pathlib import Path

import pytest

from recurra.errors import SettingError
from recurra.extras import EXTRAS, how_to_install, need


@pytest.mark.parametrize("package", EXTRAS)
def test_in_an_active_environment_pip_is_enough(monkeypatch, package):
    monkeypatch.setattr(shutil, "which", lambda name: str(Path(sys.executable).parent / name))
    assert how_to_install(package) == f"pip install {package}"


@pytest.mark.parametrize("pip", [None, "/elsewhere/bin/pip"])
def test_where_pip_is_another_s_the_python_is_named(monkeypatch, pip):
    monkeypatch.setattr(shutil, "which", lambda name: pip)
    monkeypatch.setattr(sys, "executable", "/home/an engineer/.venv/bin/python")
    assert how_to_install("matplotlib") == "'/home/an engineer/.venv/bin/python' -m pip install matplotlib"
    with pytest.raises(
        SettingError, match=r"^a thing needs nothing_of_the_kind, .*-m pip install nothing_of_the_kind$"
    ):
        need("nothing_of_the_kind", "a thing")
