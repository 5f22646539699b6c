"""The linear-chain conditional random field: one distribution over whole sequences of tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recurra.errors import SettingError, ShapeError
from recurra.nn.lattice import (
    NEVER,
    backward_log_sums,
    forward_log_sums,
    inside,
    marginal_probabilities,
    pair_sums,
)

__all__ = ["CRF"]


class CRF(nn.Module):
    """A linear-chain conditional random field over tags.

        score(x, y)  = a[y<1>] + Σ_t s<t>[y<t>] + Σ_t A[y<t-1>, y<t>] + b[y<T>]
        p(y | x)     = exp(score(x, y)) / Z(x),   Z(x) = Σ_y exp(score(x, y))

    The scores s<t> come from the network; A, a and b are learned here. What the constraints forbid has probability
    exactly 0, in training as in decoding. Everything is computed in log space, each step relative to its most probable
    tag, so that a sequence of any length keeps the precision of a short one. The gradient of log Z is written out as
    what it is, the marginal probabilities (forward-backward), rather than traced through the recursion.

    Lafferty, McCallum and Pereira, "Conditional random fields", ICML 2001; over a recurrent network: Huang, Xu and Yu,
    "Bidirectional LSTM-CRF models for sequence tagging", 2015.

    Args:
        num_tags: K.
        transitions: Which tag may follow which, (K, K) of bool, previous tag first; None for all.
        starts: Which tags a sequence may begin with, (K,) of bool; None for all.
        ends: Which tags a sequence may end with, (K,) of bool; None for all.

    Raises:
        SettingError: There is no tag.
        ShapeError: A constraint is of another shape or dtype.

    Example:
        >>> crf = CRF(3)
        >>> scores = torch.tensor([[[0.0, 2.0, 0.0], [1.0, 0.0, 0.0]]])
        >>> crf.decode(scores)
        [[1, 0]]
        >>> crf.log_probability(scores, torch.tensor([[1, 0]])).exp().item() > 0.3
        True
    """

    may_follow: Tensor
    may_start: Tensor
    may_end: Tensor

    def __init__(
        self,
        num_tags: int,
        transitions: Tensor | None = None,
        starts: Tensor | None = None,
        ends: Tensor | None = None,
    ) -> None:
        super().__init__()
        if num_tags < 1:
            raise SettingError(f"num_tags is {num_tags}; it is a whole number from 1")
        self.num_tags = num_tags
        self.transitions = nn.Parameter(torch.zeros(num_tags, num_tags))
        self.start = nn.Parameter(torch.zeros(num_tags))
        self.end = nn.Parameter(torch.zeros(num_tags))
        constraints = {
            "may_follow": (transitions, (num_tags, num_tags)),
            "may_start": (starts, (num_tags,)),
            "may_end": (ends, (num_tags,)),
        }
        for name, (constraint, shape) in constraints.items():
            self.register_buffer(name, _constraint(name, constraint, shape), persistent=False)

    def extra_repr(self) -> str:
        """The number of tags, and of the transitions that are allowed."""
        return f"{self.num_tags}, transitions={int(self.may_follow.sum())} of {self.num_tags**2}"

    def potentials(self) -> tuple[Tensor, Tensor, Tensor]:
        """A (K, K), a (K,) and b (K,), minus infinity where the constraints forbid."""
        return (
            self.transitions.masked_fill(~self.may_follow, NEVER),
            self.start.masked_fill(~self.may_start, NEVER),
            self.end.masked_fill(~self.may_end, NEVER),
        )

    def log_probability(self, scores: Tensor, tags: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """The logarithm of p(y | x) of each row; its negative is the loss, and never below 0.

        Args:
            scores: s<t>, (B, T, K).
            tags: y<t>, (B, T); past a row's length they are not read.
            lengths: How many steps of each row count (B,); None for all.

        Returns:
            (B,).

        Raises:
            ShapeError: A shape does not fit, a tag is none of the K, or a row holds what the constraints forbid.
        """
        scores, ends = self._checked(scores, lengths)
        joint = self._joint(scores, tags, ends)
        # The two sums are rounded apart: where p is 1 the difference may come out above 0.
        return (joint - self._log_partition(scores, ends)).to(scores.dtype).clamp(max=0)

    def log_partition(self, scores: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """The logarithm of Z(x) of each row, (B,) in float64; see `log_probability` for the arguments."""
        return self._log_partition(*self._checked(scores, lengths))

    @torch.no_grad()
    def marginals(self, scores: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """The probability of each tag at each step, p(y<t> = k | x), (B, T, K); 0 past a row's length."""
        scores, ends = self._checked(scores, lengths)
        transitions, start, end = self.potentials()
        forward, _ = forward_log_sums(scores, transitions, start, end, ends)
        return marginal_probabilities(forward, backward_log_sums(scores, transitions, end, ends), ends)

    @torch.no_grad()
    def window_probabilities(
        self, scores: Tensor, windows: Sequence[tuple[int, int, Tensor]], lengths: Tensor | Sequence[int] | None = None
    ) -> Tensor:
        """The probability that the tags of a window are among those given for each of its steps.

        Exact: the sum of p(y | x) over all sequences that agree, whatever stands outside the window. The probability of
        an entity is that of the window of its tags, and of the step after it where another tag would prolong it.

        Args:
            scores: s<t>, (B, T, K).
            windows: For each window its row, its first step (from 0), and which tags count at each of its steps,
                (steps, K) of bool.
            lengths: How many steps of each row count (B,); None for all.

        Returns:
            One probability for each window, in order.

        Raises:
            ShapeError: A shape does not fit, or a window lies outside its row.
        """
        scores, ends = self._checked(scores, lengths)
        if not windows:
            return scores.new_zeros(0)
        transitions, start, end = self.potentials()
        forward, _ = forward_log_sums(scores, transitions, start, end, ends)
        backward = backward_log_sums(scores, transitions, end, ends)
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
        for step, going in enumerate(
            (steps > torch.arange(1, int(steps[0]), device=steps.device)[:, None]).sum(1).tolist(), 1
        ):
            onward = (reached[:, :going].unsqueeze(3) + transitions).logsumexp(2)
            onward = onward + scores[rows[:going], firsts[:going] + step]
            onward = onward - onward[1].amax(1, keepdim=True)
            reached = torch.cat([onward.masked_fill(~masks[:, :going, step], NEVER), reached[:, going:]], 1)
        agreeing, every = (reached + backward[rows, firsts + steps - 1]).logsumexp(2).unbind()
        probabilities = scores.new_empty(len(windows))
        probabilities[order] = (agreeing - every).exp()
        return probabilities

    @torch.no_grad()
    def decode(self, scores: Tensor, lengths: Tensor | Sequence[int] | None = None) -> list[list[int]]:
        """The most probable tags of each row (Viterbi)."""
        scores, ends = self._checked(scores, lengths)
        _, pointers, places = self._viterbi(scores, 1, ends)
        return [
            path[:length] for path, length in zip(_traced(pointers, places[:, 0], ends), ends.tolist(), strict=True)
        ]

    @torch.no_grad()
    def n_best(
        self, scores: Tensor, n: int, lengths: Tensor | Sequence[int] | None = None
    ) -> list[list[tuple[list[int], float]]]:
        """The n most probable sequences of tags of each row, the best first, with their log-probabilities.

        A row that allows fewer sequences than n gives them all.

        Args:
            scores: s<t>, (B, T, K).
            n: How many to give.
            lengths: How many steps of each row count (B,); None for all.

        Raises:
            SettingError: n is below 1.
        """
        if n < 1:
            raise SettingError(f"n is {n}; it is how many sequences to give, from 1")
        scores, ends = self._checked(scores, lengths)
        _, log_z = forward_log_sums(scores, *self.potentials(), ends)
        best, pointers, places = self._viterbi(scores, n, ends)
        log_p = (best - log_z[:, None]).clamp(max=0).tolist()
        results: list[list[tuple[list[int], float]]] = [[] for _ in log_p]
        for rank in range(n):
            for row, path in enumerate(_traced(pointers, places[:, rank], ends)):
                if log_p[row][rank] > NEVER:
                    # A place is a tag and which of the n best ways to it: tag * n + way.
                    tags = [place // n for place in path[: int(ends[row])]]
                    results[row].append((tags, log_p[row][rank]))
        return results

    def _viterbi(self, scores: Tensor, n: int, ends: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of the best ways (B, n), back-pointers (B, T - 1, K · n) and the places the ways end in, (B, n)."""
        transitions, start, end = self.potentials()
        batch, steps, tags = scores.shape
        at_steps = scores.transpose(0, 1).contiguous()
        best = torch.full((batch, tags, n), NEVER, dtype=scores.dtype, device=scores.device)
        best[:, :, 0] = start + at_steps[0]
        every, highest, pointers = [best], [torch.zeros(batch, 1, device=scores.device)], []
        # Past a row's length the recursion runs on, and what comes of it is not looked at.
        for step in range(1, steps):
            ways = (best.unsqueeze(3) + transitions.unsqueeze(1)).flatten(1, 2)  # (B, K · n, K)
            top, came_from = ways.max(1, keepdim=True) if n == 1 else _ranked(ways, n)
            pointers.append(came_from.transpose(1, 2).flatten(1))
            best = top.transpose(1, 2) + at_steps[step].unsqueeze(2)
            highest.append(best.amax((1, 2)).unsqueeze(1))
            best = best - highest[-1].unsqueeze(2)
            every.append(best)
        rows = torch.arange(batch, device=scores.device)
        last = torch.stack(every, 1)[rows, ends - 1] if steps > 1 else best
        offset = torch.where(inside(scores, ends), torch.cat(highest, 1).double(), 0).sum(1)
        final, order = _ranked((last + end[:, None]).flatten(1), n)
        places = torch.stack(pointers, 1) if pointers else order.new_zeros(batch, 0, tags * n)
        return final + offset[:, None], places, order

    def _checked(self, scores: Tensor, lengths: Tensor | Sequence[int] | None) -> tuple[Tensor, Tensor]:
        """The scores in at least float32, and the lengths as a tensor."""
        if scores.dim() != 3 or scores.shape[2] != self.num_tags or 0 in scores.shape:
            raise ShapeError(
                f"scores have the shape {tuple(scores.shape)}; expected (B, T, K) with K = {self.num_tags}, none 0"
            )
        batch, steps = scores.shape[:2]
        if lengths is None:
            ends = torch.full((batch,), steps, device=scores.device)
        else:
            ends = torch.as_tensor(lengths, device=scores.device)
            if ends.shape != (batch,) or ends.is_floating_point() or bool(((ends < 1) | (ends > steps)).any()):
                raise ShapeError(f"lengths are {batch} whole numbers from 1 to {steps}; got {ends.tolist()}")
        return scores if scores.dtype == torch.float64 else scores.float(), ends

    def _joint(self, scores: Tensor, tags: Tensor, ends: Tensor) -> Tensor:
        """score(x, y) of each row, (B,) in float64."""
        batch, steps = scores.shape[:2]
        if tags.shape != (batch, steps):
            raise ShapeError(f"tags have the shape {tuple(tags.shape)}; expected (B, T) = {(batch, steps)}")
        counts = inside(scores, ends)
        tags = torch.where(counts, tags, 0)
        if bool(((tags < 0) | (tags >= self.num_tags)).any()):
            raise ShapeError(f"a tag is none of the {self.num_tags}: they are counted from 0")
        last = tags.gather(1, ends[:, None] - 1)[:, 0]
        follows = self.may_follow[tags[:, :-1], tags[:, 1:]] | ~counts[:, 1:]
        if not bool((self.may_start[tags[:, 0]] & self.may_end[last] & follows.all(1)).all()):
            raise ShapeError("a row's tags are among those that the constraints forbid; their probability is 0")
        at_steps = scores.gather(2, tags[:, :, None])[:, :, 0]
        between = self.transitions[tags[:, :-1], tags[:, 1:]]
        total = torch.where(counts, at_steps, 0).sum(1, dtype=torch.float64)
        total = total + torch.where(counts[:, 1:], between, 0).sum(1, dtype=torch.float64)
        return total + self.start[tags[:, 0]] + self.end[last]

    def _log_partition(self, scores: Tensor, ends: Tensor) -> Tensor:
        return _LogPartition.apply(scores, *self.potentials(), ends)  # type: ignore[no-untyped-call,no-any-return]


def _constraint(name: str, constraint: Tensor | None, shape: tuple[int, ...]) -> Tensor:
    if constraint is None:
        return torch.ones(shape, dtype=torch.bool)
    if constraint.shape != shape or constraint.dtype != torch.bool:
        raise ShapeError(
            f"{name} is {tuple(constraint.shape)} of {constraint.dtype}; expected {shape} of torch.bool, True where a "
            "tag is allowed"
        )
    return constraint.clone()


def _ranked(scores: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The n highest scores along axis 1 and where they are, in a stable order; minus infinity where there are fewer."""
    ranked, order = scores.sort(dim=1, descending=True, stable=True)
    short = n - scores.shape[1]
    if short > 0:
        padding = (*(0,) * (2 * (scores.dim() - 2)), 0, short)
        ranked = nn.functional.pad(ranked, padding, value=NEVER)
        order = nn.functional.pad(order, padding)
    return ranked[:, :n], order[:, :n]


def _traced(pointers: Tensor, places: Tensor, ends: Tensor) -> list[list[int]]:
    """The places of each row from its first step to its last, by back-pointers from the one it ends in."""
    steps = pointers.shape[1] + 1
    path = [places]
    for step in range(steps - 1, 0, -1):
        # A row that ends before stays where it is until its last step is reached.
        before = pointers[:, step - 1].gather(1, places[:, None])[:, 0]
        places = torch.where(step < ends, before, places)
        path.append(places)
    return torch.stack(path[::-1], 1).tolist()


class _LogPartition(torch.autograd.Function):
    """log Z (B,), whose gradient is the marginals: ∂ log Z / ∂ s<t>[k] = p(y<t> = k | x), and so on."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, transitions: Tensor, start: Tensor, end: Tensor, ends: Tensor) -> Tensor:  # noqa: ANN401
        forward, log_z = forward_log_sums(scores, transitions, start, end, ends)
        ctx.save_for_backward(scores, transitions, end, ends, forward)
        return log_z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        scores, transitions, end, ends, forward = ctx.saved_tensors
        backward = backward_log_sums(scores, transitions, end, ends)
        gradient = gradient.to(scores.dtype)
        marginals = marginal_probabilities(forward, backward, ends) * gradient[:, None, None]
        at_end = marginals.gather(1, (ends - 1)[:, None, None].expand(-1, 1, marginals.shape[2])).sum((0, 1))
        pairs = pair_sums(scores, transitions, forward, backward, ends, gradient)
        return marginals, pairs, marginals[:, 0].sum(0), at_end, None
