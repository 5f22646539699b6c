"""The units a text is cut into: words, characters, bytes, or pairs of bytes merged again and again."""

import json
import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal, get_args

from recurra.data.merge_dropout import MergeDropout
from recurra.errors import DataError, SettingError
from recurra.extras import need
from recurra.spelling import did_you_mean

Level = Literal["word", "character", "byte", "bpe"]
"""How finely a text is cut."""

LEVELS: tuple[Level, ...] = get_args(Level)

UNKNOWN = "<UNK>"
"""The token that stands for every unit outside the vocabulary."""

END = "<EOS>"
"""The token that ends a sentence, or a line of a stream of words."""


class Units(ABC):
    """How a text is cut into units, and how units are put together again.

    `level` names the way, `closed` says that its own units write every text (so that nothing is ever unknown), and
    `newline` is the unit that an <EOS> is read as when units are joined.
    """

    level: ClassVar[Level]
    closed: ClassVar[bool]
    newline: ClassVar[str]
    between: ClassVar[bytes] = b""
    """What `join` puts between two units of a line."""

    def split(self, text: str) -> list[str]:
        """Cuts a text into units.

        Raises:
            DataError: The text holds a lone surrogate, which is no character.
        """
        return self._cut(without_surrogates(text))

    @abstractmethod
    def _cut(self, text: str) -> list[str]:
        """Cuts a text that UTF-8 can write."""

    @abstractmethod
    def join(self, units: Iterable[str]) -> str:
        """Puts units together to a text; an <EOS> becomes a new line."""

    def bytes_of(self, unit: str) -> bytes:
        """The bytes of UTF-8 that a unit other than <EOS> is joined as; they need not be whole characters."""
        return self.join([unit]).encode("utf-8")

    def known(self) -> Sequence[str]:
        """The units that this way of cutting has of itself, in the order of their ids; none if they are learned."""
        return ()

    def text_of(self, unit: str) -> str:
        r"""The text that a unit writes, for people to read; a byte that is no whole character stands as \xc3 does."""
        return unit

    def why_not(self, unit: str) -> str | None:
        """Says why no text is ever cut into this unit, or None if one may be."""
        return "a lone surrogate is no character" if any("\ud800" <= sign <= "\udfff" for sign in unit) else None


class Words(Units):
    """Words between white space; a line's end is an <EOS>, as in the Penn Treebank of the language-model literature.

    The spellings <unk>, <UNK>, <eos> and <EOS> in a text are the special tokens themselves (the Penn Treebank of
    Mikolov et al., "Recurrent neural network based language model", 2010, carries <unk> in its text). Joining puts one
    space between words and a line's end for <EOS>.

    Args:
        lines: Whether a line's end is an <EOS>; otherwise it only separates words.
    """

    level = "word"
    closed = False
    newline = "\n"
    between = b" "

    def __init__(self, lines: bool = True) -> None:
        self.lines = lines

    def _cut(self, text: str) -> list[str]:
        """Cuts a text at white space; each line's end gives an <EOS>."""
        words: list[str] = []
        for number, line in enumerate(text.split("\n")):
            if number:
                words.append(END)
            words += [_SPECIAL_SPELLINGS.get(word, word) for word in line.split()]
        return words if self.lines else [word for word in words if word != END]

    def join(self, units: Iterable[str]) -> str:
        """Joins words with spaces; <EOS> becomes a line's end."""
        lines: list[list[str]] = [[]]
        for unit in units:
            if unit == END:
                lines.append([])
            else:
                lines[-1].append(unit)
        return "\n".join(" ".join(line) for line in lines)

    def why_not(self, unit: str) -> str | None:
        """A word has no white space and is not a special token."""
        if unit in _SPECIAL_SPELLINGS:
            return "it is the spelling of a special token"
        if unit.split() != [unit]:
            return "a word is not empty and holds no white space"
        return super().why_not(unit)


_SPECIAL_SPELLINGS = {"<unk>": UNKNOWN, "<UNK>": UNKNOWN, "<eos>": END, "<EOS>": END}


class Characters(Units):
    """Unicode code points, white space and line ends included; an unknown one is joined as U+FFFD, the � sign."""

    level = "character"
    closed = False
    newline = "\n"

    def _cut(self, text: str) -> list[str]:
        """Cuts a text into its code points."""
        return list(text)

    def join(self, units: Iterable[str]) -> str:
        """Joins characters with nothing between them."""
        shown = {END: self.newline, UNKNOWN: "\N{REPLACEMENT CHARACTER}"}
        return "".join(shown.get(unit, unit) for unit in units)

    def why_not(self, unit: str) -> str | None:
        """A character is one code point, and no half of a surrogate pair."""
        return super().why_not(unit) if len(unit) == 1 else "a character is one code point"


class Bytes(Units):
    """The bytes of the text in UTF-8: 256 units, and nothing is ever unknown.

    A printable ASCII byte is spelled as itself, any other as <0x0A> is. Bytes that are no UTF-8 are joined as U+FFFD.
    """

    level = "byte"
    closed = True
    newline = "<0x0A>"

    def _cut(self, text: str) -> list[str]:
        """Cuts a text into its bytes, each by its spelling."""
        return [_BYTE_SPELLINGS[byte] for byte in text.encode("utf-8")]

    def join(self, units: Iterable[str]) -> str:
        """Reads bytes as UTF-8."""
        return bytes(_BYTE_OF_SPELLING[self.newline if unit == END else unit] for unit in units).decode(
            "utf-8", errors="replace"
        )

    def bytes_of(self, unit: str) -> bytes:
        """The byte itself."""
        return bytes([_BYTE_OF_SPELLING[unit]])

    def text_of(self, unit: str) -> str:
        """The character that a byte is by itself, or its value."""
        return _text_of_bytes([_BYTE_OF_SPELLING[unit]]) if unit in _BYTE_OF_SPELLING else unit

    def known(self) -> Sequence[str]:
        """The 256 bytes in their order: the id of a byte is its value."""
        return _BYTE_SPELLINGS


_BYTE_SPELLINGS = tuple(chr(byte) if 0x20 <= byte < 0x7F else f"<0x{byte:02X}>" for byte in range(256))
_BYTE_OF_SPELLING = {spelling: byte for byte, spelling in enumerate(_BYTE_SPELLINGS)}


def _text_of_bytes(values: Iterable[int]) -> str:
    return bytes(values).decode("utf-8", errors="backslashreplace")


def _signs_of_bytes() -> dict[str, int]:
    """The byte that each sign of a piece stands for: printable ones of Latin-1 are themselves, the others follow 255.

    The table of Radford et al., 2019, as the tokenizers library has it, which does not give it away.
    """
    themselves = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in themselves)
    return {chr(byte): byte for byte in themselves} | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTE_OF_SIGN = _signs_of_bytes()


def _pair_of(merge: str | Sequence[str]) -> Sequence[str]:
    """The two pieces of a merge, which older versions of the tokenizers library write with a space between them."""
    return merge.split(" ") if isinstance(merge, str) else merge


LONGEST_LEARNED = 256
"""The most characters of a word that byte pairs are learned from; a longer one is cut into words of this length."""

_LEARNED_WORD = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+".replace(
    "+", f"{{1,{LONGEST_LEARNED}}}"
)
"""GPT-2's pattern of a word, which is also the tokenizers library's, with every repetition bounded."""


class BytePairs(Units):
    """Frequent pieces of words, made by merging the most frequent pair of neighbours again and again, from bytes up.

    The merging is that of Sennrich, Haddow and Birch, "Neural machine translation of rare words with subword units",
    ACL 2016; starting from the 256 bytes (Radford et al., "Language models are unsupervised multitask learners", 2019)
    leaves nothing unknown and makes every text round-trip exactly. The units are in the spelling of that work, where
    Ġ is a space and Ċ a line's end. The tokenizers library does the work.

    Pieces are learned from words of at most `LONGEST_LEARNED` characters; a longer one, such as a strand of DNA or a
    line of Chinese, is learned from as several words. Without a bound the time to learn would grow with the square of
    the longest word. Encoding has no such bound.

    Args:
        tokenizer: The tokenizer, as the tokenizers library writes it in JSON.

    Raises:
        SettingError: The tokenizers library is not installed, or this is no byte-level tokenizer.
    """

    level = "bpe"
    closed = True
    newline = "Ċ"

    def __init__(self, tokenizer: str) -> None:
        library = need("tokenizers", "level 'bpe'")
        try:
            self._tokenizer = library.Tokenizer.from_str(tokenizer)
        except Exception as error:  # the library raises Exception itself
            raise SettingError(f"the tokenizer is not one that the tokenizers library reads: {error}") from error
        ids = self._tokenizer.get_vocab(with_added_tokens=True)
        if sorted(ids.values()) != list(range(len(ids))):
            raise SettingError("the tokenizer's pieces are not numbered 0, 1, 2, ...")
        if missing := set(library.pre_tokenizers.ByteLevel.alphabet()) - set(ids):
            raise SettingError(f"the tokenizer lacks {len(missing)} of the 256 bytes")
        if self._tokenizer.decoder is None:
            raise SettingError("the tokenizer has no decoder")
        self._pieces = tuple(sorted(ids, key=lambda piece: int(ids[piece])))
        self._merge_dropout: MergeDropout | None = None

    @classmethod
    def learn(cls, texts: Iterable[str], size: int, min_count: int) -> "BytePairs":
        """Learns the pieces from texts.

        Args:
            texts: What to learn from.
            size: The number of pieces, the 256 bytes included; fewer if the texts have no more pairs to merge.
            min_count: How often a pair must occur to be merged.

        Returns:
            The units, the same for the same texts.
        """
        library = need("tokenizers", "level 'bpe'")
        byte_level = library.pre_tokenizers.ByteLevel
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence(
            [
                library.pre_tokenizers.Split(library.Regex(_LEARNED_WORD), "isolated"),
                byte_level(add_prefix_space=False, use_regex=False),
            ]
        )
        tokenizer.decoder = library.decoders.ByteLevel()
        alphabet = sorted(byte_level.alphabet())
        trainer = library.trainers.BpeTrainer(
            vocab_size=size, min_frequency=min_count, initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator(map(without_surrogates, texts), trainer)
        tokenizer.pre_tokenizer = byte_level(add_prefix_space=False)
        return cls(tokenizer.to_str())

    def _cut(self, text: str) -> list[str]:
        """Cuts a text into pieces."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).tokens)

    def cut_with_dropout(self, text: str, rate: float, draw: random.Random) -> list[str]:
        """Cuts a text into pieces, where merges are left out at random; see `MergeDropout`."""
        if self._merge_dropout is None:
            self._merge_dropout = MergeDropout(map(_pair_of, self.description()["model"]["merges"]))
        words = self._tokenizer.pre_tokenizer.pre_tokenize_str(without_surrogates(text))
        return [piece for word, _ in words for piece in self._merge_dropout(word, rate, draw)]

    def join(self, units: Iterable[str]) -> str:
        """Joins pieces and reads their bytes as UTF-8."""
        return str(self._tokenizer.decoder.decode([self.newline if unit == END else unit for unit in units]))

    def bytes_of(self, unit: str) -> bytes:
        """The bytes of a piece; what is no piece of bytes, such as an added token, is its own text."""
        if all(sign in _BYTE_OF_SIGN for sign in unit):
            return bytes(_BYTE_OF_SIGN[sign] for sign in unit)
        return super().bytes_of(unit)

    def text_of(self, unit: str) -> str:
        """The text that a piece writes: Ġbe is " be"."""
        if unit == END or not all(sign in _BYTE_OF_SIGN for sign in unit):
            return unit
        return _text_of_bytes(_BYTE_OF_SIGN[sign] for sign in unit)

    def known(self) -> Sequence[str]:
        """The pieces, in the order of the tokenizer's ids."""
        return self._pieces

    def description(self) -> dict[str, Any]:
        """The tokenizer as JSON has it: what another `BytePairs` is made of."""
        description: dict[str, Any] = json.loads(self._tokenizer.to_str())
        return description


def units_at(level: Level, *, lines: bool = True, tokenizer: str | None = None) -> Units:
    """Gives the way of cutting that a level names.

    Args:
        level: The level.
        lines: At word level, whether a line's end is an <EOS>.
        tokenizer: At level "bpe", the tokenizer in JSON.

    Raises:
        SettingError: The level is unknown, or the tokenizer does not go with it or cannot be used.
    """
    if level not in LEVELS:
        hint = did_you_mean(level, LEVELS).replace("?", "? The") if isinstance(level, str) else ""
        raise SettingError(f"the level {level!r} is unknown{hint or '; the'} levels are {', '.join(LEVELS)}")
    if (level == "bpe") != (tokenizer is not None):
        raise SettingError("a tokenizer goes with level 'bpe', and level 'bpe' with a tokenizer")
    if tokenizer is not None:
        return BytePairs(tokenizer)
    if level == "word":
        return Words(lines)
    return Characters() if level == "character" else Bytes()


def without_surrogates(text: str) -> str:
    """Gives the text back, known to be one that UTF-8 can write.

    Raises:
        DataError: It holds a lone surrogate.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"character {error.start + 1} of the text is the lone surrogate U+{ord(text[error.start]):04X}, "
            "which is no character; give text that is valid Unicode"
        ) from error
    return text
