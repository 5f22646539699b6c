"""The settings of a recurrent network, which every use has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from recurra.tasks.cell_settings import CellSettings

if TYPE_CHECKING:  # torch is imported once a network is built
    from recurra.nn import Recurrent

__all__ = ["NetworkSettings", "PoolingName", "RecurrentSettings"]

PoolingName = Literal["last", "mean", "max", "attention", "last+mean+max"]
"""What stands for a sequence: the kinds of `recurra.models.pooling`, which imports torch."""


class RecurrentSettings(CellSettings):
    """Recurrent layers of one direction: their cell, sizes and regularisation."""

    hidden_size: int = Field(128, ge=1, description="Width of the recurrent layers.")
    num_layers: int = Field(1, ge=1, description="How many recurrent layers there are.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Rate of dropout on inputs, between layers and on outputs.")
    input_dropout: float = Field(0.0, ge=0, lt=1, description="Rate of variational dropout on each layer's input.")
    state_dropout: float = Field(0.0, ge=0, lt=1, description="Rate of variational dropout on the recurrent state.")
    zoneout: float = Field(0.0, ge=0, lt=1, description="Rate at which a unit keeps its old state.")
    weight_drop: float = Field(0.0, ge=0, lt=1, description="Rate of DropConnect on the recurrent matrices.")
    layer_norm: bool = Field(False, description="Normalise every product of the cell.")
    learn_initial_state: bool = Field(False, description="Learn the state before the first step.")
    backend: str = Field("auto", description="Which backend runs the cell.", json_schema_extra={"free": True})


class NetworkSettings(RecurrentSettings):
    """Recurrent layers that may read in both directions.

    Example:
        >>> NetworkSettings(cell="lstm", hidden_size=6, bidirectional=True).recurrent(4).num_directions
        2
    """

    bidirectional: bool = Field(False, description="Read each sequence from its end to its beginning, too.")

    def recurrent(self, input_size: int, **overrides: Any) -> Recurrent:  # noqa: ANN401  (what Recurrent takes)
        """The layers, for inputs of a width."""
        from recurra.nn import Recurrent

        return Recurrent(self.made, input_size, **self.recurrent_options() | overrides)

    def recurrent_options(self) -> dict[str, Any]:
        """What `Recurrent` takes besides its cell and the width of its input, by name."""
        return {name: getattr(self, name) for name in NetworkSettings.model_fields if name not in {"cell", "equations"}}
