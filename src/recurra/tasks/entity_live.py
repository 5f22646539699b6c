"""Live tagging of lines: a word a line in, a word with its tag out, as soon as it is decided."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from recurra.data.lines import STANDARD_INPUT, decode_line
from recurra.data.tagged_sentence import TaggedSentence
from recurra.data.tags import Scheme, write_tags
from recurra.errors import SettingError
from recurra.tasks.entity_stream import EntityStream
from recurra.tasks.streaming import LiveOptions, LiveRecord, LiveStream, Replay, Streaming, held_bytes, pieces_of

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

__all__ = ["ENTITY_STREAMING", "EntityLines"]

LONGEST_PIECE = 200
"""Bytes of the longest piece in which a sentence is read again."""


class EntityLines(LiveStream):
    """Words, one a line, with an empty line after each sentence; each comes back with its tag in IOB2.

    Args:
        run: A tagger of one direction.
        options: None of them has a meaning here.

    Raises:
        SettingError: The run cannot stream, or an option is given.
    """

    delay = 0.0

    def __init__(
        self,
        run: Trained[Any, TaggedSentence, Any, Any, Any, Any],
        options: LiveOptions = LiveOptions(),  # noqa: B008  (it is frozen)
    ) -> None:
        if options.chosen:
            raise SettingError(f"{run.task.name} reads words, one a line; leave out --{options.chosen[0]}")
        if run.config.model.occurrences:
            raise SettingError(
                "this tagger reads all sentences of a document before it tags the first; train one with "
                "--no-occurrences"
            )
        self._tags = EntityStream(run)
        ahead = run.model.encoder.lookahead
        when = "as soon as no later word can change it"
        if run.model.online:
            when = f"{ahead} words later" if ahead > 1 else "with the next word" if ahead else "at once"
        self.about = f"words, one a line, and an empty line after each sentence; a word is tagged {when}"
        self._rest, self._number = b"", 0
        self._waiting: list[str] = []
        self._began = False

    def push(self, piece: bytes) -> list[LiveRecord]:
        """The words whose tags are known after the next bytes; an empty record ends a sentence.

        Raises:
            DataError: A line is not UTF-8.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return [record for line in lines for record in self._read(line)]

    def close(self) -> list[LiveRecord]:
        """The words that have no tag yet."""
        records = self._read(self._rest) if self._rest else []
        self._rest = b""
        return records + self._end()

    def _read(self, line: bytes) -> list[LiveRecord]:
        self._number += 1
        words = decode_line(STANDARD_INPUT, self._number, line).split()
        records = []
        for word in words:
            self._waiting.append(word)
            records += self._tagged(self._tags.push(word))
        self._began = self._began or bool(words)
        return records if words else self._end()

    def _end(self) -> list[LiveRecord]:
        if not self._began:
            return []
        self._began = False
        return [*self._tagged(self._tags.close()), LiveRecord("", {"end": True})]

    def _tagged(self, tags: list[str]) -> list[LiveRecord]:
        words, self._waiting = self._waiting[: len(tags)], self._waiting[len(tags) :]
        return [LiveRecord(f"{word}\t{tag}", {"word": word, "tag": tag}) for word, tag in zip(words, tags, strict=True)]


def _replay(
    run: Trained[Any, TaggedSentence, Any, Any, Any, Any], sentence: TaggedSentence, draw: random.Random
) -> Replay:
    """A sentence in pieces of random sizes, from a byte to lines."""
    alone = TaggedSentence(sentence.words, sentence.source)
    [answer] = run.answers([alone])
    whole = " ".join(write_tags(answer.spans, len(sentence), Scheme.IOB2))
    stream, records, busy, kept = EntityLines(run), [], 0.0, 0
    for piece in pieces_of("".join(f"{word}\n" for word in sentence.words).encode(), LONGEST_PIECE, draw):
        begin = time.process_time()
        records += stream.push(piece)
        busy += time.process_time() - begin
        kept = max(kept, held_bytes(stream))
    records += stream.close()
    streamed = " ".join(record.values["tag"] for record in records if "tag" in record.values)
    return Replay(streamed, whole, 0.0, busy, kept)


ENTITY_STREAMING: Streaming[TaggedSentence] = Streaming(
    open=EntityLines, replay=_replay, delay=lambda run: EntityLines(run).delay
)
