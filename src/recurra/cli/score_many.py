"""`recurra score RUN --input FILE`: the probability of each line of a file, or of each translation, in its order."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from recurra.cli.json_lines import write_json_line
from recurra.data.lines import STANDARD_INPUT, decode_line, read_raw_lines
from recurra.errors import DataError
from recurra.training.figures import UNKNOWN, printable

if TYPE_CHECKING:  # torch is imported once a command runs
    from recurra.tasks.language_model_run import LanguageModelRun
    from recurra.tasks.score import Score
    from recurra.tasks.translator_run import TranslatorRun

__all__ = ["score_as_json", "score_lines", "score_pairs"]

NAMED = 5
"""So many lines without a score are named, and the others counted."""

NOTHING = "there is nothing to score: it is empty, or one unit with nothing to read before it"

FIGURES = ("log_probability", "perplexity", "bits", "count")
"""What is told of a text besides the text, in the order of `score_as_json`."""


def score_as_json(text: str, score: Score, *, units: bool) -> dict[str, object]:
    """What a program is told of a score.

    Args:
        text: The text.
        score: Its score.
        units: Whether of each unit, too.
    """
    values: dict[str, object] = {
        "text": text,
        "log_probability": score.log_probability,
        "perplexity": score.perplexity,
        "bits": score.bits,
        "count": score.count,
    }
    if units:
        values["units"] = [
            {"text": unit.text, "log_probability": unit.log_probability, "unknown": unit.unknown}
            for unit in score.units
        ]
    return values


def score_lines(model: LanguageModelRun, path: Path, *, json: bool, units: bool) -> None:
    """Print the score of each line of a file, in the order of the lines and one for each, in constant memory.

    What has no score is answered in its place and named at the end. Lines that are typed are answered one by one.

    Args:
        model: The model.
        path: The file; - reads standard input.
        json: Whether to print objects; otherwise the natural logarithm of a line's probability, a tab and the line.
        units: Whether objects tell of each unit, too.

    Raises:
        DataError: The file cannot be read; or, after all answers, some line is no text in UTF-8.
    """
    from recurra.tasks.language_model_run import WINDOW

    typed = path == STANDARD_INPUT and sys.stdin is not None and sys.stdin.isatty()
    encoding = Console().encoding
    lines = _Lines(path)
    for score in model.score_many(lines, window=1 if typed else WINDOW):
        text, problem = lines.answer(known=score is not None)
        if json:
            nothing = {"text": text, **dict.fromkeys(FIGURES), "error": problem}
            write_json_line(nothing if score is None else score_as_json(text, score, units=units))
        else:
            figure = UNKNOWN if score is None else f"{score.log_probability:.4f}"
            print(f"{figure}\t{printable(text, encoding)}", flush=typed)
    lines.report()


def score_pairs(model: TranslatorRun, path: Path, *, json: bool, units: bool) -> None:
    """Print the score of each translation of a file, in their order and one for each.

    Args:
        model: The translator.
        path: The file of sentences with their translations.
        json: Whether to print objects; otherwise the natural logarithm of a translation's probability, a tab and the
            translation.
        units: Whether objects tell of each unit, too.

    Raises:
        DataError: The file cannot be read.
    """
    from recurra.data.parallel import read_pairs

    encoding = Console().encoding
    dataset = read_pairs(path, model.config.pairs.how, "evaluate")
    pairs = [dataset[index] for index in range(len(dataset))]
    for pair, score in zip(pairs, model.score_many(pairs), strict=True):
        text = pair.target_text or ""
        if json:
            nothing = {"text": text, **dict.fromkeys(FIGURES), "error": "the translation is empty"}
            shown = nothing if score is None else score_as_json(text, score, units=units)
            write_json_line({"source": pair.source_text, **shown})
        else:
            figure = UNKNOWN if score is None else f"{score.log_probability:.4f}"
            print(f"{figure}\t{printable(text, encoding)}")


class _Lines:
    """The lines of a file as texts to score, and those among them that have no score."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: deque[tuple[int, str, str | None]] = deque()
        self._empty: list[int] = []
        self._count, self._broken = 0, ""

    def __iter__(self) -> Iterator[str]:
        for number, raw in read_raw_lines(self.path):
            text, problem = "", None
            try:
                text = decode_line(self.path, number, raw).removeprefix("\ufeff" if number == 1 else "")
            except DataError as error:
                problem = str(error)
                self._broken = self._broken or problem
            self._waiting.append((number, text, problem))
            yield text

    def answer(self, *, known: bool) -> tuple[str, str]:
        """The line that is answered now, and why it has no score if that is not known."""
        number, text, problem = self._waiting.popleft()
        if not known and problem is None:
            self._count += 1
            if self._count <= NAMED:
                self._empty.append(number)
        return text, problem or NOTHING

    def report(self) -> None:
        """Say on standard error which lines have no score.

        Raises:
            DataError: Some are no text.
        """
        if self._count:
            more = f" and {self._count - NAMED:,} more" if self._count > NAMED else ""
            named = f"line{'s' * (self._count > 1)} {', '.join(map(str, self._empty))}{more}"
            Console(stderr=True, highlight=False).print(Text(f"nothing to score in {named}", style="dim"))
        if self._broken:
            raise DataError(f"{self._broken}; lines that are no text were answered without a score")
