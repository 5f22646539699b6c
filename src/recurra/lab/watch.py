"""The watch: who is told how an experiment goes on."""

from __future__ import annotations

__all__ = ["Watch"]


class Watch:
    """One who watches an experiment: override what is of interest. This one is silent."""

    def begin(self, name: str, number: int, total: int) -> None:
        """A trial begins.

        Args:
            name: What is tried.
            number: Which trial of the experiment it is, from 1.
            total: How many there are.
        """

    def resume(self, finished: int, total: int) -> None:
        """The experiment was stopped before, and some of its trials are finished.

        Args:
            finished: How many.
            total: How many there are.
        """

    def step(self, fraction: float, loss: float) -> None:
        """A step of training was taken.

        Args:
            fraction: The share of the trial that is done, in [0, 1].
            loss: The loss of the step.
        """

    def end(self, result: str) -> None:
        """The trial has ended.

        Args:
            result: What came of it, in a few words.
        """
