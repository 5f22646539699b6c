"""Check that imports inside the package point down the house only, and that its language needs no PyTorch.

    usage: python scripts/check_imports.py [PACKAGE_FOLDER]

Every import statement counts, also one inside a function or under `if TYPE_CHECKING`. Each violation is one line,
`path:line: what is wrong; the mend`, and makes the exit code 1.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "recurra"

# The rooms of the house, from the ground up, and what each may import besides itself and what lies outside the rooms.
ALLOWED: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "checks": frozenset({"errors"}),
    "extras": frozenset({"errors"}),
    "lazy": frozenset(),
    "spelling": frozenset(),
    "equations": frozenset(),
    "cells": frozenset({"equations"}),
    "backends": frozenset({"equations"}),
    "nn": frozenset({"cells", "backends", "equations"}),
    "models": frozenset({"nn", "cells"}),
    "data": frozenset(),
    "decoding": frozenset(),
    "metrics": frozenset(),
    "training": frozenset({"data"}),
    "inspection": frozenset({"nn", "models", "cells", "backends", "equations", "data", "metrics", "training"}),
    "tasks": frozenset({"models", "nn", "cells", "data", "decoding", "metrics", "training", "inspection"}),
    "recipes": frozenset({"tasks", "training", "inspection", "models", "nn", "cells", "data", "decoding"}),
    "lab": frozenset({"recipes", "tasks", "training", "inspection", "models", "nn", "cells", "data", "decoding"}),
}
GROUND = frozenset({"checks", "errors", "extras", "lazy", "spelling"})
ALLOWED["cli"] = frozenset(ALLOWED)

# Files that stand outside the rooms: they gather the public names and start the command line.
UNBOUND = ("__init__.py", "__main__.py")
WITHOUT_TORCH = ("equations", "cells")


def may_import(room: str) -> frozenset[str]:
    """What a room may import besides itself."""
    return ALLOWED[room] if room in GROUND else ALLOWED[room] | GROUND


@dataclass(frozen=True)
class Import:
    """One imported module by its full name, e.g. `recurra.data.vocabulary`, and the line that imports it."""

    module: str
    line: int


def imports_of(tree: ast.Module, package: list[str]) -> Iterator[Import]:
    """Yield every module that a file imports; relative names are resolved against the package the file lies in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            if module == PACKAGE:  # `from recurra import data` imports a room, so the room is what counts
                yield from (Import(f"{PACKAGE}.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield Import(module, node.lineno)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("__import__", "import_module")):
            named = node.args[0] if node.args else None
            if isinstance(named, ast.Constant) and isinstance(named.value, str):
                yield Import(named.value, node.lineno)


def fault(room: str, module: str) -> str | None:
    """Say what is wrong with `room` importing `module`, and the mend; None if nothing is."""
    top, _, rest = module.partition(".")
    if top == "torch" and room in WITHOUT_TORCH:
        return f"{room} imports torch, but describes recurrences without it; move what needs tensors to backends or nn"
    if top != PACKAGE:
        return None
    target = rest.partition(".")[0]
    if target not in ALLOWED:
        if room == "cli":  # the top room stands above the package's own file of public names
            return None
        return f"{room} imports {module}, which lies in no room; import from the room that defines it"
    if target in {room} | may_import(room):
        return None
    reachable = ", ".join(other for other in ALLOWED if other in may_import(room))
    return f"{room} imports {target}; it may import {reachable}: move the code down, or pass it in from above"


def violations(package_folder: Path) -> Iterator[tuple[Path, int, str]]:
    """Yield file, line and fault of every import that points the wrong way under `package_folder`."""
    for path in sorted(package_folder.rglob("*.py")):
        inside = path.relative_to(package_folder)
        if len(inside.parts) == 1 and inside.name in UNBOUND:
            continue
        room = inside.parts[0].removesuffix(".py")
        if room not in ALLOWED:
            yield path, 1, f"{room} is no room of the house; the rooms are {', '.join(ALLOWED)}"
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        for found in imports_of(tree, [PACKAGE, *inside.parts[:-1]]):
            problem = fault(room, found.module)
            if problem:
                yield path, found.line, problem


def main(arguments: list[str]) -> int:
    """Print every violation under the package folder; return the exit code."""
    project = Path(__file__).resolve().parent.parent
    package_folder = Path(arguments[0]) if arguments else project / "src" / PACKAGE
    if not package_folder.is_dir():
        print(f"error: {package_folder} is not a folder; name the folder of the package", file=sys.stderr)
        return 2
    found = list(violations(package_folder))
    for path, line, problem in found:
        shown = path.relative_to(project) if path.is_relative_to(project) else path
        print(f"{shown}:{line}: {problem}")
    if not found:
        print(f"{sum(1 for _ in package_folder.rglob('*.py'))} files: every import points down.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
