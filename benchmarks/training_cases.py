"""What training is timed on: models of words, texts, translations, speech and music, each beside a plain one."""

from __future__ import annotations

import bisect
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from contenders import torch_names
from plain_models import Pairs, PlainClassifier, PlainLanguageModel, PlainMusic, PlainRecogniser, PlainTranslator
from tagged_sentences import WORDS, spelling
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from recurra.data import IGNORED
from recurra.models import LanguageModel
from recurra.models.chord_head import ChordHead
from recurra.models.encoder import Encoder
from recurra.models.music_memory import MusicMemory
from recurra.models.music_model import MusicModel
from recurra.models.recogniser import Recogniser
from recurra.models.subsampling import Subsampling
from recurra.models.translator import SentencePairs, Translator
from recurra.nn import Recurrent
from recurra.tasks.music_generation_batches import FrameBatch
from recurra.tasks.sentiment_classification import SENTIMENT_CLASSIFICATION, SentimentConfig
from recurra.tasks.settings_file import make_config
from recurra.tasks.speech_recognition_batches import SpeechBatch
from recurra.training import StepLoss
from recurra.training.settings import TrainingSettings

SAME = {"word_dropout": 0, "once_dropout": 0, "ngram_dropout": 0}
"""What is left out of words is the same for each occurrence of a spelling, read once by ours, only where nothing is."""


@dataclass(frozen=True)
class Case:
    """Something that is trained, by this library and in plain PyTorch.

    Args:
        name: What it is.
        aims: How many times as fast as plain PyTorch it must be, and should be.
        model: Ours.
        plain: Those in plain PyTorch, as such networks are mostly written and tuned, with the same weights.
        loss: The loss of ours.
        settings: The optimiser and what belongs to it.
        batches: What is read.
        count: How many items the loss of a batch is summed over.
        same: From ours and a plain one, tensors that must have the same gradients, by name; the second is told how to
            read a parameter.
    """

    name: str
    aims: tuple[float, float]
    model: nn.Module
    plain: tuple[nn.Module, nn.Module]
    loss: Callable[[nn.Module, Any, Any], StepLoss]
    settings: TrainingSettings
    batches: Sequence[Any]
    count: Callable[[Any], int]
    same: Callable[[nn.Module], Mapping[str, tuple[Tensor, Tensor]]]


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _pairs(
    cell: str,
    layers: Sequence[tuple[Any, nn.RNNBase]],
    others: Sequence[tuple[nn.Parameter, nn.Parameter]],
) -> dict[str, tuple[Tensor, Tensor]]:
    """The gradients of ours and theirs: of recurrent layers by torch.nn's names, and of other parameters."""
    pairs = {f"parameter {place}": (_gradient(a), _gradient(b)) for place, (a, b) in enumerate(others)}
    for place, (ours, theirs) in enumerate(layers):
        joined = torch_names(cell, ours, _gradient)
        # Ours has one bias where torch.nn has two, whose gradients are the same.
        names = [name for name in joined if not name.startswith("bias_hh")]
        pairs |= {f"layer {place}, {name}": (joined[name], _gradient(getattr(theirs, name))) for name in names}
    return pairs


@lru_cache(maxsize=8)
def _zipf_weights(size: int) -> list[float]:
    return list(accumulate(1 / (2.7 + rank) for rank in range(size)))


def zipf(draw: random.Random, size: int, count: int) -> list[int]:
    """Numbers below a size, as often as words are by their rank: 0 is one of 28, and they fall off as Zipf says."""
    weights = _zipf_weights(size)
    return [bisect.bisect(weights, draw.random() * weights[-1]) for _ in range(count)]


def word_model(quick: bool) -> Case:
    """The recipe ptb-word-small: two LSTM layers of 200, 20 rows of 20 words, a vocabulary of 10,000."""
    size, width, rows, steps = (400, 24, 4, 5) if quick else (10_000, 200, 20, 20)
    torch.manual_seed(0)
    model = LanguageModel(size, "lstm", width, width, 2, initial="uniform(-0.1, 0.1)")
    draw = random.Random(0)
    text = torch.tensor(zipf(draw, size, rows * (40 * steps + 1))).view(rows, -1)
    chunks = [text[:, first : first + steps + 1] for first in range(0, 40 * steps, steps)]

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor], carried: Any) -> StepLoss:  # noqa: ANN401
        hidden = model.hidden(batch[0], carried)
        return StepLoss(model.loss(hidden.dropped, batch[1]), batch[1].numel(), hidden.state)

    def same(plain: nn.Module) -> Mapping[str, tuple[Tensor, Tensor]]:
        others = [
            (model.embedding.weight, plain.embedding.weight),
            (model.readout.weight, plain.readout.weight),
            (model.readout.bias, plain.readout.bias),
        ]
        return _pairs("lstm", [(model.recurrent, plain.lstm)], others)

    return Case(
        name=f"word model: LSTM 2 x {width}, B {rows}, T {steps}, V {size:,}",
        aims=(1.6, 2.2),
        model=model,
        plain=(PlainLanguageModel(model), PlainLanguageModel(model)),
        loss=loss,
        settings=TrainingSettings(optimiser="sgd", learning_rate=1.0, clip_norm=0.25),
        batches=[(chunk[:, :-1].contiguous(), chunk[:, 1:].contiguous()) for chunk in chunks],
        count=lambda batch: batch[1].numel(),
        same=same,
    )


def classifier(quick: bool, folder: Path) -> Case:
    """`recurra train sentiment-classification` as its settings come, on texts of 500 words."""
    texts, words = (24, 20) if quick else (96, 500)
    draw = random.Random(0)
    spellings = [spelling(draw, number) for number in range(WORDS)]
    lines = ["label,text"]
    for number in range(texts):
        chosen = zipf(draw, WORDS, words)
        lines.append(f"{'good' if number % 2 else 'bad'},{' '.join(spellings[rank] for rank in chosen)}")
    (folder / "reviews.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    task = SENTIMENT_CLASSIFICATION
    config: SentimentConfig = make_config(task.config, {}, {"data": folder / "reviews.csv", **SAME})
    dataset = task.read(config, config.texts.data, "train")
    assets = task.fit(config, dataset)
    torch.manual_seed(0)
    model = task.build(config, assets)

    def same(plain: nn.Module) -> Mapping[str, tuple[Tensor, Tensor]]:
        ours, theirs = model.encoder.inputs, plain.inputs
        others = [
            (ours.words.weight, theirs.words.weight),
            (ours.characters.embedding.weight, theirs.characters.weight),
            (ours.ngrams.weight, theirs.ngrams.weight),
            (ours.features[0].weight, theirs.shapes.weight),
            (model.readout.weight, plain.readout.weight),
        ]
        return _pairs("lstm", [(model.encoder.recurrent, plain.lstm)], others)

    return Case(
        name=f"classifier: bidirectional LSTM of {config.model.hidden_size}, texts of {words} words",
        aims=(1.3, 2.0),
        model=model,
        plain=(PlainClassifier(model, tuned=False), PlainClassifier(model, tuned=True)),
        loss=partial(task.loss, config),
        settings=config.training,
        batches=list(task.batches(config, assets, dataset, "train").epoch(0)),
        count=lambda batch: batch.count,
        same=same,
    )


def translator(quick: bool) -> Case:
    """The recipe multi30k-de-en with torch.nn's form of the GRU: 64 sentences, 6,000 pieces, widths of 256."""
    size, width, rows = (200, 16, 6) if quick else (6_000, 256, 64)
    torch.manual_seed(0)
    rates = {"dropout": 0.3, "context_dropout": 0.3, "output_dropout": 0.3}
    model = Translator(size, size, "gru-reset-after", width, width, joint=True, **rates)
    smoothing = 0.1

    def loss(model: nn.Module, batch: Pairs, carried: None) -> StepLoss:
        hidden, _, _ = model.hidden(batch.pairs)
        return StepLoss(model.loss(hidden, batch.targets, smoothing if model.training else 0.0), batch.size)

    def same(plain: nn.Module) -> Mapping[str, tuple[Tensor, Tensor]]:
        decoder = model.decoder
        others = [
            (model.target_embedding.weight, plain.embedding.weight),
            (model.bias, plain.bias),
            (decoder.bridge.weight, plain.bridge.weight),
            (decoder.output.weight, plain.output.weight),
            (decoder.attention.memory_map.weight, plain.keys.weight),
        ]
        layers = [(model.encoder, plain.encoder), (decoder.lower, plain.lower), (decoder.upper, plain.upper)]
        return _pairs("gru-reset-after", layers, others)

    return Case(
        name=f"translator: GRU of {width}, {rows} sentences, V {size:,}",
        aims=(1.3, 2.0),
        model=model,
        plain=(PlainTranslator(model, smoothing), PlainTranslator(model, smoothing)),
        loss=loss,
        settings=TrainingSettings(
            optimiser="adamw", learning_rate=1e-3, beta2=0.98, weight_average=0.998, clip_norm=1.0
        ),
        batches=_pair_batches(random.Random(0), size, rows, 40),
        count=lambda batch: batch.size,
        same=same,
    )


def _pair_batches(draw: random.Random, size: int, rows: int, number: int) -> list[Pairs]:
    """Sentences as long as those of Multi30k, 16 pieces and 4 more or less, those of a batch of like length."""
    batches = []
    for _ in range(number):
        length = max(5, round(draw.gauss(16, 4)))
        sources, targets = (
            [torch.tensor(zipf(draw, size, max(3, length + draw.randint(-2, 2)))) for _ in range(rows)]
            for _ in range(2)
        )
        batches.append(
            Pairs(
                SentencePairs(
                    pad_sequence(sources, batch_first=True),
                    torch.tensor(list(map(len, sources))),
                    pad_sequence([target.roll(1) for target in targets], batch_first=True),
                ),
                pad_sequence(targets, batch_first=True, padding_value=IGNORED),
            )
        )
    return batches


def recogniser(quick: bool) -> Case:
    """The recipe an4: 12 recordings of 39 features, 3 seconds and 1 more or less, two bidirectional LSTM layers."""
    size, width, rows, steps = (8, 12, 3, 40) if quick else (128, 256, 12, 300)
    labels, features, rate = 27, 39, 0.3
    torch.manual_seed(0)
    recurrent = Recurrent("lstm", size, width, 2, bidirectional=True, dropout=rate)
    model = Recogniser(Subsampling(features, size, dropout=rate), Encoder(nn.Identity(), recurrent, rate), labels)

    def loss(model: nn.Module, batch: SpeechBatch, carried: None) -> StepLoss:
        scores, _ = model(batch.features, lengths=batch.lengths)
        return StepLoss(model.loss(scores, batch.targets, batch.target_lengths).sum(), batch.count)

    def same(plain: nn.Module) -> Mapping[str, tuple[Tensor, Tensor]]:
        convolutions = zip(model.subsampling.convolutions, plain.convolutions, strict=True)
        others = [(ours.weight, theirs.weight) for ours, theirs in convolutions]
        others.append((model.readout.weight, plain.readout.weight))
        return _pairs("lstm", [(recurrent, plain.lstm)], others)

    return Case(
        name=f"recogniser: bidirectional LSTM 2 x {width}, {rows} recordings of {steps / 100:g} s",
        aims=(1.3, 2.0),
        model=model,
        plain=(PlainRecogniser(model, tuned=False), PlainRecogniser(model, tuned=True)),
        loss=loss,
        settings=TrainingSettings(
            optimiser="adamw", learning_rate=3e-3, beta2=0.98, weight_average=0.995, clip_norm=1.0
        ),
        batches=[_recordings(labels, features, rows, steps) for _ in range(20)],
        count=lambda batch: batch.count,
        same=same,
    )


def _recordings(labels: int, features: int, rows: int, steps: int) -> SpeechBatch:
    """Recordings of like length, as those of a batch are, with 7 labels a second."""
    middle = int(torch.randint(steps * 2 // 3, steps * 4 // 3, ()))
    lengths = torch.randint(middle - middle // 20, middle + 1, (rows,))
    target_lengths = (lengths * 7 // 100).clamp(min=1)
    targets = torch.randint(1, labels + 1, (rows, int(target_lengths.max())))
    past = torch.arange(targets.shape[1]) >= target_lengths[:, None]
    within = torch.arange(int(lengths.max())) < lengths[:, None]
    return SpeechBatch(
        targets=targets.masked_fill(past, IGNORED),
        features=torch.randn(rows, int(lengths.max()), features) * within[:, :, None],
        lengths=lengths,
        target_lengths=target_lengths,
        known=torch.ones(rows, dtype=torch.bool),
        silent=torch.zeros(rows, dtype=torch.bool),
        seconds=lengths / 100,
    )


def music(quick: bool) -> Case:
    """The recipe nottingham-chord: 8 pieces of 150 frames, some shorter, an LSTM of 160, chords of 4 notes of 88."""
    keys, width, size, rows, steps = (12, 8, 8, 3, 10) if quick else (88, 160, 128, 8, 150)
    rate, seen = 0.2, 2
    torch.manual_seed(0)
    memory = MusicMemory((4, 6, 8))
    recurrent = Recurrent("lstm", MusicModel.input_width(keys, memory), width)
    context = MusicModel.context_width(width, keys, memory)
    model = MusicModel(recurrent, ChordHead(context, keys, size, seen + memory.planes, 20, rate), rate, memory)

    def loss(model: nn.Module, batch: FrameBatch, carried: None) -> StepLoss:
        known, _ = model(batch.frames, lengths=batch.lengths)
        real = batch.targets != IGNORED
        each = model.head.log_probability(known.context[real], known.history[real], batch.frames[real])
        return StepLoss(-each.sum(), batch.count)

    def same(plain: nn.Module) -> Mapping[str, tuple[Tensor, Tensor]]:
        others = list(zip(model.head.parameters(), plain.head.parameters(), strict=True))
        return _pairs("lstm", [(recurrent, plain.lstm)], others)

    return Case(
        name=f"music: LSTM of {width}, {rows} pieces of {steps} frames, whole chords of {keys} keys",
        aims=(1.3, 2.0),
        model=model,
        plain=(PlainMusic(model, tuned=False), PlainMusic(model, tuned=True)),
        loss=loss,
        settings=TrainingSettings(optimiser="adamw", learning_rate=3e-3, weight_average=0.99, clip_norm=1.0),
        batches=[_pieces(keys, rows, steps) for _ in range(20)],
        count=lambda batch: batch.count,
        same=same,
    )


def _pieces(keys: int, rows: int, steps: int) -> FrameBatch:
    """Pieces of 2 frames a chord, with 4 notes of a frame on average, of like length."""
    lengths = torch.randint(steps * 9 // 10, steps + 1, (rows,))
    frames = (torch.rand(rows, -(-steps // 2), keys) < 4 / keys).float().repeat_interleave(2, 1)[:, :steps]
    within = torch.arange(steps) < lengths[:, None]
    return FrameBatch(
        targets=torch.zeros(rows, steps, dtype=torch.int64).masked_fill(~within, IGNORED),
        frames=frames * within[:, :, None],
        lengths=lengths,
    )
