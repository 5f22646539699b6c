"""exp, tanh and the others against higher precision: errors in units in the last place, over all numbers there are."""

import ctypes
import math

import numpy as np
import pytest
import torch
from llvmlite import ir

from recurra.backends.cpu import library
from recurra.backends.cpu.mathematics import Mathematics
from recurra.backends.cpu.target import host
from recurra.equations.functions import FUNCTIONS

Wide = np.longdouble
TYPES = {"float32": np.float32, "float64": np.float64}
EVERY_TYPE = pytest.mark.parametrize("kind", TYPES)
PRECISE = pytest.mark.skipif(np.finfo(Wide).nmant < 60, reason="no type here is wider than float64")


def compiled(function, kind, *, arity=1, exponent=0.0, lanes=None):
    """A function of the language as one on arrays, a vector at a time, in code for this processor."""
    double, size = kind == "float64", np.dtype(kind).itemsize
    lanes = host().vector_bytes // size if lanes is None else lanes

    def emit():
        module = ir.Module()
        maths = Mathematics(module, lanes, double)
        word = ir.IntType(64)
        pointers = [maths.vector.as_pointer()] * (arity + 1)
        entry = ir.Function(module, ir.FunctionType(ir.VoidType(), [*pointers, word]), "entry")
        b = ir.IRBuilder(entry.append_basic_block())
        before, loop, done = b.block, b.append_basic_block(), b.append_basic_block()
        b.branch(loop)
        b.position_at_end(loop)
        place = b.phi(word)
        place.add_incoming(ir.Constant(word, 0), before)
        arguments = [b.load(b.gep(pointer, [place]), align=size) for pointer in entry.args[:arity]]
        value = maths.apply(b, function, arguments, exponent)
        b.store(value, b.gep(entry.args[arity], [place]), align=size)
        following = b.add(place, ir.Constant(word, 1))
        place.add_incoming(following, b.block)
        b.cbranch(b.icmp_signed("<", following, entry.args[-1]), loop, done)
        b.position_at_end(done)
        b.ret_void()
        return str(module)

    text = emit()
    code = library.load(text, lambda: text, host())
    entry = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * (arity + 1), ctypes.c_int64)(code.address)

    def call(*arguments, flush=True):
        arguments = [np.asarray(a, kind) for a in np.broadcast_arrays(*arguments)]
        count = arguments[0].size
        vectors = -(-count // lanes)
        padded = [np.concatenate([a.ravel(), np.zeros(vectors * lanes - count, kind)]) for a in arguments]
        result = np.full(vectors * lanes, 7, kind)
        try:
            torch.set_flush_denormal(flush)  # as compiled loops do
            entry(*(a.ctypes.data for a in padded), result.ctypes.data, vectors)
        finally:
            torch.set_flush_denormal(False)
        return result[:count].reshape(arguments[0].shape)

    call.code = code
    return call


def wide_sigmoid(x):
    z = np.exp(-np.abs(x))
    return np.where(x < 0, z, 1) / (1 + z)


EXACT = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sigmoid": wide_sigmoid,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
}
EVERY_FUNCTION = pytest.mark.parametrize("function", EXACT)


def numbers(kind, seed=0, count=30_000):
    """Numbers of every size and sign, many of them where the functions bend, and all those at an edge."""
    random, limits = np.random.default_rng(seed), np.finfo(kind)
    bits = random.integers(0, 2 ** (8 * limits.dtype.itemsize), count, np.dtype(f"u{limits.dtype.itemsize}"))
    edges = [0.0, 1.0, 2.0, 0.5, math.inf, math.nan, math.log(2), limits.max, limits.tiny, limits.smallest_subnormal]
    edges += [limits.eps, math.log(limits.max), -math.log(limits.tiny), math.sqrt(2), math.sqrt(0.5), 9.0, 18.7, 80.0]
    edges = np.array(edges, kind)
    with np.errstate(all="ignore"):
        edges = np.concatenate([edges, np.nextafter(edges, kind(0)), np.nextafter(edges, kind(np.inf))])
    drawn = [
        random.normal(size=count),
        random.normal(size=count) * 30,
        random.uniform(-1.1, 1.1, count) * math.log(limits.max),
        1 + random.normal(size=count) / 5,
        np.exp(random.uniform(-30, 5, count)) * random.choice([-1, 1], count),
    ]
    return np.concatenate([bits.view(kind), edges, -edges, *(d.astype(kind) for d in drawn)])


def flushed(x):
    """Numbers too small to be normal as zeros, which is how compiled code sees them."""
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, np.copysign(x.dtype.type(0), x), x)


def exact_values(function, x):
    with np.errstate(all="ignore"):
        return EXACT[function](flushed(x).astype(Wide))


def errors(found, exact):
    """In units in the last place of the result, where it is a normal number; 0 elsewhere."""
    limits = np.finfo(found.dtype)
    size = np.abs(exact)
    normal = (size >= limits.tiny) & (size <= limits.max)
    binade = np.frexp(np.where(normal, size, 1))[1] - 1
    with np.errstate(all="ignore"):
        return np.where(normal, np.ldexp(np.abs(found.astype(Wide) - exact), limits.nmant - binade), 0).astype(float)


# The greatest error ever seen, a little rounded up; none may be above 2 in float32.
MOST = {
    "float32": {"exp": 1.05, "log": 0.86, "tanh": 1.93, "sigmoid": 2.00, "softplus": 1.82},
    "float64": {"exp": 1.05, "log": 0.90, "tanh": 2.20, "sigmoid": 2.10, "softplus": 1.90},
}


@PRECISE
@EVERY_TYPE
@EVERY_FUNCTION
def test_errors_are_within_two_units_in_the_last_place(function, kind):
    x = numbers(TYPES[kind])
    found = compiled(function, kind)(x)
    error = errors(found, exact_values(function, x))
    worst = int(np.argmax(error))
    print(f"{function}, {kind}: at most {error[worst]:.3f} ulp, at {x[worst]!r}")
    assert error[worst] <= MOST[kind][function], x[worst]


@EVERY_TYPE
@EVERY_FUNCTION
def test_what_is_not_finite_or_not_normal(function, kind):
    """NaN stays NaN, what is too large is infinite, what is too small to be normal is zero, and nothing else is."""
    x, limits = numbers(TYPES[kind], 1), np.finfo(kind)
    payloads = np.arange(1, 1000, dtype=f"u{limits.dtype.itemsize}") * 7919
    sign = np.array([1, -1] * 500, kind)[:999]
    x = np.concatenate([x, np.copysign((np.array(math.nan, kind).view(payloads.dtype) | payloads).view(kind), sign)])
    found, exact = compiled(function, kind)(x), exact_values(function, x)
    size = np.abs(exact)
    assert np.array_equal(np.isnan(found), np.isnan(exact)), x[np.isnan(found) != np.isnan(exact)][:5]
    with np.errstate(all="ignore"):
        beyond, near = size > limits.max, size > limits.max * (1 - 4 * Wide(limits.eps))
    assert np.array_equal(found[beyond & ~near], np.sign(exact[beyond & ~near]).astype(kind) * math.inf)
    assert np.isfinite(found[~near & ~np.isnan(exact)]).all()
    small = size < limits.tiny * (1 - 4 * Wide(limits.eps))
    assert not (np.abs(found[small]) >= limits.tiny).any()
    assert small.any()


@EVERY_TYPE
def test_values_that_are_known_exactly(kind):
    inf, nan = math.inf, math.nan
    known = {
        "exp": [(0.0, 1.0), (-0.0, 1.0), (inf, inf), (-inf, 0.0), (nan, nan), (1e5, inf), (-1e5, 0.0), (5e-324, 1.0)],
        "log": [(1.0, 0.0), (inf, inf), (0.0, -inf), (-0.0, -inf), (-1.0, nan), (-inf, nan), (nan, nan)],
        "tanh": [(0.0, 0.0), (-0.0, -0.0), (inf, 1.0), (-inf, -1.0), (nan, nan), (50.0, 1.0), (-1e30, -1.0)],
        "sigmoid": [(0.0, 0.5), (-0.0, 0.5), (inf, 1.0), (-inf, 0.0), (nan, nan), (1e30, 1.0), (-1e30, 0.0)],
        "softplus": [(inf, inf), (-inf, 0.0), (nan, nan), (1e30, 1e30), (-1e30, 0.0)],
        "relu": [(0.0, 0.0), (2.0, 2.0), (-2.0, 0.0), (inf, inf), (-inf, 0.0), (nan, nan)],
        "sign": [(0.0, 0.0), (-0.0, 0.0), (2.0, 1.0), (-2.0, -1.0), (inf, 1.0), (-inf, -1.0)],
        "step": [(0.0, 0.0), (-0.0, 0.0), (2.0, 1.0), (-2.0, 0.0), (inf, 1.0), (-inf, 0.0)],
        "abs": [(-2.0, 2.0), (2.0, 2.0), (-0.0, 0.0), (-inf, inf), (nan, nan)],
        "negate": [(-2.0, 2.0), (0.0, -0.0), (inf, -inf), (nan, nan)],
        "sqrt": [(4.0, 2.0), (0.0, 0.0), (inf, inf), (-1.0, nan), (nan, nan)],
    }
    small = float(np.finfo(kind).tiny) / 2
    known["log"] += [(small, -inf), (-small, -inf)]
    known["exp"] += [(small, 1.0), (-small, 1.0)]
    for function, pairs in known.items():
        x, expected = np.array(pairs, kind).T
        found = compiled(function, kind)(x)
        assert np.array_equal(found, expected, equal_nan=True), (function, x, found)
        zero = expected == 0
        assert np.array_equal(np.signbit(found[zero]), np.signbit(expected[zero])), (function, x, found)


@EVERY_TYPE
@EVERY_FUNCTION
def test_greater_arguments_never_have_smaller_values(function, kind):
    """But for a unit in the last place or two, where a sum rounds down that should have rounded up."""
    random, limits = np.random.default_rng(2), np.finfo(kind)
    start = numbers(TYPES[kind], 3, count=800)
    start = start[np.isfinite(start) & (np.abs(start) > 2 * limits.tiny) & (np.abs(start) < 0.4 * limits.max)]
    start = np.concatenate([start, random.uniform(-20, 20, 2000).astype(kind)])
    if function == "log":
        start = np.abs(start)
    bits = np.sort(start).view(f"i{limits.dtype.itemsize}")[:, None] + np.arange(24)
    x = np.sort(np.unique(bits.ravel()).view(kind))
    found = compiled(function, kind)(x)
    drop = -np.diff(found[np.isfinite(found)])
    unit = np.spacing(np.abs(found[np.isfinite(found)][1:]))
    assert (drop <= {"softplus": 2}.get(function, 1) * unit).all()
    far = found[np.isfinite(found)][::24]
    assert (np.diff(far)[np.abs(np.diff(far)) > 4 * np.spacing(np.abs(far[1:]))] > 0).all()


@EVERY_TYPE
def test_symmetries(kind):
    x = numbers(TYPES[kind], 4, count=5000)
    x = x[~np.isnan(x)]
    tanh, sigmoid, softplus = (compiled(function, kind) for function in ("tanh", "sigmoid", "softplus"))
    assert np.array_equal(tanh(-x), -tanh(x))
    assert np.abs(tanh(x)).max() == 1
    assert sigmoid(x).min() == 0
    assert sigmoid(x).max() == 1
    np.testing.assert_allclose(sigmoid(-x) + sigmoid(x), 1, rtol=2 * np.finfo(kind).eps)
    finite = x[np.abs(x) < 1e4]
    eps = np.finfo(kind).eps
    np.testing.assert_allclose(softplus(finite) - softplus(-finite), finite, rtol=8 * eps, atol=4 * eps)


@EVERY_TYPE
@pytest.mark.parametrize(
    "exponent", [2.0, 3.0, 1.0, 7.0, 64.0, -1.0, -2.0, -5.0, 0.5, -0.5, 1.5, -1.5, -2.5, 33.5, 0.1, 2.7, 65.0]
)
def test_powers(exponent, kind):
    random, limits = np.random.default_rng(5), np.finfo(kind)
    x = np.exp(random.uniform(-1, 1, 2000) * math.log(limits.tiny) / (abs(exponent) + 1.5)).astype(kind)
    x = np.concatenate([x, -x]) if exponent == int(exponent) else x
    found = compiled("power", kind, exponent=exponent)(x)
    # Each product of a power by repeated squaring rounds once.
    np.testing.assert_allclose(
        found, x.astype(Wide) ** Wide(TYPES[kind](exponent)), rtol=(4 + abs(exponent)) * limits.eps
    )


PLAIN = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "negate": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "relu": lambda x: np.where(x < 0, x.dtype.type(0), x),
    "sign": lambda x: np.where(np.isnan(x), x.dtype.type(0), np.sign(x)),
    "step": lambda x: (x > 0).astype(x.dtype),
    "below": lambda x, y: np.where(x > y, 0, np.where(x == y, 0.5, 1)).astype(x.dtype),
    "where": lambda x, y, z: np.where(x <= 0, z, y),
}


@EVERY_TYPE
@pytest.mark.parametrize("function", PLAIN)
def test_what_is_one_instruction_or_two_is_exact(function, kind):
    x, y = numbers(TYPES[kind], 6, count=3000), numbers(TYPES[kind], 7, count=3000)
    x, y, z = np.concatenate([x, x]), np.concatenate([y, x]), np.concatenate([y, y])[::-1]
    # A sign of zero may be lost, and what is too small on either side of the function is flushed.
    x, y, z = flushed(x), flushed(y), flushed(z)
    arguments = (x, y, z)[: FUNCTIONS[function].arity]
    with np.errstate(all="ignore"):
        expected = flushed(PLAIN[function](*arguments))
    found = compiled(function, kind, arity=len(arguments))(*arguments)
    assert np.array_equal(flushed(found), expected, equal_nan=True)


@EVERY_TYPE
@pytest.mark.parametrize(("function", "exact"), [("sin", np.sin), ("cos", np.cos)])
def test_waves(function, exact, kind):
    x = np.random.default_rng(8).uniform(-100, 100, 5000).astype(kind)
    error = errors(compiled(function, kind)(x), exact(x.astype(Wide)))
    assert error.max() < 1


@pytest.mark.parametrize("function", [name for name, f in FUNCTIONS.items() if not f.definition and name != "mean"])
def test_every_function_of_the_language_is_there(function):
    call = compiled(function, "float32", arity=FUNCTIONS[function].arity, exponent=2.0)
    arguments = [np.array([0.25, 0.5, 0.75], np.float32)] * FUNCTIONS[function].arity
    plain = [0.5, 2.0] if function == "power" else [0.5] * FUNCTIONS[function].arity
    assert call(*arguments)[1] == pytest.approx(FUNCTIONS[function].evaluate(*plain), rel=1e-6)


@EVERY_FUNCTION
@pytest.mark.parametrize("lanes", [1, 2, 32])
def test_a_vector_may_be_of_any_length(function, lanes):
    x = numbers(np.float32, 9, count=200)
    found, expected = compiled(function, "float32", lanes=lanes)(x), compiled(function, "float32")(x)
    assert np.array_equal(found, expected, equal_nan=True)


@EVERY_FUNCTION
def test_where_numbers_are_not_flushed_results_are_as_good(function):
    """On processors that cannot flush."""
    x = numbers(np.float32, 10, count=3000)
    call = compiled(function, "float32")
    exact = exact_values(function, x)
    assert errors(call(x, flush=False), exact).max() <= 2
