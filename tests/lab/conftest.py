"""Ctrl-C, whatever runs the tests, and every experiment's rehearsal, made once."""

import functools
import signal

import pytest

from recurra.lab import get, run


@pytest.fixture
def ctrl_c():
    """What Ctrl-C does to a plain Python program."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def rehearsed():
    """The record of an experiment's rehearsal by its name."""
    return functools.cache(lambda name: run(get(name), quick=True))
