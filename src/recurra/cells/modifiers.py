"""Modifiers: functions from a cell to a cell, by rewriting its equations.

Each works on every cell, and what it returns is an ordinary cell: it prints, differentiates and runs like any other,
and can be modified again. `cell.at_rest` is what it becomes when not training.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from recurra.equations import Cell, Noise
from recurra.equations.expression import (
    Call,
    Equation,
    Expression,
    Number,
    Product,
    Step,
    Vector,
    fold,
    rebuilt,
    render,
    transform,
    walk,
)
from recurra.errors import SettingError

__all__ = ["Rate", "layer_norm", "state_dropout", "zoneout"]

Rate = float | Mapping[str, float]
"""One rate for all states, or a rate for some of them by name."""


def zoneout(cell: Cell, rate: Rate) -> Cell:
    """Let each unit of a state keep its old value with some probability, drawn anew at every step.

        new_h[t] = what the cell computes
        h[t]     = zoneout_h[t] * h[t-1] + (1 - zoneout_h[t]) * new_h[t],    zoneout_h[t] is 1 with probability rate

    Other lines of the same step read new_h[t], as in the paper, where the LSTM's output is made of the memory that
    was not zoned out. At rest zoneout_h[t] is its expectation, the rate.

    Krueger et al., "Zoneout: regularizing RNNs by randomly preserving hidden activations", ICLR 2017.

    Args:
        cell: Any cell.
        rate: The probability of keeping the old value, from 0 up to, not including, 1; or one for some states by
            name. A state at 0 is left as it is.

    Raises:
        SettingError: A rate is no such probability, a state is unknown, or the cell has a name that this needs.

    Example:
        >>> from recurra.cells import RNN
        >>> print(zoneout(RNN, 0.1))
        new_h[t] = tanh(W @ [h[t-1], x[t]] + b)
        h[t]     = zoneout_h[t] * h[t-1] + (1 - zoneout_h[t]) * new_h[t]
    """
    rates = _rates("zoneout", rate, cell.states, f"{_called(cell)} carries no state")
    if not rates:
        return cell
    noise = {f"zoneout_{name}": Noise(r, 1.0, mean=r, each="step") for name, r in rates.items()}
    _check_free("zoneout", cell, [*noise, *(f"new_{name}" for name in rates)])

    def read_new(part: Expression) -> Expression:
        if isinstance(part, Step) and part.lag == 0 and part.name in rates:
            return Step(f"new_{part.name}")
        return part

    equations: list[Equation] = []
    for equation in cell.equations:
        name, expression = equation.name, transform(equation.expression, read_new)
        if name not in rates:
            equations.append(Equation(name, expression))
            continue
        new, old, keep = Step(f"new_{name}"), Step(name, 1), Step(f"zoneout_{name}")
        kept, renewed = Call("multiply", (keep, old)), Call("multiply", (_one_less(keep), new))
        equations += [Equation(new.name, expression), Equation(name, Call("add", (kept, renewed)))]
    return _changed(cell, "zoneout", equations, noise=noise)


def state_dropout(cell: Cell, rate: Rate) -> Cell:
    """Drop units of what the matrices read of the states, the same ones at every step of a sequence.

        W @ [h[t-1], x[t]]   becomes   W @ [dropout_h[t] * h[t-1], x[t]],    dropout_h[t] is 0 with probability rate

    and else 1 / (1 - rate), so that its expectation is 1, which it is at rest. Every state read inside the operand of
    a product is dropped, such as h[t-1] in W @ [relevance[t] * h[t-1], x[t]]; all products share one mask a state.
    What is carried on unit by unit, such as an LSTM's memory, stays whole.

    Gal and Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks", NeurIPS 2016;
    of its two forms this is the one with one mask for all gates ("tied").

    Args:
        cell: Any cell with a product that reads a state.
        rate: The probability that a unit is dropped, from 0 up to, not including, 1; or one for some states by name.
            A state at 0 is left as it is.

    Raises:
        SettingError: A rate is no such probability, no product reads a state of that name, or the cell has a name
            that this needs.

    Example:
        >>> from recurra.cells import RNN
        >>> print(state_dropout(RNN, 0.25))
        h[t] = tanh(W @ [dropout_h[t] * h[t-1], x[t]] + b)
    """
    read = {
        part.name: None
        for equation in cell.equations
        for product in walk(equation.expression)
        if isinstance(product, Product)
        for part in walk(product)
        if isinstance(part, Step) and part.lag
    }
    reason = f"no product of {_called(cell)} reads a state, so there is nothing to drop; zoneout works on any state"
    rates = _rates("state_dropout", rate, read, reason)
    if not rates:
        return cell
    noise = {f"dropout_{name}": Noise(1 - r, 1 / (1 - r), mean=1.0, each="sequence") for name, r in rates.items()}
    _check_free("state_dropout", cell, noise)

    def dropped(part: Expression) -> Expression:
        if isinstance(part, Step) and part.lag and part.name in rates:
            return Call("multiply", (Step(f"dropout_{part.name}"), part))
        return part

    def dropped_in_products(part: Expression) -> Expression:
        if isinstance(part, Product):
            return replace(part, operands=tuple(transform(o, dropped) for o in part.operands))
        return part

    def outside_products(part: Expression) -> bool:
        return not isinstance(part, Product)

    equations = [
        Equation(e.name, transform(e.expression, dropped_in_products, outside_products)) for e in cell.equations
    ]
    return _changed(cell, "state-dropout", equations, noise=noise)


def layer_norm(cell: Cell) -> Cell:
    """Normalise every product over its units, and scale it by a learned gain of its own.

        W @ v   becomes   gain_W * layer_norm(W @ v),    layer_norm(a) = (a - mean(a)) / sqrt(var(a) + 0.00001)

    The gains begin at 1. A matrix that stands in two different products gets a gain for each, gain_W and gain_W_2;
    one product written twice has one. A product that stands alone in a layer_norm already is left as it is. The
    biases of the cell, outside the products, do for those of the normalisation.

    Ba, Kiros and Hinton, "Layer normalization", arXiv 1607.06450, 2016. For the plain network this is the paper's
    form. For its LSTM the paper normalises the products with h[t-1] and with x[t] apart, and the memory on its way
    out; here W @ [h[t-1], x[t]] is one product and is normalised as one, and the memory is not. Cells that write the
    two products apart have them normalised apart.

    Args:
        cell: Any cell with a product.

    Raises:
        SettingError: There is no product to normalise, or the cell has a name that this needs.

    Example:
        >>> from recurra.cells import RNN
        >>> print(layer_norm(RNN))
        h[t] = tanh(gain_W * layer_norm(W @ [h[t-1], x[t]]) + b)
    """
    gains: dict[str, str] = {}
    calls = [part for e in cell.equations for part in walk(e.expression) if isinstance(part, Call)]
    already = {id(call.arguments[0]) for call in calls if call.function == "layer_norm"}

    def normalised(written: Expression, parts: list[Expression]) -> Expression:
        part = rebuilt(written, parts)
        if not isinstance(part, Product) or id(written) in already:
            return part
        product = render(part)
        if product not in gains:
            gains[product] = _numbered(f"gain_{part.matrix}", gains.values())
        return Call("multiply", (Vector(gains[product]), Call("layer_norm", (part,))))

    equations = [Equation(e.name, fold(e.expression, normalised)) for e in cell.equations]
    if not gains:
        raise SettingError(f"layer_norm: {_called(cell)} has no product that is not normalised already")
    _check_free("layer_norm", cell, gains.values())
    return _changed(cell, "layer-norm", equations, initial=dict.fromkeys(gains.values(), 1.0))


def _numbered(name: str, taken: Collection[str]) -> str:
    """The name, or the first of name_2, name_3, ... that is not taken."""
    names = itertools.chain([name], (f"{name}_{k}" for k in itertools.count(2)))
    return next(n for n in names if n not in taken)


def _one_less(part: Expression) -> Expression:
    return Call("subtract", (Number(1), part))


def _rates(modifier: str, rate: Rate, states: Iterable[str], if_none: str) -> dict[str, float]:
    """The rate of each state that has one above 0."""
    states = list(states)
    if not states:
        raise SettingError(f"{modifier}: {if_none}")
    rates = dict(rate) if isinstance(rate, Mapping) else dict.fromkeys(states, rate)
    for name, value in rates.items():
        if name not in states:
            raise SettingError(
                f"{modifier}: {name!r} is no state that it can act on here; those are: {', '.join(states)}"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise SettingError(f"{modifier}: the rate is {value!r}; it is a probability from 0 up to, not including, 1")
    return {name: float(rates[name]) for name in states if rates.get(name)}


def _check_free(modifier: str, cell: Cell, names: Iterable[str]) -> None:
    """Refuse a cell in which a name that the modifier gives already stands for something."""
    taken = {*cell.values, *cell.parameters, *cell.noise, *cell.constants}
    for name in names:
        if name in taken:
            raise SettingError(
                f"{modifier} needs the name {name!r}, which {_called(cell)} has already; "
                "modify a state once, or rename it in the equations"
            )


def _called(cell: Cell) -> str:
    return f"the cell {cell.name}" if cell.name else "this cell"


def _changed(
    cell: Cell,
    modifier: str,
    equations: list[Equation],
    *,
    noise: Mapping[str, Noise] | None = None,
    initial: Mapping[str, float] | None = None,
) -> Cell:
    """The cell with other equations and, added to its own, noise and initial values; its name says what was done."""
    changed = cell.replace(
        equations, noise={**cell.noise, **(noise or {})}, initial={**cell.initial, **(initial or {})}
    )
    if cell.name:
        changed.name = f"{cell.name}+{modifier}"
    if cell.title:
        changed.title = f"{cell.title} + {modifier.replace('-', ' ')}"
    return changed
