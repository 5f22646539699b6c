"""Greedy decoding of frames that come one after another: the labels of the whole, each as soon as it has ended."""

from __future__ import annotations

import math

from torch import Tensor

from recurra.decoding.ctc import HeardLabel, frame_log_probabilities

__all__ = ["LivePath"]


class LivePath:
    """The most probable way through frames as they come: the labels of `greedy_path`, to the bit.

    What it keeps does not grow.

    Args:
        blank: The id of the blank.

    Attributes:
        frames: How many frames were heard.
        log_probability: The natural logarithm of the probability of the way so far.
        unfinished: The label that the last frame is of, and which the next may go on; None for the blank.

    Example:
        >>> import torch
        >>> frames = torch.nn.functional.one_hot(torch.tensor([0, 1, 1, 0, 1, 2])).float().log_softmax(1)
        >>> path = LivePath()
        >>> heard = [label.label for frame in frames if (label := path.push(frame))]
        >>> heard, path.finish().label
        ([1, 1], 2)
    """

    def __init__(self, blank: int = 0) -> None:
        self.blank = blank
        self._begin()

    def _begin(self) -> None:
        self.frames, self.log_probability = 0, 0.0
        self.unfinished: HeardLabel | None = None

    def push(self, log_probabilities: Tensor) -> HeardLabel | None:
        """The label that the next frame ends; None if it ends none.

        Args:
            log_probabilities: Natural logarithms, (V + 1,).

        Raises:
            ShapeError: They have another shape.
            RunError: One is not a number, as after training that diverged.
        """
        [frame] = frame_log_probabilities(log_probabilities[None], self.blank)
        label = int(frame.argmax())
        value, before = float(frame[label]), self.unfinished
        start, self.frames = self.frames, self.frames + 1
        self.log_probability += value
        confidence = min(1.0, math.exp(value))
        if before is not None and before.label == label:
            self.unfinished = HeardLabel(label, before.start, self.frames, max(before.confidence, confidence))
            return None
        self.unfinished = None if label == self.blank else HeardLabel(label, start, self.frames, confidence)
        return before

    def finish(self) -> HeardLabel | None:
        """The label that the end ends; None if it ends none. The next frame begins another recording."""
        last = self.unfinished
        self._begin()
        return last
