"""The language model: each token's probability, given all tokens before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.errors import SettingError, ShapeError
from recurra.models.initial import begin_, read_rules
from recurra.models.language_model_stream import LanguageModelStream
from recurra.nn.dropout import Dropout, LockedDropout, check_rate, drop
from recurra.nn.initialise import Rule
from recurra.nn.readout_loss import readout_loss
from recurra.nn.recurrent import Recurrent

__all__ = ["Hidden", "LanguageModel"]


class Hidden(NamedTuple):
    """What the recurrent layers make of tokens.

    Attributes:
        outputs: The outputs h<t> of the last layer, (B, T, H).
        dropped: The same after dropout, which the readout reads.
        state: The state that the next tokens begin with, (L, B, H) by name.
    """

    outputs: Tensor
    dropped: Tensor
    state: dict[str, Tensor]


class _LockedBetween(Dropout):
    """Locked dropout as `Recurrent` applies it between its layers, where time comes first."""

    def forward(self, x: Tensor) -> Tensor:
        """Drop units of (T, B, ...), the same at every step."""
        return x * super().forward(x.new_ones(1, *x.shape[1:])) if self.training and self.p else x


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
        dropout: Rate of dropout on the embedding and, unless they have rates of their own, between layers and on the
            output (Zaremba, Sutskever and Vinyals, "Recurrent neural network regularization", 2014).
        between_dropout: Rate of dropout between layers.
        output_dropout: Rate of dropout on the output.
        embedding_dropout: Rate at which whole tokens are dropped from the embedding, the same in a whole batch.
        locked_dropout: Whether the dropout on embedding, between layers and on output is one mask a sequence rather
            than one a step.
        tie_weights: Whether the output layer shares the embedding's weights.
        activation_penalty: What `training.regularisation.activation_penalty` is multiplied by while the model learns.
        temporal_penalty: The same for `temporal_penalty`.
        initial: How parameters begin, by name or pattern, or as one text: see `recurra.models.initial`. What it does
            not name begins by default.
        **recurrent: What else `Recurrent` takes: zoneout, weight_drop, layer_norm and so on.

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
        between_dropout: float | None = None,
        output_dropout: float | None = None,
        embedding_dropout: float = 0.0,
        locked_dropout: bool = False,
        tie_weights: bool = False,
        activation_penalty: float = 0.0,
        temporal_penalty: float = 0.0,
        initial: str | Mapping[str, Rule] | None = None,
        **recurrent: Any,  # noqa: ANN401  (handed on as it is)
    ) -> None:
        super().__init__()
        for name, size in (("vocabulary_size", vocabulary_size), ("embedding_size", embedding_size)):
            if size < 1:
                raise SettingError(f"{name} is {size}; it is a whole number from 1")
        if recurrent.get("bidirectional"):
            raise SettingError("a language model cannot be bidirectional: it would read the tokens it is to predict")
        self.vocabulary_size, self.tie_weights = vocabulary_size, tie_weights
        self.activation_penalty, self.temporal_penalty = activation_penalty, temporal_penalty
        self.embedding_dropout = check_rate("embedding_dropout", embedding_dropout)
        between = check_rate("between_dropout", dropout if between_dropout is None else between_dropout)
        output = check_rate("output_dropout", dropout if output_dropout is None else output_dropout)
        kind = LockedDropout if locked_dropout else Dropout
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.recurrent = Recurrent(cell, embedding_size, hidden_size, num_layers, dropout=between, **recurrent)
        if locked_dropout:
            self.recurrent.dropout = _LockedBetween(between)
        self.dropout, self.output_dropout = kind(check_rate("dropout", dropout)), kind(output)
        self.projection = (
            nn.Linear(hidden_size, embedding_size) if tie_weights and hidden_size != embedding_size else None
        )
        self.readout = None if tie_weights else nn.Linear(hidden_size, vocabulary_size)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size)) if tie_weights else None
        # A tied embedding is a readout as well, whose logits should begin near 0.
        nn.init.normal_(self.embedding.weight, std=embedding_size**-0.5 if tie_weights else 1.0)
        if initial is not None:
            begin_(self, read_rules(initial) if isinstance(initial, str) else initial)

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
        hidden = self.hidden(tokens, state, lengths)
        return self._logits(hidden.dropped), hidden.state

    def hidden(
        self,
        tokens: Tensor,
        state: Mapping[str, Tensor] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        keep: int | None = None,
    ) -> Hidden:
        """The outputs of the recurrent layers, before the readout.

        Args:
            tokens: The ids x<1..T>, (B, T).
            state: The state before the first, by name, (L, B, H); zero if not given.
            lengths: How many tokens of each row count (B,); None for all.
            keep: After how many tokens the state is the one that is returned; None for all. What comes after goes on
                from there, and its gradient goes back through it; dropout on weights or states draws a new mask there.

        Raises:
            ShapeError: There are not so many tokens, or lengths are given as well.
        """
        embedded = self.dropout(self._embed(tokens))
        if keep is None:
            outputs, kept = self.recurrent(embedded, state, lengths)
        else:
            if lengths is not None or not 0 < keep < tokens.shape[1]:
                raise ShapeError(
                    f"keep is {keep}, for tokens of shape {tuple(tokens.shape)}"
                    f"{' with lengths' if lengths is not None else ''}; expected 1 to T - 1, and no lengths"
                )
            before, kept = self.recurrent(embedded[:, :keep], state)
            after, _ = self.recurrent(embedded[:, keep:], kept)
            outputs = torch.cat([before, after], 1)
        return Hidden(outputs, self.output_dropout(outputs), kept)

    def loss(self, hidden: Tensor, targets: Tensor, ignore_index: int = -100) -> Tensor:
        """The cross-entropy of the readout, summed over the steps, in nats: Σ -log p(y<t> | x<1..t>).

        Args:
            hidden: What the readout reads, (B, T, H).
            targets: The ids y<t>, (B, T).
            ignore_index: The target that counts for nothing.

        Returns:
            A scalar.
        """
        if self.readout is not None:
            return readout_loss(hidden, self.readout.weight, self.readout.bias, targets, ignore_index=ignore_index)
        projected = hidden if self.projection is None else self.projection(hidden)
        return readout_loss(projected, self.embedding.weight, self.bias, targets, ignore_index=ignore_index)

    def stream(self, batch_size: int = 1) -> LanguageModelStream:
        """The model one token a call, with the state kept between calls; see `LanguageModelStream`.

        Args:
            batch_size: B, how many texts advance side by side.
        """
        return LanguageModelStream(self, batch_size)

    def step(self, tokens: Tensor, state: Mapping[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """One step: from tokens (B,) and the state, the logits (B, V) of the next and the state after."""
        logits, after = self(tokens[:, None], state)
        return logits[:, 0], after

    def _embed(self, tokens: Tensor) -> Tensor:
        weight = self.embedding.weight
        if self.training and self.embedding_dropout:
            weight = weight * drop(weight.new_ones(len(weight), 1), self.embedding_dropout)
        return F.embedding(tokens, weight)

    def _logits(self, hidden: Tensor) -> Tensor:
        if self.readout is not None:
            return self.readout(hidden)  # type: ignore[no-any-return]
        if self.projection is not None:
            hidden = self.projection(hidden)
        return F.linear(hidden, self.embedding.weight, self.bias)
