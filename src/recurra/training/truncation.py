"""Truncation: a carried state goes on to the next chunk as numbers, without the history that made it."""

from typing import TypeVar, cast

from torch import Tensor

NestedT = TypeVar("NestedT")


def detach(nested: NestedT) -> NestedT:
    """Cut a carried state from the graph that made it, so that backpropagation ends where the chunk began.

    Truncated backpropagation through time reads a long sequence in chunks. The state at the end of a chunk is the
    initial state of the next, but its gradient goes no further back (Williams and Peng 1990).

    Args:
        nested: Tensors in dicts, lists, tuples and named tuples, nested to any depth; None, numbers and texts
            are kept as they are.

    Returns:
        The same structure; its tensors share memory with those given and need no gradient.

    Raises:
        TypeError: Something in it is of another type; it could hold on to a graph unseen.

    Example:
        >>> import torch
        >>> state = {"h": torch.ones(2, requires_grad=True) * 3}
        >>> detach(state)
        {'h': tensor([3., 3.])}
    """
    return cast(NestedT, _detach(nested))


def _detach(nested: object) -> object:
    match nested:
        case Tensor():
            return nested.detach()
        case None | int() | float() | str():
            return nested
        case dict():
            return {key: _detach(value) for key, value in nested.items()}
        case tuple() if hasattr(nested, "_make"):  # a named tuple
            return nested._make(_detach(value) for value in nested)
        case tuple():
            return tuple(_detach(value) for value in nested)
        case list():
            return [_detach(value) for value in nested]
    raise TypeError(
        f"a carried state holds a {type(nested).__name__}; it may hold tensors, None, numbers and texts, "
        "in dicts, lists and tuples"
    )
