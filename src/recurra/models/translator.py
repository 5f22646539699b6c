"""The translator: from one sequence another of a different length, many to many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.errors import SettingError
from recurra.models.attentive_decoder import AttentiveDecoder, DecoderKind, DecoderState
from recurra.nn.attention import AttentionKind
from recurra.nn.dropout import Dropout, check_rate, drop
from recurra.nn.embedding import Embedding
from recurra.nn.readout_loss import readout_loss
from recurra.nn.recurrent import Recurrent

__all__ = ["SentencePairs", "Translator"]


class SentencePairs(NamedTuple):
    """What a translator reads while it learns, and when a given translation is scored.

    Attributes:
        source: The ids of the sentences x<1..S>, (B, S).
        source_lengths: How many of each row there are, (B,), at least 1.
        previous: The ids y<0..T-1> that each step of the translation comes after, (B, T).
    """

    source: Tensor
    source_lengths: Tensor
    previous: Tensor


class Translator(nn.Module):
    """An encoder and a decoder with attention: from x<1..S> the logits of y<1..T>.

        m<1..S>          = recurrent network in both directions(E_source x<1..S>)
        o<t>, a<t>       = decoder(E_target y<t-1>, m<1..S>)
        p(y<t> | y<1..t-1>, x) = softmax(V o<t> + c)

    Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate", ICLR 2015; for
    the kinds of decoder see `AttentiveDecoder`. With tied weights V is E_target (Press and Wolf, "Using the output
    embedding to improve language models", EACL 2017), and with a joint vocabulary E_source as well.

    Args:
        source_size: How many tokens the source has.
        target_size: V, how many the target has.
        cell: The cell, its name or its equations.
        embedding_size: The width of the embeddings.
        hidden_size: H, the width of the recurrent layers.
        encoder_layers: How many layers read the source, each in both directions.
        decoder_layers: How many layers write the target.
        decoder: Where the decoder attends.
        attention: How it compares. For "dot", which compares what is as wide, the two directions are added up.
        joint: Whether source and target have one vocabulary, and share its embeddings.
        tie_weights: Whether the readout shares the target's embeddings.
        dropout: Rate of dropout on the embeddings and between layers.
        context_dropout: Rate of dropout on the encoder's outputs.
        output_dropout: Rate of dropout on what the readout reads.
        token_dropout: Rate at which whole tokens are left out of what is read, on both sides (Gal and Ghahramani, "A
            theoretically grounded application of dropout in recurrent neural networks", 2016).
        **recurrent: What else `Recurrent` takes: zoneout, layer_norm and so on.

    Raises:
        SettingError: A size is not positive, a rate not a probability, or a kind unknown.

    Example:
        >>> model = Translator(30, 20, "gru", embedding_size=8, hidden_size=12)
        >>> pairs = SentencePairs(torch.randint(30, (4, 6)), torch.tensor([6, 2, 5, 1]), torch.randint(20, (4, 3)))
        >>> logits, state = model(pairs)
        >>> logits.shape
        torch.Size([4, 3, 20])
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        cell: Cell | str,
        embedding_size: int = 128,
        hidden_size: int = 256,
        encoder_layers: int = 1,
        decoder_layers: int = 2,
        *,
        decoder: DecoderKind = "deep",
        attention: AttentionKind = "general",
        joint: bool = False,
        tie_weights: bool = True,
        dropout: float = 0.0,
        context_dropout: float = 0.0,
        output_dropout: float = 0.0,
        token_dropout: float = 0.0,
        **recurrent: Any,  # noqa: ANN401  (handed on as it is)
    ) -> None:
        super().__init__()
        if joint and source_size != target_size:
            raise SettingError(
                f"source_size is {source_size} and target_size {target_size}; a joint vocabulary has one size"
            )
        self.token_dropout = check_rate("token_dropout", token_dropout)
        self.target_embedding = Embedding(target_size, embedding_size)
        self.source_embedding = self.target_embedding if joint else Embedding(source_size, embedding_size)
        for embedding in {self.target_embedding, self.source_embedding}:
            nn.init.normal_(embedding.weight, std=embedding_size**-0.5)
        self.dropout = Dropout(check_rate("dropout", dropout))
        self.encoder = Recurrent(cell, embedding_size, hidden_size, encoder_layers, True, dropout, **recurrent)
        self.sums_directions = attention == "dot"
        self.context_dropout = Dropout(check_rate("context_dropout", context_dropout))
        output_size = embedding_size if tie_weights else hidden_size
        self.decoder = AttentiveDecoder(
            cell,
            embedding_size,
            hidden_size,
            decoder_layers,
            memory_size=hidden_size if self.sums_directions else 2 * hidden_size,
            output_size=output_size,
            kind=decoder,
            attention=attention,
            dropout=dropout,
            **recurrent,
        )
        self.output_dropout = Dropout(check_rate("output_dropout", output_dropout))
        self.readout = None if tie_weights else nn.Linear(output_size, target_size)
        self.bias = nn.Parameter(torch.zeros(target_size)) if tie_weights else None

    def forward(
        self,
        x: SentencePairs,
        state: DecoderState | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[Tensor, DecoderState]:
        """Logits of the tokens of translations that are given.

        Args:
            x: The sentences and what each step comes after.
            state: What the decoder begins with; None for the state that follows from the source.
            lengths: How many steps of each translation count, (B,); None for all.

        Returns:
            The logits (B, T, V), and the state after each row's last step.
        """
        hidden, _, after = self.hidden(x, state, lengths)
        return self.logits(hidden), after

    def hidden(
        self, x: SentencePairs, state: DecoderState | None = None, lengths: Tensor | Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """What the readout reads, (B, T, ...), the attention (B, T, S), and the state after the last step."""
        begun = self.encode(x.source, x.source_lengths) if state is None else state
        outputs, weights, after = self.decoder(self._embedded(self.target_embedding, x.previous), begun, lengths)
        return self.output_dropout(outputs), weights, after

    def encode(self, source: Tensor, lengths: Tensor) -> DecoderState:
        """The state in which the decoder begins the translations of sentences (B, S)."""
        outputs, _ = self.encoder(self._embedded(self.source_embedding, source), None, lengths)
        if self.sums_directions:
            outputs = outputs.unflatten(2, (2, -1)).sum(2)
        return self.decoder.start(self.context_dropout(outputs), lengths)

    def step(
        self, tokens: Tensor, state: DecoderState, readout: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """One step of a translation.

        Args:
            tokens: The last tokens, (B,).
            state: The state before.
            readout: What `transposed_readout` gave, where many steps follow; None to read the weights as they are.

        Returns:
            The logits of the next tokens (B, V), the attention (B, S), and the state after.
        """
        outputs, weights, after = self.decoder(self._embedded(self.target_embedding, tokens[:, None]), state)
        hidden = self.output_dropout(outputs)[:, 0]
        logits = self.logits(hidden) if readout is None else torch.addmm(readout[1], hidden, readout[0])
        return logits, weights[:, 0], after

    def transposed_readout(self) -> tuple[Tensor, Tensor]:
        """Vᵀ, (width, V) in memory of its own, and c, (V,).

        On a processor the product of a few hundred rows with the transposed matrix takes 0.6 times as long as with the
        matrix as it is: 17 ms, not 29, for 320 rows of 256 and 6,000 tokens. Making it takes 3 ms.
        """
        weight, bias = self._readout_parameters()
        return weight.t().contiguous(), bias

    def logits(self, hidden: Tensor) -> Tensor:
        """The logits (..., V) of what the readout reads."""
        return F.linear(hidden, *self._readout_parameters())

    def loss(self, hidden: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """The cross-entropy of the readout summed over all steps with a target, in nats, without storing the logits."""
        return readout_loss(hidden, *self._readout_parameters(), targets, label_smoothing=label_smoothing)

    def _readout_parameters(self) -> tuple[Tensor, Tensor]:
        """V and c."""
        if self.readout is not None:
            return self.readout.weight, self.readout.bias
        assert self.bias is not None
        return self.target_embedding.weight, self.bias

    def _embedded(self, embedding: nn.Embedding, tokens: Tensor) -> Tensor:
        vectors = embedding(tokens)
        if self.training and self.token_dropout:
            vectors = vectors * drop(vectors.new_ones(*tokens.shape, 1), self.token_dropout)
        return self.dropout(vectors)  # type: ignore[no-any-return]
