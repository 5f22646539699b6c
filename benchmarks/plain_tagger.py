"""The tagger of named entity recognition in plain PyTorch, with torch.nn's layers and the CRF of pytorch-crf."""

from __future__ import annotations

import copy

import torch
import torchcrf
from contenders import torch_layers
from plain_inputs import PlainInputs
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from recurra.models.tagger import Tagger
from recurra.models.token_input import Tokens
from recurra.tasks.named_entities import TaggedBatch

FORBIDDEN = -1e4
"""The score of what may not follow: pytorch-crf knows no constraints, and its sums make 0 of e to this power."""


class PlainTagger(nn.Module):
    """The same network with copies of the weights of one of ours, an LSTM under a CRF.

    Args:
        tagger: Ours.
        once: Whether characters and n-grams are read once for each spelling of a batch, as ours does. Otherwise they
            are for every word, padding included, as networks of this kind are mostly written.
    """

    def __init__(self, tagger: Tagger, once: bool) -> None:
        super().__init__()
        self.inputs = PlainInputs(tagger.encoder.inputs, once)
        self.dropout = nn.Dropout(tagger.encoder.inputs.dropout.p)
        self.lstm = torch_layers("lstm", tagger.encoder.recurrent)
        self.readout = copy.deepcopy(tagger.readout)
        self.crf = torchcrf.CRF(tagger.crf.num_tags, batch_first=True)
        with torch.no_grad():
            potentials = [potential.clamp(min=FORBIDDEN) for potential in tagger.crf.potentials()]
            parameters = (self.crf.transitions, self.crf.start_transitions, self.crf.end_transitions)
            for parameter, potential in zip(parameters, potentials, strict=True):
                parameter.copy_(potential)

    def forward(self, tokens: Tokens, lengths: Tensor) -> Tensor:
        """The score of each tag at each word, (B, T, K)."""
        packed = pack_padded_sequence(
            self.dropout(self.inputs(tokens)), lengths, batch_first=True, enforce_sorted=False
        )
        outputs, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=tokens.words.shape[1])
        return self.readout(self.dropout(outputs))

    def loss(self, batch: TaggedBatch) -> Tensor:
        """The sum over sentences of -log p(tags | words)."""
        mask = torch.arange(batch.targets.shape[1]) < batch.lengths[:, None]
        return -self.crf(self(batch.tokens, batch.lengths), batch.targets.where(mask, 0), mask)

    @torch.no_grad()
    def decode(self, batch: TaggedBatch) -> list[list[int]]:
        """The most probable tags of each sentence."""
        mask = torch.arange(batch.targets.shape[1]) < batch.lengths[:, None]
        return self.crf.decode(self(batch.tokens, batch.lengths), mask)
