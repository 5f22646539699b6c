"""The Mackey-Glass equation: a chaotic series that forecasters are measured on, generated here."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.checks import is_number, whole_number
from recurra.errors import SettingError

__all__ = ["Scheme", "mackey_glass"]

Scheme = Literal["runge-kutta", "euler"]
"""How the equation is integrated: "runge-kutta" approaches its solution, "euler" repeats published series."""

GAIN, EXPONENT, DECAY = 0.2, 10, 0.1

LONGEST_BLOCK = 256
"""How many steps are made at once: no more than the delay has, and few enough for the triangle to stay small."""

Values = npt.NDArray[np.float64]


def mackey_glass(
    steps: int,
    delay: float = 17.0,
    *,
    scheme: Scheme = "runge-kutta",
    substeps: int = 10,
    history: float = 1.2,
    discard: int = 1000,
) -> Tensor:
    """A solution of the Mackey-Glass equation, one value a unit of time.

        dy/dt = 0.2 y(t - delay) / (1 + y(t - delay)^10) - 0.1 y(t),    y(t) = history for t <= 0

    Chaotic for a delay above 16.8: mildly at 17, more wildly at 30. Mackey and Glass, "Oscillation and chaos in
    physiological control systems", Science 197, 1977.

    As a benchmark the series is most often that of Jaeger, "The 'echo state' approach to analysing and training
    recurrent neural networks", GMD report 148, 2001: Euler's scheme with ten steps a unit of time, of which every
    tenth is kept, and then tanh(y - 1) as what a network learns. `scheme="euler"` repeats that; the report does not
    say how its series began. The two schemes give slightly different chaotic systems, not one more and one less exact
    path of the same length: a chaotic path is followed by no scheme for long.

    Args:
        steps: How many values to return.
        delay: The delay, in units of time; a whole number of substeps.
        scheme: "runge-kutta" of order 4, the delayed values halfway between two steps being those of the cubic through
            the values and slopes at both (so that the order is kept), or "euler".
        substeps: How many steps the scheme makes a unit of time.
        history: What y is up to t = 0.
        discard: How many first units of time to leave out, while the path finds its attractor.

    Returns:
        The values (steps,) in float64, the first at t = discard.

    Raises:
        SettingError: A number is not possible, or the scheme unknown.

    Example:
        >>> series = mackey_glass(2000)
        >>> series.shape, round(float(series.mean()), 2), round(float(series.var()), 3)
        (torch.Size([2000]), 0.93, 0.051)
    """
    steps, substeps = whole_number("steps", steps, 1), whole_number("substeps", substeps, 1)
    discard = whole_number("discard", discard, 0)
    if scheme not in get_args(Scheme):
        raise SettingError(f"there is no scheme {scheme!r}; choose one of: {', '.join(get_args(Scheme))}")
    for name, value in (("delay", delay), ("history", history)):
        if not is_number(value) or not math.isfinite(value):
            raise SettingError(f"{name} is {value!r}; it is a finite number")
    if delay <= 0 or abs(delay * substeps - round(delay * substeps)) > 1e-9:
        raise SettingError(f"delay is {delay!r}; it is above 0 and a whole number of steps of 1 / {substeps}")
    values = _integrate((steps - 1 + discard) * substeps, round(delay * substeps), 1 / substeps, float(history), scheme)
    return torch.from_numpy(values[discard * substeps :: substeps].copy())


def _integrate(count: int, lag: int, step: float, history: float, scheme: Scheme) -> Values:
    """The values at 0, step, ..., count * step, by the method of steps.

    What the past produces is known a whole delay ahead, and the rest of the equation is linear. So either scheme is
    y<n+1> = keep y<n> + gain<n> with all gains of a block known at once, and the block a product with a triangle of
    powers of keep. Every corner of the solution, at multiples of the delay, falls on a step, where it costs no order.
    """
    size = min(lag, LONGEST_BLOCK)
    blocks = math.ceil(count / size)
    values = np.full(lag + 1 + blocks * size, history)
    halves = np.full(lag + blocks * size, history)  # halfway between values[n] and values[n + 1]
    zero = np.zeros(1)
    powers = _advance(np.ones(1), zero, zero, zero, step, scheme) ** np.arange(size + 1)
    triangle = np.tril(powers[np.abs(np.subtract.outer(np.arange(size), np.arange(size)))])
    for n in range(0, blocks * size, size):
        produced = _production(values[n : n + size + 1])
        gains = _advance(zero, produced[:-1], _production(halves[n : n + size]), produced[1:], step, scheme)
        first = lag + n
        values[first + 1 : first + size + 1] = powers[1:] * values[first] + triangle @ gains
        y = values[first : first + size + 1]
        slopes = produced - DECAY * y
        halves[first : first + size] = (y[:-1] + y[1:]) / 2 + step / 8 * (slopes[:-1] - slopes[1:])
    return values[lag : lag + count + 1]


def _production(delayed: Values) -> Values:
    with np.errstate(over="ignore"):  # an infinite power in the denominator is right: nothing is produced
        return GAIN * delayed / (1 + delayed**EXPONENT)


def _advance(y: Values, first: Values, half: Values, last: Values, step: float, scheme: Scheme) -> Values:
    """One step of the scheme from y, given what is produced where it begins, halfway and where it ends."""
    slope = first - DECAY * y
    if scheme == "euler":
        return y + step * slope
    second = half - DECAY * (y + step / 2 * slope)
    third = half - DECAY * (y + step / 2 * second)
    fourth = last - DECAY * (y + step * third)
    return y + step / 6 * (slope + 2 * second + 2 * third + fourth)
