"""The table of experiments."""

from __future__ import annotations

from typing import Any

from recurra.errors import SettingError
from recurra.lab.experiment import Experiment
from recurra.lab.experiments.adding_problem import ADDING_PROBLEM
from recurra.lab.experiments.bidirectional import BIDIRECTIONAL
from recurra.lab.experiments.cells_compared import CELLS_COMPARED
from recurra.lab.experiments.character_vs_word import CHARACTER_VS_WORD
from recurra.lab.experiments.copying import COPYING
from recurra.lab.experiments.depth import DEPTH
from recurra.lab.experiments.echo_state import ECHO_STATE
from recurra.lab.experiments.exploding_gradients import EXPLODING_GRADIENTS
from recurra.lab.experiments.standard_network import STANDARD_NETWORK
from recurra.lab.experiments.truncation import TRUNCATION
from recurra.lab.experiments.vanishing_gradients import VANISHING_GRADIENTS
from recurra.spelling import unknown

__all__ = ["EXPERIMENTS", "get"]

EXPERIMENTS: dict[str, Experiment[Any]] = {
    experiment.name: experiment
    for experiment in (
        STANDARD_NETWORK,
        VANISHING_GRADIENTS,
        EXPLODING_GRADIENTS,
        TRUNCATION,
        ADDING_PROBLEM,
        COPYING,
        BIDIRECTIONAL,
        DEPTH,
        CHARACTER_VS_WORD,
        CELLS_COMPARED,
        ECHO_STATE,
    )
}
"""Every experiment by its name, from what goes wrong to what mends it, and then what there is to choose."""


def get(name: str) -> Experiment[Any]:
    """An experiment by its name.

    Raises:
        SettingError: None is called so; the message lists those there are and the nearest.

    Example:
        >>> get("copying").name
        'copying'
    """
    if name in EXPERIMENTS:
        return EXPERIMENTS[name]
    raise SettingError(unknown("experiment", name, EXPERIMENTS))
