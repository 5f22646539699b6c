"""From the scores of a tagger to its answers: the entities of each sentence, each with its probability."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recurra.data.tags import Scheme, Span, write_tags
from recurra.metrics import conlleval_spans
from recurra.models.tagger import Tagger, TaggerScores
from recurra.tasks.named_entities_batches import NamedEntityAssets, TaggedBatch
from recurra.tasks.tagging import Tagging

__all__ = ["answers"]


def answers(assets: NamedEntityAssets, model: Tagger, batch: TaggedBatch, scores: TaggerScores) -> list[Tagging]:
    """The entities of each sentence, each with its probability, and the label of the sentence where it is learned.

    Args:
        assets: What was fitted.
        model: The network.
        batch: The sentences.
        scores: What the network says of them.
    """
    lengths = batch.lengths.clamp(min=1)
    paths = model.decode(scores.tags, lengths)
    paths = [path[:length] for path, length in zip(paths, batch.lengths.tolist(), strict=True)]
    if model.online:  # tags that are decided at once are those of IOB2
        rows = [conlleval_spans(assets.tags.decode(path)) for path in paths]
        numbers = {tag: number for number, tag in enumerate(assets.tags.names)}
        tagged = (write_tags(spans, len(path), Scheme.IOBES) for spans, path in zip(rows, paths, strict=True))
        paths = [[numbers[tag] for tag in tags] for tags in tagged]
    else:
        rows = [_spans(assets.tags.names, path) for path in paths]
    one_hot = torch.eye(len(assets.tags), dtype=torch.bool)
    windows = [
        (row, start, one_hot[path[start:end]])
        for row, (path, spans) in enumerate(zip(paths, rows, strict=True))
        for start, end, _ in spans
    ]
    probabilities = iter(model.crf.window_probabilities(scores.tags, windows, lengths).tolist())
    calibrated = assets.dial.calibrated if assets.dial is not None else lambda type_, confidence: confidence
    labels = _labels(assets, scores.labels, len(rows))
    return [
        Tagging(tuple(spans), tuple(calibrated(type_, next(probabilities)) for _, _, type_ in spans), *label)
        for spans, label in zip(rows, labels, strict=True)
    ]


def _spans(names: Sequence[str], path: Sequence[int]) -> list[Span]:
    """The spans of tags in IOBES, by their numbers, which the constraints have made right."""
    spans: list[Span] = []
    start = 0
    for step, number in enumerate(path):
        if not number:  # O is the first of the tags
            continue
        letter = names[number][0]
        if letter in "BS":
            start = step
        if letter in "ES":
            spans.append((start, step + 1, names[number][2:]))
    return spans


def _labels(assets: NamedEntityAssets, logits: Tensor | None, rows: int) -> list[tuple[str | None, float | None]]:
    """The most probable label of each sentence, and its probability."""
    if logits is None or assets.labels is None:
        return [(None, None)] * rows
    best = logits.softmax(1).max(1)
    return [
        (assets.labels.names[number], probability)
        for number, probability in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
