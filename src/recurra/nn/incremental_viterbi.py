"""Viterbi decoding while scores come in: tags are given as soon as they are certain, or as soon as they must be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["IncrementalViterbi"]


class IncrementalViterbi:
    """Decodes a lattice of tags step by step.

    The best way to each tag is kept, as in Viterbi decoding. As soon as all of them agree on a step, no later score can
    change its tag, and it is given: what is given in the end is what decoding the whole would have given. Where tags
    must come at once, a step is decided by the best way so far, and ways that disagree are given up; so the tags
    still obey the constraints among themselves.

    Some tags differ only in what follows, as B and S of IOBES do, the first word of a span and the only one. To tell
    them apart at once would be to guess, and a wrong guess would bind what follows. Such tags can share a
    representative, which is given as soon as the ways agree that it is one of them.

    Šrámek, Brejová and Vinař, "On-line Viterbi algorithm for analysis of long biological sequences", WABI 2007.

    Args:
        transitions: A (K, K), the previous tag first; minus infinity where forbidden.
        start: a (K,).
        end: b (K,).
        representatives: For each tag the one that is given for it, (K,); None for itself.

    Example:
        >>> import torch
        >>> from recurra.nn.crf import CRF
        >>> viterbi = IncrementalViterbi(*CRF(2).potentials())
        >>> viterbi.push(torch.tensor([0.0, 1.0])), viterbi.push(torch.tensor([2.0, 0.0])), viterbi.close()
        ([], [1], [0])
    """

    def __init__(
        self, transitions: Tensor, start: Tensor, end: Tensor, representatives: Sequence[int] | None = None
    ) -> None:
        self._transitions, self._start, self._end = (_array(tensor) for tensor in (transitions, start, end))
        self._every = np.arange(len(self._start))
        self._representatives = self._every if representatives is None else np.array(representatives)
        self._reset()

    def _reset(self) -> None:
        self._best: npt.NDArray[np.floating] | None = None
        # Of the steps not yet decided: where the best way to each tag of a step comes from, and what tag the best way
        # to each tag of the last step has at the first; None if every step is decided.
        self._pointers: list[npt.NDArray[np.int64]] = []
        self._origins: npt.NDArray[np.int64] | None = None

    @property
    def undecided(self) -> int:
        """How many steps have come whose tags have not been given."""
        return 0 if self._origins is None else len(self._pointers) + 1

    def push(self, scores: Tensor, *, decide: bool = False) -> list[int]:
        """Take the scores s<t> of a step.

        Args:
            scores: Of each tag, (K,).
            decide: Whether the tag of this step, and all before it, must be given now.

        Returns:
            The tags that were decided, from the first not given before.
        """
        at_step = _array(scores)
        if self._best is None:
            self._best = self._start + at_step
        else:
            ways = self._best[:, None] + self._transitions
            came_from = ways.argmax(0)
            self._best = ways.max(0) + at_step
            self._best = self._best - self._best.max()
            if self._origins is not None:
                self._pointers.append(came_from)
                self._origins = self._origins[came_from]
        if self._origins is None:
            self._origins = self._every
        if decide:
            tags = self._path(int(self._best.argmax()))
            agree = (self._representatives[self._traced(self._every)] == np.array(tags)[:, None]).all(0)
            self._best = np.where(agree, self._best, -np.inf)
            self._pointers, self._origins = [], None
            return tags
        return self._agreed()

    def close(self) -> list[int]:
        """End the sequence; the next push begins another.

        Returns:
            The tags that were still undecided.
        """
        if self._best is None or self._origins is None:
            self._reset()
            return []
        final = self._best + self._end
        if not np.isfinite(final.max()):  # what had to be decided before may not end so
            final = self._best
        tags = self._path(int(final.argmax()))
        self._reset()
        return tags

    def _agreed(self) -> list[int]:
        """The tags of the first steps on which all ways agree."""
        assert self._best is not None
        assert self._origins is not None
        alive = np.flatnonzero(self._best > -np.inf)
        first = self._representatives[self._origins[alive]]
        if (first != first[0]).any():
            return []
        tags = self._traced(alive)
        given = self._representatives[tags]
        agree = (given == given[:, :1]).all(1)
        count = len(agree) if agree.all() else int(agree.argmin())
        self._pointers = self._pointers[count:]
        self._origins = None
        if count < len(tags):
            self._origins = np.zeros_like(self._every)
            self._origins[alive] = tags[count]
        return [int(tag) for tag in given[:count, 0]]

    def _path(self, tag: int) -> list[int]:
        """The representatives of the tags of the undecided steps on the best way to a tag of the last."""
        return [int(tag) for tag in self._representatives[self._traced(np.array([tag]))[:, 0]]]

    def _traced(self, tags: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The tags of the undecided steps on the best ways to tags of the last, (steps, tags)."""
        path = [tags]
        for came_from in reversed(self._pointers):
            path.append(came_from[path[-1]])
        return np.stack(path[::-1])


def _array(tensor: Tensor) -> npt.NDArray[np.floating]:
    """A tensor as an array, in at least float32, as decoding whole sequences has it."""
    tensor = tensor.detach().cpu()
    array: npt.NDArray[np.floating] = (tensor if tensor.dtype == torch.float64 else tensor.float()).numpy()
    return array
