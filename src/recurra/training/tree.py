"""Nested state as tensors and JSON, and back: what a checkpoint holds is never pickled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["join", "split"]


def split(tree: object) -> tuple[Any, dict[str, Tensor]]:
    """Take the tensors out of nested state; what is left is plain JSON that says where each belongs.

    Args:
        tree: Dicts (of texts and whole numbers), lists and tuples of tensors, numbers, texts, truth values and None,
            nested to any depth.

    Returns:
        What is left, and the tensors by their path in it, each on the processor with memory of its own.

    Raises:
        TypeError: Something in it is of another type.

    Example:
        >>> left, tensors = split({"weight": torch.ones(2), "steps": (3, 0.5)})
        >>> left
        {'dict': [['weight', {'tensor': 'weight'}], ['steps', {'tuple': [3, 0.5]}]]}
        >>> tensors
        {'weight': tensor([1., 1.])}
    """
    tensors: dict[str, Tensor] = {}
    return _split(tree, "", tensors), tensors


def join(left: Any, tensors: Mapping[str, Tensor]) -> Any:  # noqa: ANN401  (whatever was split)
    """Put nested state together again.

    Example:
        >>> join(*split([{1: torch.zeros(1)}, None]))
        [{1: tensor([0.])}, None]
    """
    if not isinstance(left, dict):
        return left
    [(kind, held)] = left.items()
    match kind:
        case "tensor":
            return tensors[held]
        case "dict":
            return {key: join(value, tensors) for key, value in held}
        case "list":
            return [join(value, tensors) for value in held]
        case "tuple":
            return tuple(join(value, tensors) for value in held)
    raise ValueError(f"there is no kind {kind!r} of state")


def _split(tree: object, path: str, tensors: dict[str, Tensor]) -> Any:  # noqa: ANN401
    match tree:
        case Tensor():
            own = tree.detach().cpu().contiguous()
            # Two names may share their memory, as tied weights do, and a file of tensors holds each by itself.
            tensors[path] = own.clone() if own.data_ptr() == tree.data_ptr() else own
            return {"tensor": path}
        case None | bool() | int() | float() | str():
            return tree
        case dict():
            for key in tree:
                if not isinstance(key, str | int) or isinstance(key, bool):
                    raise TypeError(f"{path or 'the state'}: a key is {key!r}; expected a text or a whole number")
            return {"dict": [[key, _split(value, _below(path, key), tensors)] for key, value in tree.items()]}
        case list():
            return {"list": [_split(value, _below(path, at), tensors) for at, value in enumerate(tree)]}
        case tuple() if not hasattr(tree, "_fields"):
            return {"tuple": [_split(value, _below(path, at), tensors) for at, value in enumerate(tree)]}
    raise TypeError(
        f"{path or 'the state'} is a {type(tree).__name__}, which a checkpoint cannot hold; it holds tensors, numbers, "
        "texts and None in dicts, lists and plain tuples"
    )


def _below(path: str, key: object) -> str:
    return f"{path}/{key}" if path else str(key)


def to_device(tree: Any, device: torch.device) -> Any:  # noqa: ANN401
    """The same nested state with its tensors on a device."""
    match tree:
        case Tensor():
            return tree.to(device)
        case dict():
            return {key: to_device(value, device) for key, value in tree.items()}
        case list() | tuple():
            return type(tree)(to_device(value, device) for value in tree)
    return tree
