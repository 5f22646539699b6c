"""How parameters begin, by name and kind.

A cell may say how its own parameters begin (`Cell(initial=...)`); what it does not name begins as its kind does:

    a block of a matrix that meets the input        Glorot and Bengio 2010, uniform
    a square block that meets a hidden vector       orthogonal (Saxe, McClelland and Ganguli 2014)
    a bias, a weight                                0

Each rule is the name of an initialiser, with numbers in parentheses where it takes some, or a number.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from recurra.equations.cell import Cell
from recurra.equations.shapes import HIDDEN, Parameter
from recurra.errors import SettingError

__all__ = ["INITIALISERS", "chrono_", "initialise_", "rule_for"]

Rule = str | float


def _spectral_radius(block: Tensor, radius: float = 0.9, density: float = 1.0) -> None:
    """Random weights, some of them cut to 0, scaled to a spectral radius (Jaeger 2001)."""
    size = block.shape[0]
    for _ in range(100):
        weights = torch.randn(size, size, dtype=torch.float64) * (torch.rand(size, size) < density)
        largest = float(torch.linalg.eigvals(weights).abs().max())
        if largest > 1e-6:
            block.copy_(weights * (radius / largest))
            return
    raise SettingError(
        f"a matrix of {size} x {size} with a density of {density:g} has no nonzero eigenvalue; raise the density"
    )


def _chrono(block: Tensor, longest: float) -> None:
    """log(u), u uniform from 1 to longest - 1: a gate that keeps for about u steps (Tallec and Ollivier 2018)."""
    block.uniform_(1, max(longest - 1, 1)).log_()


INITIALISERS: dict[str, Callable[..., object]] = {
    "glorot": nn.init.xavier_uniform_,
    "he": lambda block: nn.init.kaiming_uniform_(block, nonlinearity="relu"),
    "orthogonal": nn.init.orthogonal_,
    "identity": lambda block, scale=1.0: block.copy_(torch.eye(block.shape[0]) * scale),
    "spectral_radius": _spectral_radius,
    "uniform": lambda block, low=-0.1, high=0.1: block.uniform_(low, high),
    "normal": lambda block, deviation=0.01: block.normal_(0, deviation),
    "zeros": nn.init.zeros_,
    "ones": nn.init.ones_,
    "chrono": _chrono,
}
SQUARE = frozenset({"orthogonal", "identity", "spectral_radius"})
"""Initialisers of recurrent blocks; a block that is not square, and so no recurrence, begins by its default."""
MATRIX = SQUARE | {"glorot", "he"}
"""Initialisers that a vector cannot take."""


def _read(rule: Rule) -> tuple[str, list[float]]:
    """A rule as an initialiser's name and its numbers."""
    if not isinstance(rule, str):
        return "number", [float(rule)]
    match = re.fullmatch(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*", rule)
    name = match[1] if match else rule
    if not match or name not in INITIALISERS:
        nearest = difflib.get_close_matches(name, INITIALISERS, n=1)
        hint = f"did you mean {nearest[0]}? " if nearest else ""
        raise SettingError(f"there is no initialiser {rule!r}; {hint}choose one of: {', '.join(INITIALISERS)}")
    try:
        return name, [float(n) for n in (match[2] or "").split(",") if n.strip()]
    except ValueError:
        raise SettingError(f"the initialiser {rule!r} takes numbers in its parentheses, as in uniform(0, 1)") from None


def rule_for(name: str, rules: Mapping[str, Rule]) -> Rule | None:
    """The rule for a parameter: the one under its own name, else the last whose pattern matches it.

    Example:
        >>> rule_for("b_forget", {"b_*": 0.0, "b_forget": 1.0})
        1.0
    """
    if name in rules:
        return rules[name]
    return next((rules[p] for p in reversed(list(rules)) if fnmatch.fnmatchcase(name, p)), None)


@torch.no_grad()
def initialise_(
    cell: Cell, tensors: Mapping[str, Tensor], input_size: int, rules: Mapping[str, Rule] | None = None
) -> None:
    """Set the parameters of a cell to where they begin, in place.

    Args:
        cell: The cell; its own `initial` rules hold where `rules` has none.
        tensors: The parameters by name.
        input_size: I, the width of x[t].
        rules: Initialisers by parameter name, or by a pattern such as "W_*".

    Raises:
        SettingError: A rule names no initialiser, or matches no parameter, or cannot be for a vector.

    Example:
        >>> from recurra.cells import LSTM
        >>> from recurra.nn import Recurrent
        >>> layer = Recurrent(LSTM, 3, 5, initial={"W_*": "glorot", "b_forget": 2.0})
        >>> float(layer.layers[0].b_forget[0])
        2.0
    """
    rules = dict(rules or {})
    for pattern in rules:
        if not fnmatch.filter(tensors, pattern):
            raise SettingError(f"initial: {pattern!r} matches no parameter; they are: {', '.join(tensors)}")
    for name, parameter in cell.parameters.items():
        rule = rule_for(name, rules)
        rule = cell.initial.get(name) if rule is None else rule
        if parameter.kind == "matrix":
            _matrix(parameter, tensors[name], input_size, rule)
        else:
            _vector(name, tensors[name], 0.0 if rule is None else rule)


def _matrix(parameter: Parameter, tensor: Tensor, input_size: int, rule: Rule | None) -> None:
    """Each block of a matrix's columns begins by itself, so that a concatenation changes nothing."""
    sizes = list(parameter.column_sizes(input_size, tensor.shape[0]))
    for block, width in zip(torch.split(tensor, sizes, dim=1), parameter.columns, strict=True):
        square = width == HIDDEN
        default = "orthogonal" if square else "glorot"
        name, numbers = _read(default if rule is None else rule)
        if name in SQUARE and not square:
            name, numbers = default, []
        _fill(name, numbers, block)


def _vector(name: str, tensor: Tensor, rule: Rule) -> None:
    initialiser, numbers = _read(rule)
    if initialiser in MATRIX:
        raise SettingError(f"initial: {initialiser!r} is for matrices, and {name!r} is a vector; give it a number")
    _fill(initialiser, numbers, tensor)


def _fill(initialiser: str, numbers: list[float], block: Tensor) -> None:
    if initialiser == "number":
        block.fill_(numbers[0])
        return
    # Drawn apart and copied, since a block may be a view that an initialiser cannot reshape.
    fresh = torch.empty(block.shape, dtype=torch.float32)
    try:
        INITIALISERS[initialiser](fresh, *numbers)
    except TypeError:
        raise SettingError(f"the initialiser {initialiser!r} does not take {len(numbers)} numbers") from None
    block.copy_(fresh)


@torch.no_grad()
def chrono_(layer: nn.Module, longest: int, *, keep: str = "b_forget", write: str | None = "b_input") -> None:
    """Chrono initialisation: gates that begin by keeping over every span up to the longest that matters.

        keep = log(u), write = -keep, u uniform from 1 to longest - 1 for each unit

    Tallec and Ollivier, "Can recurrent neural networks warp time?", ICLR 2018.

    Args:
        layer: Any module with parameters of these names, such as a `Recurrent`.
        longest: The longest span in steps.
        keep: The bias of the gate that keeps the state.
        write: The bias of the gate that writes to it, or None.

    Raises:
        SettingError: No parameter is called so.

    Example:
        >>> from recurra.cells import LSTM
        >>> from recurra.nn import Recurrent
        >>> layer = Recurrent(LSTM, 3, 5)
        >>> chrono_(layer, 100)
        >>> bool((layer.layers[0].b_forget == -layer.layers[0].b_input).all())
        True
    """
    found = False
    for module in layer.modules():
        own = dict(module.named_parameters(recurse=False))
        if keep in own:
            found = True
            _chrono(own[keep], longest)
            if write is not None:
                if write not in own:
                    raise SettingError(f"there is no parameter {write!r} beside {keep!r}; give write=None or its name")
                own[write].copy_(-own[keep])
    if not found:
        names = sorted({n.rpartition(".")[2] for n, _ in layer.named_parameters()})
        raise SettingError(f"there is no parameter {keep!r}; they are: {', '.join(names)}")
