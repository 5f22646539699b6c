"""The tagger: a tag for every word, many to many of equal length; and, if asked, a label for the sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from recurra.models.encoder import Encoder
from recurra.models.pooling import Pooling, PoolingKind
from recurra.nn.crf import CRF
from recurra.nn.dropout import Dropout

__all__ = ["Tagger", "TaggerScores"]


class TaggerScores(NamedTuple):
    """What a tagger says of sentences.

    Attributes:
        tags: The score of each tag at each word, (B, T, K).
        labels: The logits of the sentence's label, (B, C); None for a tagger without.
    """

    tags: Tensor
    labels: Tensor | None


class Tagger(nn.Module):
    """A recurrent tagger: from words x<1..T> a score s<t>[k] of every tag k at every word.

        h<1..T> = encoder(x<1..T>)
        s<t>    = V h<t> + c,                          read off by a CRF, or as logits of a softmax
        label   = softmax(U pool(h<1..T>) + d)         if a sentence has a label

    Huang, Xu and Yu, "Bidirectional LSTM-CRF models for sequence tagging", 2015; with the label of the sentence from
    the same encoder: Zhang and Wang, "A joint model of intent determination and slot filling", IJCAI 2016.

    Args:
        encoder: What reads the words.
        crf: What joins tags to their neighbours, and says which may follow which. Without transitions that are learned
            (`joined=False`) it decodes what a softmax says.
        labels: How many labels a sentence may have; 0 for none.
        pooling: What stands for a sentence where it has a label.
        joined: Whether the CRF is trained; else a softmax is, and the CRF's constraints hold in decoding alone.

    Example:
        >>> import torch
        >>> from recurra.nn.recurrent import Recurrent
        >>> tagger = Tagger(Encoder(nn.Embedding(20, 4), Recurrent("gru", 4, 6, bidirectional=True)), CRF(3))
        >>> scores, state = tagger(torch.randint(20, (2, 5)), lengths=[5, 2])
        >>> scores.tags.shape, [len(tags) for tags in tagger.crf.decode(scores.tags, [5, 2])]
        (torch.Size([2, 5, 3]), [5, 2])
    """

    def __init__(
        self, encoder: Encoder, crf: CRF, labels: int = 0, pooling: PoolingKind = "max", joined: bool = True
    ) -> None:
        super().__init__()
        self.encoder, self.crf, self.joined = encoder, crf, joined
        if not joined:
            crf.requires_grad_(False)
        self.readout = nn.Linear(encoder.width, crf.num_tags)
        self.pooling = Pooling(encoder.recurrent, pooling) if labels else None
        self.label_readout = nn.Linear(self.pooling.width, labels) if self.pooling is not None else None
        self.label_dropout = Dropout(encoder.dropout.p)

    def forward(
        self,
        x: Any,  # noqa: ANN401  (whatever the encoder's inputs read)
        state: Mapping[str, Tensor] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[TaggerScores, dict[str, Tensor]]:
        """Scores of tags, and the state after each row's last word.

        Args:
            x: What the encoder's inputs read, with (B, T, ...) first.
            state: The state before the first word, (L · D, B, H) by name; zero if not given.
            lengths: How many words of each row count, (B,); None for all.
        """
        encoded = self.encoder(x, state, lengths)
        labels = None
        if self.pooling is not None and self.label_readout is not None:
            labels = self.label_readout(self.label_dropout(self.pooling(encoded.outputs, lengths)))
        return TaggerScores(self.readout(encoded.outputs), labels), encoded.state
