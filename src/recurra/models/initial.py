"""How the parameters of a whole model begin, as one text that a flag or a key of a config file can hold.

    uniform(-0.1, 0.1)                      every parameter
    uniform(-0.1, 0.1); b_forget = 1        every parameter, but for those named b_forget
    W_* = orthogonal; readout.* = normal    those of these names

A name is the parameter's own, as in the equations, or its whole path; `*` stands for any characters. The rules are
those of `recurra.nn.initialise`. The last one that matches holds; what none matches begins by default.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from recurra.errors import SettingError
from recurra.nn.initialise import Rule, _drawn, _read, initialise_
from recurra.nn.parameters import CellParameters
from recurra.nn.recurrent import Recurrent

__all__ = ["begin_", "read_rules"]


def read_rules(text: str) -> dict[str, Rule]:
    """The rules of a text, by the names that they are for.

    Raises:
        SettingError: A part of the text is no rule.

    Example:
        >>> read_rules("uniform(-0.1, 0.1); b_forget = 1")
        {'*': 'uniform(-0.1, 0.1)', 'b_forget': 1.0}
    """
    rules: dict[str, Rule] = {}
    for part in text.split(";"):
        name, equals, rule = (word.strip() for word in part.rpartition("="))
        if not rule or (equals and not name):
            raise SettingError(
                f"initial: {part.strip()!r} is no rule; write RULE or NAME = RULE, with ; between them, "
                "as in uniform(-0.1, 0.1); b_forget = 1"
            )
        rules[name or "*"] = _number(rule)
        try:
            _read(rules[name or "*"])
        except SettingError as error:
            raise SettingError(f"initial: {error}") from None
    return rules


def _number(rule: str) -> Rule:
    try:
        return float(rule)
    except ValueError:
        return rule


@torch.no_grad()
def begin_(model: nn.Module, rules: Mapping[str, Rule]) -> None:
    """Set the parameters of a model to where they begin, in place.

    Args:
        model: The model.
        rules: What `read_rules` gives.

    Raises:
        SettingError: A name matches no parameter, or a rule is not for what it matches.

    Example:
        >>> model = nn.Linear(2, 3)
        >>> begin_(model, read_rules("zeros; bias = 2"))
        >>> model.weight.abs().sum().item(), model.bias.tolist()
        (0.0, [2.0, 2.0, 2.0])
    """
    found = dict(model.named_parameters())
    for name in rules:
        if not any(_matches(path, name) for path in found):
            known = ", ".join(dict.fromkeys(path.rpartition(".")[2] for path in found))
            raise SettingError(f"initial: {name!r} matches no parameter; they are: {known}")
    in_cells: set[str] = set()
    for place, network in model.named_modules():
        if isinstance(network, Recurrent):
            for path, layer in network.named_modules(prefix=place):
                if isinstance(layer, CellParameters):
                    own = {
                        name: rule
                        for name in network.cell.parameters
                        if (rule := _rule(_join(path, name), rules)) is not None
                    }
                    in_cells.update(_join(path, name) for name in network.cell.parameters)
                    if own:
                        initialise_(network.cell, layer.tensors(network.cell), layer.input_size, own)
    for path, parameter in found.items():
        rule = None if path in in_cells else _rule(path, rules)
        if rule is not None:
            _begin_one(path, parameter, rule)


def _begin_one(path: str, parameter: Tensor, rule: Rule) -> None:
    """Set a parameter that is no cell's."""
    initialiser, numbers = _read(rule)
    suits = "vector" if parameter.dim() < 2 else "matrix"
    if initialiser.suits == "square" and suits == "matrix":
        return  # such rules are for what meets a hidden vector; the others begin by default
    if initialiser.suits not in ("any", suits):
        raise SettingError(f"initial: {rule!r} is not for {path}, a {suits}; give it a rule of its own")
    parameter.copy_(_drawn(initialiser, numbers, parameter))


def _rule(path: str, rules: Mapping[str, Rule]) -> Rule | None:
    """The last rule that matches."""
    return next((rule for name, rule in reversed(list(rules.items())) if _matches(path, name)), None)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _matches(path: str, name: str) -> bool:
    return fnmatch.fnmatchcase(path, name) or fnmatch.fnmatchcase(path.rpartition(".")[2], name)
