"""`recurra stream RUN`: standard input is answered while it comes, a record at a time."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from recurra.cli.completion import run_folders
from recurra.errors import DataError, SettingError
from recurra.training.figures import printable

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.tasks.streaming import LiveRecord

__all__ = ["stream"]

CHUNK = 1 << 16
"""The most bytes that are read at a time; fewer are taken as soon as they are there."""

INTERRUPTED = 130
"""The exit code after Ctrl-C."""


class Format(StrEnum):
    """How records are written."""

    TEXT = "text"
    JSONL = "jsonl"


class SampleFormat(StrEnum):
    """How a sample of raw sound is written."""

    U8 = "u8"
    S16 = "s16le"
    S24 = "s24le"
    S32 = "s32le"
    F32 = "f32le"


def stream(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", metavar="RUN", autocompletion=run_folders)],
    format_name: Annotated[Format, typer.Option("--format", help="How answers are written.")] = Format.TEXT,
    rate: Annotated[
        int | None,
        typer.Option("--rate", help="Samples of sound a second.", metavar="N", min=1, show_default="that of the run"),
    ] = None,
    sample_format: Annotated[
        SampleFormat | None,
        typer.Option("--sample-format", help="How a sample of sound is written.", show_default="s16le"),
    ] = None,
    channels: Annotated[
        int | None, typer.Option("--channels", help="How many channels.", metavar="N", min=1, show_default="1")
    ] = None,
    endpoint: Annotated[
        float | None,
        typer.Option("--endpoint", help="Seconds of silence that end a line.", metavar="X", show_default="1"),
    ] = None,
    longest: Annotated[
        float | None,
        typer.Option("--longest", help="Seconds after which a line ends with a word.", metavar="X", show_default="20"),
    ] = None,
) -> None:
    """Answer standard input while it comes: raw sound or a WAV to a recogniser, a word a line to a tagger.

    Each answer is written at once, and at the end whatever is held back. In a terminal, what may still change of the
    next answer is shown in dim letters.
    """
    from recurra.tasks import load
    from recurra.tasks.streaming import LiveOptions, open_stream

    kind = None if sample_format is None else sample_format.value.removesuffix("le")
    loaded = load(run)
    loaded.model.eval()
    live = open_stream(loaded, LiveOptions(rate, kind, channels, endpoint, longest))  # type: ignore[arg-type]
    if sys.stdin is None:
        raise DataError("standard input is closed; pipe something into this, such as: arecord -t raw | recurra stream")
    if sys.stdin.isatty() and (kind is not None or "sound" in live.about):
        raise SettingError(
            "a terminal sends no sound; pipe it into this, such as: "
            "arecord -t raw -f S16_LE -r 16000 | recurra stream RUN --rate 16000"
        )
    errors = Console(stderr=True, highlight=False)
    errors.print(Text(live.about, style="dim"), soft_wrap=not errors.is_terminal)
    writer = _Writer(Console(highlight=False), format_name)
    code = 0
    try:
        while piece := os.read(sys.stdin.fileno(), CHUNK):
            writer.write(live.push(piece), live.unfinished)
    except KeyboardInterrupt:
        code = INTERRUPTED  # what was heard up to here is still told
    finally:
        writer.write((), "")
    writer.write(live.close(), "")
    for problem in live.problems:
        errors.print(Text(problem, style="yellow"), soft_wrap=not errors.is_terminal)
    if code:
        raise typer.Exit(code)


class _Writer:
    """Writes records as they come, and redraws what is unfinished in a terminal.

    Args:
        console: Where to write.
        format_name: How.
    """

    def __init__(self, console: Console, format_name: Format) -> None:
        self._console, self._format = console, format_name
        self._redraws = console.is_terminal and format_name is Format.TEXT
        self._drawn = ""

    def write(self, records: Iterable[LiveRecord], unfinished: str) -> None:
        """Write records, and what may still change after them.

        Raises:
            SystemExit: Whoever read the output has gone.
        """
        file = self._console.file
        text = "".join(f"{self._line(record)}\n" for record in records)
        shown = self._cut(printable(unfinished, self._console.encoding)) if self._redraws else ""
        if not text and shown == self._drawn:
            return
        try:
            if self._drawn:
                file.write("\r\x1b[K")
            file.write(text)
            if shown:
                file.write(f"\x1b[2m{shown}\x1b[0m")
            file.flush()
        except BrokenPipeError:
            self._console.on_broken_pipe()
        self._drawn = shown

    def _line(self, record: LiveRecord) -> str:
        if self._format is Format.JSONL:
            return json.dumps(record.values, ensure_ascii=False)
        # Tabs stand between columns, and stay.
        return "\t".join(printable(column, self._console.encoding) for column in record.text.split("\t"))

    def _cut(self, text: str) -> str:
        """The end of a text, as much as stands in a line of the terminal."""
        room = self._console.width - 1
        while cell_len(text) > room:
            text = text[max(1, (cell_len(text) - room) // 2) :]
        return text
