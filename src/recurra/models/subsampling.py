"""Subsampling: convolutions that make fewer frames of many, of as many as there are in each row."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recurra.checks import whole_number
from recurra.errors import SettingError
from recurra.nn.dropout import Dropout, check_rate

__all__ = ["Subsampling", "SubsamplingStream"]


class Subsampling(nn.Module):
    """Convolutions over time, each of which halves the number of frames.

        y<t> = relu(norm(sum over k from -K to K of W<k> x<s t + k> + b)),   s = 2, or 1 without subsampling

    Past its length a row is zero in every layer, and the norm is over the features of a frame (Ba, Kiros and Hinton,
    "Layer normalization", 2016), so that what stands beside a row never changes it. A frame sees `ahead` frames after
    its own and no more, which is what a stream waits for.

    Args:
        inputs: I, the features of a frame.
        size: C, the features of a frame that come out.
        factor: How many frames become one: 1, 2, 4 or 8.
        kernel_size: 2 K + 1, the frames that a convolution sees; odd, 3 or more.
        dropout: Rate of dropout on what comes out.

    Raises:
        SettingError: A value is impossible.

    Example:
        >>> import torch
        >>> vectors, lengths = Subsampling(40, 64)(torch.randn(2, 10, 40), torch.tensor([10, 5]))
        >>> vectors.shape, lengths.tolist()
        (torch.Size([2, 3, 64]), [3, 2])
    """

    def __init__(self, inputs: int, size: int, factor: int = 4, kernel_size: int = 5, dropout: float = 0.0) -> None:
        super().__init__()
        inputs, size = whole_number("inputs", inputs, 1), whole_number("size", size, 1)
        self.kernel_size = whole_number("kernel_size", kernel_size, 3)
        if self.kernel_size % 2 == 0:
            raise SettingError(f"kernel_size is {kernel_size}; it is an odd number of frames, such as 5")
        if factor not in (1, 2, 4, 8):
            raise SettingError(f"factor is {factor!r}; it is 1, 2, 4 or 8 frames that become one")
        self.inputs, self.size, self.factor = inputs, size, factor
        self.stride = 1 if factor == 1 else 2
        count = max(1, factor.bit_length() - 1)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(size if number else inputs, size, self.kernel_size, self.stride) for number in range(count)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(count))
        self.dropout = Dropout(check_rate("dropout", dropout))

    @property
    def ahead(self) -> int:
        """How many frames after the first of those that it stands for a frame sees."""
        return sum(self.kernel_size // 2 * self.stride**number for number in range(len(self.convolutions)))

    def frames_of(self, frames: int) -> int:
        """How many frames become of so many."""
        return -(-frames // self.factor)

    def forward(self, frames: Tensor, lengths: Tensor | Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Fewer frames.

        Args:
            frames: Features, (B, T, I).
            lengths: How many frames of each row count, (B,); None for all.

        Returns:
            The frames, (B, ⌈T / factor⌉, C), zero past a row's length; and their lengths.
        """
        rows, steps = frames.shape[:2]
        ends = torch.as_tensor(steps if lengths is None else lengths, device=frames.device).expand(rows)
        values = _until(frames, ends)
        reach = self.kernel_size // 2
        for number in range(len(self.convolutions)):
            values = self.layer(number, F.pad(values, (0, 0, reach, reach)))
            ends = -(-ends // self.stride)
            values = _until(values, ends)
        return self.dropout(values), ends

    def layer(self, number: int, frames: Tensor) -> Tensor:
        """One convolution with its norm: as many frames as windows of it lie within the frames.

        Args:
            number: Which, from 0.
            frames: Features, (B, T, I).
        """
        values = self.convolutions[number](frames.transpose(1, 2)).transpose(1, 2)
        return F.relu(self.norms[number](values))

    def stream(self) -> SubsamplingStream:
        """Subsamples frames as they come."""
        return SubsamplingStream(self)


def _until(values: Tensor, ends: Tensor) -> Tensor:
    """Values that are zero past the end of each row."""
    past = torch.arange(values.shape[1], device=values.device) >= ends[:, None]
    return values.masked_fill(past[:, :, None], 0)


class SubsamplingStream:
    """Subsamples frames of one recording as they come: what `Subsampling` makes of the whole, up to rounding.

    Made by `Subsampling.stream`; what it keeps does not grow.

    Args:
        model: The convolutions.

    Example:
        >>> import torch
        >>> model, frames = Subsampling(3, 4).eval(), torch.randn(10, 3)
        >>> stream = model.stream()
        >>> pieces = [stream.push(frames[:7]), stream.push(frames[7:]), stream.finish()]
        >>> torch.allclose(torch.cat(pieces), model(frames[None])[0][0], atol=1e-6)
        True
    """

    def __init__(self, model: Subsampling) -> None:
        self._model = model
        self._reach = model.kernel_size // 2
        self._begin()

    def _begin(self) -> None:
        layers = len(self._model.convolutions)
        weight = next(self._model.parameters())
        widths = [self._model.inputs, *[self._model.size] * (layers - 1)]
        # Before the first frame stand zeros, as many as a window reaches back.
        self._kept = [weight.new_zeros(self._reach, width) for width in widths]

    @torch.no_grad()
    def push(self, frames: Tensor) -> Tensor:
        """The frames that are known after the next ones.

        Args:
            frames: Features, (T, I).

        Returns:
            (T', C).
        """
        for number in range(len(self._kept)):
            frames = self._advance(number, frames)
        return frames

    @torch.no_grad()
    def finish(self) -> Tensor:
        """The frames that are held back at the end; the next frame begins another recording.

        Returns:
            (T', C).
        """
        frames = self._kept[0][:0]
        for number in range(len(self._kept)):
            past = self._kept[number].new_zeros(self._reach, frames.shape[1])
            frames = self._advance(number, torch.cat([frames, past]))
        self._begin()
        return frames

    def _advance(self, number: int, frames: Tensor) -> Tensor:
        """One convolution over what is kept and what is new."""
        kept = torch.cat([self._kept[number], frames])
        count = (len(kept) - self._model.kernel_size) // self._model.stride + 1
        if count < 1:
            self._kept[number] = kept
            return kept.new_zeros(0, self._model.size)
        self._kept[number] = kept[count * self._model.stride :]
        return self._model.layer(number, kept[None])[0]
