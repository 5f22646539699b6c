"""The settings by which a task chooses its cell: one of the catalogue, or equations of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator, model_validator

from recurra.tasks.settings import Settings

if TYPE_CHECKING:  # the catalogue is read once a cell is chosen, not when the settings are listed
    from recurra.cells import Cell

__all__ = ["CellSettings"]


class CellSettings(Settings):
    """Which cell a network is made of.

    Raises:
        SettingError: There is no such cell, the equations are wrong, or there are both or neither.

    Example:
        >>> CellSettings(cell="lstm").made.name, CellSettings(equations="h[t] = tanh(W @ [h[t-1], x[t]])").made.name
        ('lstm', 'own')
    """

    cell: str | None = Field("gru", description="Name of a cell; `recurra cells` lists them.")
    equations: str | None = Field(
        None,
        description="File of equations, in a config file the equations themselves: a cell of your own.",
        json_schema_extra={"from_file": True, "instead_of": "cell"},
    )

    @property
    def made(self) -> Cell:
        """The cell itself."""
        from recurra import cells
        from recurra.cells import Cell

        return cells.get(self.cell) if self.cell is not None else Cell(self.equations or "", name="own")

    @model_validator(mode="before")
    @classmethod
    def _equations_are_the_cell(cls, given: Any) -> Any:  # noqa: ANN401  (not checked yet: whatever the file holds)
        if not isinstance(given, Mapping) or given.get("equations") is None:
            return given
        if given.get("cell") is not None:
            raise ValueError("cell and equations are both given: a model has one cell, leave one of them out")
        return {**given, "cell": None}

    @field_validator("cell")
    @classmethod
    def _there_is_such_a_cell(cls, name: str | None) -> str | None:
        from recurra import cells

        return name if name is None else cells.get(name).name

    @field_validator("equations")
    @classmethod
    def _the_equations_are_right(cls, text: str | None) -> str | None:
        from recurra.cells import Cell

        return text if text is None else Cell(text).text

    @model_validator(mode="after")
    def _there_is_a_cell(self) -> CellSettings:
        if self.cell is None and self.equations is None:
            raise ValueError("there is neither a cell nor equations: give one of them")
        return self
