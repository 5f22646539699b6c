"""Words as vectors: by themselves, by vectors learned elsewhere, by their characters, and by what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.errors import SettingError
from recurra.models.occurrences import OccurrenceReader, Occurrences
from recurra.nn.dropout import Dropout, check_rate
from recurra.nn.embedding import Embedding, EmbeddingBag
from recurra.nn.recurrent import Recurrent

__all__ = ["CharacterNetwork", "CharacterReader", "TokenInput", "Tokens"]

CharacterNetwork = Literal["cnn", "lstm", "none"]
"""How the characters of a word are read."""


class Tokens(NamedTuple):
    """The words of sentences x<1..T>, as a network reads them; past a row's length anything.

    Attributes:
        words: The id of each word, (B, T).
        forms: A number that tells spellings apart, (B, T): what is read of a spelling is computed once a batch.
        characters: The ids of each word's characters from 1, 0 past its end, (B, T, C).
        ngrams: The ids of the hashed character n-grams of each word from 1, 0 past the last, (B, T, G).
        vectors: The row of each word among vectors learned elsewhere from 1, 0 for none, (B, T).
        features: The id of each further feature, (B, T, F).
        occurrences: The other occurrences of each word in its document; None where they are not read.
    """

    words: Tensor
    forms: Tensor
    characters: Tensor
    ngrams: Tensor
    vectors: Tensor
    features: Tensor
    occurrences: Occurrences | None = None


class CharacterReader(nn.Module):
    """The vector of a word by its characters.

    Either a convolution and the maximum over places (Ma and Hovy, "End-to-end sequence labeling via bi-directional
    LSTM-CNNs-CRF", ACL 2016), or the last states of a bidirectional LSTM (Lample et al., "Neural architectures for
    named entity recognition", NAACL 2016).

    Args:
        characters: How many characters there are; ids are from 1.
        embedding_size: The width of a character's embedding.
        output_size: The width of the word's vector; even for an LSTM.
        network: "cnn" or "lstm".
        dropout: Rate of dropout on the characters' embeddings.

    Raises:
        SettingError: There is no such network, or an LSTM is to have an odd width.

    Example:
        >>> reader = CharacterReader(26, 8, 10, "cnn")
        >>> reader(torch.tensor([[3, 1, 20], [1, 0, 0]])).shape
        torch.Size([2, 10])
    """

    def __init__(
        self, characters: int, embedding_size: int, output_size: int, network: CharacterNetwork, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if network not in {"cnn", "lstm"}:
            raise SettingError(f"there is no character network {network!r}; choose one of: cnn, lstm")
        if network == "lstm" and output_size % 2:
            raise SettingError(f"output_size is {output_size}; the two directions of an LSTM make an even one")
        self.output_size = output_size
        self.embedding = nn.Embedding(characters + 1, embedding_size, padding_idx=0)
        self.dropout = Dropout(check_rate("dropout", dropout))
        self.convolution = nn.Conv1d(embedding_size, output_size, 3, padding=1) if network == "cnn" else None
        self.recurrent = (
            Recurrent("lstm", embedding_size, output_size // 2, bidirectional=True) if network == "lstm" else None
        )

    def forward(self, characters: Tensor) -> Tensor:
        """The vectors (N, output_size) of words by the ids of their characters (N, C), 0 past their ends."""
        inside = characters != 0
        embedded = self.dropout(self.embedding(characters))
        if self.convolution is not None:
            features = _convolved(embedded, self.convolution.weight, self.convolution.bias)
            lowest = torch.finfo(features.dtype).min
            highest = (features + torch.where(inside, 0.0, lowest).to(features.dtype).unsqueeze(2)).amax(1)
            # A word without characters, which padding is, has no maximum; it is 0.
            return highest.masked_fill(~inside.any(1, keepdim=True), 0.0)
        assert self.recurrent is not None
        lengths = inside.sum(1).clamp(min=1)
        outputs, _ = self.recurrent(embedded, None, lengths)
        half = self.output_size // 2
        last = outputs[torch.arange(len(outputs), device=outputs.device), lengths - 1, :half]
        return torch.cat([last, outputs[:, 0, half:]], 1)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The convolution (N, C, O) of (N, C, I) by weights (O, I, 3), as one product of windows with a matrix.

    torch's own compiles code for every new shape on a processor and keeps it, and here each batch has another one.
    """
    padded = F.pad(x, (0, 0, 1, 1))
    windows = torch.cat([padded[:, :-2], x, padded[:, 2:]], 2)
    return F.linear(windows, weight.transpose(1, 2).flatten(1), bias)


class TokenInput(nn.Module):
    """Words as vectors, all that is known of a word side by side.

        v<t> = dropout([E word<t>, vectors word<t> + Δ word<t>, characters<t>, Σ N ngram<t>, F feature<t>, others<t>])

    Args:
        words: V, how many words there are.
        word_size: The width of a word's embedding; 0 leaves it out.
        vectors: Vectors learned elsewhere, (N, width), a row a word; they stay as they are. None without.
        tune_vectors: Whether Δ, how the vectors of the V words change, is learned; it begins at 0.
        characters: How many characters there are.
        character_network: How they are read; "none" leaves them out.
        character_embedding_size: The width of a character's embedding.
        character_size: The width of what the network makes of them.
        ngrams: How many hashed n-grams of characters there are; 0 leaves them out (Bojanowski et al., "Enriching word
            vectors with subword information", TACL 2017).
        ngram_size: The width of their embedding.
        features: For each further feature how many values it has.
        feature_size: The width of each one's embedding.
        occurrences: What reads the other occurrences of a word in its document, among the vectors; None leaves them
            out.
        dropout: Rate of dropout on the whole, and on the embeddings of characters.

    Raises:
        SettingError: Nothing is to be read of a word, or other occurrences of words without vectors.

    Example:
        >>> inputs = TokenInput(words=10, word_size=4, characters=5, character_size=6)
        >>> inputs.width
        10
    """

    vectors: Tensor | None

    def __init__(
        self,
        words: int,
        word_size: int,
        *,
        vectors: Tensor | None = None,
        tune_vectors: bool = False,
        characters: int = 0,
        character_network: CharacterNetwork = "cnn",
        character_embedding_size: int = 30,
        character_size: int = 60,
        ngrams: int = 0,
        ngram_size: int = 50,
        features: Sequence[int] = (),
        feature_size: int = 12,
        occurrences: OccurrenceReader | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if occurrences is not None and vectors is None:
            raise SettingError("the other occurrences of a word are read by vectors; give vectors, or leave them out")
        if character_network not in get_args(CharacterNetwork):
            known = ", ".join(get_args(CharacterNetwork))
            raise SettingError(f"there is no character network {character_network!r}; choose one of: {known}")
        self.words = Embedding(words, word_size) if word_size else None
        if self.words is not None:
            nn.init.uniform_(self.words.weight, -0.1, 0.1)
        # The first row is that of words without a vector.
        padded = None if vectors is None else F.pad(vectors, (0, 0, 1, 0)).half()
        self.register_buffer("vectors", padded)
        self.changes = nn.Embedding(words, vectors.shape[1]) if tune_vectors and vectors is not None else None
        if self.changes is not None:
            nn.init.zeros_(self.changes.weight)
        self.characters = (
            CharacterReader(characters, character_embedding_size, character_size, character_network, dropout)
            if characters and character_network != "none"
            else None
        )
        self.ngrams = EmbeddingBag(ngrams + 1, ngram_size, padding_idx=0) if ngrams else None
        if self.ngrams is not None:
            nn.init.normal_(self.ngrams.weight, std=0.1)
            with torch.no_grad():
                self.ngrams.weight[0] = 0
        self.features = nn.ModuleList(nn.Embedding(size, feature_size) for size in features)
        self.occurrences = occurrences
        self.dropout = Dropout(check_rate("dropout", dropout))
        self.width = (
            (word_size if self.words is not None else 0)
            + (0 if vectors is None else vectors.shape[1])
            + (self.characters.output_size if self.characters is not None else 0)
            + (ngram_size if ngrams else 0)
            + feature_size * len(features)
            + (0 if occurrences is None else occurrences.output_size)
        )
        if not self.width:
            raise SettingError("nothing is read of a word: give word_size, vectors, characters, n-grams or features")

    def forward(self, tokens: Tokens) -> Tensor:
        """The vectors (B, T, width) of words."""
        parts: list[Tensor] = []
        if self.words is not None:
            parts.append(self.words(tokens.words))
        if self.vectors is not None:
            vectors = F.embedding(tokens.vectors, self.vectors).to(self.dtype)
            parts.append(vectors if self.changes is None else vectors + self.changes(tokens.words))
        if self.characters is not None or self.ngrams is not None:
            parts += self._by_spelling(tokens)
        parts += [embedding(tokens.features[:, :, k]) for k, embedding in enumerate(self.features)]
        if self.occurrences is not None and self.vectors is not None:
            assert tokens.occurrences is not None
            parts.append(self.occurrences(tokens.occurrences, self.vectors))
        return self.dropout(torch.cat(parts, 2))  # type: ignore[no-any-return]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the parameters; float32 where there is none."""
        parameter = next(self.parameters(), None)
        return torch.float32 if parameter is None else parameter.dtype

    def _by_spelling(self, tokens: Tokens) -> list[Tensor]:
        """What is read of the spellings of words, computed once for each of them."""
        forms, inverse = torch.unique(tokens.forms, return_inverse=True)
        # Any occurrence of a spelling will do: the last that is written.
        place = torch.empty(len(forms), dtype=torch.int64, device=forms.device)
        place[inverse.flatten()] = torch.arange(inverse.numel(), device=forms.device)
        parts = []
        if self.characters is not None:
            spelled = tokens.characters.flatten(0, 1)[place]
            parts.append(self.characters(spelled)[inverse])
        if self.ngrams is not None:
            parts.append(self.ngrams(tokens.ngrams.flatten(0, 1)[place])[inverse])
        return parts
