"""Language modelling: the probability of text, and novel text; many to many of equal length.

    p(y<1>, ..., y<T>) = product over t of p(y<t> | y<1..t-1>)

A text is read as one stream, whose state is carried from chunk to chunk, or a sentence at a time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from recurra import decoding
from recurra.data import (
    IGNORED,
    Batch,
    Batches,
    Level,
    SentenceBatches,
    StreamBatches,
    Vocabulary,
    read_text,
    split_validation,
)
from recurra.data import sentences as sentences_of
from recurra.decoding import SamplingSettings, sequence_log_probabilities
from recurra.equations import Cell
from recurra.errors import DataError
from recurra.models import LanguageModel
from recurra.tasks.run import Run
from recurra.tasks.task import Data, Task, TaskConfig
from recurra.training import MetricView, StepLoss

__all__ = [
    "BatchSettings",
    "LanguageModelRun",
    "LanguageModellingConfig",
    "ModelSettings",
    "Score",
    "TextSettings",
    "language_modelling",
]

VOCABULARY = "vocabulary.json"
OWN = "own"
"""What the cell of a model is called whose equations are given."""


class _Settings(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TextSettings(_Settings):
    """The text, and how it is cut."""

    data: Path = Field(description="Text file to train on, in UTF-8.")
    valid: Path | None = Field(None, description="Text file to validate on; without it, the last part of the data.")
    valid_fraction: float = Field(
        0.1, gt=0, lt=1, description="Share of the data kept for validation where no file is given."
    )
    level: Level = Field("character", description="How finely the text is cut.")
    sentences: bool = Field(
        False, description="Read each line as a sentence of its own, ended by <EOS>, rather than one long stream."
    )
    max_vocabulary: int | None = Field(None, ge=2, description="Most units to know; the rarer ones become <UNK>.")
    min_count: int = Field(1, ge=1, description="Units that occur less often become <UNK>.")


class BatchSettings(_Settings):
    """How the text is handed to the model."""

    batch_size: int = Field(32, ge=1, description="Sequences side by side in a step of training.")
    chunk_length: int = Field(64, ge=1, description="Steps of truncated backpropagation through time, for a stream.")
    valid_batch_size: int = Field(
        16, ge=1, description="Tracks side by side in validation of a stream, each begun afresh; 1 is exact, and slow."
    )


class ModelSettings(_Settings):
    """The network."""

    cell: str = Field("gru", description="Name of a cell; `recurra cells` lists them.")
    equations: str | None = Field(
        None,
        description="File of equations: a cell of your own, instead of a named one.",
        json_schema_extra={"from_file": True},
    )
    embedding_size: int = Field(128, ge=1, description="Width of the embedding.")
    hidden_size: int = Field(256, ge=1, description="Width of the recurrent layers.")
    num_layers: int = Field(1, ge=1, description="How many recurrent layers there are.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Rate of dropout on embedding, between layers, on output.")
    locked_dropout: bool = Field(False, description="One dropout mask a sequence on embedding and output.")
    embedding_dropout: float = Field(0.0, ge=0, lt=1, description="Rate at which whole tokens are dropped.")
    input_dropout: float = Field(0.0, ge=0, lt=1, description="Rate of variational dropout on each layer's input.")
    state_dropout: float = Field(0.0, ge=0, lt=1, description="Rate of variational dropout on the recurrent state.")
    zoneout: float = Field(0.0, ge=0, lt=1, description="Rate at which a unit keeps its old state.")
    weight_drop: float = Field(0.0, ge=0, lt=1, description="Rate of DropConnect on the recurrent matrices.")
    layer_norm: bool = Field(False, description="Normalise every product of the cell.")
    tie_weights: bool = Field(False, description="Share the embedding's weights with the output layer.")
    learn_initial_state: bool = Field(False, description="Learn the state before the first step.")
    backend: str = Field("auto", description="Which backend runs the cell.")

    @model_validator(mode="before")
    @classmethod
    def _one_cell(cls, given: Any) -> Any:  # noqa: ANN401  (not checked yet: whatever the file holds)
        if not isinstance(given, Mapping) or given.get("equations") is None:
            return given
        if given.get("cell", OWN) != OWN:
            raise ValueError("cell and equations are both given: a model has one cell, leave one of them out")
        return {**given, "cell": OWN}


class LanguageModellingConfig(TaskConfig):
    """All settings of a language model's run."""

    text: TextSettings
    batches: BatchSettings = BatchSettings()
    model: ModelSettings = ModelSettings()


@dataclass
class Text(Data):
    """A text as ids, and its vocabulary."""

    vocabulary: Vocabulary
    batches: Batches | None = None
    valid: Batches | None = None

    def save(self, folder: Path) -> None:
        """Write the vocabulary."""
        self.vocabulary.save(folder / VOCABULARY)


def read(config: LanguageModellingConfig) -> Text:
    """Read the text, make its vocabulary from the part to train on, and cut both parts into batches."""
    text, settings = config.text, config.batches
    training = read_text(text.data)
    if text.valid is None:
        training, validation = split_validation(training, text.valid_fraction)
    else:
        validation = read_text(text.valid)
    vocabulary = Vocabulary.build(
        training, text.level, text.max_vocabulary, text.min_count, text.sentences or text.level == "word"
    )
    seed = config.training.seed
    try:
        if text.sentences:
            first, second = ([vocabulary.encode(s) for s in sentences_of(part)] for part in (training, validation))
            return Text(
                vocabulary,
                SentenceBatches(first, settings.batch_size, vocabulary.end, seed=seed),
                SentenceBatches(second, settings.batch_size, vocabulary.end, shuffle=False),
            )
        batches = StreamBatches(vocabulary.encode(training), settings.batch_size, settings.chunk_length)
    except DataError as error:
        raise DataError(f"{text.data}: {error}") from None
    return Text(vocabulary, batches, _validation_stream(vocabulary.encode(validation), config))


def _validation_stream(ids: list[int], config: LanguageModellingConfig) -> StreamBatches:
    settings = config.batches
    # Fewer tracks than asked for where the text is too short to fill them: each should be a chunk long.
    tracks = max(1, min(settings.valid_batch_size, (len(ids) - 1) // settings.chunk_length))
    if tracks > 1:
        return StreamBatches(ids, tracks, settings.chunk_length)
    try:
        return StreamBatches.for_evaluation(ids, settings.chunk_length)
    except DataError as error:
        raise DataError(f"{config.text.valid or config.text.data}: the part to validate on: {error}") from None


def restore(config: LanguageModellingConfig, folder: Path) -> Text:
    """The vocabulary that a run kept."""
    return Text(Vocabulary.load(folder / VOCABULARY))


def build(config: LanguageModellingConfig, data: Text) -> LanguageModel:
    """The network, untrained."""
    settings = config.model.model_dump(exclude={"cell", "equations"})
    cell = config.model.cell if config.model.equations is None else Cell(config.model.equations, name=OWN)
    return LanguageModel(len(data.vocabulary), cell, **settings)


def loss(model: LanguageModel, batch: Batch, carried: Mapping[str, Tensor] | None) -> StepLoss:
    """The sum over steps of the cross-entropy -log p(y<t> | x<1..t>), in nats."""
    logits, state = model(batch.inputs, carried, batch.lengths)
    total = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="sum", ignore_index=IGNORED)
    return StepLoss(total, batch.count, state)


def evaluate(config: LanguageModellingConfig, model: LanguageModel, data: Text) -> Callable[[], dict[str, float]]:
    """The mean loss in nats, the perplexity, and bits a character or byte, over the part to validate on."""

    def measure() -> dict[str, float]:
        assert data.valid is not None
        device = next(model.parameters()).device
        total, count, state = 0.0, 0, None
        for batch in data.valid:
            result = loss(model, batch.to(device), None if batch.fresh else state)
            total, count, state = total + float(result.total), count + result.count, result.carried
        metrics = {"loss": total / count, "perplexity": decoding.perplexity(total, count)}
        for view in views(config):
            if view.name.startswith("bits_per") and view.from_loss is not None:
                metrics[view.name] = view.from_loss(metrics["loss"])
        return metrics

    return measure


def views(config: LanguageModellingConfig) -> Sequence[MetricView]:
    """Loss and perplexity, and at character and byte level bits a unit."""
    shown = [
        MetricView("loss", "loss", from_loss=lambda loss: loss),
        MetricView("perplexity", "perplexity", ".2f", math.exp),
    ]
    level = config.text.level
    if level in {"character", "byte"}:
        shown.append(MetricView(f"bits_per_{level}", f"bits/{level}", ".3f", lambda loss: loss / math.log(2)))
    return shown


def unit(config: LanguageModellingConfig) -> str:
    """What is counted: words, characters, bytes, or pieces of words."""
    return {"word": "words", "character": "characters", "byte": "bytes", "bpe": "tokens"}[config.text.level]


@dataclass(frozen=True)
class Score:
    """How probable a language model finds a text.

    Args:
        units: The units of the text, with <EOS> where the model ends sentences.
        log_probabilities: The natural logarithm of each unit's probability, given all before it; None for a first
            unit that had to be taken as given.
        unknown: Whether each unit is outside the vocabulary, and so scored as <UNK>.
    """

    units: tuple[str, ...]
    log_probabilities: tuple[float | None, ...]
    unknown: tuple[bool, ...]

    @property
    def log_probability(self) -> float:
        """The natural logarithm of the text's probability."""
        return sum(p for p in self.log_probabilities if p is not None)

    @property
    def count(self) -> int:
        """How many units were predicted."""
        return sum(p is not None for p in self.log_probabilities)

    @property
    def probability(self) -> float:
        """The text's probability; 0 where a float cannot hold it."""
        return math.exp(self.log_probability)

    @property
    def perplexity(self) -> float:
        """The perplexity per unit."""
        return decoding.perplexity(-self.log_probability, self.count)

    def words(self) -> Score:
        """The same score by words: a word's characters, and the space before it, multiplied into one probability."""
        groups: list[list[int]] = []
        for place, text in enumerate(self.units):
            begins = place == 0 or text.isspace() or text == "<EOS>"
            # A word begins at the white space before it; further white space stays with it.
            if begins and not (groups and all(self.units[p].isspace() for p in groups[-1])):
                groups.append([])
            groups[-1].append(place)
        texts = ["".join(self.units[p] for p in g).strip() or "".join(self.units[p] for p in g) for g in groups]
        sums: list[float | None] = []
        for group in groups:
            known = [p for p in (self.log_probabilities[place] for place in group) if p is not None]
            sums.append(sum(known) if known else None)
        return Score(tuple(texts), tuple(sums), tuple(any(self.unknown[p] for p in g) for g in groups))


class LanguageModelRun(Run):
    """A trained language model: it scores text and writes it.

    Example:
        >>> import recurra
        >>> run = recurra.load("runs/demo")                         # doctest: +SKIP
        >>> run.score("The cat sat.").perplexity                     # doctest: +SKIP
        >>> print(run.sample(200, temperature=0.7, seed=1)[0])       # doctest: +SKIP
    """

    config: LanguageModellingConfig
    model: LanguageModel
    data: Text

    @property
    def vocabulary(self) -> Vocabulary:
        """The units that the model knows."""
        return self.data.vocabulary

    @property
    def start(self) -> int | None:
        """The token read before a text's first: <EOS>, else a line's end, else none."""
        if self.vocabulary.end is not None:
            return self.vocabulary.end
        return self.vocabulary.encode("\n")[0] if "\n" in self.vocabulary else None

    @torch.no_grad()
    def score(self, text: str) -> Score:
        """The probability of a text: of each unit given all before it, and of the whole.

        The text begins after <EOS>, or where the model knows none after a line's end; if it knows neither, its first
        unit is taken as given. With <EOS> the text's own end counts as well, so that the probabilities of all texts
        sum to one.

        Args:
            text: What to score.

        Raises:
            DataError: The text has nothing to score.
        """
        vocabulary, end = self.vocabulary, self.vocabulary.end
        ids, units = vocabulary.encode(text), list(vocabulary.split(text))
        if not ids:
            raise DataError("the text is empty; give at least one word")
        if end is not None and ids[-1] != end:
            ids, units = [*ids, end], [*units, "<EOS>"]
        start = self.start
        tokens = ids if start is None else [start, *ids]
        if len(tokens) < 2:
            raise DataError("the text is one unit long, and the model has nothing to read before it; give a longer one")
        stream = torch.tensor([tokens], device=self._device)
        logits, _ = self.model(stream[:, :-1])
        scores: list[float | None] = sequence_log_probabilities(logits, stream[:, 1:])[0].tolist()
        if start is None:
            scores.insert(0, None)
        return Score(tuple(units), tuple(scores), tuple(i == vocabulary.unknown for i in ids))

    @torch.no_grad()
    def sample(
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
    ) -> list[str]:
        """Novel texts, drawn a unit at a time; each begins with the primer.

        Args:
            length: The most units to draw; a model of sentences may end sooner.
            number: How many texts to draw.
            primer: What the texts go on from.
            temperature: Below 1 sharpens the distribution, above 1 flattens it, 0 takes the most probable unit.
            top_k: Draw from the k most probable units only.
            top_p: Draw from the fewest units whose probabilities sum to p only.
            allow_unknown: Whether <UNK> may be drawn.
            seed: Repeats the output; without it every call differs.

        Raises:
            SettingError: A value is outside its range.
        """
        vocabulary = self.vocabulary
        banned = () if allow_unknown or vocabulary.unknown is None else (vocabulary.unknown,)
        settings = SamplingSettings(temperature, top_k, top_p, banned)
        generator = torch.Generator()
        generator.seed() if seed is None else generator.manual_seed(seed)
        given = vocabulary.encode(primer)
        start = [] if self.start is None else [self.start]
        tokens = [*start, *given] or [0]
        state: dict[str, Tensor] | None = None
        if len(tokens) > 1:
            _, state = self.model(torch.tensor([tokens[:-1]], device=self._device))
            state = {name: value.expand(-1, number, -1).contiguous() for name, value in state.items()}
        drawn = decoding.sample(
            self.model.step,
            torch.full((number,), tokens[-1], device=self._device),
            length,
            state,
            settings=settings,
            end=vocabulary.end if self.config.text.sentences else None,
            generator=generator,
        )
        texts = [vocabulary.decode([*given, *row]) for row in drawn]
        return [t.removesuffix("\n") for t in texts] if self.config.text.sentences else texts

    def suggestions(self) -> list[tuple[str, str]]:
        """What to try on the command line."""
        return [
            ("sample", " --temperature 0.7"),
            ("sample", ' --primer "The " --number 3 --seed 1'),
            ("score", ' "The cat sat on the mat."'),
        ]

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device


def predict(run: LanguageModelRun, text: str, length: int = 100, **options: Any) -> str:  # noqa: ANN401
    """How a text goes on: the text and what the model adds."""
    return run.sample(length, primer=text, **options)[0]


def sample(config: LanguageModellingConfig, model: LanguageModel, data: Text) -> Callable[[], str]:
    """A line or two to show while the model learns; a new one each time, the same ones in every run."""
    seeds = itertools.count(config.training.seed)
    run = LanguageModelRun(language_modelling, config, model, data, Path())
    length = {"word": 30, "bpe": 40}.get(config.text.level, 160)

    def write() -> str:
        return run.sample(length, temperature=0.8, seed=next(seeds))[0].strip()

    return write


language_modelling: Task[LanguageModellingConfig, Text, LanguageModel] = Task(
    name="language-modelling",
    summary="The probability of text, and novel text: each word, character or byte predicted from those before it.",
    config=LanguageModellingConfig,
    read=read,
    restore=restore,
    build=build,
    loss=loss,
    evaluate=evaluate,
    predict=predict,
    sample=sample,
    views=views,
    unit=unit,
    run=LanguageModelRun,
)
