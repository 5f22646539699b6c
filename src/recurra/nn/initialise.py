"""How parameters begin, by name and kind.

A cell may say how its own parameters begin (`Cell(initial=...)`); what it does not name begins as its kind does:

    a block of a matrix that meets the input        Glorot and Bengio 2010, uniform
    a square block that meets a hidden vector       orthogonal (Saxe, McClelland and Ganguli 2014)
    a bias, a weight                                0

Each rule is the name of an initialiser, with numbers in parentheses where it takes some, or a number. Rules are given
by name or by pattern (`*` stands for any characters). Where several match a parameter, a name goes before a pattern,
and a later pattern before an earlier one; `key_for` decides it, for a layer and for a whole model alike. Numbers
are drawn on the processor from PyTorch's generator, so that a seed gives the same parameters on every device.
"""

from __future__ import annotations

import fnmatch
import inspect
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from recurra.equations.cell import Cell
from recurra.equations.gates import keeping_gate
from recurra.equations.shapes import HIDDEN, Parameter
from recurra.errors import SettingError
from recurra.spelling import did_you_mean

__all__ = [
    "INITIALISERS",
    "Initialiser",
    "Rule",
    "check_keys",
    "chrono_",
    "draw",
    "initialise_",
    "key_for",
    "read_rule",
]

Rule = str | float
"""The name of an initialiser, such as "glorot" or "uniform(-0.1, 0.1)", or a number."""


@dataclass(frozen=True, slots=True)
class Initialiser:
    """One way to begin.

    Args:
        suits: What it is for: any parameter, any block of a "matrix", its "square" blocks alone (the others then begin
            by default), or a "vector".
        fill: Fills a tensor in place; takes the numbers of the rule after it.
    """

    suits: Literal["any", "matrix", "square", "vector"]
    fill: Callable[..., object]


def _glorot(block: Tensor, gain: float = 1.0) -> None:
    nn.init.xavier_uniform_(block, gain)


def _he(block: Tensor) -> None:
    nn.init.kaiming_uniform_(block, nonlinearity="relu")


def _orthogonal(block: Tensor, gain: float = 1.0) -> None:
    nn.init.orthogonal_(block, gain)


def _identity(block: Tensor, scale: float = 1.0) -> None:
    block.copy_(torch.eye(block.shape[0], device=block.device) * scale)


def _spectral_radius(block: Tensor, radius: float = 0.9, density: float = 1.0) -> None:
    """Random weights, some of them cut to 0, scaled to a spectral radius (Jaeger 2001)."""
    _expect(radius >= 0, f"the radius is {radius:g}; it is a number from 0")
    _expect(0 < density <= 1, f"the density is {density:g}; it is a share above 0, at most 1")
    size = block.shape[0]
    for _ in range(100):
        kept = torch.rand(size, size, device=block.device) < density
        weights = torch.randn(size, size, dtype=torch.float64, device=block.device) * kept
        largest = float(torch.linalg.eigvals(weights).abs().max())
        if largest > 1e-6:
            block.copy_(weights * (radius / largest))
            return
    _expect(False, f"{size} x {size} weights with a density of {density:g} have no nonzero eigenvalue; raise it")


def _uniform(block: Tensor, low: float = -0.1, high: float = 0.1) -> None:
    _expect(low <= high, f"the lowest number, {low:g}, is above the highest, {high:g}")
    block.uniform_(low, high)


def _normal(block: Tensor, deviation: float = 0.01) -> None:
    _expect(deviation >= 0, f"the standard deviation is {deviation:g}; it is a number from 0")
    block.normal_(0, deviation)


def _chrono(block: Tensor, longest: float) -> None:
    """log(u), u uniform from 1 to longest - 1: a gate that keeps for about u steps (Tallec and Ollivier 2018)."""
    _expect(2 <= longest < math.inf, f"the longest span is {longest:g}; it is a number of steps from 2")
    block.uniform_(1, longest - 1).log_()


INITIALISERS: dict[str, Initialiser] = {
    "glorot": Initialiser("matrix", _glorot),
    "he": Initialiser("matrix", _he),
    "orthogonal": Initialiser("square", _orthogonal),
    "identity": Initialiser("square", _identity),
    "spectral_radius": Initialiser("square", _spectral_radius),
    "uniform": Initialiser("any", _uniform),
    "normal": Initialiser("any", _normal),
    "zeros": Initialiser("any", lambda block: block.zero_()),
    "ones": Initialiser("any", lambda block: block.fill_(1.0)),
    "chrono": Initialiser("vector", _chrono),
}
NUMBER = Initialiser("any", lambda block, value: block.fill_(value))
"""What a rule that is a number stands for."""


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise SettingError(otherwise)


def read_rule(rule: Rule) -> tuple[Initialiser, list[float]]:
    """A rule as an initialiser and its numbers, as many as it takes."""
    if isinstance(rule, int | float) and not isinstance(rule, bool):
        _expect(math.isfinite(rule), f"{rule!r} is not a finite number")
        return NUMBER, [float(rule)]
    _expect(isinstance(rule, str), f"a rule is the name of an initialiser or a number, not {rule!r}")
    match = re.fullmatch(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*", str(rule))
    name = match[1] if match else str(rule)
    if not match or name not in INITIALISERS:
        hint = did_you_mean(name, INITIALISERS) or ";"
        raise SettingError(f"there is no initialiser {rule!r}{hint} choose one of: {', '.join(INITIALISERS)}")
    try:
        numbers = [float(n) for n in (match[2] or "").split(",") if n.strip()]
    except ValueError:
        numbers = [math.nan]
    _expect(all(map(math.isfinite, numbers)), f"{rule!r}: in the parentheses stand numbers, as in uniform(-0.1, 0.1)")
    takes = list(inspect.signature(INITIALISERS[name].fill).parameters.values())[1:]
    least = sum(p.default is inspect.Parameter.empty for p in takes)
    if not least <= len(numbers) <= len(takes):
        form = f"{name}({', '.join(p.name for p in takes)})" if takes else f"{name}, without numbers"
        raise SettingError(f"{rule!r} has {len(numbers)} numbers; the form is {form}")
    return INITIALISERS[name], numbers


def key_for(path: str, rules: Mapping[str, Rule]) -> str | None:
    """The key of the rule for a parameter: a name goes before a pattern, a later pattern before an earlier one.

    Args:
        path: The parameter's name, in a model its path: `recurrent.layers.0.b_forget`. A key matches the whole of it
            or its last part, the name in the equations; of two that are names the whole path goes first.
        rules: Rules by name or pattern.

    Example:
        >>> key_for("b_forget", {"b_forget": 1.0, "b_*": 0.0})
        'b_forget'
        >>> key_for("layers.0.b_forget", {"*": "normal", "b_*": 0.0})
        'b_*'
    """
    names = (path, path.rpartition(".")[2])
    exact = next((name for name in names if name in rules), None)
    return exact or next((key for key in reversed(list(rules)) if _matches(key, names)), None)


def _matches(key: str, names: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, key) for name in names)


def check_keys(rules: Mapping[str, Rule], paths: Collection[str]) -> None:
    """Refuse rules under names or patterns that match none of the parameters.

    Raises:
        SettingError: One does, or its rule is None.
    """
    for key, rule in rules.items():
        names = list(dict.fromkeys(path.rpartition(".")[2] for path in paths))
        if not any(_matches(key, (path, path.rpartition(".")[2])) for path in paths):
            hint = did_you_mean(key, names) or ";"
            raise SettingError(f"initial: {key!r} matches no parameter{hint} they are: {', '.join(names)}")
        if rule is None:
            raise SettingError(f"initial: {key}: a rule is the name of an initialiser or a number, not None")


@torch.no_grad()
def initialise_(
    cell: Cell, tensors: Mapping[str, Tensor], input_size: int, rules: Mapping[str, Rule] | None = None
) -> None:
    """Set the parameters of a cell to where they begin, in place.

    Args:
        cell: The cell; its own `initial` rules hold where `rules` has none.
        tensors: The parameters by name.
        input_size: I, the width of x[t].
        rules: Initialisers by parameter name, or by a pattern such as "W_*". A name goes before a pattern, a later
            pattern before an earlier one.

    Raises:
        SettingError: A rule names no initialiser, matches no parameter, or is not for what it matches; nothing has
            been changed then.

    Example:
        >>> from recurra.cells import LSTM
        >>> from recurra.nn import Recurrent
        >>> layer = Recurrent(LSTM, 3, 5, initial={"W_*": "glorot", "b_forget": 2.0})
        >>> layer.layers[0].b_forget.tolist()
        [2.0, 2.0, 2.0, 2.0, 2.0]
    """
    rules = dict(rules or {})
    check_keys(rules, cell.parameters)
    begun: list[tuple[Tensor, Tensor]] = []
    acted: dict[str, bool] = {}
    for name, parameter in cell.parameters.items():
        key = key_for(name, rules) or name
        try:
            blocks, followed = _begin(parameter, tensors[name], input_size, rules.get(key, cell.initial.get(key)))
        except SettingError as error:
            raise SettingError(f"initial: {key}: {error}") from None
        begun += blocks
        acted[key] = acted.get(key, False) or followed
    for key in (key for key, somewhere in acted.items() if not somewhere):
        rule = rules.get(key, cell.initial.get(key))
        raise SettingError(f"initial: {key}: {rule!r} is for columns that meet a hidden vector, and there are none")
    for block, values in begun:
        block.copy_(values)


def _begin(
    parameter: Parameter, tensor: Tensor, input_size: int, rule: Rule | None
) -> tuple[list[tuple[Tensor, Tensor]], bool]:
    """Each block of a parameter with the values it begins at, and whether any of them followed the rule.

    A matrix has a block for each part of a concatenation, and each begins by itself: W @ [h[t-1], x[t]] begins as
    U @ h[t-1] + V @ x[t] would.
    """
    if parameter.kind != "matrix":
        initialiser, numbers = read_rule(0.0 if rule is None else rule)
        if initialiser.suits in ("matrix", "square"):
            raise SettingError(f"{rule!r} is for matrices, and {parameter.name!r} is a vector; give it a number")
        return [(tensor, draw(initialiser, numbers, tensor))], True
    begun, followed = [], rule is None
    sizes = list(parameter.column_sizes(input_size, tensor.shape[0]))
    for block, width in zip(torch.split(tensor, sizes, dim=1), parameter.columns, strict=True):
        square = width == HIDDEN
        default = "orthogonal" if square else "glorot"
        initialiser, numbers = read_rule(default if rule is None else rule)
        if initialiser.suits == "vector":
            raise SettingError(f"{rule!r} is for vectors, and {parameter.name!r} is a matrix; give it another")
        if initialiser.suits == "square" and not square:
            initialiser, numbers = read_rule(default)
        else:
            followed = True
        begun.append((block, draw(initialiser, numbers, block)))
    return begun, followed


def draw(initialiser: Initialiser, numbers: Sequence[float], block: Tensor) -> Tensor:
    """Values for a block: drawn apart, since a block may be a view, on another device, or of too few digits."""
    dtype = block.dtype if block.dtype == torch.float64 else torch.float32
    values = torch.empty(block.shape, dtype=dtype, device="cpu")
    initialiser.fill(values, *numbers)
    return values


@torch.no_grad()
def chrono_(layer: nn.Module, longest: float, *, keep: str | None = None, write: str | None = None) -> None:
    """Chrono initialisation: gates that begin by keeping over every span up to the longest that matters.

        keep = log(u), write = -log(u), u uniform from 1 to longest - 1 for each unit

    Tallec and Ollivier, "Can recurrent neural networks warp time?", ICLR 2018. Which gates keep and write is read from
    the equations (`recurra.equations.gates.keeping_gate`); where one gate does both, as the update gate of a GRU, its
    bias alone is set. Names say it otherwise, one or both.

    Args:
        layer: A `Recurrent`, or any module that holds some; with names any module with parameters that are called so.
        longest: The longest span in steps, from 2.
        keep: The bias of the gate that keeps the state.
        write: The bias of the gate that writes to it.

    Raises:
        SettingError: No vector is called so, or the equations have no gate that keeps; nothing has been changed then.

    Example:
        >>> from recurra.cells import LSTM
        >>> from recurra.nn import Recurrent
        >>> layer = Recurrent(LSTM, 3, 5)
        >>> chrono_(layer, 100)
        >>> bool((layer.layers[0].b_forget == -layer.layers[0].b_input).all())
        True
    """
    if keep is None and write is None:
        found = [(own, _keeping(cell)) for own, cell in _with_cells(layer)]
        _expect(bool(found), "chrono_: there is no layer of a cell here; give keep or write, the name of a gate's bias")
        for own, signs in found:
            _begin_by_keeping(own, longest, signs)
        return
    _expect(keep != write, f"chrono_: keep and write are both {keep!r}; give two names, or one of them")
    _begin_by_keeping(layer, longest, {name: sign for name, sign in ((keep, 1), (write, -1)) if name is not None})


def _with_cells(layer: nn.Module) -> list[tuple[nn.Module, Cell]]:
    """The innermost modules that have a cell, with it."""
    found = [(own, cell) for own in layer.modules() if isinstance(cell := getattr(own, "cell", None), Cell)]
    having = {own for own, _ in found}
    return [(own, cell) for own, cell in found if not having & {*own.modules()} - {own}]


def _keeping(cell: Cell) -> dict[str, int]:
    """The biases of the gates that keep and write a cell's state, with the sign of the span's logarithm."""
    gate, called = keeping_gate(cell), f"the cell {cell.name}" if cell.name else "this cell"
    if gate is None:
        raise SettingError(f"chrono_: no gate of {called} scales what a state carries on, so none can begin by keeping")
    if gate.bias is None:
        raise SettingError(f"chrono_: {gate.name}[t], which keeps the state of {called}, has no bias to begin with")
    signs = {gate.bias: 1 if gate.keeps_at else -1}
    return signs if gate.writes_bias is None else {**signs, gate.writes_bias: -1}


def _begin_by_keeping(layer: nn.Module, longest: float, signs: Mapping[str, int]) -> None:
    found = [dict(module.named_parameters(recurse=False)) for module in layer.modules()]
    found = [own for own in found if signs.keys() & own.keys()]
    names = sorted({name for own in found for name in own})
    if not found:
        names = sorted({name.rpartition(".")[2] for name, _ in layer.named_parameters()})
    for name in signs:
        if not found or any(name not in own for own in found):
            hint = did_you_mean(name, names) or ";"
            raise SettingError(f"chrono_: there is no parameter {name!r}{hint} they are: {', '.join(names)}")
        if any(own[name].dim() != 1 for own in found):
            raise SettingError(f"chrono_: {name!r} is a matrix; give the name of a gate's bias")
    for own in found:
        spans = draw(INITIALISERS["chrono"], [float(longest)], own[next(iter(signs))])
        for name, sign in signs.items():
            own[name].copy_(sign * spans)
