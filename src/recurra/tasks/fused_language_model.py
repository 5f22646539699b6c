"""A trained language model in the search of a recogniser: shallow fusion with a run of words or of characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recurra.data.vocabulary import Vocabulary
from recurra.decoding.prefix_scorer import Numbers
from recurra.errors import SettingError
from recurra.models.language_model import LanguageModel
from recurra.tasks.text_tokens import start_of

__all__ = ["FusedLabels", "FusedWords"]


class _Read(NamedTuple):
    """What a language model knows after some tokens.

    Attributes:
        log_probabilities: Of the next token, (V,).
        state: The state of its layers, (L, 1, H) by name.
    """

    log_probabilities: Numbers
    state: Mapping[str, Tensor]


class _Fused:
    """A language model that reads many prefixes side by side, each from the state of its own.

    Args:
        model: The model.
        vocabulary: What its tokens are.

    Raises:
        SettingError: It knows no token that a sentence begins after.
    """

    def __init__(self, model: LanguageModel, vocabulary: Vocabulary) -> None:
        self._model, self._vocabulary = model.eval(), vocabulary
        begin = start_of(vocabulary)
        if begin is None:
            raise SettingError(
                "the language model knows neither <EOS> nor the end of a line, so that nothing begins a sentence for "
                "it; train it on a text of more than one line"
            )
        self._begin = begin
        self._first: _Read | None = None

    def start(self) -> _Read:
        """What is known at the beginning of a sentence."""
        if self._first is None:
            [self._first] = self._after([], [self._begin])
        return self._first

    @torch.no_grad()
    def _after(self, before: Sequence[_Read], tokens: Sequence[int]) -> list[_Read]:
        """What is known after one more token each; without anything before, at the beginning."""
        device = next(self._model.parameters()).device
        names = before[0].state if before else ()
        state = {name: torch.cat([read.state[name] for read in before], 1) for name in names} or None
        logits, after = self._model(torch.tensor(tokens, device=device)[:, None], state)
        numbers = logits[:, 0].double().log_softmax(1).cpu().numpy()
        return [
            _Read(row, {name: value[:, number : number + 1] for name, value in after.items()})
            for number, row in enumerate(numbers)
        ]

    def _number(self, text: str) -> int | None:
        """The token of a word or a character; None where the model has none, and none for what is unknown."""
        if text in self._vocabulary:
            return self._vocabulary.encode(text)[0]
        return self._vocabulary.unknown


class FusedWords(_Fused):
    r"""A language model of words, as `WordScorer` asks it.

    Args:
        model: The model.
        vocabulary: Its words.

    Raises:
        SettingError: It is no model of words.

    Example:
        >>> vocabulary = Vocabulary.build("one two\n", "word")
        >>> fused = FusedWords(LanguageModel(len(vocabulary), "gru", embedding_size=4, hidden_size=4), vocabulary)
        >>> state = fused.advance([(fused.start(), "one")])[0]
        >>> total = sum(np.exp(fused.log_probability(state, word)) for word in ("one", "two", "three"))
        >>> round(float(total + np.exp(fused.end(state))), 6)
        1.0
    """

    def __init__(self, model: LanguageModel, vocabulary: Vocabulary) -> None:
        if vocabulary.level != "word":
            raise SettingError(
                f"the language model is one of {vocabulary.level}s, and where words are searched for one of words can "
                "help; train one with --level word"
            )
        super().__init__(model, vocabulary)

    def log_probability(self, state: _Read, word: str) -> float:
        """The natural logarithm of the probability of a word; of an unknown one, that of all unknown ones."""
        number = self._number(word)
        return -np.inf if number is None else float(state.log_probabilities[number])

    def advance(self, steps: Sequence[tuple[_Read, str]]) -> list[_Read]:
        """What is known after one more word each."""
        if not steps:
            return []
        numbers = [self._number(word) for _, word in steps]
        tokens = [self._begin if number is None else number for number in numbers]
        return self._after([read for read, _ in steps], tokens)

    def end(self, state: _Read) -> float:
        """The natural logarithm of the probability that the sentence ends."""
        return float(state.log_probabilities[self._begin])


class FusedLabels(_Fused):
    """A language model whose tokens are the labels of a recogniser: its characters or its words.

    Args:
        model: The model.
        vocabulary: Its tokens.
        texts: What each label stands for, (V + 1); the blank's is not looked at.

    Raises:
        SettingError: Labels are unknown to it.
    """

    def __init__(self, model: LanguageModel, vocabulary: Vocabulary, texts: Sequence[str]) -> None:
        super().__init__(model, vocabulary)
        unknown = [text for text in texts[1:] if text not in vocabulary]
        if unknown and vocabulary.unknown is None:
            raise SettingError(
                f"the language model does not know {unknown[0]!r}, which the recogniser writes; train it on text that "
                "has it"
            )
        self._tokens = [self._begin, *(self._number(text) or 0 for text in texts[1:])]

    def advance(self, states: Sequence[_Read], labels: Sequence[int]) -> list[_Read]:
        """What is known after one more label each."""
        return self._after(states, [self._tokens[label] for label in labels]) if states else []

    def log_probabilities(self, states: Sequence[_Read]) -> Numbers:
        """The natural logarithms of the probabilities of the next label, (R, V + 1)."""
        return np.array([state.log_probabilities[self._tokens] for state in states])

    def ends(self, states: Sequence[_Read]) -> Numbers:
        """The natural logarithms of the probabilities that the transcript ends, (R,)."""
        return np.array([state.log_probabilities[self._begin] for state in states])
