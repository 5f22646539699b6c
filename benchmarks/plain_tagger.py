"""The tagger of named entity recognition in plain PyTorch, with torch.nn's layers and the CRF of pytorch-crf."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
import torchcrf
from contenders import torch_weights
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
        self.once = once
        inputs, recurrent = copy.deepcopy(tagger.encoder.inputs), tagger.encoder.recurrent
        self.words, self.ngrams, [self.shapes] = inputs.words, inputs.ngrams, inputs.features
        self.characters, self.convolution = inputs.characters.embedding, inputs.characters.convolution
        self.dropout = nn.Dropout(inputs.dropout.p)
        self.lstm = nn.LSTM(inputs.width, recurrent.hidden_size, batch_first=True, bidirectional=True)
        forward, reverse = recurrent.layers[0], recurrent.reverse_layers[0]
        weights = torch_weights("lstm", _detached(forward)) | {
            f"{name}_reverse": value for name, value in torch_weights("lstm", _detached(reverse)).items()
        }
        self.lstm.load_state_dict(weights)
        self.readout = copy.deepcopy(tagger.readout)
        self.crf = torchcrf.CRF(tagger.crf.num_tags, batch_first=True)
        with torch.no_grad():
            potentials = [potential.clamp(min=FORBIDDEN) for potential in tagger.crf.potentials()]
            parameters = (self.crf.transitions, self.crf.start_transitions, self.crf.end_transitions)
            for parameter, potential in zip(parameters, potentials, strict=True):
                parameter.copy_(potential)

    def forward(self, tokens: Tokens, lengths: Tensor) -> Tensor:
        """The score of each tag at each word, (B, T, K)."""
        shape = tokens.words.shape
        if self.once:
            forms, inverse = torch.unique(tokens.forms, return_inverse=True)
            last = torch.empty(len(forms), dtype=torch.int64)
            last[inverse.flatten()] = torch.arange(inverse.numel())
            characters, ngrams = tokens.characters.flatten(0, 1)[last], tokens.ngrams.flatten(0, 1)[last]
            by_spelling = [self._characters(characters)[inverse], self.ngrams(ngrams)[inverse]]
        else:
            by_spelling = [
                self._characters(tokens.characters.flatten(0, 1)).view(*shape, -1),
                self.ngrams(tokens.ngrams.flatten(0, 1)).view(*shape, -1),
            ]
        parts = [self.words(tokens.words), *by_spelling, self.shapes(tokens.features[:, :, 0])]
        packed = pack_padded_sequence(
            self.dropout(torch.cat(parts, 2)), lengths, batch_first=True, enforce_sorted=False
        )
        outputs, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=shape[1])
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

    def _characters(self, characters: Tensor) -> Tensor:
        """The vectors (N, ...) of words by the ids of their characters (N, C), 0 past their ends."""
        inside = characters != 0
        features = self.convolution(self.dropout(self.characters(characters)).transpose(1, 2))
        highest = features.masked_fill(~inside.unsqueeze(1), -torch.inf).amax(2)
        return highest.masked_fill(~inside.any(1, keepdim=True), 0.0)


def _detached(layer: nn.Module) -> Mapping[str, Tensor]:
    return {name: parameter.detach() for name, parameter in layer.named_parameters()}
