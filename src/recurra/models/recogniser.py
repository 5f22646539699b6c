"""The recogniser: labels that are heard in frames of sound, many to many of different length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.checks import whole_number
from recurra.errors import SettingError
from recurra.models.encoder import Encoder
from recurra.models.subsampling import Subsampling

if TYPE_CHECKING:
    from recurra.models.transducer import Transducer

__all__ = ["BLANK", "Recogniser", "RecogniserScores", "RecogniserStream"]

BLANK = 0
"""The label that stands for nothing."""


class RecogniserScores(NamedTuple):
    """What a recogniser says of recordings.

    Attributes:
        log_probabilities: Natural logarithms of the probability of each label at each frame, (B, T', V + 1); that of
            the blank is the first.
        lengths: How many frames of each row count, after subsampling, (B,).
    """

    log_probabilities: Tensor
    lengths: Tensor


class Recogniser(nn.Module):
    """A recurrent recogniser of connectionist temporal classification.

        v<1..T'> = subsampling(x<1..T>)
        h<1..T'> = encoder(v<1..T'>)
        p<t>     = softmax(W h<t> + b),              over V labels and a blank
        p(y | x) = sum over all ways through p<1..T'> that spell y when repeats are merged and blanks dropped

    Graves, Fernández, Gomez and Schmidhuber, "Connectionist temporal classification: labelling unsegmented sequence
    data with recurrent neural networks", ICML 2006.

    Args:
        subsampling: What makes fewer frames of the frames of sound.
        encoder: What reads those.
        labels: V, how many labels there are without the blank.

    Raises:
        SettingError: A value is impossible.

    Example:
        >>> import torch
        >>> from recurra.nn.recurrent import Recurrent
        >>> encoder = Encoder(nn.Identity(), Recurrent("gru", 16, 8, bidirectional=True))
        >>> model = Recogniser(Subsampling(40, 16), encoder, labels=3)
        >>> scores, state = model(torch.randn(2, 30, 40), lengths=[30, 17])
        >>> scores.log_probabilities.shape, scores.lengths.tolist()
        (torch.Size([2, 8, 4]), [8, 5])
        >>> model.loss(scores, torch.tensor([[1, 2, 2], [3, 0, 0]]), torch.tensor([3, 1])).shape
        torch.Size([2])
    """

    def __init__(self, subsampling: Subsampling, encoder: Encoder, labels: int) -> None:
        super().__init__()
        self.subsampling, self.encoder = subsampling, encoder
        self.readout = nn.Linear(encoder.width, whole_number("labels", labels, 1) + 1)

    def forward(
        self,
        x: Tensor,
        state: Mapping[str, Tensor] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[RecogniserScores, dict[str, Tensor]]:
        """Log-probabilities of labels, and the state after each row's last frame.

        Args:
            x: Features of sound, (B, T, I).
            state: The state of the recurrent layers before the first frame, (L · D, B, H) by name; zero if not given.
                Recordings that come in pieces are read by `stream`, which also keeps what convolutions reach back to.
            lengths: How many frames of each row count, (B,), each 1 or more; None for all.
        """
        vectors, ends = self.subsampling(x, lengths)
        encoded = self.encoder(vectors, state, ends)
        return RecogniserScores(self.scored(encoded.outputs), ends), encoded.state

    def scored(self, outputs: Tensor) -> Tensor:
        """The log-probabilities (..., V + 1) that the readout makes of the encoder's outputs."""
        return F.log_softmax(self.readout(outputs), -1)

    @staticmethod
    def loss(scores: RecogniserScores, targets: Tensor, target_lengths: Tensor) -> Tensor:
        """-log p(y | x) of each row in nats; infinite where no way spells y.

        Args:
            scores: What `forward` gave.
            targets: The labels y, (B, U), from 1; what stands past a row's length is not looked at.
            target_lengths: How many each row has, (B,).

        Returns:
            (B,).
        """
        log_probabilities, ends = scores.log_probabilities.float().transpose(0, 1), scores.lengths
        within = torch.arange(targets.shape[1], device=targets.device) < target_lengths[:, None]
        return F.ctc_loss(
            log_probabilities,
            targets.where(within, targets.new_ones(())),
            ends,
            target_lengths,
            blank=BLANK,
            reduction="none",
        )

    def stream(self) -> RecogniserStream:
        """Reads frames as they come, with the log-probabilities that `forward` gives of the whole, up to rounding.

        Raises:
            SettingError: The network reads each recording from its end, too.
        """
        return RecogniserStream(self)


class RecogniserStream:
    """A recording that is read while it is heard: the log-probabilities of the whole, each as soon as it is known.

    Made by `Recogniser.stream`. Those of a frame are known when `delay` more frames of sound than its own have come.
    It runs as the model does in eval mode, the weights of the recurrent layers are packed when it is made, and what it
    keeps does not grow.

    Args:
        model: The recogniser, or a transducer, of which it gives what the joint reads; its encoder has one direction.

    Raises:
        SettingError: The network reads each recording from its end, too.

    Example:
        >>> import torch
        >>> from recurra.nn.recurrent import Recurrent
        >>> model = Recogniser(Subsampling(5, 8), Encoder(nn.Identity(), Recurrent("gru", 8, 6), lookahead=2), 3).eval()
        >>> frames, stream = torch.randn(50, 5), model.stream()
        >>> streamed = torch.cat([*(stream.push(frames[t : t + 7]) for t in range(0, 50, 7)), stream.finish()])
        >>> torch.allclose(streamed, model(frames[None])[0].log_probabilities[0], atol=1e-5), stream.delay
        (True, 14)
    """

    def __init__(self, model: Recogniser | Transducer) -> None:
        if model.encoder.recurrent.bidirectional:
            raise SettingError(
                "this recogniser reads each recording from its end, too, so it knows no word before the last is heard; "
                "train one with --no-bidirectional"
            )
        self._model = model
        self._frames = model.subsampling.stream()
        self._layers = model.encoder.recurrent.stream()
        self._ahead = model.encoder.lookahead
        self._steps = 0

    @property
    def delay(self) -> int:
        """How many frames of sound after its first one a frame of log-probabilities takes."""
        return self._model.subsampling.ahead + self._ahead * self._model.subsampling.factor

    @torch.no_grad()
    def push(self, frames: Tensor) -> Tensor:
        """The log-probabilities that are known after the next frames.

        Args:
            frames: Features of sound, (T, I).

        Returns:
            (T', V + 1).
        """
        return self._read(self._frames.push(frames))

    @torch.no_grad()
    def finish(self) -> Tensor:
        """The log-probabilities that are held back at the end; the next frame begins another recording.

        Returns:
            (T', V + 1).
        """
        read = self._read(self._frames.finish())
        if self._steps:
            read = torch.cat([read, self._read(self._model.readout.weight.new_zeros(self._ahead, self._width))])
        self._layers.reset()
        self._steps = 0
        return read

    @property
    def _width(self) -> int:
        return self._model.encoder.recurrent.input_size

    def _read(self, vectors: Tensor) -> Tensor:
        """What the recurrent layers and the readout make of subsampled frames."""
        outputs = []
        for vector in vectors:
            hidden = self._layers.step(vector[None])
            self._steps += 1
            if self._steps > self._ahead:
                outputs.append(hidden[0].clone())
        hidden = torch.stack(outputs) if outputs else vectors.new_zeros(0, self._model.encoder.width)
        return self._model.scored(hidden)
