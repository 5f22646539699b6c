"""Texts that a language model writes, a unit at a time, as they are drawn."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from recurra.data import Vocabulary
from recurra.decoding import Drawer, StopStrings
from recurra.models.language_model_stream import LanguageModelStream

__all__ = ["Ended", "SampledText", "Sampling"]

Ended = Literal["length", "end", "stop"]
"""Why a text ended: it has as many units as were asked for, its <EOS> was drawn, or a stop string was written."""


@dataclass(frozen=True, slots=True)
class SampledText:
    """A text that a language model wrote.

    Args:
        text: The text, the primer included, without the stop string that ended it.
        seed: What repeats it, beside as many others.
        log_probability: The natural logarithm of the probability of all units that were drawn, given what was read
            before them, in the model's own distribution; None if it was not asked for.
        ended: Why it ended.
    """

    text: str
    seed: int
    log_probability: float | None
    ended: Ended


class Sampling(Iterator[list[str]]):
    """Texts that are drawn side by side: each step gives what it adds to each of them, often nothing.

    Made by `LanguageModelRun.sampling`. First comes the primer. What may be the beginning of a stop string, or of a
    character that is not whole, is held back until that is known. It ends when all texts have ended.

    Args:
        stream: The model, which has read all but the last token before the texts.
        draw: Draws the tokens.
        length: The most units to draw of each text.
        last: The last token before the texts.
        vocabulary: The model's.
        primer: What the texts go on from.
        stop: The strings that end a text.
        end: The token that ends a text, or None.
        seed: That of `draw`.
    """

    def __init__(
        self,
        stream: LanguageModelStream,
        draw: Drawer,
        length: int,
        last: int,
        vocabulary: Vocabulary,
        primer: str,
        stop: str | Sequence[str],
        end: int | None,
        seed: int,
    ) -> None:
        self._stream, self._draw, self._seed = stream, draw, seed
        self._writers = [_Writer(vocabulary, primer, StopStrings(stop), end) for _ in range(draw.rows)]
        self._drawn = 0
        self._steps = self._pieces(length, last)

    def __next__(self) -> list[str]:
        """What is added to each text."""
        return next(self._steps)

    @property
    def drawn(self) -> int:
        """How many units have been drawn of each text that has not ended before."""
        return self._drawn

    def has_ended(self, place: int) -> bool:
        """Whether nothing more is added to one of the texts."""
        return self._writers[place].ended is not None

    @property
    def texts(self) -> list[SampledText]:
        """The texts as far as they are written; one that goes on counts as ended by its length."""
        scored = self._draw.score
        return [
            SampledText(writer.text, self._seed, writer.log_probability if scored else None, writer.ended or "length")
            for writer in self._writers
        ]

    def _pieces(self, length: int, last: int) -> Iterator[list[str]]:
        draw, logits, writers = self._draw, self._stream.logits, self._writers
        yield [writer.begin() for writer in writers]
        tokens = [last] * len(writers)
        for self._drawn in range(1, length + 1):
            tokens = draw(logits(tokens))
            each = zip(writers, tokens, draw.log_probabilities, strict=True)
            yield [writer.write(token, log_probability) for writer, token, log_probability in each]
            if None not in [writer.ended for writer in writers]:
                return
        yield [writer.finish("length") for writer in writers]


class _Writer:
    """One text: from tokens to what may be shown."""

    def __init__(self, vocabulary: Vocabulary, primer: str, stop: StopStrings, end: int | None) -> None:
        self.ended: Ended | None = None
        self.log_probability = 0.0
        self._decoder = vocabulary.decoder(vocabulary.decode(vocabulary.encode(primer)))
        self._stop, self._end = stop, end
        self._text = io.StringIO()
        # Between words a space is written, unless the primer brings its own.
        self._primer = primer.rstrip(" ") if vocabulary.level == "word" else primer
        self._spaces = primer[len(self._primer) :]

    @property
    def text(self) -> str:
        """What is written."""
        return self._text.getvalue()

    def begin(self) -> str:
        """The primer."""
        self._text.write(self._primer)
        return self._primer

    def write(self, token: int, log_probability: float) -> str:
        """What a token adds."""
        if self.ended:
            return ""
        self.log_probability += log_probability
        if token == self._end:
            return self.finish("end")
        shown = self._stop.feed(self._decoder.feed(token))
        if self._stop.stopped:
            self.ended = "stop"
        return self._shown(shown)

    def finish(self, ended: Ended) -> str:
        """What was held back."""
        if self.ended:
            return ""
        last = self._decoder.end()
        shown = self._stop.feed(last) + self._stop.end()
        self.ended = "stop" if self._stop.stopped else ended
        return self._shown(shown)

    def _shown(self, text: str) -> str:
        if self._spaces and (text or self.ended):
            text = text if text.startswith(" ") else self._spaces + text
            self._spaces = ""
        if text:
            self._text.write(text)
        return text
