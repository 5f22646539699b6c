"""Parts of a model that rest while others learn, and parts that learn at rates of their own.

A layer that was trained before is often left as it is until those above it have learned what to make of it, and then
let go a part at a time from the top (Howard and Ruder, "Universal language model fine-tuning for text classification",
ACL 2018).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn

from recurra.errors import SettingError
from recurra.spelling import did_you_mean

__all__ = ["frozen_patterns", "layer_factors", "matching", "rate_factors"]


def matching(names: Iterable[str], pattern: str, setting: str) -> list[str]:
    """The parameters whose names match a pattern, in which * stands for anything.

    Raises:
        SettingError: None does.

    Example:
        >>> matching(["encoder.W", "encoder.b", "readout.W"], "encoder.*", "freeze")
        ['encoder.W', 'encoder.b']
    """
    names = list(names)
    matched = [name for name in names if fnmatchcase(name, pattern)]
    if not matched:
        tops = sorted({name.partition(".")[0] for name in names})
        meant = did_you_mean(pattern.partition(".")[0], tops)
        flag = f"--{setting.replace('_', '-')}"
        raise SettingError(
            f"{flag}: no parameter of the model is called {pattern}{meant or ';'} its names begin with "
            f"{', '.join(tops)}, and * stands for anything"
        )
    return matched


def frozen_patterns(patterns: Sequence[str], unfreeze_every: int | None, epoch: int) -> Sequence[str]:
    """The patterns that are still frozen in an epoch; the last of them is let go first.

    Args:
        patterns: What is frozen at first, from the bottom of the network to its top.
        unfreeze_every: Epochs until the next is let go; None lets none go.
        epoch: Epochs completed.

    Example:
        >>> [frozen_patterns(["embedding.*", "recurrent.*"], 2, epoch) for epoch in (0, 1, 2, 4)]
        [['embedding.*', 'recurrent.*'], ['embedding.*', 'recurrent.*'], ['embedding.*'], []]
    """
    return patterns if unfreeze_every is None else patterns[: max(0, len(patterns) - epoch // unfreeze_every)]


def layer_factors(patterns: Sequence[str], divisor: float) -> list[str]:
    """Discriminative rates: each part of a network learns more slowly than the one above it.

        rate of part l - 1 = rate of part l / divisor

    Args:
        patterns: The parts from the bottom of the network to its top; what none names is above them all.
        divisor: 2.6 in the paper.

    Returns:
        Patterns and factors as `rate_factors` takes them.

    Example:
        >>> layer_factors(["embedding.*", "recurrent.*"], 2)
        ['embedding.*=0.25', 'recurrent.*=0.5']
    """
    return [f"{pattern}={divisor ** (layer - len(patterns))!r}" for layer, pattern in enumerate(patterns)]


def rate_factors(model: nn.Module, factors: Sequence[str]) -> Mapping[str, float]:
    """What the learning rate of each parameter is multiplied by; those that are not named have 1.

    Args:
        model: The model.
        factors: Patterns and factors, such as "encoder.*=0.1"; of several that match the last counts.

    Raises:
        SettingError: One is no pattern and factor, or matches no parameter.

    Example:
        >>> rate_factors(nn.Linear(2, 1), ["bias=0.5"])
        {'bias': 0.5}
    """
    names = [name for name, _ in model.named_parameters()]
    by_name: dict[str, float] = {}
    for factor in factors:
        pattern, equals, number = factor.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not equals or not pattern or not 0 <= value < float("inf"):
            raise SettingError(f"--rate-factors: {factor!r} is no pattern and factor; write such as encoder.*=0.1")
        by_name |= dict.fromkeys(matching(names, pattern.strip(), "rate_factors"), value)
    return by_name
