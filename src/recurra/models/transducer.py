"""The transducer: a recogniser that writes labels while it hears, each knowing those before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.checks import whole_number
from recurra.models.encoder import Encoder
from recurra.models.recogniser import BLANK, Recogniser, RecogniserStream
from recurra.models.subsampling import Subsampling
from recurra.nn.dropout import Dropout, check_rate
from recurra.nn.embedding import Embedding
from recurra.nn.recurrent import Recurrent
from recurra.nn.transducer_loss import transducer_loss

__all__ = ["PredictionNetwork", "SpeechModel", "Transducer", "TransducerScores"]

LabelState = dict[str, Tensor]
"""The state of the prediction network, (L, R, H) by name."""


class TransducerScores(NamedTuple):
    """What a transducer makes of recordings before any label is known.

    Attributes:
        encoded: What the joint reads of each frame, (B, T', J).
        lengths: How many frames of each row count, after subsampling, (B,).
    """

    encoded: Tensor
    lengths: Tensor


class PredictionNetwork(nn.Module):
    """A language model without a readout: what the joint reads of the labels so far.

        g<u> = P recurrent network(E y<0..u>) + c,        where y<0> is the blank

    The row of the blank is a vector as any other one, which is learned: were it zero and never trained, as that of
    padding is, the network would begin every transcript from a place that it was never in.

    Args:
        labels: V, how many labels there are without the blank.
        cell: The cell, its name or its equations.
        embedding_size: The width of the embeddings.
        hidden_size: H, the width of the recurrent layers.
        num_layers: How many recurrent layers there are.
        joint_size: J, what the joint reads.
        dropout: Rate of dropout on the embeddings and the outputs.
    """

    def __init__(
        self,
        labels: int,
        cell: Cell | str,
        embedding_size: int,
        hidden_size: int,
        num_layers: int,
        joint_size: int,
        dropout: float = 0.0,
        **recurrent: Any,  # noqa: ANN401  (handed on as it is)
    ) -> None:
        super().__init__()
        self.embedding = Embedding(labels + 1, embedding_size)
        self.recurrent = Recurrent(cell, embedding_size, hidden_size, num_layers, False, dropout, **recurrent)
        self.dropout = Dropout(check_rate("dropout", dropout))
        self.projection = nn.Linear(hidden_size, joint_size)

    def forward(self, labels: Tensor, state: Mapping[str, Tensor] | None = None) -> tuple[Tensor, LabelState]:
        """What the joint reads after each label, and the state after the last.

        Args:
            labels: The labels, (R, U).
            state: The state before the first; None at the beginning, where the first label is the blank.

        Returns:
            (R, U, J) and the state.
        """
        outputs, after = self.recurrent(self.dropout(self.embedding(labels)), state)
        return self.projection(self.dropout(outputs)), after


class Transducer(nn.Module):
    """A recurrent neural network transducer.

        e<1..T'> = Q encoder(subsampling(x<1..T>))        g<0..U> = prediction network(blank, y<1..U>)
        p(k | t, u) = softmax(W tanh(e<t> + g<u>) + b)<k>,        over V labels and a blank
        p(y | x) = sum over all ways through the lattice of frames and labels; see `transducer_loss`

    Graves, "Sequence transduction with recurrent neural networks", 2012; the joint as in Graves, Mohamed and Hinton,
    "Speech recognition with deep recurrent neural networks", ICASSP 2013. Unlike CTC, a frame may have more than one
    label, and what was written counts.

    Args:
        subsampling: What makes fewer frames of the frames of sound.
        encoder: What reads those.
        labels: V, how many labels there are without the blank.
        cell: The cell of the prediction network, its name or its equations.
        embedding_size: The width of its embeddings.
        hidden_size: The width of its recurrent layers.
        num_layers: How many of them there are.
        joint_size: J, the width of the joint.
        dropout: Rate of dropout in the prediction network.
        **recurrent: What else its `Recurrent` takes.

    Raises:
        SettingError: A value is impossible.

    Example:
        >>> encoder = Encoder(nn.Identity(), Recurrent("gru", 16, 8))
        >>> model = Transducer(Subsampling(40, 16), encoder, labels=3, embedding_size=4, hidden_size=8, joint_size=8)
        >>> scores, state = model(torch.randn(2, 30, 40), lengths=[30, 17])
        >>> scores.encoded.shape, scores.lengths.tolist()
        (torch.Size([2, 8, 8]), [8, 5])
        >>> model.loss(scores, torch.tensor([[1, 2, 2], [3, 0, 0]]), torch.tensor([3, 1])).shape
        torch.Size([2])
    """

    def __init__(
        self,
        subsampling: Subsampling,
        encoder: Encoder,
        labels: int,
        cell: Cell | str = "lstm",
        embedding_size: int = 64,
        hidden_size: int = 128,
        num_layers: int = 1,
        joint_size: int = 128,
        dropout: float = 0.0,
        **recurrent: Any,  # noqa: ANN401  (handed on as it is)
    ) -> None:
        super().__init__()
        self.subsampling, self.encoder = subsampling, encoder
        labels = whole_number("labels", labels, 1)
        joint_size = whole_number("joint_size", joint_size, 1)
        self.prediction = PredictionNetwork(
            labels, cell, embedding_size, hidden_size, num_layers, joint_size, dropout, **recurrent
        )
        self.projection = nn.Linear(encoder.width, joint_size, bias=False)  # that of the prediction network has one
        self.readout = nn.Linear(joint_size, labels + 1)

    def forward(
        self,
        x: Tensor,
        state: Mapping[str, Tensor] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[TransducerScores, dict[str, Tensor]]:
        """What the joint reads of the frames, and the state after each row's last frame.

        Args:
            x: Features of sound, (B, T, I).
            state: The state of the encoder before the first frame, (L · D, B, H) by name; zero if not given.
            lengths: How many frames of each row count, (B,), each 1 or more; None for all.
        """
        vectors, ends = self.subsampling(x, lengths)
        encoded = self.encoder(vectors, state, ends)
        return TransducerScores(self.scored(encoded.outputs), ends), encoded.state

    def scored(self, outputs: Tensor) -> Tensor:
        """What the joint reads (..., J) of the encoder's outputs."""
        read: Tensor = self.projection(outputs)
        return read

    def stream(self) -> RecogniserStream:
        """Reads frames as they come, and gives what the joint reads of each; see `Recogniser.stream`.

        Raises:
            SettingError: The encoder reads each recording from its end, too.
        """
        return RecogniserStream(self)

    def loss(self, scores: TransducerScores, targets: Tensor, target_lengths: Tensor) -> Tensor:
        """-log p(y | x) of each row in nats.

        Args:
            scores: What `forward` gave.
            targets: The labels y, (B, U), from 1; what stands past a row's length is not looked at.
            target_lengths: How many each row has, (B,).

        Returns:
            (B,).
        """
        within = torch.arange(targets.shape[1], device=targets.device) < target_lengths[:, None]
        # What is past a row's length comes after its labels, and the network reads forward: it changes none of them.
        read = F.pad(targets.where(within, targets.new_full((), BLANK)), (1, 0), value=BLANK)
        predicted, _ = self.prediction(read)
        return transducer_loss(
            scores.encoded,
            predicted,
            self.readout.weight,
            self.readout.bias,
            targets,
            scores.lengths.to(targets.device),
            target_lengths,
            BLANK,
        )

    # What a search asks for: see `TransducerModel` in decoding.

    def start(self) -> tuple[Tensor, LabelState]:
        """What the joint reads before the first label, (1, J), and the state of the prediction network."""
        return self.after(torch.full((1,), BLANK, device=self.readout.weight.device), None)

    def after(self, labels: Tensor, state: Mapping[str, Tensor] | None) -> tuple[Tensor, LabelState]:
        """What the joint reads after one more label of each of R transcripts, (R, J), and the state.

        Args:
            labels: The labels, (R,).
            state: The state before, of R transcripts.
        """
        predicted, after = self.prediction(labels[:, None], state)
        return predicted[:, 0], after

    def joined(self, encoded: Tensor, predicted: Tensor) -> Tensor:
        """The log-probabilities of the labels and the blank, (R, V + 1).

        Args:
            encoded: What it reads of a frame, (J,).
            predicted: What it reads of R transcripts, (R, J).
        """
        logits: Tensor = self.readout((encoded + predicted).tanh())
        return logits.log_softmax(-1)

    @staticmethod
    def select(state: LabelState, rows: Sequence[int]) -> LabelState:
        """The states of some transcripts."""
        return {name: value[:, list(rows)] for name, value in state.items()}


SpeechModel = Recogniser | Transducer
"""What hears: with a head of CTC, or one that writes."""
