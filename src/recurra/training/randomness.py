"""Randomness: all of it from one seed, and a way to draw some without disturbing the rest."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch, on every device.

    Dropout and the initial weights draw from torch's. On the same machine, with the same number of threads, the same
    seed then gives the same weights bit for bit; another processor may round differently.

    Args:
        seed: A whole number in [0, 2**32).

    Example:
        >>> seed_everything(7)
        >>> first = torch.rand(3)
        >>> seed_everything(7)
        >>> torch.equal(torch.rand(3), first)
        True
    """
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put the global generators back as they were, so that numbers drawn inside change nothing outside.

    Example:
        >>> seed_everything(7)
        >>> first = torch.rand(3)
        >>> seed_everything(7)
        >>> with undisturbed():
        ...     _ = torch.rand(5)
        >>> torch.equal(torch.rand(3), first)
        True
    """
    python, numpy = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
