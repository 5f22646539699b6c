"""What a run of a recipe reached, beside what it was to reach."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recurra.data import write_atomically
from recurra.errors import SettingError
from recurra.recipes.recipe import Recipe

__all__ = ["FILE", "Outcome", "figure_at", "last_outcome"]

FILE = "recipe.json"
"""Where an outcome is kept, in the folder of its run."""


def figure_at(measured: Any, path: str) -> float:  # noqa: ANN401  (as JSON has it)
    """The number at a place in what an experiment measured.

    Args:
        measured: Dicts and lists of numbers.
        path: The keys and places that lead there, with dots between them.

    Raises:
        SettingError: There is no number at that place; the message says where the path ends.

    Example:
        >>> figure_at({"error": {"gru": [0.1, 5e-5]}}, "error.gru.-1")
        5e-05
    """
    found: Any = measured
    gone: list[str] = []
    for step in path.split("."):
        try:
            found = found[int(step)] if isinstance(found, Sequence) and not isinstance(found, str) else found[step]
        except (LookupError, TypeError, ValueError):
            place = ".".join(gone) or "what was measured"
            there = ", ".join(map(str, found)) if isinstance(found, Mapping) else f"{type(found).__name__}"
            raise SettingError(f"metric {path!r}: in {place} there is no {step!r}, but {there}") from None
        gone.append(step)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise SettingError(f"metric {path!r}: this is no number, but {type(found).__name__}")
    return float(found)


def last_outcome(folder: Path, recipe: Recipe) -> float | None:
    """The figure that the last run of a recipe in a folder reached; None if there is none, or it cannot be read."""
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if content["recipe"] == recipe.name and content["metric"] == recipe.metric:
            return float(content["figure"])
    except (OSError, ValueError, LookupError, TypeError):
        pass
    return None


@dataclass(frozen=True)
class Outcome:
    """What a run of a recipe reached.

    Args:
        recipe: The recipe's name.
        metric: What was compared.
        target: What was to be reached.
        tolerance: By how much it may be missed.
        direction: Which way the metric is better.
        published: The paper's figure, or None.
        figure: What was reached.
        reached: Whether that is as good as the target.
        seconds: How long training took.
        parameters: How many numbers were learned, or None where that is not one number.
        metrics: All that was measured.
        other_files: The files of data that differ from those that the published figure was measured on.
    """

    recipe: str
    metric: str
    target: float
    tolerance: float
    direction: str
    published: float | None
    figure: float
    reached: bool
    seconds: float
    parameters: int | None
    metrics: Mapping[str, float]
    other_files: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        metrics: Mapping[str, float],
        seconds: float,
        parameters: int | None = None,
        other_files: tuple[str, ...] = (),
    ) -> Outcome:
        """What metrics mean for a recipe.

        Raises:
            SettingError: The recipe's metric is not among them.
        """
        if recipe.metric not in metrics:
            known = ", ".join(metrics) or "none"
            raise SettingError(f"the recipe {recipe.name}: {recipe.metric!r} is not among what was measured: {known}")
        figure = metrics[recipe.metric]
        return cls(
            recipe=recipe.name,
            metric=recipe.metric,
            target=recipe.target,
            tolerance=recipe.tolerance,
            direction=recipe.direction,
            published=recipe.published,
            figure=figure,
            reached=recipe.is_reached_by(figure),
            seconds=seconds,
            parameters=parameters,
            metrics=metrics,
            other_files=other_files,
        )

    def save(self, folder: Path) -> None:
        """Write it into the folder of the run; a number that is not finite is null."""
        content = dataclasses.asdict(self)
        content["seconds"] = round(self.seconds, 1)
        for part in (content, content["metrics"]):
            for name, value in part.items():
                if isinstance(value, float) and not math.isfinite(value):
                    part[name] = None
        write_atomically(folder / FILE, json.dumps(content, indent=2) + "\n")
