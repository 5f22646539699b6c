"""The loss of a readout with many classes, without its logits ever being stored whole."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.backends import gate
from recurra.backends.cpu import readout, spare
from recurra.checks import is_number
from recurra.errors import BackendError, SettingError, ShapeError

__all__ = ["compiled_refusal", "readout_loss"]

CHUNK = 2**22
"""How many logits are worked on at a time: 16 MB of 32-bit numbers, about what the last cache of a processor holds."""


def readout_loss(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The cross-entropy of a linear readout, summed over all steps that have a target.

        z = W h + b        p = softmax(z)        loss = Σ -(1 - ε) log p[y] - ε mean(log p)
        dloss/dz = p - (1 - ε) onehot(y) - ε/V        dloss/dh = Wᵀ dz        dloss/dW = Σ dz hᵀ        dloss/db = Σ dz

    With label smoothing, ε > 0, the target is a distribution with the share ε spread evenly over all classes (Szegedy
    et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016); without, mean(log p) is left out.

    The gradient of the loss by the logits is known as soon as the logits are. On a processor the steps are therefore
    taken some at a time: their logits become, in place, gradients, which are multiplied out at once, and the next steps
    use the same memory. That is as much arithmetic as F.linear, F.cross_entropy and their backward pass take, but fewer
    ways through memory, and no array of (steps, V) beyond `CHUNK` numbers. It is compiled code that does so, as for a
    cell, twice as fast as torch's library; see `compiled_refusal` for where it is torch's functions in place. On other
    devices, and under autocast, F.linear and F.cross_entropy are what runs.

    Args:
        hidden: The outputs h, (..., H).
        weight: W, (V, H).
        bias: b, (V,), or None.
        targets: The classes y, (...) whole numbers below V.
        ignore_index: The target that counts for nothing; its steps are left out of the work.
        label_smoothing: ε, from 0 to 1.

    Returns:
        The loss in nats, a scalar. It has a gradient, but that has none of its own.

    Raises:
        ShapeError: The shapes do not fit one another, or a target is not below V.
        SettingError: The label smoothing is no number from 0 to 1.
        BackendError: A second derivative is asked for.

    Example:
        >>> hidden, weight, bias = torch.randn(5, 3), torch.randn(7, 3), torch.zeros(7)
        >>> targets = torch.tensor([1, 6, -100, 0, 2])
        >>> plain = F.cross_entropy(F.linear(hidden, weight, bias), targets, reduction="sum")
        >>> bool(torch.isclose(readout_loss(hidden, weight, bias, targets), plain))
        True
    """
    if hidden.shape[:-1] != targets.shape or weight.dim() != 2 or weight.shape[1] != hidden.shape[-1]:
        raise ShapeError(
            f"hidden is {tuple(hidden.shape)}, weight {tuple(weight.shape)} and targets {tuple(targets.shape)}; "
            "expected (..., H), (V, H) and (...)"
        )
    if not (is_number(label_smoothing) and 0 <= label_smoothing <= 1):
        raise SettingError(f"label_smoothing is {label_smoothing!r}; it is a number from 0 to 1")
    rows, answers = hidden.flatten(0, -2), targets.flatten()
    if not _in_place(hidden, weight):
        logits = F.linear(rows, weight, bias)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # a sum over thousands of steps
        return F.cross_entropy(
            logits, answers, reduction="sum", ignore_index=ignore_index, label_smoothing=label_smoothing
        )
    counted = answers != ignore_index
    if not counted.all():
        rows, answers = rows[counted], answers[counted]
    operands = [rows, weight] if bias is None else [rows, weight, bias]
    training = torch.is_grad_enabled() and any(operand.requires_grad for operand in operands)
    return _ReadoutLoss.apply(  # type: ignore[no-any-return,no-untyped-call]
        rows, weight, bias, answers, label_smoothing, training
    )


def _in_place(hidden: Tensor, weight: Tensor) -> bool:
    """Whether the loss can be worked out in place here."""
    here = hidden.device.type == "cpu" and hidden.dtype == weight.dtype and hidden.dtype in _SMALLEST
    return here and not torch.is_autocast_enabled("cpu") and not torch.compiler.is_compiling()


def compiled_refusal(targets: Tensor, operands: Sequence[Tensor]) -> str | None:
    """Why compiled code does not work out the loss of these tensors, but torch's functions do; None if it does.

    This depends on the processor and on what kind of tensors they are, on no measurement and no number of threads, and
    what compiled code gives depends on no number of threads either: a run that is resumed goes on to the last bit.
    """
    if sys.platform == "darwin":
        return "torch's products run on a matrix unit there that compiled code does not reach"
    if gate.watched():
        return "a TorchDispatchMode watches each operation"
    if targets.dtype != torch.int64:
        return f"the targets are {targets.dtype}"
    if not all(map(gate.readable, [targets, *operands])):
        return "a tensor has no memory of its own"
    return gate.tracer()


_SMALLEST = {dtype: torch.finfo(dtype).tiny for dtype in (torch.float32, torch.float64)}
"""The dtypes that are worked on in place, and the smallest of their numbers that has all its digits."""


class _ReadoutLoss(torch.autograd.Function):
    """The loss, with its gradients made in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        rows: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        smoothing: float,
        training: bool,
    ) -> Tensor:
        needs = [needed and training for needed in ctx.needs_input_grad[:3]]
        operands = rows, weight, bias
        steps, classes = len(rows), len(weight)
        compiled = steps > 0 and compiled_refusal(targets, [t for t in operands if t is not None]) is None
        gradients = [
            None if t is None or not needed else _lent(t) if compiled else torch.zeros_like(t)
            for t, needed in zip(operands, needs, strict=True)
        ]
        total = rows.new_zeros(())
        if steps:
            size = -(-steps // -(-steps * classes // CHUNK))  # of equal chunks, the rows of one
            work = _chunks_compiled if compiled else _chunks
            total += work(rows, weight, bias, targets, smoothing, gradients, size)
        ctx.save_for_backward(*gradients)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        if torch.is_grad_enabled():
            raise BackendError(
                "the readout's loss has no second derivative: leave create_graph out, "
                "or use F.cross_entropy on the logits"
            )
        scaled = (None if kept is None else _times(kept, gradient) for kept in ctx.saved_tensors)
        return (*scaled, None, None, None)


def _lent(like: Tensor) -> Tensor:
    """Memory for a gradient, used again when nothing refers to it any more, with the numbers in order."""
    return spare.lend(like.new_empty(()).expand(like.shape))


def _times(kept: Tensor, factor: Tensor) -> Tensor:
    plain = gate.readable(kept) and gate.readable(factor) and gate.tracer() is None and not gate.watched()
    return torch.mul(kept, factor, out=_lent(kept)) if plain else kept * factor


def _chunks_compiled(
    rows: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    smoothing: float,
    gradients: list[Tensor | None],
    size: int,
) -> Tensor:
    """The loss, by compiled code, of so many rows at a time; the gradients, which hold anything, are written."""
    least, most = targets.aminmax()
    if least < 0 or most >= len(weight):
        wrong = int(least if least < 0 else most)
        raise ShapeError(f"a target is {wrong}; expected ignore_index, or a class from 0 to {len(weight) - 1}")
    by_rows, by_weight, by_bias = gradients
    rows, weight, bias = gate.stored(rows), gate.stored(weight), None if bias is None else gate.stored(bias)
    losses = []
    for first in range(0, len(rows), size):
        part = slice(first, first + size)
        into = readout.Gradients(None if by_rows is None else by_rows[part], by_weight, by_bias, adds=first > 0)
        losses.append(readout.losses(rows[part], weight, bias, targets[part], smoothing, into))
    return torch.cat(losses).sum()


def _chunks(
    rows: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    smoothing: float,
    gradients: list[Tensor | None],
    size: int,
) -> Tensor:
    """The loss, by torch's functions, of so many rows at a time; their gradients are added to those there are."""
    total, buffer = rows.new_zeros(()), rows.new_empty(min(size, len(rows)), len(weight))
    for first in range(0, len(rows), size):
        part = slice(first, first + size)
        total += _chunk(rows[part], weight, bias, targets[part, None], smoothing, buffer, gradients, part)
    return total


def _chunk(
    rows: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    smoothing: float,
    buffer: Tensor,
    gradients: list[Tensor | None],
    part: slice,
) -> Tensor:
    """The loss of some rows; their gradients are added to those there are."""
    logits = buffer[: len(rows)]
    if bias is None:
        torch.mm(rows, weight.t(), out=logits)
    else:
        torch.addmm(bias, rows, weight.t(), out=logits)
    if smoothing:  # mean(log p) = mean(z) - z[y] + log p[y]
        above_mean = logits.gather(1, targets) - logits.mean(-1, keepdim=True)
    probabilities = torch.softmax(logits, -1, out=logits)
    answers = probabilities.gather(1, targets)
    loss = -answers.log()
    lost = (answers < _SMALLEST[answers.dtype]).squeeze(1)
    if lost.any():  # too improbable for a number of this size, but not for its logarithm
        exact = F.linear(rows[lost], weight, bias).log_softmax(-1)
        loss[lost] = -exact.gather(1, targets[lost])
    if smoothing:
        loss.add_(above_mean, alpha=smoothing)
    if any(gradient is not None for gradient in gradients):
        by_logits = probabilities.scatter_add_(1, targets, torch.full_like(answers, smoothing - 1.0))
        if smoothing:
            by_logits.sub_(smoothing / len(weight))
        by_rows, by_weight, by_bias = gradients
        if by_rows is not None:
            torch.mm(by_logits, weight, out=by_rows[part])
        if by_weight is not None:
            by_weight.addmm_(by_logits.t(), rows)
        if by_bias is not None:
            by_bias.addmv_(by_logits.t(), by_logits.new_ones(len(rows)))
    return loss.sum()
