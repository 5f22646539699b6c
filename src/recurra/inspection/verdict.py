"""What a profile of gradient norms says in words, and what to try."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from recurra.equations.cell import Cell
from recurra.equations.gates import gates, keeping_gate
from recurra.inspection.saturation import Saturation

__all__ = ["EXPLODED", "SHORTEST", "VANISHED", "Verdict", "advise", "decay_rate", "describe", "judge", "reach"]

Verdict = Literal["healthy", "vanishing", "exploding", "unmeasured"]

VANISHED = 0.01
"""Below this part of the norm at the loss a gradient has vanished."""

EXPLODED = 100.0
"""Above this multiple of the norm at the loss a gradient has exploded."""

SHORTEST = 5
"""How many steps a profile has at least if anything is to be said of it."""

SATURATED = 0.5
"""From this share of saturated units on, a value is mentioned."""


def decay_rate(norms: Sequence[float]) -> float | None:
    """The factor by which the norm changes a step back: exp of the slope of a straight line through the logarithms.

    The line is that of least squares through all norms that have a logarithm; None if there are not two.

    Example:
        >>> round(decay_rate([1.0, 0.5, 0.25, 0.125]), 6)
        0.5
    """
    places = [k for k, norm in enumerate(norms) if 0 < norm < math.inf]
    if len(places) < 2:
        return None
    return math.exp(np.polyfit(places, [math.log(norms[k]) for k in places], 1)[0])


def reach(norms: Sequence[float]) -> int:
    """The furthest step back at which at least a hundredth of the norm at the loss is left."""
    return max((k for k, norm in enumerate(norms) if not norm < VANISHED * norms[0]), default=0)


def judge(norms: Sequence[float]) -> Verdict:
    """The verdict on a profile: the norms at each step back, the first of them at the loss.

    Exploding if a norm is over a hundred times the first or not finite; vanishing if from some step on less than a
    hundredth of the first is left; unmeasured if there are fewer than five steps.

    Example:
        >>> judge([0.9**k for k in range(20)]), judge([0.7**k for k in range(20)]), judge([1.3**k for k in range(20)])
        ('healthy', 'vanishing', 'exploding')
    """
    if not all(norm <= EXPLODED * norms[0] < math.inf for norm in norms):
        return "exploding"
    if len(norms) < SHORTEST:
        return "unmeasured"
    return "vanishing" if reach(norms) < len(norms) - 1 else "healthy"


def describe(norms: Sequence[float], of: str = "h") -> str:
    """The verdict on the gradient of a value in words, with its figures.

    Example:
        >>> describe([0.5**k for k in range(20)])
        'vanishing beyond 6 steps: 2e-06 of dL/dh is left after 19 steps, times 0.5 a step'
    """
    verdict, rate, furthest = judge(norms), decay_rate(norms), len(norms) - 1
    if verdict == "unmeasured":
        return f"unmeasured: dL/d{of} reaches {_steps(len(norms))}, and a verdict takes {SHORTEST}"
    each = f", times {rate:.3g} a step" if rate is not None else ""
    if not all(math.isfinite(norm) for norm in norms):
        first = next(k for k, norm in enumerate(norms) if not math.isfinite(norm))
        return f"exploding: {_steps(first)} back dL/d{of} is not finite{each}"
    left = norms[-1] / norms[0]
    if verdict == "exploding":
        largest = max(range(len(norms)), key=norms.__getitem__)
        return f"exploding: {_steps(largest)} back dL/d{of} is {norms[largest] / norms[0]:.2g} times as large{each}"
    beyond = f"vanishing beyond {_steps(reach(norms))}" if verdict == "vanishing" else "healthy"
    share = f"{left:.0%}" if left >= VANISHED else f"{left:.1g}"
    return f"{beyond}: {share} of dL/d{of} is left after {_steps(furthest)}{each}"


def _steps(number: int) -> str:
    return "1 step" if number == 1 else f"{number} steps"


def advise(cell: Cell, norms: Sequence[float], saturations: Mapping[str, Saturation]) -> list[str]:
    """What to try, the likeliest first; nothing where all is well."""
    verdict = judge(norms)
    if verdict == "exploding":
        return [
            "clip the norm of the gradient: --clip-norm 1",
            "a lower learning rate, or recurrent matrices of a smaller gain to begin with",
        ]
    if verdict != "vanishing":
        return []
    return [*_ways_to_keep(cell, len(norms) - 1, saturations), *_ways_to_unsaturate(cell, saturations)]


def _ways_to_keep(cell: Cell, longest: int, saturations: Mapping[str, Saturation]) -> list[str]:
    gate = keeping_gate(cell)
    if gate is None:
        return ["a cell with a gate that keeps, such as gru or lstm", "irnn or antisymmetric-rnn, if it is to be plain"]
    own = saturations[gate.name]
    losing = own.low if gate.keeps_at else own.high
    ways = []
    if losing >= SATURATED:
        state = "closed" if gate.keeps_at else "open"
        ways.append(
            f"{gate.name}[t], which keeps the state, is {state} in {losing:.0%} of units and steps: move its bias"
        )
    if gate.bias is None:
        return [*ways, f"a bias that has {gate.name}[t] keep at first"]
    # sigmoid(log T) = T / (T + 1), and of what is multiplied by that at each of T steps a good third is left.
    bias = math.log(max(longest, 2)) * (1 if gate.keeps_at else -1)
    in_python = f"chrono_(layer, {max(longest, 2)})"
    return [*ways, f'gates that begin by keeping: --initial "{gate.bias} = {bias:.1f}", in Python {in_python}']


def _ways_to_unsaturate(cell: Cell, saturations: Mapping[str, Saturation]) -> list[str]:
    # A gate that is open or closed does its work; a saturated tanh lets no gradient through.
    squashed = [name for name, squashing in gates(cell).items() if squashing == "tanh"]
    stuck = [f"{n}[t] ({saturations[n].share:.0%})" for n in squashed if saturations[n].share >= SATURATED]
    if not stuck:
        return []
    return [f"{', '.join(stuck)} saturated: layer norm, a lower learning rate, or smaller weights and inputs"]
