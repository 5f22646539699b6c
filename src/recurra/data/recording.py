"""A recording of speech and what is said in it, and how files of recordings are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from recurra.checks import whole_number
from recurra.data.lines import Source
from recurra.errors import SettingError
from recurra.spelling import unknown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ManifestFormat", "Recording", "RecordingFormat"]

ManifestFormat = Literal["csv", "tsv", "jsonl", "list", "sphinx", "kaldi", "folder", "audio"]
"""How recordings and transcripts are written down: a table with commas, one with tabs, JSON objects, names of
files a line, a list of Sphinx (.fileids, with the .transcription beside), a folder of Kaldi (wav.scp and text), a
folder of recordings or a pattern of their names, one recording."""

LENGTHS_A_SECOND = 100
"""The unit of an example's length: frames of 10 ms."""

_FIELD = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True)
class Recording:
    """A recording and what is said in it.

    Args:
        audio: The file of its sound, or of the features computed of it; None where the samples are in memory.
        transcript: What is said in it; None where it is not known.
        group: What it belongs to, such as its speaker; None if to nothing.
        source: Where it is named: a line of a manifest, or the file itself.
        columns: The whole row of a table with a heading, or the object, as it was read; None without.
        length: Its samples in each channel, or its frames of ready-made features.
        rate: Samples a second; None for ready-made features.
        width: Features of a frame, where they are ready-made; None for sound.
        span: The seconds at which it begins and ends in the file, the end infinite for that of the file; None for the
            whole file.
        channels: How many channels its file has.
        missing: Seconds at its end that its header has and the file does not.
        trouble: Why it cannot be read, in a sentence without the file's name; None if it can.
        samples: The sound itself, one channel, (length,), where it is in memory.
    """

    audio: Path | None
    transcript: str | None
    group: str | None
    source: Source
    columns: Mapping[str, str] | None = None
    length: int = 0
    rate: int | None = None
    width: int | None = None
    span: tuple[float, float] | None = None
    channels: int = 1
    missing: float = 0.0
    trouble: str | None = None
    samples: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)

    def __len__(self) -> int:
        """Its length in hundredths of a second, or in frames of ready-made features."""
        return self.length if self.rate is None else self.length * LENGTHS_A_SECOND // self.rate

    def seconds(self, step: float = 10.0) -> float:
        """How long it lasts.

        Args:
            step: Milliseconds from a frame of ready-made features to the next.
        """
        return self.length * step / 1000 if self.rate is None else self.length / self.rate

    @property
    def file(self) -> Path:
        """The file of its sound or its features, or what is said to be it."""
        return self.audio or self.source.path

    @property
    def begin(self) -> int:
        """Where it begins in the file, in samples."""
        return 0 if self.span is None or self.rate is None else round(self.span[0] * self.rate)

    @property
    def name(self) -> str:
        """What it is called in messages and answers."""
        return str(self.source) if self.audio is None else str(self.audio)


@dataclass(frozen=True)
class RecordingFormat:
    """How files of recordings are read.

    Args:
        format: How they are written down; None to see by the name and the first lines.
        audio_column: The column that names the files of sound; None for the first of the usual names.
        transcript_column: The column of what is said.
        group_column: The column of what a recording belongs to, such as its speaker.
        features: Features of a frame in files of Sphinx (.mfc), which do not say it.
        audio_folder: Where relative names of files begin; None for the folder of the manifest.
        longest: Seconds; recordings that last longer are not trained on. None for no limit.
        name_pattern: What names of files say, such as "{transcript}_{group}_{}" for 7_theo_12.wav; with a slash, what
            folders say as well, such as "{group}/{}". A field is as long as it can be, from left to right.

    Raises:
        SettingError: There is no such format, or the pattern is none.

    Example:
        >>> RecordingFormat(name_pattern="{transcript}_{group}_{}").fields(Path("digits/7_theo_12.wav"))
        {'transcript': '7', 'group': 'theo'}
    """

    format: ManifestFormat | None = None
    audio_column: str | None = None
    transcript_column: str | None = None
    group_column: str | None = None
    features: int = 13
    audio_folder: Path | None = None
    name_pattern: str | None = None
    longest: float | None = None

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in get_args(ManifestFormat):
            raise SettingError(unknown("format", self.format, get_args(ManifestFormat)))
        whole_number("features", self.features, 1)
        if self.name_pattern is not None:
            self._expression()

    def fields(self, path: Path) -> dict[str, str] | None:
        """What the name of a file says, by the names of the pattern's fields; None where it does not fit."""
        if self.name_pattern is None:
            return {}
        steps = self.name_pattern.count("/") + 1
        matched = self._expression().fullmatch("/".join([*path.parts[-steps:-1], path.stem]))
        return None if matched is None else matched.groupdict()

    def _expression(self) -> re.Pattern[str]:
        pattern = self.name_pattern or ""
        names = [name for name in _FIELD.findall(pattern) if name]
        repeated = len(set(names)) < len(names) or any(name[0].isdigit() for name in names)
        if not _FIELD.search(pattern) or repeated or set("{}") & set(_FIELD.sub("", pattern)):
            raise SettingError(
                f"name_pattern is {pattern!r}; write the fields of a name in braces, each once, and {{}} for what does "
                "not matter, such as {transcript}_{group}_{}"
            )
        pieces = [
            re.escape(piece) if place % 2 == 0 else f"(?P<{piece}>[^/]+)" if piece else "[^/]+"
            for place, piece in enumerate(_FIELD.split(pattern))
        ]
        return re.compile("".join(pieces))
