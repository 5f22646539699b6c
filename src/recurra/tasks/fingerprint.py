"""A digest of what training reads, by which it is known whether the data are still the same."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data import Batches

__all__ = ["fingerprint"]


def fingerprint(batches: Batches[Any]) -> str:
    """The SHA-256 of what the first epoch reads, whatever its batches are made of.

    Example:
        >>> class Pairs:
        ...     def __init__(self, last):
        ...         self.last = last
        ...     def epoch(self, number, start=0):
        ...         return [(torch.zeros(2000), {"y": torch.tensor([self.last])})]
        >>> fingerprint(Pairs(1)) == fingerprint(Pairs(1)), fingerprint(Pairs(1)) == fingerprint(Pairs(2))
        (True, False)
    """
    digest = hashlib.sha256()
    for batch in batches.epoch(0):
        if dataclasses.is_dataclass(batch):
            for field in dataclasses.fields(batch):
                _add(digest, getattr(batch, field.name), nested=False)
        else:
            _add(digest, batch)
    return digest.hexdigest()


def _add(digest: Any, value: object, nested: bool = True) -> None:  # noqa: ANN401  (hashlib's, whose type has no name)
    """Take a value into a digest with all that is in it."""
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value)
    if isinstance(value, Tensor):
        if nested:
            digest.update(f"{tuple(value.shape)} {value.dtype}".encode())
        dense = value.detach().to_dense().cpu().resolve_conj().resolve_neg().contiguous()
        digest.update(dense.flatten().view(torch.uint8).numpy().tobytes() if dense.numel() else b"")
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        digest.update(type(value).__name__.encode())
        for field in dataclasses.fields(value):
            _add(digest, getattr(value, field.name))
    elif isinstance(value, Mapping):
        digest.update(f"{{{len(value)}".encode())
        for key, item in value.items():
            _add(digest, key)
            _add(digest, item)
    elif isinstance(value, list | tuple):
        digest.update(f"({len(value)}".encode())
        for item in value:
            _add(digest, item)
    elif hasattr(value, "__dict__") and not isinstance(value, type) and type(value).__repr__ is object.__repr__:
        digest.update(type(value).__name__.encode())
        _add(digest, vars(value))
    else:
        digest.update(repr(value).encode())
