"""A trained language model: it scores text and writes it."""

from __future__ import annotations

import itertools
import secrets
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, Unpack

import torch
from torch import Tensor

from recurra.checks import LARGEST_SEED
from recurra.data import END, TokenBatch, Vocabulary
from recurra.data import sentences as sentences_of
from recurra.decoding import Drawer, SamplingSettings
from recurra.errors import DataError, SettingError
from recurra.models import LanguageModel
from recurra.models.language_model_stream import LanguageModelStream
from recurra.tasks.sampled_text import Sampling
from recurra.tasks.score import Score
from recurra.tasks.scoring import log_probabilities
from recurra.tasks.text_tokens import opening, start_of
from recurra.tasks.trained import Trained

if TYPE_CHECKING:
    from recurra.inspection import Activations
    from recurra.tasks.text_copies import LearnedText

__all__ = ["LanguageModelRun"]

CHUNK = 256
"""Steps read at once, so that a long text needs no more memory than a short one."""

EMPTY = "the text is empty; give at least one word"
ALONE = "the text is one unit long, and the model has nothing to read before it; give a longer one"

WINDOW = 512
"""How many texts are looked at together, to find those of like length."""

State = dict[str, Tensor] | None


class SamplingOptions(TypedDict, total=False):
    """How to draw texts: what `LanguageModelRun.sampling` takes."""

    number: int
    primer: str
    temperature: float
    top_k: int | None
    top_p: float | None
    allow_unknown: bool
    seed: int | None
    stop: str | Sequence[str]
    score: bool


class LanguageModelRun(Trained[Any, str, Any, LanguageModel, TokenBatch, tuple[float, ...]]):
    r"""A trained language model: it scores text and writes it.

    A text begins after <EOS>, or where the model knows none after a line's end; if it knows neither, its first unit is
    taken as given. Where the model has <EOS>, the text's own end counts as well, so that the probabilities of all texts
    sum to one. A model of sentences takes each line as a sentence of its own.

    Example:
        >>> from recurra.tasks.language_modelling import *
        >>> assets = LanguageModelAssets(vocabulary=Vocabulary.build("the cat sat\nthe dog sat\n", "word"))
        >>> model = LanguageModel(len(assets.vocabulary), "gru", embedding_size=4, hidden_size=8).eval()
        >>> config = LanguageModellingConfig(text={"data": "pets.txt", "level": "word"})
        >>> run = LanguageModelRun(LANGUAGE_MODELLING, config, assets, model)
        >>> [unit.text for unit in run.score("the dog sat").units]
        ['the', 'dog', 'sat', '<EOS>']
        >>> run.sample(5, primer="the", seed=1) == run.sample(5, primer="the", seed=1)
        True
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """The units that the model knows."""
        vocabulary: Vocabulary = self.assets.vocabulary
        return vocabulary

    @property
    def by_sentence(self) -> bool:
        """Whether the model is one of sentences, each on a line of its own."""
        return bool(self.config.text.sentences)

    @property
    def start(self) -> int | None:
        """The token read before a text's first: <EOS>, else a line's end, else none."""
        return start_of(self.vocabulary)

    def unknown_in(self, text: str) -> list[str]:
        """The units of a text that the model does not know and reads as <UNK>, each once."""
        vocabulary = self.vocabulary
        pairs = zip(vocabulary.split(text), vocabulary.encode(text), strict=True)
        return list(dict.fromkeys(unit for unit, number in pairs if number == vocabulary.unknown))

    def score(self, text: str) -> Score:
        """The probability of a text: of each unit given all before it, and of the whole.

        Args:
            text: What to score.

        Raises:
            DataError: The text has nothing to score.
        """
        _check_text("score", text)
        readings = self._readings(text)
        if not readings:
            raise DataError(EMPTY)
        if any(len(reading.tokens) < 2 for reading in readings):
            raise DataError(ALONE)
        return self._scores([readings])[0]

    def score_many(self, texts: Iterable[str], window: int = WINDOW) -> Iterator[Score | None]:
        """The probability of each of many texts, in their order: what `score` gives of each, several times as fast.

        Memory does not grow with their number.

        Args:
            texts: What to score.
            window: So many texts are read before the first of them is answered, to score those of like length together.

        Yields:
            The score of each; None for one that has nothing to score.
        """
        if isinstance(texts, str):
            raise SettingError("score_many takes several texts; this is a str: give a list of them, or use score")
        iterator = iter(texts)
        while several := list(itertools.islice(iterator, window)):
            for text in several:
                _check_text("score_many", text)
            read = [self._readings(text) for text in several]
            known = [bool(readings) and all(len(each.tokens) > 1 for each in readings) for readings in read]
            scores = iter(self._scores([readings for readings, whole in zip(read, known, strict=True) if whole]))
            yield from (next(scores) if whole else None for whole in known)

    def _readings(self, text: str) -> list[_Reading]:
        """What is read to score a text: one row of tokens, or where each line is a sentence, one for each."""
        vocabulary, readings = self.vocabulary, []
        for part in sentences_of(text) if self.by_sentence else [text]:
            ids, units = vocabulary.encode(part), vocabulary.split(part)
            if not ids:
                continue
            if vocabulary.end is not None and ids[-1:] != [vocabulary.end]:
                ids, units = [*ids, vocabulary.end], [*units, END]
            readings.append(_Reading(units, ids, ids if self.start is None else [self.start, *ids]))
        return readings

    def _scores(self, texts: Sequence[Sequence[_Reading]]) -> list[Score]:
        """The score of each text from what is read for it."""
        rows = [reading.tokens for readings in texts for reading in readings]
        found = iter(log_probabilities(self.model, rows, CHUNK))
        given: list[float | None] = [] if self.start is not None else [None]
        return [
            Score.of_all([Score.of(self.vocabulary, r.units, r.ids, [*given, *next(found)]) for r in readings])
            for readings in texts
        ]

    def sample(
        self, length: int = 200, *, watch: Callable[[int, int], None] | None = None, **options: Unpack[SamplingOptions]
    ) -> list[str]:
        """Novel texts, drawn a unit at a time; each begins with the primer.

        Args:
            length: The most units to draw; a model of sentences may end sooner.
            watch: Is told after each unit how many are drawn of each text, and of how many at most.
            **options: How to draw, such as `number`, `primer`, `temperature` and `seed`: see `sampling`.

        Raises:
            SettingError: A value is outside its range.
        """
        sampling = self.sampling(length, **options)
        told = 0
        for _ in sampling:
            if watch is not None and sampling.drawn > told:
                told = sampling.drawn
                watch(told, length)
        return [text.text for text in sampling.texts]

    def sample_stream(self, length: int = 200, **options: Unpack[SamplingOptions]) -> Iterator[str]:
        """A novel text in pieces, each as soon as it is drawn; together they are the text that `sample` gives.

        Args:
            length: The most units to draw.
            **options: How to draw: see `sampling`.

        Yields:
            The primer, then what each step adds to it.

        Raises:
            SettingError: A value is outside its range, or more than one text is asked for.
        """
        if options.get("number", 1) != 1:
            raise SettingError(f"number is {options['number']}; a stream is of one text: use sampling for several")
        return (piece for (piece,) in self.sampling(length, **options) if piece)

    def sampling(
        self,
        length: int = 200,
        *,
        number: int = 1,
        primer: str = "",
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        allow_unknown: bool = False,
        seed: int | None = None,
        stop: str | Sequence[str] = (),
        score: bool = False,
    ) -> Sampling:
        """Novel texts while they are drawn, side by side.

        Args:
            length: The most units to draw; a model of sentences may end sooner.
            number: How many texts to draw.
            primer: What the texts go on from.
            temperature: Below 1 sharpens the distribution, above 1 flattens it, 0 takes the most probable unit.
            top_k: Draw from the k most probable units only.
            top_p: Draw from the fewest units whose probabilities sum to p only.
            allow_unknown: Whether <UNK> may be drawn.
            seed: Repeats the output; without it every call differs.
            stop: Strings that end a text once one of them has been written after the primer; it is left out.
            score: Whether to sum up how probable the model finds what is drawn.

        Raises:
            SettingError: A value is outside its range.
        """
        _check_text("sample: primer", primer)
        for name, value in (("length", length), ("number", number), ("seed", 0 if seed is None else seed)):
            if isinstance(value, bool) or not isinstance(value, int):
                raise SettingError(f"{name} is {value!r}; it must be a whole number")
            if name != "seed" and value < 1:
                raise SettingError(f"{name} is {value}; it must be 1 or more")
        if seed is not None and not 0 <= seed <= LARGEST_SEED:
            raise SettingError(f"seed is {seed}; it must be from 0 to {LARGEST_SEED}")
        vocabulary = self.vocabulary
        banned = () if allow_unknown or vocabulary.unknown is None else (vocabulary.unknown,)
        settings = SamplingSettings(temperature, top_k, top_p, banned)
        given = self._primed(primer)
        seed = secrets.randbelow(LARGEST_SEED + 1) if seed is None else seed
        draw = Drawer(number, settings, torch.Generator().manual_seed(seed), score=score)
        end = vocabulary.end if self.by_sentence else None
        stream = self._stream_after(given, number)
        return Sampling(stream, draw, length, given[-1], vocabulary, primer, stop, end, seed)

    def learned_text(self) -> LearnedText:
        """The text that the model was trained on, in which copied passages are looked for.

        Raises:
            DataError: The file is not there any more.
        """
        from recurra.tasks.text_copies import LearnedText

        settings = self.config.text
        return LearnedText(settings.data, by_words=self.vocabulary.level == "word", strip=settings.strip_lines)

    def _stream_after(self, tokens: Sequence[int], number: int) -> LanguageModelStream:
        """The model a token a call, side by side, once it has read all tokens but the last."""
        stream = self.model.stream(number)
        state: State = None
        for _, _, after in self._read(tokens):
            state = after
        if state is not None:
            stream.state = {name: value.expand(-1, number, -1) for name, value in state.items()}
        return stream

    def _primed(self, primer: str) -> list[int]:
        """What the model reads before it writes: what every text begins after, and the primer."""
        if self.by_sentence and "\n" in primer:
            raise SettingError("the primer has several lines, and the model writes one sentence; give its beginning")
        start = [] if self.start is None else [self.start]
        # A model that knows no beginning of a text reads the most frequent unit.
        return [*start, *self.vocabulary.encode(primer)] or [0]

    @torch.no_grad()
    def _read(self, tokens: Sequence[int]) -> Iterator[tuple[Tensor, Tensor, State]]:
        """Read all tokens but the last: targets (1, T), logits (1, T, V) and state, a chunk after another."""
        stream = torch.tensor([list(tokens)], device=self.device)
        state: State = None
        for first in range(0, len(tokens) - 1, CHUNK):
            inputs = stream[:, first : min(first + CHUNK, len(tokens) - 1)]
            logits, state = self.model(inputs, state)
            yield stream[:, first + 1 : first + 1 + inputs.shape[1]], logits, state

    def inspect(self, text: str, value: str | None = None, layer: int = 1) -> Activations:
        """Read a text and keep one value of one layer at every unit.

        Args:
            text: What is read; a model of sentences reads each line as one.
            value: The name of the value in the equations; None for the gate that keeps the state.
            layer: Which layer, from 1.

        Raises:
            SettingError: There is no such value or layer.
            DataError: The text is empty.
        """
        from recurra.inspection import activations

        vocabulary = self.vocabulary
        parts = sentences_of(text) if self.by_sentence else [text]
        ids = [vocabulary.encode(part) for part in parts]
        names = [
            [
                vocabulary.text_of(unit) + "*" * (number == vocabulary.unknown)
                for unit, number in zip(vocabulary.split(part), numbers, strict=True)
            ]
            for part, numbers in zip(parts, ids, strict=True)
        ]
        return activations(self.model, ids, names, value, layer, self.start)

    def writer(self) -> Callable[[], str]:
        """What writes a line or two to show while the model learns: a new one each time, the same in every training."""
        seeds = count(self.config.training.seed)
        length = {"word": 30, "bpe": 40}.get(self.vocabulary.level, 160)
        return lambda: self.sample(length, temperature=0.8, seed=next(seeds))[0].strip()

    def suggestions(self) -> list[tuple[str, str]]:
        """What to try on the command line."""
        text = "" if self.validated_on is None else self.validated_on[0]
        primer = opening(self.vocabulary, text, 1) or "The"
        space = " " if self.vocabulary.level != "word" and not self.by_sentence else ""
        return [
            ("sample", " --temperature 0.7"),
            ("sample", f" --primer {_quoted(primer + space)} --number 3 --seed 1"),
            ("score", f" {_quoted(opening(self.vocabulary, text, 6) or 'The cat sat on the mat.')}"),
        ]


class _Reading(NamedTuple):
    """A part of a text that is scored by itself: its units, the id of each, and the tokens that are read."""

    units: Sequence[str]
    ids: Sequence[int]
    tokens: Sequence[int]


def _check_text(what: str, text: object) -> None:
    if not isinstance(text, str):
        raise SettingError(f"{what} takes a text; this is a {type(text).__name__}: give one text at a time, as a str")


def _quoted(text: str) -> str:
    """A text as a word of a command line: in double quotes where those do, as people write it."""
    plain = text.isprintable() and not set(text) & set('"\\$`!') and not text.startswith("-")
    return f'"{text}"' if plain else f"-- {shlex.quote(text)}" if text.startswith("-") else shlex.quote(text)
