"""What the benchmarks that write a table share: where and how it was measured, and its part of a document."""

from __future__ import annotations

import argparse
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import torch

from recurra.backends.cpu.target import host


def processor_name() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def conditions(load: tuple[float, float], command: str, note: str = "") -> list[str]:
    """Where and how figures were measured, a line of a list each.

    Args:
        load: The load average before and after.
        command: The command that measures so again.
        note: What else there is to say, such as which data were read.
    """
    when = datetime.now(UTC).strftime("%Y-%m-%d")
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return [
        f"- {processor_name()} ({host().processor}), threads: {torch.get_num_threads()}, {when}; load average "
        f"{load[0]:.1f} before, {load[1]:.1f} after, on {os.cpu_count()} cores",
        f"- {versions}; {note}" if note else f"- {versions}",
        f"- `{command}`",
    ]


class Section:
    """The part of a document between two marks, which a benchmark writes.

    Args:
        path: The document; None where nothing is to be written.
        begin: The line that it begins after.
        end: The line that it ends before.
        parser: What says that the document has no such lines, and exits.
    """

    def __init__(self, path: Path | None, begin: str, end: str, parser: argparse.ArgumentParser) -> None:
        self._path, self._begin, self._end = path, begin, end
        self._document = path.read_text(encoding="utf-8") if path else f"{begin}{end}"
        if begin not in self._document or end not in self._document:
            parser.error(f"{path} does not have the lines {begin} and {end}")

    def publish(self, text: str) -> None:
        """Print a text, and put it into the document."""
        print(text)
        if self._path:
            before, rest = self._document.split(self._begin)
            after = rest.split(self._end)[1]
            self._path.write_text(f"{before}{self._begin}\n\n{text}\n\n{self._end}{after}", encoding="utf-8")
