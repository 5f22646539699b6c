"""Sums over all ways through a lattice of tags: the recursions of forward-backward, a step a row of weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recurra.errors import ShapeError

__all__ = [
    "NEVER",
    "backward_log_sums",
    "forward_log_sums",
    "inside",
    "marginal_probabilities",
    "pair_sums",
    "window_probabilities",
]

MAX_PAIRS = 2**22
"""Numbers of pairwise marginals (B, T, K, K) that are held at a time."""

SPREAD = 340.0
"""How far apart, in nats, two weights of a step may be that are multiplied rather than added as logarithms: twice that
is still a number in float64."""

NEVER = -torch.inf
"""The score of what the constraints forbid."""


def forward_log_sums(
    scores: Tensor, transitions: Tensor, start: Tensor, end: Tensor, ends: Tensor
) -> tuple[Tensor, Tensor]:
    """α (B, T, K), the log of the summed weights of all ways to a tag at a step, and log Z (B,) in float64.

    α is relative to the highest of its step; log Z is not.
    """
    fast = _forward_by_products(scores, transitions, start, ends)
    forward, offset = _forward_in_logs(scores, transitions, start, ends) if fast is None else fast
    last = forward.gather(1, (ends - 1)[:, None, None].expand(-1, 1, forward.shape[2]))[:, 0]
    return forward, offset + (last + end).logsumexp(1)


def backward_log_sums(scores: Tensor, transitions: Tensor, end: Tensor, ends: Tensor) -> Tensor:
    """β (B, T, K), the log of the summed weights of all ways on from a tag at a step, relative to the highest.

    At the end of a row and past it, it is b.
    """
    fast = _backward_by_products(scores, transitions, end, ends)
    return _backward_in_logs(scores, transitions, end, ends) if fast is None else fast


def _forward_in_logs(scores: Tensor, transitions: Tensor, start: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    reached = start + scores[:, 0]
    highest = reached.amax(1)
    reached, offset = reached - highest[:, None], highest.double()
    every = [reached]
    for step in range(1, scores.shape[1]):
        onward = (reached.unsqueeze(2) + transitions).logsumexp(1) + scores[:, step]
        highest = onward.amax(1)
        counts = step < ends
        reached = torch.where(counts[:, None], onward - highest[:, None], reached)
        offset = offset + torch.where(counts, highest, 0)
        every.append(reached)
    return torch.stack(every, 1), offset


def _backward_in_logs(scores: Tensor, transitions: Tensor, end: Tensor, ends: Tensor) -> Tensor:
    onward = end.expand(len(scores), -1)
    every = [onward]
    for step in range(scores.shape[1] - 1, 0, -1):
        before = ((scores[:, step] + onward).unsqueeze(1) + transitions).logsumexp(2)
        before = before - before.amax(1, keepdim=True)
        onward = torch.where((step < ends)[:, None], before, onward)
        every.append(onward)
    return torch.stack(every[::-1], 1)


# The same as products of weights with a matrix, several times as fast: a step is a product of (B, K) and (K, K) in
# float64, brought back to a largest weight of 1. Weights that are not 0 for good must not become 0 by underflow. A step
# shrinks a weight by no more than the spread of scores and transitions, so it is enough that this is below SPREAD, and
# that no weight that is left is below e^-SPREAD: their product is still a number. Where not, the logarithms are used.


def _forward_by_products(
    scores: Tensor, transitions: Tensor, start: Tensor, ends: Tensor
) -> tuple[Tensor, Tensor] | None:
    highest, weights = _weights(scores, ends)
    if weights is None or _spread(scores, ends) + _spread(transitions) + _spread(start) > SPREAD:
        return None
    matrix = transitions.double().exp()
    # Past a row's length the recursion runs on over weights of 1, and what comes of it is not looked at.
    reached, scales = _normalised(start.double().exp() * weights[0])
    every, every_scale = [reached], [scales]
    for weight in weights[1:]:
        reached, scales = _normalised((reached @ matrix) * weight)
        every.append(reached)
        every_scale.append(scales)
    forward = torch.stack(every, 1)
    if _underflows(forward):
        return None
    offset = torch.where(inside(scores, ends), torch.cat(every_scale, 1).log() + highest, 0).sum(1)
    return forward.log().to(scores.dtype), offset


def _backward_by_products(scores: Tensor, transitions: Tensor, end: Tensor, ends: Tensor) -> Tensor | None:
    _, weights = _weights(scores, ends)
    if weights is None or _spread(scores, ends) + _spread(transitions) + _spread(end) > SPREAD:
        return None
    matrix = transitions.double().exp().T.contiguous()
    # Each row from its own last step to its first, so that all of them begin together.
    steps = torch.arange(scores.shape[1], device=scores.device)
    turned = (ends[:, None] - 1 - steps).clamp(min=0)
    rows = torch.arange(len(scores), device=scores.device)[:, None]
    onward = end.double().exp().expand(len(scores), -1)
    every = [onward]
    for weight in list(weights.transpose(0, 1)[rows, turned].unbind(1))[:-1]:
        onward, _ = _normalised((weight * onward) @ matrix)
        every.append(onward)
    backward = torch.stack(every, 1)
    if _underflows(backward):
        return None
    backward = torch.where(inside(scores, ends)[:, :, None], backward[rows, turned], every[0][:, None])
    return backward.log().to(scores.dtype)


def _normalised(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (B, K) with a largest of 1, and what they were divided by, (B, 1)."""
    largest = weights.amax(1, keepdim=True)
    return weights / largest, largest


def inside(scores: Tensor, ends: Tensor) -> Tensor:
    """Which steps are not past a row's length, (B, T)."""
    return torch.arange(scores.shape[1], device=scores.device) < ends[:, None]


def _weights(scores: Tensor, ends: Tensor) -> tuple[Tensor, Tensor | None]:
    """The highest score of each step (B, T) and the weights exp(s<t> - highest), (T, B, K); past the end 0 and 1."""
    exact = torch.where(inside(scores, ends)[:, :, None], scores.double(), 0)
    highest = exact.amax(2)
    weights = (exact - highest[:, :, None]).exp().transpose(0, 1).contiguous()
    return highest, weights if bool(highest.isfinite().all()) else None


def _spread(values: Tensor, ends: Tensor | None = None) -> float:
    """How far apart the values are that are not minus infinity; of scores, those of a step."""
    if ends is not None:
        within = torch.where(inside(values, ends)[:, :, None], values, 0)
        return float((within.amax(2) - within.amin(2)).max())
    finite = values[values > NEVER]
    return float(finite.max() - finite.min()) if finite.numel() else 0.0


def _underflows(weights: Tensor) -> bool:
    """Whether a weight that is not 0 is so small that the next step might have made it 0."""
    smallest = torch.where(weights > 0, weights, 1).min()
    return not bool(smallest > math.exp(-SPREAD))


def marginal_probabilities(forward: Tensor, backward: Tensor, ends: Tensor) -> Tensor:
    """p(y<t> = k | x), (B, T, K); 0 past a row's length."""
    return torch.where(inside(forward, ends)[:, :, None], (forward + backward).softmax(2), 0)


def pair_sums(
    scores: Tensor, transitions: Tensor, forward: Tensor, backward: Tensor, ends: Tensor, weights: Tensor
) -> Tensor:
    """Σ p(y<t-1> = j, y<t> = k | x) over the steps of all rows, each row times its weight, (K, K)."""
    steps = scores.shape[1]
    total = torch.zeros_like(transitions)
    stride = max(1, MAX_PAIRS // (len(scores) * transitions.numel()))
    for first in range(1, steps, stride):
        last = min(first + stride, steps)
        arriving = (scores[:, first:last] + backward[:, first:last]).unsqueeze(2)
        joint = (forward[:, first - 1 : last - 1, :, None] + transitions + arriving).flatten(2).softmax(2)
        counts = torch.arange(first, last, device=scores.device) < ends[:, None]
        total += (torch.where(counts[:, :, None], joint, 0).sum(1) * weights[:, None]).sum(0).view_as(total)
    return total


def window_probabilities(
    scores: Tensor,
    windows: Sequence[tuple[int, int, Tensor]],
    transitions: Tensor,
    forward: Tensor,
    backward: Tensor,
    ends: Tensor,
) -> Tensor:
    """The probability of each window: a row, a first step, and which tags count at each of its steps, (steps, K).

    Raises:
        ShapeError: A window lies outside its row.
    """
    # The longest first, so that those that a step prolongs are the first ones.
    order = sorted(range(len(windows)), key=lambda number: -len(windows[number][2]))
    chosen = [windows[number] for number in order]
    rows = torch.tensor([row for row, _, _ in chosen], device=scores.device)
    firsts = torch.tensor([first for _, first, _ in chosen], device=scores.device)
    steps = torch.tensor([len(tags) for _, _, tags in chosen], device=scores.device)
    valid = (rows >= 0) & (rows < len(scores)) & (firsts >= 0) & (steps > 0)
    if not bool(valid.all()) or bool((firsts + steps > ends[rows]).any()):
        raise ShapeError("a window lies outside its row: its first step is counted from 0, and its steps end there")
    masks = nn.utils.rnn.pad_sequence([tags for _, _, tags in chosen], batch_first=True).to(scores.device)
    # Side by side: the sequences that agree with the window, and all of them.
    masks = torch.stack([masks, torch.ones_like(masks)])
    reached = forward[rows, firsts].masked_fill(~masks[:, :, 0], NEVER)
    longer = (steps > torch.arange(1, int(steps[0]), device=steps.device)[:, None]).sum(1).tolist()
    for step, going in enumerate(longer, 1):
        onward = (reached[:, :going].unsqueeze(3) + transitions).logsumexp(2)
        onward = onward + scores[rows[:going], firsts[:going] + step]
        onward = onward - onward[1].amax(1, keepdim=True)
        reached = torch.cat([onward.masked_fill(~masks[:, :going, step], NEVER), reached[:, going:]], 1)
    agreeing, every = (reached + backward[rows, firsts + steps - 1]).logsumexp(2).unbind()
    probabilities = scores.new_empty(len(windows))
    probabilities[order] = (agreeing - every).exp()
    return probabilities
