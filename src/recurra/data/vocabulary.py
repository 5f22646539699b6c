"""The vocabulary: which units a model knows, and the number each has."""

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from recurra.checks import as_whole_number, whole_number
from recurra.data.decoder import Decoder
from recurra.data.files import write_atomically
from recurra.data.units import END, UNKNOWN, BytePairs, Level, Units, units_at
from recurra.errors import DataError, RunError, SettingError

VERSION = 1
"""The version of the file that `Vocabulary.save` writes."""

BYTE_PAIRS_SIZE = 4096
"""The size of a vocabulary of byte pairs when none is given."""


class Vocabulary:
    """The units that a model knows, numbered 0 to V-1: the id of a unit is the place of the 1 in its one-hot vector.

    First come the ordinary units, the most frequent first, then <UNK> for every unit outside the vocabulary, then <EOS>
    for the end of a sentence:

    | level | unit | <UNK> | <EOS> |
    | --- | --- | --- | --- |
    | word | what stands between white space | yes | a line's end in a text, as in the Penn Treebank |
    | character | a code point, line ends among them | yes | if asked, for models of sentences |
    | byte | a byte of UTF-8; its id is its value | never needed | if asked, for models of sentences |
    | bpe | a frequent piece of a word, down to bytes | never needed | if asked, for models of sentences |

    An <EOS> that is decoded is a line's end at every level. Only at word level does a text itself hold <EOS>: elsewhere
    a line's end is an ordinary unit, and <EOS> is put after each sentence by `SentenceBatches`.

    `Vocabulary.build` makes one from texts; the constructor takes units that are known already.

    Args:
        level: How finely a text is cut: "word", "character", "byte" or "bpe".
        units: The ordinary units in the order of their ids, at word and character level.
        end_of_sentence: Whether there is an <EOS>; by default at word level only.
        tokenizer: At level "bpe", the tokenizer as the tokenizers library writes it in JSON.

    Raises:
        SettingError: The level is unknown, a unit is impossible at that level or comes twice, or the tokenizers library
            is missing.

    Example:
        >>> vocabulary = Vocabulary.build(["the cat sat", "the dog sat"], "word")
        >>> vocabulary.tokens
        ('the', 'sat', 'cat', 'dog', '<UNK>', '<EOS>')
        >>> vocabulary.encode("the emu sat")
        [0, 4, 1]
        >>> vocabulary.decode([0, 3, 1])
        'the dog sat'
        >>> vocabulary.one_hot([1]).tolist()
        [[0.0, 1.0, 0.0, 0.0, 0.0, 0.0]]
    """

    def __init__(
        self,
        level: Level,
        units: Iterable[str] = (),
        *,
        end_of_sentence: bool | None = None,
        tokenizer: str | None = None,
    ) -> None:
        end_of_sentence = _has_end(level, end_of_sentence)
        self._units = units_at(level, lines=end_of_sentence, tokenizer=tokenizer)
        ordinary = list(units)
        if self._units.closed and ordinary:
            raise SettingError(f"level {level!r} has units of its own; give no list of units")
        ordinary = ordinary or list(self._units.known())
        if not ordinary:
            raise SettingError(f"level {level!r} has no units of its own; give a list of units, or build from texts")
        for unit in ordinary:
            if reason := self._units.why_not(unit):
                raise SettingError(f"{unit!r} cannot be a unit at level {level!r}: {reason}")
        specials = ([] if self._units.closed else [UNKNOWN]) + ([END] if end_of_sentence else [])
        self._tokens = (*ordinary, *specials)
        self._ids = {token: number for number, token in enumerate(self._tokens)}
        if len(self._ids) < len(self._tokens):
            twice = next(token for token, count in Counter(self._tokens).items() if count > 1)
            raise SettingError(f"the unit {twice!r} comes twice; each has one id")

    @classmethod
    def build(
        cls,
        texts: str | Iterable[str],
        level: Level,
        max_size: int | None = None,
        min_count: int = 1,
        end_of_sentence: bool | None = None,
    ) -> "Vocabulary":
        """Makes the vocabulary of texts.

        The order is by count, the most frequent first, and by first appearance among equals: the same texts give the
        same ids.

        Args:
            texts: The texts to count, or one text. Use the training text alone: what only the validation text holds
                is to be unknown.
            level: How finely to cut: "word", "character", "byte" or "bpe".
            max_size: The most tokens V that it may have, <UNK> and <EOS> among them; None for no limit (at level
                "bpe", for 4,096).
            min_count: A unit that occurs less often is left to <UNK>; at level "bpe", a pair that occurs less often
                is not merged.
            end_of_sentence: Whether there is an <EOS>; None for what the level is used with: yes for words, else no.

        Returns:
            The vocabulary.

        Raises:
            SettingError: A setting is impossible, or the tokenizers library is missing.
            DataError: The texts hold no unit, or none often enough.
        """
        texts = [texts] if isinstance(texts, str) else texts
        end_of_sentence = _has_end(level, end_of_sentence)
        min_count = whole_number("min_count", min_count, 1)
        if level == "byte":
            if max_size is not None or min_count > 1:
                raise SettingError("level 'byte' always has its 256 units; give neither max_size nor min_count")
            return cls(level, end_of_sentence=end_of_sentence)
        closed = level == "bpe"
        specials = (not closed) + end_of_sentence
        least = specials + (256 if closed else 1)
        max_size = None if max_size is None else whole_number("max_size", max_size, 1)
        if max_size is not None and max_size < least:
            raise SettingError(f"max_size is {max_size}; a vocabulary at level {level!r} needs {least} or more")
        if level == "bpe":
            size = BYTE_PAIRS_SIZE if max_size is None else max_size
            learned = BytePairs.learn(texts, size - specials, min_count)
            return cls(level, end_of_sentence=end_of_sentence, tokenizer=json.dumps(learned.description()))
        room = None if max_size is None else max_size - specials
        return cls(
            level,
            _frequent(units_at(level, lines=end_of_sentence), texts, room, min_count),
            end_of_sentence=end_of_sentence,
        )

    @property
    def level(self) -> Level:
        """How finely a text is cut."""
        return self._units.level

    @property
    def tokens(self) -> tuple[str, ...]:
        """All tokens, each at the place of its id: the ordinary units, then <UNK>, then <EOS>, as far as there are."""
        return self._tokens

    @property
    def unknown(self) -> int | None:
        """The id of <UNK>; None where no unit can be unknown."""
        return self._ids.get(UNKNOWN)

    @property
    def end(self) -> int | None:
        """The id of <EOS>; None if there is none."""
        return self._ids.get(END)

    def __len__(self) -> int:
        return len(self._tokens)

    def __contains__(self, unit: object) -> bool:
        return unit in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.description() == other.description()

    __hash__ = None  # type: ignore[assignment]  # two equal ones may be compared, none is a key

    def __repr__(self) -> str:
        return f"Vocabulary(level={self.level!r}, size={len(self)}, end_of_sentence={self.end is not None})"

    def split(self, text: str) -> list[str]:
        """Cuts a text into units, one for each id of `encode`; unknown ones are as the text has them.

        Raises:
            DataError: The text holds a lone surrogate, which is no character.
        """
        return self._units.split(text)

    def text_of(self, unit: str) -> str:
        r"""The text that a unit writes, for people to read.

        At word and character level that is the unit itself. A byte, or a piece of byte pairs, is spelled as the
        characters it writes; bytes that are no whole character stand as \xc3 does.

        Args:
            unit: One of those that `split` gives.

        Example:
            >>> vocabulary = Vocabulary.build("to be or not to be", "bpe")
            >>> [vocabulary.text_of(unit) for unit in vocabulary.split(" be é")]
            [' be', ' ', '\\xc3', '\\xa9']
        """
        return self._units.text_of(unit)

    def bytes_of(self, unit: str) -> bytes:
        """The bytes of UTF-8 that a unit other than <EOS> writes; those of a piece need not be whole characters."""
        return self._units.bytes_of(unit)

    def encode(self, text: str) -> list[int]:
        """Turns a text into the ids of its units, x<1..T>; a unit outside the vocabulary is <UNK>.

        No <EOS> is added at the end: at word level a text's own line ends are its <EOS>.

        Raises:
            DataError: The text holds a lone surrogate, which is no character.

        Example:
            >>> Vocabulary.build("to be or not to be", "word").encode("be not afraid")
            [1, 3, 4]
        """
        ids = self._ids
        unknown = self.unknown
        if unknown is None:
            return [ids[unit] for unit in self.split(text)]
        return [ids.get(unit, unknown) for unit in self.split(text)]

    def encode_with_dropout(self, text: str, rate: float, draw: random.Random) -> list[int]:
        """Turns a text into ids, its words cut another way each time: BPE-dropout; see `MergeDropout`.

        Args:
            text: The text.
            rate: How often a merge is left out, from 0 to 1.
            draw: What is drawn from.

        Raises:
            SettingError: The level is not "bpe".
        """
        if not isinstance(self._units, BytePairs):
            raise SettingError(f"words are cut in another way each time at level 'bpe', and this is {self.level!r}")
        return [self._ids[piece] for piece in self._units.cut_with_dropout(text, rate, draw)]

    def decode(self, ids: Iterable[int] | Tensor) -> str:
        """Turns ids into text.

        At character, byte and BPE level this undoes `encode` exactly, but for characters outside the vocabulary, which
        come out as �, as bytes do that are no UTF-8. At word level words stand one space apart. An <EOS> is a line's
        end.

        Raises:
            DataError: An id is not one of this vocabulary's.

        Example:
            >>> Vocabulary("byte").decode([72, 105, 33])
            'Hi!'
        """
        return self._units.join([self._tokens[number] for number in self._checked(ids)])

    def decoder(self, before: str = "") -> "Decoder":
        """What turns ids into text one at a time, as they are drawn; see `Decoder`.

        Args:
            before: What is written already, such as a primer.
        """
        return Decoder(self._units, self._tokens, before)

    def one_hot(self, ids: Iterable[int] | Tensor) -> Tensor:
        """Turns ids into one-hot vectors, as the equations read words: a row is 0 but for a 1 at the unit's id.

        Args:
            ids: T ids.

        Returns:
            A float tensor (T, V).

        Raises:
            DataError: An id is not one of this vocabulary's.
        """
        indices = torch.tensor(self._checked(ids), dtype=torch.int64)
        return torch.nn.functional.one_hot(indices, len(self)).to(torch.get_default_dtype())

    def save(self, path: str | Path) -> None:
        """Writes the vocabulary as JSON that people can read; the file is there whole or not at all.

        Raises:
            RunError: The file cannot be written.
        """
        write_atomically(path, json.dumps(self.description(), ensure_ascii=False, indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """Reads a vocabulary that `save` wrote.

        Raises:
            RunError: The file is missing, damaged, or of another version.
            SettingError: It is one of byte pairs and the tokenizers library is not installed.
        """
        try:
            description = json.loads(Path(path).read_bytes().decode("utf-8"))
        except OSError as error:
            raise RunError(f"{path}: cannot be read ({error.strerror}); a run folder holds its vocabulary") from error
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path}: damaged, it is not JSON ({error}); copy it again or train again") from error
        version = description.get("version") if isinstance(description, dict) else None
        if version != VERSION:
            raise RunError(
                f"{path}: a vocabulary of version {version!r}, and this Recurra reads version {VERSION}; "
                "use the Recurra that wrote it, or train again"
            )
        try:
            return cls.of_description(description)
        except ValidationError as error:
            [problem, *_] = error.errors()
            where = ".".join(str(part) for part in problem["loc"])
            raise RunError(f"{path}: damaged, {where}: {problem['msg']}; copy it again or train again") from error
        except SettingError as error:
            if isinstance(error.__cause__, ImportError):
                raise
            raise RunError(f"{path}: damaged, {error}; copy it again or train again") from error

    @classmethod
    def of_description(cls, description: object) -> "Vocabulary":
        """The vocabulary that `description` gave, or a vocabulary as it is.

        Raises:
            pydantic.ValidationError: It is no such description.
            SettingError: What it describes is impossible.
        """
        if isinstance(description, Vocabulary):
            return description
        file = _File.model_validate(description)
        tokenizer = None if file.tokenizer is None else json.dumps(file.tokenizer)
        return cls(file.level, file.units or (), end_of_sentence=file.end_of_sentence, tokenizer=tokenizer)

    def _checked(self, ids: Iterable[int] | Tensor) -> Sequence[int]:
        """The ids as a list, each known to be one of this vocabulary's."""
        if isinstance(ids, str | bytes) or not isinstance(ids, Iterable):
            raise DataError(f"ids are whole numbers in a row, such as [0, 1]; this is {ids!r}")
        numbers: list[int] = []
        for number in ids.tolist() if isinstance(ids, Tensor | np.ndarray) and ids.ndim else list(ids):
            whole = as_whole_number(number)
            if whole is None:
                raise DataError(f"an id is a whole number; {number!r} is none")
            if not 0 <= whole < len(self):
                raise DataError(
                    f"the id {whole} is not in this vocabulary of {len(self)} tokens (0 to {len(self) - 1}); "
                    "was it made with another vocabulary?"
                )
            numbers.append(whole)
        return numbers

    def description(self) -> dict[str, Any]:
        """The vocabulary as JSON can hold it, and as `save` writes it.

        No fact is there twice, so the specials and a closed level's own units are left out.
        """
        file = _File(version=VERSION, level=self.level, end_of_sentence=self.end is not None)
        if isinstance(self._units, BytePairs):
            file.tokenizer = self._units.description()
        elif not self._units.closed:
            file.units = [token for token in self._tokens if token not in (UNKNOWN, END)]
        return file.model_dump(exclude_none=True)


class _File(BaseModel):
    """The file of a vocabulary, key by key."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: int
    level: Level
    end_of_sentence: bool
    units: list[str] | None = None
    tokenizer: dict[str, Any] | None = None


def _has_end(level: Level, end_of_sentence: bool | None) -> bool:
    """Whether there is an <EOS>, where None is what the level is used with."""
    return level == "word" if end_of_sentence is None else end_of_sentence


def _frequent(units: Units, texts: Iterable[str], room: int | None, min_count: int) -> list[str]:
    """The units of texts, the most frequent first, the first to appear first among equals."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(units.split(text))
    for special in (UNKNOWN, END):
        counts.pop(special, None)
    if not counts:
        raise DataError(f"the text has no {units.level} to make a vocabulary of; give a text that is not empty")
    frequent = [unit for unit, count in counts.most_common(room) if count >= min_count]
    if not frequent:
        [(unit, most)] = counts.most_common(1)
        raise DataError(
            f"min_count={min_count} leaves no {units.level}: the most frequent, {unit!r}, occurs {most} times; "
            "lower min_count or give more text"
        )
    return frequent
