"""What a user gets by installing: the version, the public names, the command, light imports, complete pins."""

import ast
import importlib
import importlib.metadata
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import recurra
from recurra.extras import EXTRAS as EXTRA_OF

PROJECT = Path(__file__).parents[1]
DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
EXTRAS = {name: [Requirement(text) for text in texts] for name, texts in DECLARED["optional-dependencies"].items()}
NEEDS = [Requirement(text) for text in DECLARED["dependencies"]]
ROOMS = sorted(path.parent for path in (PROJECT / "src" / "recurra").glob("*/__init__.py"))
PINS = dict(
    line.split("==")
    for line in (PROJECT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
)


def test_the_version_is_the_declared_one_and_the_changelog_has_it():
    assert recurra.__version__ == DECLARED["version"]
    assert f"## [{recurra.__version__}]" in (PROJECT / "CHANGELOG.md").read_text()


def test_the_package_says_that_it_is_typed():
    assert (PROJECT / "src" / "recurra" / "py.typed").exists()


def test_the_public_names_exist_and_are_explained():
    for name in recurra.__all__:
        thing = getattr(recurra, name)
        if inspect.isclass(thing) or inspect.isfunction(thing) or inspect.ismodule(thing):
            assert inspect.getdoc(thing), f"recurra.{name} has no docstring"


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_the_public_names_of_a_room_exist(room):
    module = importlib.import_module(f"recurra.{room.name}")
    assert inspect.getdoc(module), f"recurra.{room.name} does not say what it is for"
    names = getattr(module, "__all__", [])
    assert len(set(names)) == len(names)
    assert [name for name in names if not hasattr(module, name)] == []


def test_the_command_is_there():
    [command] = importlib.metadata.entry_points(group="console_scripts", name="recurra")
    assert callable(command.load())


def test_importing_recurra_imports_no_extra():
    extras = {need.name.replace("-", "_") for extra, needs in EXTRAS.items() if extra != "dev" for need in needs}
    code = f"import sys, recurra; print(*sorted({extras!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def imported():
    """The packages that the code imports, at once or when they are needed."""
    modules = set(EXTRA_OF)
    for path in (PROJECT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules.add(node.module)
    return {module.partition(".")[0] for module in modules} - set(sys.stdlib_module_names) - {"recurra"}


def test_what_is_declared_is_what_the_code_imports():
    """An extra that nothing uses is not declared, and nothing is used that is not declared."""
    optional = {
        need.name.replace("-", "_"): extra for extra, needs in EXTRAS.items() if extra != "dev" for need in needs
    }
    assert optional == EXTRA_OF
    assert {need.name for need in NEEDS} | set(optional) == imported()


def needed_for(name, extras):
    """What a distribution requires on this machine with these extras."""
    if name == "recurra":
        yield from NEEDS
        for extra in extras:
            yield from EXTRAS[extra]
        return
    try:
        declared = [Requirement(text) for text in importlib.metadata.requires(name) or []]
    except importlib.metadata.PackageNotFoundError:
        return
    for need in declared:
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield need


def test_the_pins_are_exact():
    for name, version in PINS.items():
        assert name == canonicalize_name(name)
        assert re.fullmatch(r"\d+(\.\d+)*(\.post\d+)?", version), f"{name}=={version} is no plain release"
    assert list(PINS) == sorted(PINS)


def test_everything_the_checks_install_is_pinned_within_its_bounds():
    seen, waiting = set(), [("recurra", ("dev",))]
    while waiting:
        name, extras = waiting.pop()
        for need in needed_for(name, extras):
            key = (canonicalize_name(need.name), tuple(sorted(need.extras)))
            if key[0] != "recurra":
                assert key[0] in PINS, f"{need} (wanted by {name}) has no pin in constraints.txt"
                assert need.specifier.contains(PINS[key[0]]), f"{need} (wanted by {name}) is pinned to {PINS[key[0]]}"
            if key not in seen:
                seen.add(key)
                waiting.append(key)
    assert len(seen) > len(DECLARED["dependencies"])
