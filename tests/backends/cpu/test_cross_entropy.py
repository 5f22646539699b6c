"""The cross-entropy in compiled code against torch's in float64, on vectors of every length."""

import ctypes
import dataclasses
import functools
import re
import struct

import pytest
import torch
import torch.nn.functional as F

from recurra.backends.cpu import library
from recurra.backends.cpu.cross_entropy import FUNCTIONS, VECTORS, emit_cross_entropy
from recurra.backends.cpu.target import host
from support.machine_code import TARGETS, assembly_of, calls, functions_of, seen_from_outside

VECTOR_BYTES = (8, 16, 32, 64)
POINTER, WORD = ctypes.c_void_p, ctypes.c_int64
MARGIN = 64


class Code:
    """The functions for a length of vectors and a dtype, called from here."""

    def __init__(self, vector_bytes, dtype):
        target = dataclasses.replace(host(), vector_bytes=vector_bytes, matrix_unit=False)
        double = dtype == torch.float64
        self.dtype, self.wide = dtype, VECTORS * vector_bytes // (8 if double else 4)
        emit = functools.partial(emit_cross_entropy, target, double=double)
        self.code = library.load(f"cross-entropy {double}", emit, target, FUNCTIONS)

    def call(self, name, *words, first, end):
        job = (WORD * len(words))(*words)
        ctypes.CFUNCTYPE(None, POINTER, WORD, WORD, POINTER)(self.code.addresses[name])(
            ctypes.addressof(job), first, end, 0
        )


@pytest.fixture(scope="module", params=[(v, d) for v in VECTOR_BYTES for d in (torch.float32, torch.float64)])
def code(request):
    return Code(*request.param)


def framed(rows, columns, dtype):
    """Numbers in a frame of NaN, and the whole of both."""
    whole = torch.full((2 * MARGIN + rows * columns,), torch.nan, dtype=dtype)
    return whole[MARGIN:-MARGIN].view(rows, columns), whole


@pytest.mark.parametrize(("classes", "steps"), [(1, 1), (2, 7), (63, 16), (64, 33), (65, 5), (300, 100)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("training", [True, False])
def test_losses_and_gradients(code, classes, steps, bias, smoothing, training):
    apart = -(-steps // code.wide) * code.wide
    logits, whole = framed(classes, apart, code.dtype)
    logits.zero_()[:, :steps] = 20 * torch.randn(classes, steps, dtype=code.dtype)
    before = logits.clone()
    biases = torch.randn(classes, dtype=code.dtype) if bias else None
    targets = torch.randint(classes, (steps,))
    losses, around = framed(1, apart, code.dtype)
    reals = [struct.unpack("q", struct.pack("d", real))[0] for real in (1 - smoothing, smoothing / classes)]
    words = [logits.data_ptr(), apart, classes, steps, biases.data_ptr() if bias else 0, targets.data_ptr()]
    code.call("cross_entropy", *words, losses.data_ptr(), *reals, int(training), first=0, end=apart)
    exact = before[:, :steps].T.double() + (biases.double() if bias else 0)
    exact.requires_grad_()
    expected = F.cross_entropy(exact, targets, reduction="none", label_smoothing=smoothing)
    (gradient,) = torch.autograd.grad(expected.sum(), exact)
    error = 8 * torch.finfo(code.dtype).eps * (1 + exact.abs().max())  # a difference of logits is off by as much
    assert (losses[0, :steps] - expected).abs().max() <= error
    if training:
        assert (logits[:, :steps].T - gradient).abs().max() <= error
        assert not logits[:, steps:].any()
    else:
        assert torch.equal(logits, before)
    for frame in (whole, around):
        assert frame[:MARGIN].isnan().all()
        assert frame[-MARGIN:].isnan().all()


def test_only_the_columns_that_were_asked_for_are_read_and_written(code):
    classes, wide = 10, code.wide
    logits, _ = framed(classes, 3 * wide, code.dtype)
    losses, _ = framed(1, 3 * wide, code.dtype)
    logits[:, wide : 2 * wide] = torch.randn(classes, wide, dtype=code.dtype)
    targets = torch.randint(classes, (3 * wide,))
    one = struct.unpack("q", struct.pack("d", 1.0))[0]
    words = [logits.data_ptr(), 3 * wide, classes, 3 * wide, 0, targets.data_ptr(), losses.data_ptr(), one, 0, 1]
    code.call("cross_entropy", *words, first=wide, end=2 * wide)
    for rows in (logits, losses):
        assert rows[:, wide : 2 * wide].isfinite().all()
        assert rows[:, :wide].isnan().all()
        assert rows[:, 2 * wide :].isnan().all()


@pytest.mark.parametrize("adds", [0, 1])
def test_sums_of_rows(code, adds):
    rows = torch.randn(9, 3 * code.wide, dtype=code.dtype)
    sums = torch.randn(9, dtype=code.dtype)
    before = sums.clone()
    code.call("row_sums", rows.data_ptr(), rows.shape[1], sums.data_ptr(), adds, first=2, end=7)
    expected = rows.double().sum(1) + adds * before.double()
    tolerance = 100 * torch.finfo(code.dtype).eps
    torch.testing.assert_close(sums[2:7].double(), expected[2:7], rtol=tolerance, atol=tolerance)
    assert torch.equal(sums[[0, 1, 7, 8]], before[[0, 1, 7, 8]])


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("name", TARGETS)
def test_code_for_every_kind_of_processor(name, double):
    text = emit_cross_entropy(TARGETS[name], double=double)
    assembly = assembly_of(text, TARGETS[name])
    # Nothing that must be found elsewhere is called.
    assert calls(assembly) <= functions_of(assembly)
    assert not re.search(r"\b(fmaf?|expf?|memcpy|memset|memmove)\b", assembly)
    assert set(seen_from_outside(text)) == set(FUNCTIONS)
    assert bool(re.search("tilerelease", assembly)) == (name == "amx" and not double)
