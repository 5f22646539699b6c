"""The loss of a recurrent transducer, without the logits of its lattice ever being stored whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from recurra.errors import ShapeError

__all__ = ["transducer_loss"]

CHUNK = 2**20
"""How many logits are worked on at a time: 4 MB of 32-bit numbers."""

NEVER = -torch.inf


def transducer_loss(
    encoded: Tensor,
    predicted: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    lengths: Tensor,
    target_lengths: Tensor,
    blank: int = 0,
) -> Tensor:
    r"""-log p(y | x) of each utterance, summed over all ways through the lattice of frames and labels.

        h<t,u> = tanh(e<t> + g<u>)        z<t,u> = W h<t,u> + b        p<t,u> = softmax(z<t,u>)
        α(t, u) = α(t-1, u) p<t-1,u>(blank) + α(t, u-1) p<t,u-1>(y<u>),        α(1, 0) = 1
        p(y | x) = α(T, U) p<T,U>(blank)

    Graves, "Sequence transduction with recurrent neural networks", 2012. Of the V logits of a point only three numbers
    are kept, that of the blank, that of the next label and the logarithm of the sum: so the lattice is gone through
    some frames at a time, and again for the gradient (function merging: Li et al., "Improving RNN transducer modeling
    for end-to-end speech recognition", ASRU 2019). Its memory is B × T × U, not B × T × U × V. Points that are past an
    utterance's lengths are never computed, so batch mates cannot matter.

    The network's logits come from what is given, and are normalised here: no one needs to know whether to give logits
    or log-probabilities.

    Args:
        encoded: e, what the encoder makes of the frames, projected to the joint, (B, T, J).
        predicted: g, what the prediction network makes of the labels so far, projected, (B, U + 1, J).
        weight: W, (V + 1, J).
        bias: b, (V + 1,).
        targets: The labels y, (B, U), none of them the blank; what stands past a row's length is not looked at.
        lengths: How many frames of each row count, (B,), each 1 or more.
        target_lengths: How many labels each row has, (B,).
        blank: The id of the blank.

    Returns:
        (B,) in nats. It has a gradient, but that has none of its own.

    Raises:
        ShapeError: The shapes or lengths do not belong together, or a label is the blank or none of the V.

    Example:
        >>> encoded, predicted = torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)
        >>> weight, bias = torch.zeros(4, 4), torch.zeros(4)
        >>> loss = transducer_loss(
        ...     encoded, predicted, weight, bias, torch.tensor([[3]]), torch.tensor([2]), torch.tensor([1])
        ... )
        >>> (-loss).exp().tolist()  # two ways of three steps, each of 1/4
        [0.03125]
    """
    _check(encoded, predicted, weight, bias, targets, lengths, target_lengths, blank)
    loss: Tensor = _TransducerLoss.apply(  # type: ignore[no-untyped-call]
        encoded, predicted, weight, bias, targets, lengths.tolist(), target_lengths.tolist(), blank
    )
    return loss


def _check(
    encoded: Tensor,
    predicted: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    lengths: Tensor,
    target_lengths: Tensor,
    blank: int,
) -> None:
    shapes = {"encoded": encoded, "predicted": predicted, "weight": weight, "bias": bias, "targets": targets}
    fits = (
        [tensor.dim() for tensor in shapes.values()] == [3, 3, 2, 1, 2]
        and len(encoded) == len(predicted) == len(targets)
        and predicted.shape[1] == targets.shape[1] + 1
        and encoded.shape[2] == predicted.shape[2] == weight.shape[1]
        and len(weight) == len(bias)
        and lengths.shape == target_lengths.shape == (len(encoded),)
    )
    if not fits:
        told = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in shapes.items())
        raise ShapeError(
            f"{told}, lengths {tuple(lengths.shape)} and {tuple(target_lengths.shape)}; expected (B, T, J), "
            "(B, U + 1, J), (V + 1, J), (V + 1,), (B, U), (B,) and (B,)"
        )
    for name, ends, least, most in (
        ("lengths", lengths, 1, encoded.shape[1]),
        ("target_lengths", target_lengths, 0, targets.shape[1]),
    ):
        if len(ends) and not (least <= int(ends.min()) and int(ends.max()) <= most):
            raise ShapeError(f"{name} are {least} to {most} here; these are {ends.tolist()}")
    within = torch.arange(targets.shape[1], device=targets.device) < target_lengths[:, None]
    wrong = targets[within & ((targets < 0) | (targets >= len(weight)) | (targets == blank))]
    if len(wrong):
        raise ShapeError(f"the label {int(wrong[0])} is not one of 0 to {len(weight) - 1} without the blank, {blank}")


class _Chunk(NamedTuple):
    """Some frames of one utterance, with all its labels.

    Attributes:
        row: Which utterance.
        frames: Which of its frames.
        labels: Its points along the labels, U + 1.
        hidden: h of these points, (frames, U + 1, J).
        logits: z of these points, (frames x (U + 1), V + 1).
    """

    row: int
    frames: slice
    labels: slice
    hidden: Tensor
    logits: Tensor


def _chunks(
    encoded: Tensor, predicted: Tensor, weight: Tensor, bias: Tensor, lengths: list[int], target_lengths: list[int]
) -> Iterator[_Chunk]:
    """The points of the lattices some frames at a time: always the same ones, whatever the batch."""
    transposed = weight.T
    for row, (steps, labels) in enumerate(zip(lengths, target_lengths, strict=True)):
        some = max(1, CHUNK // ((labels + 1) * len(weight)))
        for first in range(0, steps, some):
            frames = slice(first, min(first + some, steps))
            hidden = (encoded[row, frames, None] + predicted[row, None, : labels + 1]).tanh_()
            logits = torch.addmm(bias, hidden.flatten(0, 1), transposed)
            yield _Chunk(row, frames, slice(labels + 1), hidden, logits)
            del hidden, logits  # before the next ones are made


class _TransducerLoss(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx,  # noqa: ANN001
        encoded: Tensor,
        predicted: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        lengths: list[int],
        target_lengths: list[int],
        blank: int,
    ) -> Tensor:
        size = (*encoded.shape[:2], predicted.shape[1])
        sums, blanks, labels = (encoded.new_zeros(size) for _ in range(3))
        for chunk in _chunks(encoded, predicted, weight, bias, lengths, target_lengths):
            at = (chunk.row, chunk.frames, chunk.labels)
            points = chunk.hidden.shape[:2]
            sums[at] = chunk.logits.logsumexp(1).view(points)
            blanks[at] = chunk.logits[:, blank].view(points)
            spelled = targets[chunk.row, : points[1] - 1]
            labels[at][:, :-1] = chunk.logits.view(*points, -1)[:, :-1].gather(
                2, spelled.expand(points[0], -1)[..., None]
            )[..., 0]
        lattice = _Lattice(blanks - sums, labels - sums, lengths, target_lengths)
        ctx.save_for_backward(
            encoded, predicted, weight, bias, targets, sums, *(share.to(encoded.dtype) for share in lattice.shares())
        )
        ctx.lengths, ctx.target_lengths, ctx.blank = lengths, target_lengths, blank
        return -lattice.total.to(encoded.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        encoded, predicted, weight, bias, targets, sums, of_blank, of_label = ctx.saved_tensors
        gradients = [torch.zeros_like(tensor) for tensor in (encoded, predicted, weight, bias)]
        to_encoded, to_predicted, to_weight, to_bias = gradients
        for chunk in _chunks(encoded, predicted, weight, bias, ctx.lengths, ctx.target_lengths):
            at = (chunk.row, chunk.frames, chunk.labels)
            frames, labels = chunk.hidden.shape[:2]
            scale = upstream[chunk.row]
            blanks, spelled = of_blank[at] * scale, of_label[at] * scale
            # dloss/dz = (share of the blank + share of the label) softmax(z) - each of the two at its own class.
            to_logits = chunk.logits.sub_(sums[at].reshape(-1, 1)).exp_().mul_((blanks + spelled).reshape(-1, 1))
            to_logits[:, ctx.blank] -= blanks.reshape(-1)
            by_point = to_logits.view(frames, labels, -1)
            classes = targets[chunk.row, : labels - 1].expand(frames, -1)[..., None]
            by_point[:, :-1].scatter_add_(2, classes, -spelled[:, :-1, None])
            hidden = chunk.hidden.flatten(0, 1)
            to_weight.addmm_(to_logits.T, hidden)
            to_bias += to_logits.sum(0)
            to_hidden = (to_logits @ weight).mul_(1 - hidden * hidden).view(frames, labels, -1)
            to_encoded[chunk.row, chunk.frames] = to_hidden.sum(1)
            to_predicted[chunk.row, chunk.labels] += to_hidden.sum(0)
        return (*gradients, None, None, None, None)


class _Lattice:
    """Sums over all ways through the lattice, a diagonal of frames and labels t + u = d at a time, in float64.

    Args:
        blanks: The log-probabilities of going on to the next frame, (B, T, U + 1).
        labels: Those of going on to the next label.
        lengths: How many frames count.
        target_lengths: How many labels count.
    """

    def __init__(self, blanks: Tensor, labels: Tensor, lengths: list[int], target_lengths: list[int]) -> None:
        rows, steps, points = blanks.shape
        self.rows = torch.arange(rows, device=blanks.device)
        self.ends = torch.tensor(lengths, device=blanks.device)
        self.lasts = torch.tensor(target_lengths, device=blanks.device)
        # The frame of each point of each diagonal, and which of the points are in the lattice.
        diagonals = torch.arange(steps + points - 1, device=blanks.device)[:, None]
        label = torch.arange(points, device=blanks.device)
        self.frames = diagonals - label  # (D, U + 1)
        frames = self.frames[None]
        inside = (frames >= 0) & (frames < self.ends[:, None, None]) & (label <= self.lasts[:, None, None])
        self.size = (rows, steps, points)
        self.blanks = self._skewed(blanks).masked_fill(~inside, NEVER)
        self.labels = self._skewed(labels).masked_fill(~(inside & (label < self.lasts[:, None, None])), NEVER)
        # The blank of the last frame ends the utterance, where all labels are spelled, and else leads nowhere.
        self.final = inside & (frames == self.ends[:, None, None] - 1) & (label == self.lasts[:, None, None])
        self.ending = torch.where(self.final, self.blanks, NEVER)
        self.blanks = self.blanks.masked_fill(frames == self.ends[:, None, None] - 1, NEVER)
        self.forward = self._forward()
        self.total = torch.where(self.final, self.forward + self.ending, NEVER).flatten(1).logsumexp(1)

    def _skewed(self, values: Tensor) -> Tensor:
        """Numbers (B, T, U + 1) by diagonal, (B, D, U + 1)."""
        index = self.frames.clamp(0, self.size[1] - 1)
        return values.double().gather(1, index.expand(self.size[0], -1, -1))

    def _straight(self, values: Tensor) -> Tensor:
        """Numbers by diagonal as (B, T, U + 1)."""
        steps, points = self.size[1:]
        index = torch.arange(steps, device=values.device)[:, None] + torch.arange(points, device=values.device)
        return values.gather(1, index.expand(self.size[0], -1, -1))

    def _forward(self) -> Tensor:
        """Log α of each point, (B, D, U + 1)."""
        reached = self.blanks.new_full((self.size[0], self.size[2]), NEVER)
        reached[:, 0] = 0.0
        every = [reached]
        for blanks, labels in zip(self.blanks.unbind(1)[:-1], self.labels.unbind(1)[:-1], strict=True):
            by_label = F.pad((reached + labels)[:, :-1], (1, 0), value=NEVER)
            reached = torch.logaddexp(reached + blanks, by_label)
            every.append(reached)
        return torch.stack(every, 1)

    def shares(self) -> tuple[Tensor, Tensor]:
        """The share of all ways that goes on with the blank, and with the label, at each point: (B, T, U + 1) each."""
        # log β of the points of the next diagonal; of the point after the end it is 0.
        onward = self.blanks.new_full((self.size[0], self.size[2]), NEVER)
        by_blank, by_label = [], []
        for d in range(self.blanks.shape[1] - 1, -1, -1):
            blank = torch.logaddexp(onward + self.blanks[:, d], self.ending[:, d])
            label = F.pad(onward[:, 1:], (0, 1), value=NEVER) + self.labels[:, d]
            rest = self.forward[:, d] - self.total[:, None]
            by_blank.append((rest + blank).exp())
            by_label.append((rest + label).exp())
            onward = torch.logaddexp(blank, label)
        shares = [self._straight(torch.stack(by_diagonal[::-1], 1)) for by_diagonal in (by_blank, by_label)]
        return shares[0], shares[1]
