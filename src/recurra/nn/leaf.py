"""A recurrent layer in a graph of torch.fx: a leaf, as torch.nn's layers are."""

from __future__ import annotations

from typing import Any, cast

from torch import nn
from torch.fx import Proxy, Tracer

from recurra.errors import BackendError

__all__ = ["as_leaf"]


def as_leaf(layer: nn.Module, x: Proxy, **options: object) -> Any:  # noqa: ANN401
    """The call of a layer as one node of the graph that is being traced.

    torch.fx takes the modules of torch.nn for leaves by the name of the package they are from; of any other module it
    follows the forward pass, and a recurrence asks for numbers that a graph does not have.

    Args:
        layer: The layer that is called.
        x: What it is called with.
        options: Its other arguments by name; None for one that was not given.

    Returns:
        What stands for its results.

    Raises:
        BackendError: The layer is itself what is traced.
    """
    tracer = cast("Tracer", x.tracer)
    try:
        name = tracer.path_of_module(layer)
    except NameError:
        name = ""
    if not name:
        raise BackendError(
            "torch.fx takes a recurrent layer as a leaf of the model that holds it, and cannot trace the layer itself; "
            "trace a model that it is an attribute of"
        )
    arguments = {key: value for key, value in options.items() if value is not None}
    return tracer.create_proxy("call_module", name, (x,), arguments)
