"""Language modelling: the probability of text, and novel text; many to many of equal length.

    p(y<1>, ..., y<T>) = product over t of p(y<t> | y<1..t-1>)

A text is read as one stream, whose state is carried from chunk to chunk, or a sentence at a time.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recurra import decoding
from recurra.data import (
    IGNORED,
    Batch,
    Batches,
    SentenceBatches,
    StreamBatches,
    Vocabulary,
    read_text,
    split_validation,
    strip_lines,
)
from recurra.data import sentences as sentences_of
from recurra.errors import DataError, SettingError
from recurra.models import LanguageModel
from recurra.models.language_model import Hidden
from recurra.tasks.language_model_run import LanguageModelRun
from recurra.tasks.language_modelling_settings import (
    BatchSettings,
    LanguageModellingConfig,
    ModelSettings,
    TextSettings,
)
from recurra.tasks.task import Task
from recurra.tasks.text import Text
from recurra.training import MetricView, StepLoss, World
from recurra.training.figures import LOSS
from recurra.training.regularisation import activation_penalty, temporal_penalty

__all__ = ["LANGUAGE_MODELLING", "BatchSettings", "LanguageModellingConfig", "ModelSettings", "TextSettings"]


EVALUATED = 256
"""Steps of a chunk in a validation where training knows none: they cost memory alone, the state is carried."""


def read(config: LanguageModellingConfig) -> Text:
    """Read the text, make its vocabulary from the part to train on, and cut both parts into batches."""
    settings = config.text
    training = _text(settings, settings.data)
    if settings.valid is None:
        training, validation = split_validation(training, settings.valid_fraction)
    else:
        validation = _text(settings, settings.valid)
    # Of sentences the line ends are no part: a model of them never writes one.
    counted = sentences_of(training) if settings.sentences else training
    ends = settings.sentences or settings.level == "word"
    _check_stream(config)
    try:
        vocabulary = Vocabulary.build(counted, settings.level, settings.max_vocabulary, settings.min_count, ends)
        batches = _training_batches(training, vocabulary, config)
    except SettingError as error:
        raise SettingError(str(error).replace("max_size", "max_vocabulary")) from error  # what it is called here
    except DataError as error:
        raise DataError(f"{settings.data}: {_with_flags(str(error))}") from None
    try:
        valid = _validation_batches(validation, vocabulary, config)
    except DataError as error:
        larger = "" if settings.valid else ", a larger --valid-fraction, or a file to --valid"
        raise DataError(f"{settings.valid or settings.data}: the part to validate on: {error}{larger}") from None
    return Text(vocabulary, settings.sentences, batches, valid)


def _with_flags(message: str) -> str:
    """A message of a stream that is too short, its settings called as the command line calls them."""
    for setting in ("batch_size", "chunk_length"):
        message = re.sub(rf"\b{setting}\b(?!=)", f"--{setting.replace('_', '-')}", message)
    return message


def _text(settings: TextSettings, path: Path) -> str:
    """The text of a file as the settings want it."""
    text = read_text(path, binary=settings.level == "byte")
    return strip_lines(text) if settings.strip_lines else text


def read_test(config: LanguageModellingConfig, data: Text, path: Path) -> Text:
    """A text to measure a trained model on: all of it, a stream as one track whose state is carried to its end."""
    exact = config.model_copy(update={"batches": config.batches.model_copy(update={"valid_batch_size": 1})})
    try:
        batches = _validation_batches(_text(config.text, path), data.vocabulary, exact)
    except DataError as error:
        raise DataError(str(error) if str(error).startswith(f"{path}:") else f"{path}: {error}") from None
    return Text(data.vocabulary, data.sentences, valid=batches)


def _check_stream(config: LanguageModellingConfig) -> None:
    """Refuses settings of a stream's chunks where there is none."""
    settings = config.batches
    if config.text.sentences and (settings.reach is not None or settings.random_lengths):
        name = "random_lengths" if settings.reach is None else f"reach {settings.reach}"
        raise SettingError(f"{name} has no effect with sentences, each of which is read as a whole: leave it out")


def _encode(vocabulary: Vocabulary, text: str) -> list[int]:
    """The ids of a text that `_text` read; a byte that is no UTF-8 has its value as its id, too."""
    if vocabulary.level == "byte":
        return list(text.encode("utf-8", errors="surrogateescape"))
    return vocabulary.encode(text)


def _training_batches(
    text: str, vocabulary: Vocabulary, config: LanguageModellingConfig
) -> SentenceBatches | StreamBatches:
    settings = config.batches
    if config.text.sentences:
        ids = [_encode(vocabulary, sentence) for sentence in sentences_of(text)]
        return SentenceBatches(ids, settings.batch_size, vocabulary.end, seed=config.training.seed)
    return StreamBatches(
        _encode(vocabulary, text),
        settings.batch_size,
        settings.chunk_length,
        reach=settings.reach,
        random_lengths=settings.random_lengths,
        seed=config.training.seed,
    )


def _validation_batches(
    text: str, vocabulary: Vocabulary, config: LanguageModellingConfig
) -> SentenceBatches | StreamBatches:
    settings = config.batches
    if config.text.sentences:
        encoded = [_encode(vocabulary, sentence) for sentence in sentences_of(text)]
        return SentenceBatches(encoded, settings.batch_size, vocabulary.end, shuffle=False)
    ids = _encode(vocabulary, text)
    # Fewer tracks than asked for where the text is too short to fill them: each should be a chunk long.
    chunk_length = settings.chunk_length or EVALUATED
    tracks = min(settings.valid_batch_size, (len(ids) - 1) // chunk_length)
    if tracks > 1:
        return StreamBatches(ids, tracks, chunk_length)
    return StreamBatches.for_evaluation(ids, chunk_length)


def restore(config: LanguageModellingConfig, folder: Path) -> Text:
    """The vocabulary that a run kept."""
    return Text.restore(folder, config.text.level, config.text.sentences)


def build(config: LanguageModellingConfig, data: Text) -> LanguageModel:
    """The network, untrained."""
    settings = config.model.model_dump(exclude={"cell", "equations"})
    return LanguageModel(len(data.vocabulary), config.model.made, **settings)


def loss(model: LanguageModel, batch: Batch, carried: Mapping[str, Tensor] | None) -> StepLoss:
    """The sum over steps of the cross-entropy -log p(y<t> | x<1..t>), in nats, and what is learned beside it."""
    hidden = model.hidden(batch.inputs, carried, batch.lengths, batch.keep)
    total = model.loss(hidden.dropped, batch.targets, IGNORED)
    return StepLoss(total, batch.count, hidden.state, _penalty(model, hidden, batch))


def _penalty(model: LanguageModel, hidden: Hidden, batch: Batch) -> Tensor | None:
    """AR and TAR over the steps that have a target; None where there is nothing to add."""
    if not model.training or not (model.activation_penalty or model.temporal_penalty):
        return None
    counted = batch.targets != IGNORED
    return model.activation_penalty * activation_penalty(
        hidden.dropped, counted
    ) + model.temporal_penalty * temporal_penalty(hidden.outputs, counted)


def evaluate(
    config: LanguageModellingConfig, model: LanguageModel, data: Text
) -> Callable[[], dict[str, float]] | None:
    """The mean loss in nats, the perplexity, and bits a character or byte, over the part to validate on."""
    valid, bits = data.valid, _bits(config)
    if valid is None:
        return None
    characters = _characters(data.vocabulary, valid) if config.text.level == "bpe" else None

    @torch.no_grad()
    def measure() -> dict[str, float]:
        device, world = next(model.parameters()).device, World()
        total, count, state = 0.0, 0.0, None
        for batch in valid.epoch(0):
            result = loss(model, world.part(batch).to(device), None if batch.fresh else state)
            total, count, state = total + float(result.total), count + result.count, result.carried
        total, count = world.sum([total, count])
        metrics = {"loss": total / count, "perplexity": decoding.perplexity(total, int(count))}
        return metrics | {view.name: decoding.bits(total, characters or int(count)) for view in bits}

    return measure


def _characters(vocabulary: Vocabulary, batches: Batches[Batch]) -> int:
    """How many characters the targets of an epoch are."""
    rows = (row for batch in batches.epoch(0) for row in batch.targets)
    return sum(len(vocabulary.decode(row[row != IGNORED])) for row in rows)


def _bits(config: LanguageModellingConfig) -> list[MetricView]:
    """Bits a character or byte; not of words, of which those that are unknown cost the same whatever their length."""
    level = config.text.level
    if level in {"character", "byte"}:
        return [MetricView(f"bits_per_{level}", f"bits/{level}", from_loss=lambda loss: decoding.bits(loss, 1))]
    return [MetricView("bits_per_character", "bits/character")] if level == "bpe" else []


def views(config: LanguageModellingConfig) -> Sequence[MetricView]:
    """Loss and perplexity, and bits a character or byte."""
    return [LOSS, MetricView("perplexity", "perplexity", ".2f", math.exp), *_bits(config)]


def unit(config: LanguageModellingConfig) -> str:
    """What is counted: words, characters, bytes, or pieces of words."""
    return {"word": "words", "character": "characters", "byte": "bytes", "bpe": "tokens"}[config.text.level]


def predict(run: LanguageModelRun, text: str, length: int = 100, **options: Any) -> str:  # noqa: ANN401
    """How a text goes on: the text and what the model adds."""
    return run.sample(length, primer=text, **options)[0]


def sample(config: LanguageModellingConfig, model: LanguageModel, data: Text) -> Callable[[], str]:
    """A line or two to show while the model learns; a new one each time, the same ones in every run."""
    seeds = itertools.count(config.training.seed)
    run = LanguageModelRun(LANGUAGE_MODELLING, config, model, data, Path())
    length = {"word": 30, "bpe": 40}.get(config.text.level, 160)

    def write() -> str:
        return run.sample(length, temperature=0.8, seed=next(seeds))[0].strip()

    return write


LANGUAGE_MODELLING: Task[LanguageModellingConfig, Text, LanguageModel] = Task(
    name="language-modelling",
    config=LanguageModellingConfig,
    read=read,
    read_test=read_test,
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
