"""Packages whose public names are imported when they are first asked for (PEP 562).

PyTorch takes seconds to import. A package that defers its imports lets `recurra --help`, or a program that needs the
settings of a run and no tensor, start without it.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # this is the first file that the program imports: what it needs itself comes where it is used
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any
else:
    ModuleType = type(sys)

__all__ = ["import_on_demand"]


def import_on_demand(package: str) -> None:
    """Have a package import each of its public names when it is first asked for.

    The package lists its imports under `if TYPE_CHECKING:`, where type checkers and editors read them, and so does
    this function; no name is written down twice.

    Args:
        package: The package's `__name__`; its file calls this in the `else` of that `if`.

    Example:
        >>> import recurra
        >>> "Recurrent" in dir(recurra), recurra.Recurrent.__module__
        (True, 'recurra.nn.recurrent')
    """
    sys.modules[package].__class__ = _LazyPackage


class _LazyPackage(ModuleType):
    @property
    def _modules(self) -> dict[str, str]:
        """For every public name that is imported the module that it comes from."""
        modules: dict[str, str] | None = self.__dict__.get("__modules__")
        if modules is None:
            modules = self.__dict__["__modules__"] = self._read_imports()
        return modules

    def _read_imports(self) -> dict[str, str]:
        import ast

        loader = None if self.__spec__ is None else self.__spec__.loader
        source: str | None = getattr(loader, "get_source", lambda name: None)(self.__name__)
        if source is None:
            raise ImportError(f"the source of {self.__name__} is missing, which lists what the package imports")
        blocks = [node.body for node in ast.parse(source).body if isinstance(node, ast.If)]
        imports = [node for block in blocks for node in block if isinstance(node, ast.ImportFrom)]
        return {alias.name: str(node.module) for node in imports for alias in node.names}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  (whatever the name stands for)
        import importlib
        import importlib.util

        # Python itself asks modules for names such as __path__, which no package imports.
        module = None if name.startswith("_") else self._modules.get(name)
        if module is not None and module != self.__name__:
            value = getattr(importlib.import_module(module), name)
        elif not name.startswith("_") and name.isidentifier() and importlib.util.find_spec(f"{self.__name__}.{name}"):
            value = importlib.import_module(f"{self.__name__}.{name}")
        else:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401
        # Python sets a module on its package once it is imported; a function of the same name is what is public here.
        public = name in self.__dict__.get("__all__", ())
        if public and isinstance(value, ModuleType) and self._modules.get(name) == value.__name__:
            return
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._modules})
