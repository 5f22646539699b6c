"""Recordings of any length in memory that does not grow with them: read in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from recurra.models.recogniser import Recogniser
    from recurra.models.transducer import Transducer

__all__ = ["read_in_pieces"]


def read_in_pieces(model: Recogniser | Transducer, frames: Tensor, piece: int = 30_000, around: int = 1_000) -> Tensor:
    """The log-probabilities of a recording that is read in pieces.

    A network of one direction carries its state from piece to piece, so that they are those of the whole, up to
    rounding. One of both directions reads each piece together with what stands around it, which is then thrown away:
    what it says of a frame depends on no more than `around` frames before and after the piece.

    Args:
        model: The recogniser, or a transducer, of which it gives what the joint reads.
        frames: Features of sound, (T, I).
        piece: How many frames are read at a time.
        around: How many frames before and after a piece are read with it.

    Returns:
        (T', V + 1).

    Example:
        >>> from torch import nn
        >>> from recurra.models.encoder import Encoder
        >>> from recurra.models.recogniser import Recogniser
        >>> from recurra.models.subsampling import Subsampling
        >>> from recurra.nn.recurrent import Recurrent
        >>> model = Recogniser(Subsampling(3, 8), Encoder(nn.Identity(), Recurrent("gru", 8, 4)), labels=2).eval()
        >>> frames = torch.randn(101, 3)
        >>> whole = model(frames[None])[0].log_probabilities[0]
        >>> torch.allclose(read_in_pieces(model, frames, piece=20), whole, atol=1e-5)
        True
    """
    factor = model.subsampling.factor
    piece, around = max(1, piece // factor), -(-around // factor)
    steps = model.subsampling.frames_of(len(frames))
    if model.encoder.recurrent.bidirectional:
        read = []
        for begin in range(0, steps, piece):
            first, last = max(0, begin - around), begin + piece + around
            scores, _ = model(frames[None, first * factor : last * factor])
            end = min(begin + piece, steps)
            read.append(scores[0][0, begin - first : end - first])
        return torch.cat(read)
    return _carried(model, frames, piece, steps)


def _carried(model: Recogniser | Transducer, frames: Tensor, piece: int, steps: int) -> Tensor:
    """What a network of one direction reads, its state carried from piece to piece."""
    factor, lookahead = model.subsampling.factor, model.encoder.lookahead
    margin = -(-model.subsampling.ahead // factor)
    state, outputs = None, []
    for begin in range(0, steps + lookahead, piece):
        end = min(begin + piece, steps)
        first, last = max(0, begin - margin), end + margin
        if begin < steps:
            vectors, _ = model.subsampling(frames[None, first * factor : last * factor])
            vectors = vectors[:, begin - first : end - first]
        else:
            vectors = frames.new_zeros(1, 0, model.subsampling.size)
        past = min(begin + piece, steps + lookahead) - max(begin, steps)
        if past > 0:  # what stands past the end is zero
            vectors = torch.cat([vectors, vectors.new_zeros(1, past, vectors.shape[2])], 1)
        hidden, state = model.encoder.recurrent(vectors, state)
        outputs.append(model.scored(model.encoder.dropout(hidden[0])))
    return torch.cat(outputs)[lookahead:]
