"""Learning-rate schedules: pure functions of the place in training, so that only a plateau has anything to remember.

The rate of a step is `learning_rate * warm-up * decay`, each of the last two a ratio in [0, 1]. Torch's schedulers
count calls instead, cannot end with a limit in minutes, and do not combine a warm-up with a plateau.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from recurra.training.settings import ScheduleName, TrainingSettings

RISE = 0.3
"""Share of the training over which one-cycle rises."""


class Place(NamedTuple):
    """Where in training a step is.

    Attributes:
        step: Steps taken before this one.
        epoch: Epochs completed before this one.
        fraction: Share of the whole training that is done, in [0, 1].
    """

    step: int
    epoch: int
    fraction: float


def warmup_ratio(step: int, warmup_steps: int) -> float:
    """Rise in a line: `(step + 1) / warmup_steps`, at most 1, so that the last step of the warm-up has the full rate.

    Example:
        >>> [warmup_ratio(step, 4) for step in range(5)]
        [0.25, 0.5, 0.75, 1.0, 1.0]
    """
    return min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0


def cosine_ratio(fraction: float, floor: float) -> float:
    """Fall along half a cosine: `floor + (1 - floor) * (1 + cos(pi * fraction)) / 2` (Loshchilov and Hutter 2017).

    Example:
        >>> [round(cosine_ratio(fraction, 0.1), 3) for fraction in (0, 0.5, 1)]
        [1.0, 0.55, 0.1]
    """
    return floor + (1 - floor) * (1 + math.cos(math.pi * min(fraction, 1.0))) / 2


def one_cycle_ratio(fraction: float, floor: float) -> float:
    """Rise along half a cosine from 1/25 to 1, then fall along another to the floor (Smith and Topin 2018).

    The rise takes the first 30 percent, as in fast.ai's and torch's schedules of this name.

    Example:
        >>> [round(one_cycle_ratio(fraction, 0.0), 3) for fraction in (0, 0.15, 0.3, 0.65, 1)]
        [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if fraction < RISE:
        return cosine_ratio(1 - fraction / RISE, 1 / 25)
    return cosine_ratio((fraction - RISE) / (1 - RISE), floor)


def step_ratio(epoch: int, after: int, factor: float, floor: float) -> float:
    """Hold for `after` epochs, then multiply once an epoch: `factor ** max(0, epoch - after + 1)` (Zaremba 2014).

    Example:
        >>> [step_ratio(epoch, after=2, factor=0.5, floor=0.0) for epoch in range(4)]
        [1.0, 1.0, 0.5, 0.25]
    """
    return max(floor, math.pow(factor, max(0, epoch - after + 1)))


class Plateau:
    """Multiply by `factor` whenever `after` validations in a row have brought no new best.

    Example:
        >>> plateau = Plateau(after=2, factor=0.5, floor=0.0)
        >>> for loss in (3.0, 2.0, 2.1, 2.2):
        ...     plateau.observe(loss)
        >>> plateau.ratio
        0.5
    """

    def __init__(self, after: int, factor: float, floor: float) -> None:
        self.after, self.factor, self.floor = after, factor, floor
        self.ratio, self.best, self.waited = 1.0, math.inf, 0

    def observe(self, value: float) -> None:
        """Take the value of one validation; lower is better, and a value that is not a number is no new best."""
        if value < self.best:
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited >= self.after:
            self.ratio, self.waited = max(self.floor, self.ratio * self.factor), 0


class LearningRate:
    """The learning rate of every step of a run.

    Args:
        settings: learning_rate, schedule, warmup_steps and the decay_* fields are read.

    Example:
        >>> rate = LearningRate(TrainingSettings(learning_rate=0.1, schedule="cosine", warmup_steps=2))
        >>> [round(rate.at(Place(step, 0, step / 4)), 4) for step in range(5)]
        [0.05, 0.0854, 0.05, 0.0146, 0.0]
    """

    def __init__(self, settings: TrainingSettings) -> None:
        self._peak, self._warmup_steps = settings.learning_rate, settings.warmup_steps
        factor, after, floor = settings.decay_factor, settings.decay_after, settings.decay_floor
        self.plateau = Plateau(after, factor, floor)
        decays: dict[ScheduleName, Callable[[Place], float]] = {
            "constant": lambda place: 1.0,
            "cosine": lambda place: cosine_ratio(place.fraction, floor),
            "one-cycle": lambda place: one_cycle_ratio(place.fraction, floor),
            "step": lambda place: step_ratio(place.epoch, after, factor, floor),
            "plateau": lambda place: self.plateau.ratio,
        }
        self._decay = decays[settings.schedule]

    def at(self, place: Place) -> float:
        """Return the learning rate of the step at `place`."""
        return self._peak * warmup_ratio(place.step, self._warmup_steps) * self._decay(place)

    def state(self) -> dict[str, float]:
        """What a plateau remembers, for a checkpoint."""
        return {"ratio": self.plateau.ratio, "best": self.plateau.best, "waited": self.plateau.waited}

    def resume(self, state: Mapping[str, float]) -> None:
        """Remember what a checkpoint says."""
        self.plateau.ratio, self.plateau.best = state["ratio"], state["best"]
        self.plateau.waited = int(state["waited"])

    def observe(self, value: float) -> None:
        """Take the value of a validation (lower is better); only a plateau looks at it."""
        self.plateau.observe(value)
