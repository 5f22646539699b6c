"""Machine translation: a sentence in another language; many to many of different length.

    p(y<1..T> | x<1..S>) = product over t of p(y<t> | y<1..t-1>, x<1..S>)

Sentences are cut into pieces of words that were learned on the part trained on and are kept in the run, so that raw
text goes in and comes out, a line for a line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from recurra.data import Vocabulary
from recurra.data.batching import Batches
from recurra.data.dataset import Dataset, Problems, Role
from recurra.data.lines import Source
from recurra.data.parallel import read_pairs, sources_to_translate
from recurra.data.sentence_pair import SentencePair
from recurra.errors import DataError, SettingError
from recurra.metrics import Metric
from recurra.metrics.translation import bleu, chrf, ter, tokenised_bleu
from recurra.metrics.translation_length import by_length
from recurra.models.translator import Translator
from recurra.tasks.machine_translation_batches import PairBatch, PairBatches, TranslationAssets, batches
from recurra.tasks.machine_translation_settings import MachineTranslationConfig
from recurra.tasks.task import Baseline, Facts, Task
from recurra.tasks.trained import Trained
from recurra.tasks.translation import Translation
from recurra.tasks.translation_baselines import translation_baselines
from recurra.tasks.translation_checks import pair_warnings
from recurra.tasks.translation_demo import demo
from recurra.tasks.translation_doubts import calibrate, checked
from recurra.tasks.translation_example import example
from recurra.tasks.translation_mistakes import translation_mistake
from recurra.tasks.translation_output import TRANSLATION_FORMATS, show
from recurra.tasks.translation_profile import PairProfile
from recurra.tasks.translation_search import translate
from recurra.training import StepLoss

__all__ = ["MACHINE_TRANSLATION", "MachineTranslationConfig", "TranslationAssets"]


def read(config: MachineTranslationConfig, path: Path, role: Role) -> Dataset[SentencePair]:
    """The pairs of a file."""
    return read_pairs(path, config.pairs.how, role)


def stream(config: MachineTranslationConfig, path: Path, problems: Problems) -> Iterator[SentencePair]:
    """The sentences to translate, one at a time."""
    return sources_to_translate(path, config.pairs.how, problems)


def parse(config: MachineTranslationConfig, given: Any) -> SentencePair:  # noqa: ANN401  (whatever a caller has)
    """A sentence is its own example."""
    if isinstance(given, SentencePair):
        return given
    if not isinstance(given, str):
        raise SettingError(
            f"a sentence is a str, and this is a {type(given).__name__}; give a str, or several in a list"
        )
    return SentencePair(given, None, Source(Path(), 1))


def fit(config: MachineTranslationConfig, pairs: Dataset[SentencePair]) -> TranslationAssets:
    """The vocabularies, of the part to train on alone."""
    settings = config.pairs
    examples = [pairs[index] for index in range(len(pairs))]
    sources = [pair.source_text.strip() for pair in examples]
    targets = [(pair.target_text or "").strip() for pair in examples]
    profile = PairProfile.of(list(zip(sources, targets, strict=True)))
    if settings.joint:
        joint = _vocabulary(config, [text for both in zip(sources, targets, strict=True) for text in both])
        return TranslationAssets(source=joint, target=joint, profile=profile)
    source, target = _vocabulary(config, sources), _vocabulary(config, targets)
    return TranslationAssets(source=source, target=target, profile=profile)


def _vocabulary(config: MachineTranslationConfig, texts: Sequence[str]) -> Vocabulary:
    settings = config.pairs
    try:
        return Vocabulary.build(
            texts, settings.level, settings.max_vocabulary, settings.min_count, end_of_sentence=True
        )
    except SettingError as error:
        raise SettingError(str(error).replace("max_size", "max_vocabulary")) from error  # what it is called here
    except DataError as error:
        raise DataError(f"{settings.data}: {error}") from None


def build(config: MachineTranslationConfig, assets: TranslationAssets) -> Translator:
    """The network, untrained."""
    settings = config.model
    options = settings.model_dump(exclude={"cell", "equations", "num_layers", "label_smoothing"})
    return Translator(
        len(assets.source),
        len(assets.target),
        settings.made,
        decoder_layers=settings.num_layers,
        joint=config.pairs.joint,
        **options,
    )


def loss(config: MachineTranslationConfig, model: Translator, batch: PairBatch, carried: None) -> StepLoss:
    """The cross-entropy -log p(y<t> | y<1..t-1>, x), summed over the pieces, in nats."""
    hidden, _, _ = model.hidden(batch.pairs)
    smoothing = config.model.label_smoothing if model.training else 0.0
    return StepLoss(model.loss(hidden, batch.targets, smoothing), batch.count)


def predict(
    config: MachineTranslationConfig, assets: TranslationAssets, model: Translator, batch: PairBatch
) -> list[Translation]:
    """The translations of each sentence."""
    return checked(config, assets, translate(config, assets, model, batch))


def metrics(config: MachineTranslationConfig, assets: TranslationAssets) -> list[Metric[SentencePair, Translation]]:
    """BLEU, which selects the weights, the same without regard to case and of tokens, chrF and TER; the perplexity."""
    expected, answered = (lambda pair: pair.target_text or ""), (lambda answer: answer.text)
    scores = bleu(lowercase=True), tokenised_bleu(config.pairs.target_language or ""), chrf(), ter()
    return [
        by_length(bleu(), expected, answered, lambda pair: pair.source_text),
        *(score.metric(expected, answered) for score in scores),
        Metric.of_loss("perplexity", "perplexity", math.exp, ".2f"),
    ]


def facts(pair: SentencePair) -> Facts:
    """What is known of a pair without a model."""
    return Facts(pair.source_text, pair.target_text, words=pair.source_text.split())


def baselines(
    config: MachineTranslationConfig, pairs: Dataset[SentencePair]
) -> list[Baseline[SentencePair, Translation]]:
    """The sentence as it is, and word by word."""
    return translation_baselines(pairs)


def describe(
    config: MachineTranslationConfig,
    assets: TranslationAssets,
    training: Batches[PairBatch],
    validation: Batches[PairBatch],
) -> list[str]:
    """How many pairs there are, in how many pieces."""
    assert isinstance(training, PairBatches)
    assert isinstance(validation, PairBatches)
    parts = [
        f"{len(training.dataset):,} pairs to train on",
        f"{len(training):,} batches an epoch",
        f"{len(validation.dataset):,} to validate on",
        f"{len(assets.target):,} different pieces",
    ]
    if training.left_out:
        pairs = "1 pair" if training.left_out == 1 else f"{training.left_out:,} pairs"
        parts.append(f"{pairs} of more than {config.pairs.longest} pieces left out")
    return parts


def _trained() -> type[Trained[Any, Any, Any, Any, Any, Any]]:
    from recurra.tasks.translator_run import TranslatorRun

    return TranslatorRun


MACHINE_TRANSLATION: Task[
    MachineTranslationConfig, SentencePair, TranslationAssets, Translator, PairBatch, Translation
] = Task(
    name="machine-translation",
    unit=lambda config: "pieces",
    config=MachineTranslationConfig,
    assets=TranslationAssets,
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
    baselines=baselines,
    examine=pair_warnings,
    mistake=translation_mistake,
    calibrate=calibrate,
    formats=TRANSLATION_FORMATS,
    demo=demo,
    trained=_trained,
)
