"""Recipes: runs with a published target, one a file NAME.toml in this folder.

- `recipe`: what a recipe says: data, settings, the figure to reach and who published it
- `outcome`: what a run of one reached, beside that

A new recipe is one file.
"""

from pathlib import Path

from recurra.errors import SettingError
from recurra.recipes.outcome import Outcome, figure_at, last_outcome
from recurra.recipes.recipe import Recipe, read_recipe
from recurra.spelling import unknown

__all__ = ["FOLDER", "Outcome", "Recipe", "figure_at", "get", "last_outcome", "names", "read_recipe"]

FOLDER = Path(__file__).parent
"""Where the recipes are."""


def names() -> list[str]:
    """The names of all recipes, in the order of the alphabet."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def get(name: str) -> Recipe:
    """A recipe by its name.

    Raises:
        SettingError: There is none of this name; the message lists those there are.

    Example:
        >>> get("ptb-word-small").published
        114.5
    """
    if name not in names():
        raise SettingError(unknown("recipe", name, names()))
    return read_recipe(FOLDER / f"{name}.toml")
