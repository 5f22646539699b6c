"""Shared by the tests of the processor backend: processors of other shapes, numbers of threads, other processes."""

import contextlib
import dataclasses
import os

import pytest
import torch

from recurra.backends.cpu import arrange, prepare, sources
from recurra.backends.cpu.target import host
from support.processes import copied, ended, settled

SHAPES = {"scalar": (8, 8), "short": (16, 8), "middling": (32, 16), "long": (64, 16)}
"""Bytes in a vector, and how many of them. What the host does not have, LLVM puts together from what it has."""

CACHES = (
    prepare.prepare,
    prepare._kernel,
    prepare._code,
    prepare.matrix_function,
    prepare._matrix_functions,
    arrange._arrange,
    sources.matrix_sources,
    sources.covered,
)
"""What is worked out once for a processor."""


@pytest.fixture(autouse=True)
def _settled():
    yield
    settled()


def forget():
    settled()
    for cache in CACHES:
        cache.cache_clear()


@contextlib.contextmanager
def compiled_for(target):
    """Run with code for another target, that this processor can run all the same."""
    with pytest.MonkeyPatch.context() as patch:
        forget()
        for module in (prepare, arrange):
            patch.setattr(module, "host", lambda: target)
        try:
            yield target
        finally:
            forget()


def shape_of(vector_bytes, registers):
    """Run with code for a processor of another shape."""
    return compiled_for(dataclasses.replace(host(), vector_bytes=vector_bytes, registers=registers))


@contextlib.contextmanager
def shared_by(count, *, units):
    """Run on so many threads, which share out units or rows, however little there is to do."""

    def share(arranger):
        return (count, True) if units else (min(count, arranger.batch), False)

    with pytest.MonkeyPatch.context() as patch:
        arrange._arrange.cache_clear()
        patch.setattr(arrange._Arranger, "_share", share)
        try:
            yield
        finally:
            arrange._arrange.cache_clear()


@pytest.fixture(params=SHAPES)
def shape(request):
    """Each shape of processor in turn."""
    with shape_of(*SHAPES[request.param]) as target:
        yield target


@pytest.fixture
def shapes():
    """The shapes by name, and what runs with one."""
    return SHAPES, shape_of


@pytest.fixture
def code_for():
    """What runs with code for another target."""
    return compiled_for


@pytest.fixture
def shared():
    """What runs on several threads, whatever there is to do."""
    return shared_by


@pytest.fixture
def threads():
    """What sets the number of threads, put back after."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def _start(work):
    child = copied(work)
    return lambda: ended(child)


@pytest.fixture
def start():
    """Do some work in a copy of this process; gives what waits for its end and says how it ended, 0 if well."""
    if not hasattr(os, "fork"):
        pytest.skip("a process cannot be copied here")
    return _start
