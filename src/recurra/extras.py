"""The packages that only some uses need: whether one is there, and how to get it."""

import importlib
import importlib.util
from types import ModuleType

from recurra.errors import SettingError

__all__ = ["is_there", "missing", "need"]

EXTRAS = {"matplotlib": "plots", "tensorboard": "tensorboard", "tokenizers": "text"}
"""The extra of Recurra that brings each package."""


def is_there(package: str) -> bool:
    """Whether a package is installed."""
    return importlib.util.find_spec(package) is not None


def missing(package: str, what: str) -> SettingError:
    """The error that says what needs a package, and how to get it.

    Example:
        >>> print(missing("matplotlib", "a picture"))
        a picture needs matplotlib, which is not installed: pip install 'recurra[plots]'
    """
    return SettingError(f"{what} needs {package}, which is not installed: pip install 'recurra[{EXTRAS[package]}]'")


def need(package: str, what: str) -> ModuleType:
    """The package, or else the error that something needs it.

    Raises:
        SettingError: It is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise missing(package, what) from error
