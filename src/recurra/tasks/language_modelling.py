"""Language modelling: the probability of text, and novel text; many to many of equal length.

    p(y<1>, ..., y<T>) = product over t of p(y<t> | y<1..t-1>)

A text is read as one stream, whose state is carried from chunk to chunk, or a sentence at a time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from recurra import decoding
from recurra.data import (
    IGNORED,
    Batches,
    SentenceBatches,
    StreamBatches,
    TokenBatch,
    Vocabulary,
)
from recurra.data.dataset import Dataset, Problems, Role
from recurra.data.padded import PaddedBatches
from recurra.data.texts import TextExamples, read_texts, texts_to_predict
from recurra.errors import DataError, SettingError
from recurra.metrics import Metric
from recurra.models import LanguageModel
from recurra.models.language_model import Hidden
from recurra.tasks.assets import Assets, KeptVocabulary
from recurra.tasks.language_modelling_settings import (
    BatchSettings,
    LanguageModellingConfig,
    ModelSettings,
    TextSettings,
)
from recurra.tasks.task import Facts, Task
from recurra.tasks.text_tokens import tokens_of
from recurra.tasks.trained import Trained
from recurra.training import StepLoss
from recurra.training.regularisation import activation_penalty, temporal_penalty

__all__ = [
    "LANGUAGE_MODELLING",
    "BatchSettings",
    "LanguageModelAssets",
    "LanguageModellingConfig",
    "ModelSettings",
    "TextSettings",
]

EVALUATED = 256
"""Steps of a chunk in a validation where training knows none: they cost memory alone, the state is carried."""


class LanguageModelAssets(Assets):
    """The units that a model knows."""

    vocabulary: KeptVocabulary


def read(config: LanguageModellingConfig, path: Path, role: Role) -> TextExamples:
    """The text of a file, or its sentences."""
    settings = config.text
    binary = settings.level == "byte"
    return read_texts(path, by_sentence=settings.sentences, strip=settings.strip_lines, binary=binary)


def stream(config: LanguageModellingConfig, path: Path, problems: Problems) -> Iterator[str]:
    """The texts of a file, one a line."""
    return texts_to_predict(path)


def parse(config: LanguageModellingConfig, given: Any) -> str:  # noqa: ANN401  (whatever a caller has)
    """A text is its own example."""
    if not isinstance(given, str):
        raise SettingError(f"a language model reads a text, and this is a {type(given).__name__}: give a str")
    return given


def fit(config: LanguageModellingConfig, texts: Dataset[str]) -> LanguageModelAssets:
    """The vocabulary, from the part to train on."""
    settings = config.text
    ends = settings.sentences or settings.level == "word"
    # Of sentences the line ends are no part: a model of them never writes one.
    counted = [texts[index] for index in range(len(texts))] if settings.sentences else texts[0]
    try:
        vocabulary = Vocabulary.build(counted, settings.level, settings.max_vocabulary, settings.min_count, ends)
    except SettingError as error:
        raise SettingError(str(error).replace("max_size", "max_vocabulary")) from error  # what it is called here
    except DataError as error:
        raise DataError(f"{settings.data}: {error}") from None
    return LanguageModelAssets(vocabulary=vocabulary)


def batches(
    config: LanguageModellingConfig, assets: LanguageModelAssets, texts: Dataset[str], role: Role
) -> Batches[TokenBatch]:
    """A stream in chunks, or sentences of like length side by side; to predict, texts of like length."""
    if role == "predict":
        return _texts(config, assets.vocabulary, texts)
    _check_stream(config)
    where = texts.source(0).path if len(texts) else config.text.data
    try:
        if config.text.sentences:
            return _sentences(config, assets.vocabulary, texts, role)
        return _stream(config, _encode(assets.vocabulary, texts[0]), role)
    except DataError as error:
        raise DataError(f"{where}: {_explained(config, str(error), role)}") from None


def _explained(config: LanguageModellingConfig, message: str, role: Role) -> str:
    """What is wrong with a text, its settings called as the command line calls them."""
    if role == "train":
        for setting in ("batch_size", "chunk_length"):
            message = re.sub(rf"\b{setting}\b(?!=)", f"--{setting.replace('_', '-')}", message)
    elif role == "validate":
        larger = "" if config.text.valid else ", a larger --valid-fraction, or a file to --valid"
        return f"the part to validate on: {message}{larger}"
    return message


def _check_stream(config: LanguageModellingConfig) -> None:
    """Refuses settings of a stream's chunks where there is none."""
    settings = config.batches
    if config.text.sentences and (settings.reach is not None or settings.random_lengths):
        name = "random_lengths" if settings.reach is None else f"reach {settings.reach}"
        raise SettingError(f"{name} has no effect with sentences, each of which is read as a whole: leave it out")


def _encode(vocabulary: Vocabulary, text: str) -> list[int]:
    """The ids of a text that was read from a file; a byte that is no UTF-8 has its value as its id, too."""
    if vocabulary.level == "byte":
        return list(text.encode("utf-8", errors="surrogateescape"))
    return vocabulary.encode(text)


def _sentences(
    config: LanguageModellingConfig, vocabulary: Vocabulary, texts: Dataset[str], role: Role
) -> SentenceBatches:
    encoded = [_encode(vocabulary, texts[index]) for index in range(len(texts))]
    seed, training = config.training.seed, role == "train"
    return SentenceBatches(encoded, config.batches.batch_size, vocabulary.end, shuffle=training, seed=seed)


def _stream(config: LanguageModellingConfig, ids: Sequence[int], role: Role) -> StreamBatches:
    """A stream in tracks; evaluated, it is one track whose state is carried from its first token to its last."""
    settings = config.batches
    if role == "train":
        return StreamBatches(
            ids,
            settings.batch_size,
            settings.chunk_length,
            reach=settings.reach,
            random_lengths=settings.random_lengths,
            seed=config.training.seed,
        )
    # Fewer tracks than asked for where the text is too short to fill them: each should be a chunk long.
    chunk_length = settings.chunk_length or EVALUATED
    tracks = min(settings.valid_batch_size, (len(ids) - 1) // chunk_length) if role == "validate" else 1
    if tracks > 1:
        return StreamBatches(ids, tracks, chunk_length)
    return StreamBatches.for_evaluation(ids, chunk_length)


def _texts(
    config: LanguageModellingConfig, vocabulary: Vocabulary, texts: Dataset[str]
) -> PaddedBatches[str, TokenBatch]:
    """Texts side by side, each begun afresh; one that is empty has nothing to answer."""

    def collate(members: Sequence[str], draw: torch.Generator) -> TokenBatch:
        rows = [torch.tensor(tokens_of(vocabulary, vocabulary.encode(text)) or [0]) for text in members]
        return TokenBatch(
            inputs=pad_sequence([row[:-1] for row in rows], batch_first=True),
            targets=pad_sequence([row[1:] for row in rows], batch_first=True, padding_value=IGNORED),
        )

    return PaddedBatches(texts, collate, config.batches.batch_size, max_steps=32 * EVALUATED)


def build(config: LanguageModellingConfig, assets: LanguageModelAssets) -> LanguageModel:
    """The network, untrained."""
    vocabulary, level = assets.vocabulary, config.text.level
    problem = None
    if vocabulary.level != level:
        problem = f"it is of level {vocabulary.level!r}, and the config says {level!r}"
    elif config.text.sentences and vocabulary.end is None:
        problem = "it has no <EOS>, and the config says that the model is one of sentences"
    if problem is not None:
        raise SettingError(f"the vocabulary: {problem}; the two are not of one run")
    return LanguageModel(len(vocabulary), config.model.made, **config.model.model_dump(exclude={"cell", "equations"}))


def loss(
    config: LanguageModellingConfig, model: LanguageModel, batch: TokenBatch, carried: Mapping[str, Tensor] | None
) -> StepLoss:
    """The sum over steps of the cross-entropy -log p(y<t> | x<1..t>), in nats, and what is learned beside it."""
    hidden = model.hidden(batch.inputs, carried, batch.lengths, batch.keep)
    total = model.loss(hidden.dropped, batch.targets, IGNORED)
    return StepLoss(total, batch.count, hidden.state, _penalty(model, hidden, batch))


def _penalty(model: LanguageModel, hidden: Hidden, batch: TokenBatch) -> Tensor | None:
    """AR and TAR over the steps that have a target; None where there is nothing to add."""
    if not model.training or not (model.activation_penalty or model.temporal_penalty):
        return None
    counted = batch.targets != IGNORED
    return model.activation_penalty * activation_penalty(
        hidden.dropped, counted
    ) + model.temporal_penalty * temporal_penalty(hidden.outputs, counted)


def predict(
    config: LanguageModellingConfig, assets: LanguageModelAssets, model: LanguageModel, batch: TokenBatch
) -> list[tuple[float, ...]]:
    """The natural logarithm of the probability of each unit of each text, given all before it."""
    state: dict[str, Tensor] | None = None
    parts = []
    for first in range(0, max(batch.inputs.shape[1], 1), EVALUATED):
        inputs, targets = (side[:, first : first + EVALUATED] for side in (batch.inputs, batch.targets))
        if inputs.shape[1]:
            logits, state = model(inputs, state)
            parts.append(decoding.sequence_log_probabilities(logits, targets).cpu())
    counts = (batch.targets != IGNORED).sum(1).tolist()
    scores = torch.cat(parts, 1).tolist() if parts else [[]] * len(counts)
    return [tuple(row[:count]) for row, count in zip(scores, counts, strict=True)]


def metrics(config: LanguageModellingConfig, assets: LanguageModelAssets) -> list[Metric[str, tuple[float, ...]]]:
    """The perplexity, and bits a character or byte; not of words, of which the unknown ones cost the same each."""
    level = config.text.level
    measures: list[Metric[str, tuple[float, ...]]] = [Metric.of_loss("perplexity", "perplexity", _perplexity, ".2f")]
    if level in {"character", "byte"}:
        measures.append(Metric.of_loss(f"bits_per_{level}", f"bits/{level}", lambda loss: decoding.bits(loss, 1)))
    if level == "bpe":

        def characters(batch: TokenBatch) -> int:
            return sum(len(assets.vocabulary.decode(row[row != IGNORED])) for row in batch.targets.cpu())

        measures.append(
            Metric.of_loss(
                "bits_per_character", "bits/character", lambda loss: decoding.bits(loss, 1), items=characters
            )
        )
    return measures


def _perplexity(loss: float) -> float:
    return decoding.perplexity(loss, 1)


def unit(config: LanguageModellingConfig) -> str:
    """What is counted: words, characters, bytes, or pieces of words."""
    return {"word": "words", "character": "characters", "byte": "bytes", "bpe": "tokens"}[config.text.level]


def show(text: str, answer: tuple[float, ...]) -> dict[str, Any]:
    """How probable a text is, as JSON."""
    total = math.fsum(answer)
    return {
        "text": text,
        "log_probability": total if answer else None,
        "units": len(answer),
        "perplexity": decoding.perplexity(-total, len(answer)) if answer else None,
    }


def facts(text: str) -> Facts:
    """A text has no answer beside itself."""
    return Facts(text)


def describe(
    config: LanguageModellingConfig,
    assets: LanguageModelAssets,
    training: Batches[TokenBatch],
    validation: Batches[TokenBatch],
) -> list[str]:
    """How many units and steps an epoch has, how many different units there are, and how many are unknown."""
    assert isinstance(training, SentenceBatches | StreamBatches)
    assert isinstance(validation, SentenceBatches | StreamBatches)
    vocabulary = assets.vocabulary
    parts = [
        f"{training.count:,} {unit(config)} to train on",
        f"{len(training):,} batches an epoch",
        f"{validation.count:,} to validate on",
        f"a vocabulary of {len(vocabulary):,}",
    ]
    if vocabulary.unknown is not None:
        unknown = sum(int((batch.targets == vocabulary.unknown).sum()) for batch in validation.epoch(0))
        if share := unknown / max(1, validation.count):
            parts.append(f"{share:.1%} of what is validated on is <UNK>")
    return parts


def example(folder: Path) -> dict[str, Any]:
    """Writes a small text, and settings small enough to learn it in seconds."""
    animals, verbs, things = ("cat", "dog", "hen"), ("sat on", "ran to"), ("mat", "log", "rug")
    lines = [f"the {animal} {verb} the {thing}" for animal in animals for verb in verbs for thing in things]
    (folder / "animals.txt").write_text("\n".join(lines * 3) + "\n", encoding="utf-8")
    return {
        "data": folder / "animals.txt",
        "level": "word",
        "embedding_size": 8,
        "hidden_size": 16,
        "batch_size": 4,
        "chunk_length": 8,
        "epochs": 3,
    }


def rows(assets: LanguageModelAssets) -> dict[str, tuple[str, ...]]:
    """The units that rows of the embedding and of the readout belong to."""
    return dict.fromkeys(("embedding.weight", "readout.weight", "readout.bias", "bias"), assets.vocabulary.tokens)


def _trained() -> type[Trained[Any, Any, Any, Any, Any, Any]]:
    from recurra.tasks.language_model_run import LanguageModelRun

    return LanguageModelRun


LANGUAGE_MODELLING: Task[
    LanguageModellingConfig, str, LanguageModelAssets, LanguageModel, TokenBatch, tuple[float, ...]
] = Task(
    name="language-modelling",
    unit=unit,
    config=LanguageModellingConfig,
    assets=LanguageModelAssets,
    read=read,
    stream=stream,
    parse=parse,
    fit=fit,
    batches=batches,
    build=build,
    loss=loss,
    predict=predict,
    metrics=metrics,
    show=show,
    facts=facts,
    example=example,
    describe=describe,
    rows=rows,
    trained=_trained,
)
