"""Calibration: probabilities that come true as often as they say, and how far they are from it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from recurra.errors import SettingError, ShapeError

__all__ = [
    "PlattScaling",
    "design_effect",
    "expected_calibration_error",
    "fit_platt_scaling",
    "fit_temperature",
    "wilson_interval",
    "wilson_lower_bound",
]

CERTAIN = 1e-7
"""Probabilities are read no nearer to 0 and 1 than this: float32 rounds what is nearer to certainty."""

STRENGTH = 10.0
"""How strongly a scaling is held to the one it starts from. On the entities of CoNLL-2003's testa, fitted on halves by
documents, it is the weakest of 1, 3, 10 and 30 that makes nothing worse where it is fitted on 30 entities, and as good
as any where it is fitted on thousands."""

MAX_STEPS = 100


class PlattScaling(BaseModel):
    """A probability read anew: q = σ(slope · logit(p) + intercept).

    Platt, "Probabilistic outputs for support vector machines", 1999; on logits rather than margins: Guo et al., "On
    calibration of modern neural networks", ICML 2017.

    Args:
        slope: Below 1 for a model that is too sure of itself; never below 0, so that the order stays.
        intercept: Below 0 for one that is right less often than it says.

    Example:
        >>> round(PlattScaling(slope=0.5)(0.99), 3)
        0.909
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    slope: float = Field(1.0, ge=0, allow_inf_nan=False)
    intercept: float = Field(0.0, allow_inf_nan=False)

    def __call__(self, probability: float) -> float:
        """The probability, calibrated."""
        logit = self.slope * _logit(probability) + self.intercept
        return 1 / (1 + math.exp(-logit)) if logit > 0 else math.exp(logit) / (1 + math.exp(logit))


UNCHANGED = PlattScaling(slope=1.0, intercept=0.0)
"""The scaling that changes nothing."""


def fit_platt_scaling(
    probabilities: Sequence[float],
    right: Sequence[bool],
    prior: PlattScaling = UNCHANGED,
    strength: float = STRENGTH,
) -> PlattScaling:
    """The scaling under which outcomes are the most probable, held to a prior.

        argmin  -Σ log p(right | slope, intercept) + strength / 2 ((slope - slope₀)² + (intercept - intercept₀)²)

    So few outcomes change little, and none nothing.

    Args:
        probabilities: What was said.
        right: Whether it came true.
        prior: What it is held to, such as the scaling of all classes for that of one.
        strength: How strongly; above 0.

    Raises:
        SettingError: The strength is not above 0.
        ShapeError: There are not as many outcomes as probabilities.

    Example:
        >>> scaling = fit_platt_scaling([0.9] * 300, [True, True, False] * 100)
        >>> round(scaling(0.9), 2)
        0.68
    """
    if not strength > 0:
        raise SettingError(f"strength is {strength}; it is a number above 0")
    logits = np.array([_logit(probability) for probability in probabilities])
    outcomes = _outcomes(probabilities, right)
    start = np.array([prior.slope, prior.intercept])
    fitted = _newton(np.stack([logits, np.ones_like(logits)], 1), outcomes, start, strength)
    if fitted[0] < 0:  # the surer, the wronger: then how sure it was says nothing
        fitted = _newton(np.stack([0 * logits, np.ones_like(logits)], 1), outcomes, np.array([0.0, start[1]]), strength)
    return PlattScaling(slope=max(float(fitted[0]), 0.0), intercept=float(fitted[1]))


def _newton(
    inputs: npt.NDArray[np.float64], outcomes: npt.NDArray[np.float64], start: npt.NDArray[np.float64], strength: float
) -> npt.NDArray[np.float64]:
    """The weights of a logistic regression held to where they start; the objective is convex, steps are shortened."""

    def objective(weights: npt.NDArray[np.float64]) -> float:
        logits = inputs @ weights
        nats = np.logaddexp(0, logits) - outcomes * logits
        return float(nats.sum() + strength / 2 * ((weights - start) ** 2).sum())

    weights = start
    for _ in range(MAX_STEPS):
        predicted = 0.5 * (1 + np.tanh(inputs @ weights / 2))
        gradient = inputs.T @ (predicted - outcomes) + strength * (weights - start)
        curvature = (inputs * (predicted * (1 - predicted))[:, None]).T @ inputs + strength * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        before = objective(weights)
        while objective(weights - step) > before and np.abs(step).max() > 1e-12:
            step = step / 2
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def expected_calibration_error(probabilities: Sequence[float], right: Sequence[bool], bins: int = 15) -> float:
    """How far, on average, what came true is from what was said, in bins of equally many probabilities.

        Σ_bins share of the bin · | mean probability - share that came true |

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015. Also of
    perfect probabilities it is above 0, by the chance within the bins.

    Args:
        probabilities: What was said.
        right: Whether it came true.
        bins: How many bins there are; with fewer probabilities, as many as those.

    Returns:
        The error, from 0 to 1; NaN for no probability.

    Example:
        >>> expected_calibration_error([0.5, 0.5, 0.5, 0.5], [True, False, True, True], bins=1)
        0.25
    """
    if bins < 1:
        raise SettingError(f"bins is {bins}; it is a whole number from 1")
    said, outcomes = np.asarray(probabilities, dtype=np.float64), _outcomes(probabilities, right)
    if not said.size:
        return math.nan
    order = np.argsort(said, kind="stable")
    parts = [part for part in np.array_split(order, bins) if part.size]
    return float(sum(abs(said[part].sum() - outcomes[part].sum()) for part in parts) / said.size)


def wilson_lower_bound(right: float, count: float, z: float = 1.6449) -> float:
    """The lowest share that is still likely, of right ones among all of their kind: the lower end of Wilson's interval.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 1927.

    Args:
        right: How many of them are right.
        count: How many there are; of none, the bound is 0. Both are divided by the design effect where they are not
            drawn independently.
        z: How likely: 1.645 for a bound that holds 95 times in 100.

    Example:
        >>> round(wilson_lower_bound(100, 100), 3), round(wilson_lower_bound(5, 5), 3)
        (0.974, 0.649)
    """
    if not 0 <= right <= count:
        raise SettingError(f"{right} of {count} cannot be right; give a count and how many of it are")
    if not count:
        return 0.0
    share, spread = right / count, z * z / count
    centre = share + spread / 2
    return max(0.0, (centre - math.sqrt(spread * (share * (1 - share) + spread / 4))) / (1 + spread))


def wilson_interval(right: float, count: float, z: float = 1.96) -> tuple[float, float]:
    """The shares that are likely, of right ones among all of their kind: Wilson's interval.

    Args:
        right: How many of them are right.
        count: How many there are; of none, the interval is all of [0, 1].
        z: How likely: 1.96 for an interval that holds 95 times in 100.

    Example:
        >>> [round(end, 3) for end in wilson_interval(5, 10)], [round(end, 3) for end in wilson_interval(0, 10)]
        ([0.237, 0.763], [0.0, 0.278])
    """
    return wilson_lower_bound(right, count, z), 1 - wilson_lower_bound(count - right, count, z)


def design_effect(right: Sequence[bool], groups: Sequence[Hashable]) -> float:
    """How much more a share varies than if its outcomes were independent, since those of a group go together.

        Σ_groups (Σ right - share)² · G / (G - 1)  /  n share (1 - share)

    As many outcomes say no more than n / effect independent ones would. Kish, "Survey sampling", 1965.

    Args:
        right: The outcomes.
        groups: What each belongs to, such as a document.

    Returns:
        The effect, never below 1; 1 where nothing varies, or there is one group.

    Example:
        >>> design_effect([True, True, False, False], ["a", "a", "b", "b"])
        4.0
    """
    outcomes = _outcomes(groups, right)
    share = float(outcomes.mean()) if outcomes.size else 0.0
    independent = float(((outcomes - share) ** 2).sum())
    deviations: defaultdict[Hashable, float] = defaultdict(float)
    for group, outcome in zip(groups, outcomes.tolist(), strict=True):
        deviations[group] += outcome - share
    if len(deviations) < 2 or not independent:
        return 1.0
    between = sum(deviation**2 for deviation in deviations.values()) * len(deviations) / (len(deviations) - 1)
    return max(1.0, between / independent)


def _logit(probability: float) -> float:
    if not -1e-6 <= probability <= 1 + 1e-6:
        raise SettingError(f"{probability} is no probability; it is from 0 to 1")
    bounded = min(max(probability, CERTAIN), 1 - CERTAIN)
    return math.log(bounded / (1 - bounded))


def _outcomes(described: Sequence[object], right: Sequence[bool]) -> npt.NDArray[np.float64]:
    if len(described) != len(right):
        raise ShapeError(f"there are {len(described)} values and {len(right)} outcomes; give one for each")
    return np.array([bool(outcome) for outcome in right], dtype=np.float64)


def fit_temperature(logits: Sequence[Sequence[float]], classes: Sequence[int]) -> float:
    """The temperature at which the probabilities softmax(logits / temperature) come true.

    It is where the mean of -log p(class) is least, found by golden sections of its logarithm (Guo et al., "On
    calibration of modern neural networks", ICML 2017).

    Args:
        logits: Of each example those of its classes, (N, C).
        classes: The class of each example, from 0.

    Returns:
        The temperature, from 0.05 to 20; 1 where there is no example.

    Example:
        >>> logits = [[2.0, 0.0]] * 3 + [[0.0, 2.0]]  # sure to 88%, and right three times in four
        >>> round(fit_temperature(logits, [0, 0, 1, 1]), 2)
        1.82
    """
    if not classes:
        return 1.0
    scores = np.asarray(logits, dtype=np.float64)
    chosen = np.asarray(classes)

    def cost(log_temperature: float) -> float:
        scaled = scores / math.exp(log_temperature)
        scaled = scaled - scaled.max(1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(chosen)), chosen]).mean())

    low, high = math.log(0.05), math.log(20.0)
    golden = (math.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        first, second = high - golden * (high - low), low + golden * (high - low)
        if cost(first) <= cost(second):
            high = second
        else:
            low = first
    return math.exp((low + high) / 2)
