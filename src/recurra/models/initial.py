"""How the parameters of a whole model begin, as one text that a flag or a key of a config file can hold.

    uniform(-0.1, 0.1)                      every parameter
    uniform(-0.1, 0.1); b_forget = 1        every parameter, but for those named b_forget
    W_* = orthogonal; readout.* = normal    those of these names

A name is the parameter's own, as in the equations, or its whole path; `*` stands for any characters. The rules, and
which of several holds, are those of `recurra.nn.initialise`: a name goes before a pattern, a later pattern before an
earlier one. What none matches begins by default.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from recurra.errors import SettingError
from recurra.nn.initialise import Rule, check_keys, draw, initialise_, key_for, read_rule
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
        key = name or "*"
        rules.pop(key, None)  # of two rules under one name the later holds, in the later one's place
        rules[key] = _number(rule)
        try:
            read_rule(rules[key])
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
    parameters = dict(model.named_parameters())
    check_keys(rules, parameters)
    in_cells: set[str] = set()
    for prefix, network in model.named_modules():
        if not isinstance(network, Recurrent):
            continue
        names = network.cell.parameters
        for path, layer in network.named_modules(prefix=prefix):
            if not isinstance(layer, CellParameters):
                continue
            keys = {name: key_for(_join(path, name), rules) for name in names}
            of_layer = {name: rules[key] for name, key in keys.items() if key is not None}
            in_cells.update(_join(path, name) for name in names)
            if of_layer:
                initialise_(network.cell, layer.tensors(network.cell), layer.input_size, of_layer)
    for path, parameter in parameters.items():
        key = None if path in in_cells else key_for(path, rules)
        if key is not None:
            _begin_one(path, parameter, rules[key])


def _begin_one(path: str, parameter: Tensor, rule: Rule) -> None:
    """Set a parameter that belongs to no cell, such as a readout's."""
    initialiser, numbers = read_rule(rule)
    suits = "vector" if parameter.dim() < 2 else "matrix"
    if initialiser.suits == "square" and suits == "matrix":
        return  # such rules are for what meets a hidden vector; the others begin by default
    if initialiser.suits not in ("any", suits):
        raise SettingError(f"initial: {rule!r} is not for {path}, a {suits}; give it a rule of its own")
    parameter.copy_(draw(initialiser, numbers, parameter))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
