"""Words as vectors in plain PyTorch: by themselves, their characters, their n-grams and their shape."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from recurra.models.token_input import TokenInput, Tokens


def embedding_of(weight: Tensor, padding_idx: int | None = None) -> nn.Embedding:
    """torch.nn's embedding with a copy of the weights."""
    return nn.Embedding.from_pretrained(weight.detach().clone(), freeze=False, padding_idx=padding_idx)


class PlainInputs(nn.Module):
    """The same inputs with copies of the weights of one of ours, which has all of these and one further feature.

    Args:
        inputs: Ours.
        once: Whether characters and n-grams are read once for each spelling of a batch, as ours does. Otherwise they
            are for every word, padding included, as networks of this kind are mostly written.
    """

    def __init__(self, inputs: TokenInput, once: bool) -> None:
        super().__init__()
        self.once = once
        self.words, self.shapes = embedding_of(inputs.words.weight), embedding_of(inputs.features[0].weight)
        self.ngrams = nn.EmbeddingBag.from_pretrained(
            inputs.ngrams.weight.detach().clone(), freeze=False, mode="mean", padding_idx=0
        )
        self.characters = embedding_of(inputs.characters.embedding.weight, padding_idx=0)
        self.convolution = copy.deepcopy(inputs.characters.convolution)
        self.dropout = nn.Dropout(inputs.dropout.p)

    def forward(self, tokens: Tokens) -> Tensor:
        """The vectors of words, (B, T, ...), without dropout."""
        shape = tokens.words.shape
        if self.once:
            forms, inverse = torch.unique(tokens.forms, return_inverse=True)
            last = torch.empty(len(forms), dtype=torch.int64)
            last[inverse.flatten()] = torch.arange(inverse.numel())
            characters, ngrams = tokens.characters.flatten(0, 1)[last], tokens.ngrams.flatten(0, 1)[last]
            by_spelling = [self._by_characters(characters)[inverse], self.ngrams(ngrams)[inverse]]
        else:
            by_spelling = [
                self._by_characters(tokens.characters.flatten(0, 1)).view(*shape, -1),
                self.ngrams(tokens.ngrams.flatten(0, 1)).view(*shape, -1),
            ]
        return torch.cat([self.words(tokens.words), *by_spelling, self.shapes(tokens.features[:, :, 0])], 2)

    def _by_characters(self, characters: Tensor) -> Tensor:
        """The vectors (N, ...) of words by the ids of their characters (N, C), 0 past their ends."""
        inside = characters != 0
        features = self.convolution(self.dropout(self.characters(characters)).transpose(1, 2))
        highest = features.masked_fill(~inside.unsqueeze(1), -torch.inf).amax(2)
        return highest.masked_fill(~inside.any(1, keepdim=True), 0.0)
