"""The reading trace of a classifier of texts: what it holds after each word, character or piece of a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from recurra.data.classified import ClassifiedText
from recurra.data.dataset import Examples
from recurra.inspection.reading import Reading, read_along
from recurra.tasks.classified import Classified
from recurra.tasks.sentiment_assets import SentimentAssets, units_of
from recurra.tasks.sentiment_batches import batches

if TYPE_CHECKING:
    from recurra.tasks.trained import Trained

__all__ = ["reading"]


def reading(
    trained: Trained[Any, ClassifiedText, SentimentAssets, Any, Any, Classified],
    text: Any,  # noqa: ANN401  (whatever the use can read as a text)
) -> Reading:
    """What the model holds after each unit that it reads of a text, p(y | x<1..t>), and without each.

    Before the first the probability of a class is its share of the texts trained on.

    Args:
        trained: The classifier.
        text: The text.
    """
    example = trained.task.parse(trained.config, text)
    assets = trained.assets
    units = units_of(trained.config, assets)(example.text)
    total = assets.texts if assets.several else sum(assets.counts)
    [batch] = batches(trained.config, assets, Examples([example], [example.source], [1]), "predict").epoch(0)

    def probabilities(logits: Tensor) -> Tensor:
        scaled = logits.double() / assets.temperature
        return scaled.sigmoid() if assets.several else scaled.softmax(1)

    return read_along(
        trained.model,
        batch.to(trained.device).tokens,
        units if assets.pieces is None else [assets.pieces.text_of(unit) for unit in units],
        assets.labels.names,
        [count / total for count in assets.counts],
        probabilities,
    )
