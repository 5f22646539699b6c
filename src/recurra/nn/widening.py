"""A trained network inside a wider one: its weights as those of a network that reads more a step."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.equations.shapes import Parameter
from recurra.errors import ShapeError
from recurra.nn.parameters import CellParameters
from recurra.nn.recurrent import Recurrent

__all__ = ["widened_weights"]


def widened_weights(narrow: Recurrent, wide: Recurrent) -> dict[str, Tensor]:
    """The weights of a network of one direction, as those of the forward layers of one whose inputs are wider.

        W_wide @ [h<t-1>, (x<t>, anything)] = W @ [h<t-1>, x<t>]

    The columns that meet what the narrow network does not read are 0: the wide one, given these weights, computes what
    the narrow one does until it learns otherwise. In a bidirectional network that is the half of each layer that reads
    forward.

    Args:
        narrow: The network of one direction.
        wide: One of the same cell, hidden size and number of layers, whose inputs begin with those of the narrow one.

    Returns:
        The parameters of `wide.layers` by name.

    Raises:
        ShapeError: They differ in cell, width or layers, or the inputs are narrower.

    Example:
        >>> narrow, wide = Recurrent("gru", 3, 5), Recurrent("gru", 4, 5, bidirectional=True)
        >>> _ = wide.load_state_dict(widened_weights(narrow, wide), strict=False)
        >>> x = torch.randn(1, 7, 4)
        >>> torch.allclose(wide(x)[0][..., :5], narrow(x[..., :3])[0], atol=1e-6)
        True
    """
    if narrow.bidirectional or narrow.input_size > wide.input_size or _form(narrow) != _form(wide):
        raise ShapeError(
            f"the weights of {narrow} do not fit into {wide}: expected one cell, width and number of layers"
        )
    weights = {}
    for number, layers in enumerate(zip(narrow.layers, wide.layers, strict=True)):
        source, target = cast("tuple[CellParameters, CellParameters]", layers)
        parameters = narrow.cell.parameters
        for name, tensor in source.named_parameters(recurse=False):
            parameter = parameters.get(name)
            weights[f"layers.{number}.{name}"] = (
                tensor.detach().clone()
                if parameter is None or parameter.kind != "matrix"
                else _widened(parameter, tensor.detach(), source.input_size, target.input_size)
            )
    return weights


def _form(network: Recurrent) -> tuple[object, ...]:
    """The parameters of a network but for the width of its inputs and the noise of training."""
    parameters = {name: (p.kind, p.columns) for name, p in network.cell.parameters.items()}
    return parameters, network.hidden_size, network.num_layers


def _widened(parameter: Parameter, matrix: Tensor, narrow: int, wide: int) -> Tensor:
    """A matrix (H, width of its operand) with columns of 0 after those of every part that is an input."""
    blocks = torch.split(matrix, list(parameter.column_sizes(narrow, matrix.shape[0])), dim=1)
    widths = parameter.column_sizes(wide, matrix.shape[0])
    return torch.cat([F.pad(b, (0, width - b.shape[1])) for b, width in zip(blocks, widths, strict=True)], 1)
