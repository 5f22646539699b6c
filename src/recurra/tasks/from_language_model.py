"""A classifier that begins as a language model: what was learned by predicting the next word of texts without classes.

Howard and Ruder, "Universal language model fine-tuning for text classification", ACL 2018; Dai and Le,
"Semi-supervised sequence learning", NeurIPS 2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from recurra.data import END, UNKNOWN, Vocabulary
from recurra.errors import SettingError
from recurra.models.language_model import LanguageModel
from recurra.nn.widening import widened_weights
from recurra.tasks.settings_file import flag_of
from recurra.tasks.task import Inherited
from recurra.tasks.text_units import SPACE
from recurra.tasks.words import vocabulary_form

if TYPE_CHECKING:
    from recurra.models.classifier import Classifier
    from recurra.tasks.sentiment_assets import SentimentAssets
    from recurra.tasks.sentiment_classification_settings import SentimentConfig
    from recurra.tasks.trained import Trained

    AnyClassifier = Trained[SentimentConfig, Any, SentimentAssets, Classifier, Any, Any]

__all__ = ["embedding_of", "weights_of_language_model"]

SAME = {
    "level": "level",
    "word_size": "embedding_size",
    "cell": "cell",
    "equations": "equations",
    "hidden_size": "hidden_size",
    "num_layers": "num_layers",
    "layer_norm": "layer_norm",
    "learn_initial_state": "learn_initial_state",
}
"""The settings of a classifier that have to be those of the language model, and what these are called there."""


def weights_of_language_model(
    trained: AnyClassifier, other: Trained[Any, Any, Any, LanguageModel, Any, Any]
) -> Inherited:
    """The weights of a language model as those of a classifier.

    Embeddings are taken by word; a word that the language model does not know begins at the mean of those that it does.
    The forward layers are taken as they are, with weights of 0 for whatever else the classifier reads of a word and,
    above the first layer, for the reverse direction, so that they first compute what they computed there.

    Args:
        trained: The classifier.
        other: The language model.

    Raises:
        SettingError: They differ in a size, the cell, or in what a text is cut into.
    """
    _check_settings(trained, other)
    vocabulary, words = other.assets.vocabulary, trained.assets.words
    table, shared = embedding_of(other.model.embedding.weight.detach(), vocabulary, words.tokens)
    layers = widened_weights(other.model.recurrent, trained.model.encoder.recurrent)
    weights = {"encoder.inputs.words.weight": table}
    weights |= {f"encoder.recurrent.{name}": tensor for name, tensor in layers.items()}
    known = len(words) - 1  # without <UNK>
    directions = "; what reads backward begins anew" if trained.config.model.bidirectional else ""
    return Inherited(weights, f"{shared:,} of its {known:,} words and the layers that read forward{directions}")


def embedding_of(embedding: Tensor, vocabulary: Vocabulary, words: tuple[str, ...]) -> tuple[Tensor, int]:
    """A language model's embedding, its rows in the order of other words, and how many of these it knows.

    The forms of a word that differ in case or digits alone are one to a classifier: the one that is written as the
    classifier has it is taken, else the most frequent.

    Args:
        embedding: That of the language model, (V, E).
        vocabulary: Its units.
        words: Those that rows are wanted of, as the vocabulary of a classifier has them.

    Example:
        >>> vocabulary = Vocabulary.build("The the The dog", "word")
        >>> vocabulary.tokens
        ('The', 'the', 'dog', '<UNK>', '<EOS>')
        >>> table, shared = embedding_of(torch.arange(5.0)[:, None], vocabulary, ("dog", "the", "emu", "<UNK>"))
        >>> table.flatten().tolist(), shared
        ([2.0, 1.0, 1.5, 1.5], 2)
    """
    ids: dict[str, int] = {}
    for number, unit in enumerate(vocabulary.tokens):
        if unit in (UNKNOWN, END):
            continue
        spelled = SPACE if unit == " " else unit
        form = vocabulary_form(spelled)
        if form not in ids or spelled == form:
            ids[form] = number
    mean = embedding[sorted(ids.values())].mean(0)
    shared = [word for word in words if word in ids]
    table = torch.stack([embedding[ids[word]] if word in ids else mean for word in words])
    return table, len(shared)


def _check_settings(trained: AnyClassifier, other: Trained[Any, Any, Any, Any, Any, Any]) -> None:
    """Refuse a language model that the settings of the classifier do not fit.

    Raises:
        SettingError: It says which of them to set to what.
    """
    here, there = _settings(trained), _settings(other)
    if there["level"] == "byte":
        raise SettingError(
            f"start_from: the language model of {other.folder} reads bytes, and a classifier does not; train one with "
            "--level word, character or bpe"
        )
    differing = [name for name, source in SAME.items() if here[name] != there[source] and there[source] is not None]
    if differing:
        wanted = " ".join(_flag(name, there[SAME[name]]) for name in differing)
        raise SettingError(
            f"start_from: the network of {other.folder} differs from this one ({', '.join(differing)}); give {wanted}"
        )


def _settings(run: Trained[Any, Any, Any, Any, Any, Any]) -> Mapping[str, Any]:
    """The settings of the network and of the texts, by name."""
    return {"equations": None, **run.config.files.model_dump(), **run.config.model.model_dump()}


def _flag(name: str, value: object) -> str:
    """A setting as the command line takes it."""
    if name == "equations":
        return "--equations FILE, of the same equations"
    if isinstance(value, bool):
        return flag_of(name) if value else flag_of(name).replace("--", "--no-", 1)
    return f"{flag_of(name)} {value}"
