"""How much of the training is done, and when it is over."""

from collections.abc import Mapping, Sized

from recurra.training.events import Ending
from recurra.training.settings import TrainingSettings


class Budget:
    """Measures training against its three limits: epochs, steps and minutes; the first reached ends it.

    Epochs are measured in batches, of which an epoch may have any number. How many the present one has is known where
    the batches have a length, and is otherwise taken from the epoch before.

    Args:
        settings: epochs, max_steps and max_minutes are read.

    Example:
        >>> budget = Budget(TrainingSettings(epochs=2, max_minutes=10))
        >>> budget.begin_epoch([1, 2])
        >>> budget.take_batch()
        >>> budget.fraction(steps=1, elapsed=240.0), budget.seconds_left(steps=1, elapsed=240.0)
        (0.4, 360.0)
    """

    def __init__(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self.epochs_begun = 0
        self._batches_taken = 0
        self._batches_expected: int | None = None

    def begin_epoch(self, batches: object) -> None:
        """Begin an epoch of batches, whose number is their length if they have one."""
        if isinstance(batches, Sized):
            self._batches_expected = len(batches)
        elif self.epochs_begun:
            self._batches_expected = self._batches_taken
        self.epochs_begun += 1
        self._batches_taken = 0

    def take_batch(self) -> None:
        """Count a batch of the present epoch."""
        self._batches_taken += 1

    def state(self) -> dict[str, int | None]:
        """Where it stands, for a checkpoint."""
        return {
            "epochs_begun": self.epochs_begun,
            "batches_taken": self._batches_taken,
            "batches_expected": self._batches_expected,
        }

    def resume(self, state: Mapping[str, int | None]) -> None:
        """Stand where a checkpoint says; the epoch it was in is begun again with `begin_epoch(..., taken)`."""
        self.epochs_begun = state["epochs_begun"] or 0
        self._batches_taken = state["batches_taken"] or 0
        self._batches_expected = state["batches_expected"]

    @property
    def batches_taken(self) -> int:
        """Batches of the present epoch."""
        return self._batches_taken

    @property
    def has_known_end(self) -> bool:
        """Whether a share of the whole can be told."""
        settings = self._settings
        return bool(self._batches_expected or settings.max_steps or settings.max_minutes)

    def fraction(self, steps: int, elapsed: float) -> float:
        """Share of the training that is done, in [0, 1], by the limit that is nearest; 0 while no end is known.

        Args:
            steps: Steps taken.
            elapsed: Seconds since training began.
        """
        settings, shares = self._settings, [0.0]
        if self._batches_expected:
            part = min(1.0, self._batches_taken / self._batches_expected)
            shares.append((self.epochs_begun - 1 + part) / settings.epochs)
        if settings.max_steps:
            shares.append(steps / settings.max_steps)
        if settings.max_minutes:
            shares.append(elapsed / (60 * settings.max_minutes))
        return min(1.0, max(shares))

    def seconds_left(self, steps: int, elapsed: float) -> float | None:
        """Time to the end if what is left goes as fast as what is done; None while no end is known."""
        fraction = self.fraction(steps, elapsed)
        return elapsed * (1 - fraction) / fraction if fraction else None

    def ending(self, steps: int, elapsed: float) -> Ending | None:
        """Say which limit within an epoch is reached, or None."""
        settings = self._settings
        if settings.max_steps is not None and steps >= settings.max_steps:
            return "steps"
        if settings.max_minutes is not None and elapsed >= 60 * settings.max_minutes:
            return "minutes"
        return None
