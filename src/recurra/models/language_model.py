"""The language model: each token's probability, given all tokens before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.errors import SettingError
from recurra.nn.dropout import LockedDropout, check_rate
from recurra.nn.recurrent import Recurrent

__all__ = ["LanguageModel"]


class LanguageModel(nn.Module):
    """A recurrent language model: from tokens x<1..T> the logits of what follows each of them.

        e<t> = E x<t>                                  x<t> one-hot: a column of E, the token's embedding
        h<t> = recurrent network(e<t>, h<t-1>)
        p(y<t> | x<1..t>) = softmax(V h<t> + c)

    Mikolov, Karafiát, Burget, Černocký and Khudanpur, "Recurrent neural network based language model", Interspeech
    2010. With tied weights V is the transposed E (Press and Wolf, "Using the output embedding to improve language
    models", EACL 2017); if the widths differ, a projection brings h<t> to the embedding's.

    Args:
        vocabulary_size: V, the number of tokens.
        cell: The cell, its name or its equations.
        embedding_size: The width of the embedding.
        hidden_size: H, the width of the recurrent layers.
        num_layers: L, how many there are.
        dropout: Rate of dropout on the embedding, between layers and on the output (Zaremba, Sutskever and Vinyals,
            "Recurrent neural network regularization", 2014).
        embedding_dropout: Rate at which whole tokens are dropped from the embedding, the same in a whole batch.
        locked_dropout: Whether the dropout on embedding and output is one mask a sequence rather than one a step.
        tie_weights: Whether the output layer shares the embedding's weights.
        recurrent: What else `Recurrent` takes: zoneout, weight_drop, layer_norm and so on.

    Raises:
        SettingError: A size is not positive, a rate not a probability, or the network would read the future.

    Example:
        >>> model = LanguageModel(50, "gru", embedding_size=8, hidden_size=16)
        >>> logits, state = model(torch.randint(50, (4, 7)))
        >>> logits.shape, {name: tuple(s.shape) for name, s in state.items()}
        (torch.Size([4, 7, 50]), {'h': (1, 4, 16)})
    """

    def __init__(
        self,
        vocabulary_size: int,
        cell: Cell | str,
        embedding_size: int = 128,
        hidden_size: int = 256,
        num_layers: int = 1,
        *,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        locked_dropout: bool = False,
        tie_weights: bool = False,
        **recurrent: Any,  # noqa: ANN401  (handed on as it is)
    ) -> None:
        super().__init__()
        for name, size in (("vocabulary_size", vocabulary_size), ("embedding_size", embedding_size)):
            if size < 1:
                raise SettingError(f"{name} is {size}; it is a whole number from 1")
        if recurrent.get("bidirectional"):
            raise SettingError("a language model cannot be bidirectional: it would read the tokens it is to predict")
        self.vocabulary_size, self.tie_weights = vocabulary_size, tie_weights
        self.embedding_dropout = check_rate("embedding_dropout", embedding_dropout)
        check_rate("dropout", dropout)
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.recurrent = Recurrent(cell, embedding_size, hidden_size, num_layers, dropout=dropout, **recurrent)
        self.dropout = LockedDropout(dropout) if locked_dropout else nn.Dropout(dropout)
        self.projection = (
            nn.Linear(hidden_size, embedding_size) if tie_weights and hidden_size != embedding_size else None
        )
        self.readout = None if tie_weights else nn.Linear(hidden_size, vocabulary_size)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size)) if tie_weights else None
        # A tied embedding is a readout as well, whose logits should begin near 0.
        nn.init.normal_(self.embedding.weight, std=embedding_size**-0.5 if tie_weights else 1.0)

    def forward(
        self,
        tokens: Tensor,
        state: Mapping[str, Tensor] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits of the token after each one.

        Args:
            tokens: The ids x<1..T>, (B, T).
            state: The state before the first, by name, (L, B, H); zero if not given.
            lengths: How many tokens of each row count (B,); None for all.

        Returns:
            The logits (B, T, V) and the state after each row's last token.
        """
        embedded = self.dropout(self._embed(tokens))
        outputs, last = self.recurrent(embedded, state, lengths)
        return self._logits(self.dropout(outputs)), last

    def step(self, tokens: Tensor, state: Mapping[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """One step: from tokens (B,) and the state, the logits (B, V) of the next and the state after."""
        logits, after = self(tokens[:, None], state)
        return logits[:, 0], after

    def _embed(self, tokens: Tensor) -> Tensor:
        weight = self.embedding.weight
        if self.training and self.embedding_dropout:
            weight = weight * F.dropout(weight.new_ones(len(weight), 1), self.embedding_dropout)
        return F.embedding(tokens, weight)

    def _logits(self, hidden: Tensor) -> Tensor:
        if self.readout is not None:
            return self.readout(hidden)  # type: ignore[no-any-return]
        if self.projection is not None:
            hidden = self.projection(hidden)
        return F.linear(hidden, self.embedding.weight, self.bias)
