"""exp, log, tanh and the others on whole vectors, as LLVM IR.

    exp        Cody and Waite's reduction x = n ln 2 + r with |r| ≤ ln 2 / 2, a polynomial in r, n into the exponent
    sigmoid    1 / (1 + e^-x)
    tanh       -m / (m + 2) with the sign of x and m = e^(-2|x|) - 1, which does not cancel near zero
    softplus   max(x, 0) + log(1 + z), a polynomial in z
    log        n ln 2 + log(1 + f), by the series of the inverse hyperbolic tangent

Errors in units in the last place, where a multiplication and an addition are rounded once: in float32, over all
numbers there are, exp 1.05, log 0.86, tanh 1.93, softplus 1.82, sigmoid 2.00; in float64 a tenth more. Not a number
stays one; what is too large becomes infinite, what is too small to be normal zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

__all__ = ["Mathematics", "declared"]

I32, I64 = ir.IntType(32), ir.IntType(64)

# Polynomials of least greatest error (Remez), the coefficient of the highest power first; float32, then float64.
EXP_TAIL = (
    (1.3950491e-3, 8.3688894e-3, 4.1666206e-2, 1.6666519e-1, 5.0000001e-1),
    (
        2.5117946951904652e-8, 2.7631276300019719e-7, 2.7557216014944163e-6, 2.4801489959281308e-5,
        1.9841269917716133e-4, 1.3888888946992464e-3, 8.3333333333070509e-3, 4.1666666666515539e-2,
        1.6666666666666699e-1, 5.0000000000000127e-1,
    ),
)  # fmt: skip
"""(e^r - 1 - r) / r² for |r| ≤ ln 2 / 2: to within 2^-29 of e^r, and 2^-58."""

LOG_TAIL = (
    (
        -3.3184738e-3, 6.9306976e-3, -1.0177706e-2, 1.6656985e-2, -2.8904999e-2, 5.1089059e-2, -9.3231856e-2,
        1.7922489e-1, -3.7813956e-1,
    ),
    (
        2.5330456502249143e-5, -5.1127380396408048e-5, 5.2744740989076914e-5, -7.1086601235882684e-5,
        1.2544913817765010e-4, -2.0487954783513967e-4, 3.2346599394397789e-4, -5.1653904961546291e-4,
        8.3134300746919253e-4, -1.3445311805909543e-3, 2.1876475798782550e-3, -3.5856647734279728e-3,
        5.9290115607141374e-3, -9.9099007669781802e-3, 1.6788742491285280e-2, -2.8943183164417197e-2,
        5.1083446105400136e-2, -9.3230366363669032e-2, 1.7922493693603718e-1, -3.7813956756734247e-1,
    ),
)  # fmt: skip
"""(log(1 + z) - z) / z² for 0 ≤ z ≤ 1, in z - 1/2: to within 2^-27 of log(1 + z), and 2^-56.

About the middle, where the coefficients fall off, and with them the roundings.
"""

LN2 = ((0.693359375, -2.12194440e-4), (6.93147180369123816490e-01, 1.90821492927058770002e-10))
"""ln 2 in two parts, the first of so few bits that its product with a whole number is exact."""


def declared(code: ir.Module, name: str, kind: ir.FunctionType) -> ir.Function:
    """A function that a module calls by name, declared the first time.

    Args:
        code: The module.
        name: Its name.
        kind: Its type.
    """
    return code.globals.get(name) or ir.Function(code, kind, name)


class Mathematics:
    """The functions of the language on vectors of one type.

    Args:
        module: Where intrinsics are declared.
        lanes: How many numbers a vector holds.
        double: Whether they are float64; else float32.
    """

    def __init__(self, module: ir.Module, lanes: int, double: bool) -> None:
        self.module, self.lanes, self.double = module, lanes, double
        self.scalar: ir.Type = ir.DoubleType() if double else ir.FloatType()
        self.integer = I64 if double else I32
        self.vector = ir.VectorType(self.scalar, lanes)
        self.integers = ir.VectorType(self.integer, lanes)
        self.mantissa = 52 if double else 23
        self.bias = 1023 if double else 127
        # The last arguments of exp before its value is no longer normal, and before it is infinite.
        self.lowest, self.highest = (-708.3964185322641, 709.782712893384) if double else (-87.33654022, 88.72283172)

    def number(self, value: float) -> ir.Constant:
        """A vector that holds a number in every lane."""
        return ir.Constant(self.vector, [ir.Constant(self.scalar, value)] * self.lanes)

    def whole(self, value: int) -> ir.Constant:
        """A vector of whole numbers, the same in every lane."""
        return ir.Constant(self.integers, [ir.Constant(self.integer, value)] * self.lanes)

    def intrinsic(self, b: ir.IRBuilder, name: str, *args: ir.Value) -> ir.Value:
        """One of LLVM's own functions on vectors."""
        suffix = f"v{self.lanes}f{64 if self.double else 32}"
        kind = ir.FunctionType(self.vector, [self.vector] * len(args))
        full = f"llvm.{name}.{suffix}"
        return b.call(declared(self.module, full, kind), args)

    def fma(self, b: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
        """X y + z, rounded once where the processor does that in one instruction, else twice.

        To insist on once would be a call of a library, a number at a time, on those that do not.
        """
        return self.intrinsic(b, "fmuladd", x, y, z)

    def polynomial(self, b: ir.IRBuilder, x: ir.Value, coefficients: Sequence[float]) -> ir.Value:
        """By Horner's rule, the coefficient of the highest power first."""
        value: ir.Value = self.number(coefficients[0])
        for coefficient in coefficients[1:]:
            value = self.fma(b, value, x, self.number(coefficient))
        return value

    def apply(self, b: ir.IRBuilder, function: str, args: Sequence[ir.Value], exponent: float = 0.0) -> ir.Value:
        """A function of the language; `exponent` is that of a power."""
        simple: dict[str, Callable[..., ir.Value]] = {
            "add": b.fadd,
            "subtract": b.fsub,
            "multiply": b.fmul,
            "divide": b.fdiv,
            "negate": b.fneg,
        }
        if function in simple:
            return simple[function](*args)
        intrinsics = {"sqrt": "sqrt", "abs": "fabs", "sin": "sin", "cos": "cos", "minimum": "minimum"}
        intrinsics["maximum"] = "maximum"
        if function in intrinsics:
            return self.intrinsic(b, intrinsics[function], *args)
        if function == "power":
            return self._power(b, args[0], exponent)
        own: Any = getattr(self, f"_{function}")
        value: ir.Value = own(b, *args)
        return value

    def _power(self, b: ir.IRBuilder, x: ir.Value, exponent: float) -> ir.Value:
        """A power of a whole exponent, or one with a half, by products and a root; any other by the C library.

        That is called a number at a time, and takes twenty times as long.
        """
        if not (2 * exponent).is_integer() or not 0.5 <= abs(exponent) <= 64.5:
            return self.intrinsic(b, "pow", x, self.number(exponent))
        value = None if exponent.is_integer() else self.intrinsic(b, "sqrt", x)
        square, left = x, int(abs(exponent))
        while left:
            if left & 1:
                value = square if value is None else b.fmul(value, square)
            left >>= 1
            square = b.fmul(square, square) if left else square
        assert value is not None
        if not exponent.is_integer() and abs(exponent) > 1:
            # As the C library has it: of minus infinity the root alone is not a number.
            endless = b.fcmp_ordered("==", x, self.number(-math.inf))
            value = b.select(endless, self.number(math.inf), value)
        return value if exponent > 0 else b.fdiv(self.number(1.0), value)

    def _reduced_exp(self, b: ir.IRBuilder, x: ir.Value) -> tuple[ir.Value, ir.Value, ir.Value]:
        """Of x = n ln 2 + r: n in its place among the bits of an exponent, r, and (e^r - 1 - r) / r².

        A large number added to x / ln 2 leaves n in the last bits of the sum, with no conversion, which would be
        undefined for what is not a number.
        """
        large = self.number(1.5 * 2.0**self.mantissa)
        moved = self.fma(b, x, self.number(1 / math.log(2)), large)
        n = b.fsub(moved, large)
        high, low = LN2[self.double]
        r = self.fma(b, n, self.number(-low), self.fma(b, n, self.number(-high), x))
        place = b.shl(b.bitcast(moved, self.integers), self.whole(self.mantissa))
        return place, r, self.polynomial(b, r, EXP_TAIL[self.double])

    def _less_one(self, b: ir.IRBuilder, r: ir.Value, tail: ir.Value) -> ir.Value:
        """e^r - 1 = r + r² tail."""
        return self.fma(b, b.fmul(r, r), tail, r)

    def _scale(self, b: ir.IRBuilder, place: ir.Value) -> ir.Value:
        """2^n, for an n within the exponents there are."""
        return b.bitcast(b.add(place, self.whole(self.bias << self.mantissa)), self.vector)

    def _exp(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        place, r, tail = self._reduced_exp(b, x)
        one = b.fadd(self._less_one(b, r, tail), self.number(1.0))
        # By its bits, since n may be one beyond the largest exponent where e^r is less than 1.
        value = b.bitcast(b.add(b.bitcast(one, self.integers), place), self.vector)
        value = b.select(b.fcmp_ordered("<", x, self.number(self.lowest)), self.number(0.0), value)
        # Infinity added is infinity, and not a number what is not one.
        beyond = b.fcmp_unordered(">", x, self.number(self.highest))
        return b.select(beyond, b.fadd(x, self.number(math.inf)), value)

    def _decay(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        """e^-|x|."""
        minus = b.fneg(self.intrinsic(b, "fabs", x))
        place, r, tail = self._reduced_exp(b, minus)
        scale = self._scale(b, place)
        value = self.fma(b, scale, self._less_one(b, r, tail), scale)
        return b.select(b.fcmp_ordered("<", minus, self.number(self.lowest)), self.number(0.0), value)

    def _sigmoid(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        one, highest = self.number(1.0), self.number(-self.lowest)
        # Beyond, where the result is 1, 2^n would leave the exponents there are.
        minus = b.fneg(b.select(b.fcmp_ordered(">", x, highest), highest, x))
        place, r, tail = self._reduced_exp(b, minus)
        scale = self._scale(b, place)
        # 1 + e^-x, the smaller terms first: as e^-x and then a sum, both would be rounded at its size.
        plus = b.fadd(self.fma(b, scale, self._less_one(b, r, tail), one), scale)
        return b.select(b.fcmp_ordered("<", x, self.number(self.lowest)), self.number(0.0), b.fdiv(one, plus))

    def _tanh(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        double = b.fmul(self.intrinsic(b, "fabs", x), self.number(-2.0))
        # Far beyond where the result is 1, and well within the exponents there are.
        double = b.select(b.fcmp_ordered("<", double, self.number(-80.0)), self.number(-80.0), double)
        place, r, tail = self._reduced_exp(b, double)
        scale = self._scale(b, place)
        less_one, one = self._less_one(b, r, tail), self.number(1.0)
        minus = self.fma(b, scale, less_one, b.fsub(scale, one))
        # Not minus + 2, which would take on its rounding.
        plus = self.fma(b, scale, less_one, b.fadd(scale, one))
        return self.intrinsic(b, "copysign", b.fdiv(minus, plus), x)

    def _relu(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        return b.select(b.fcmp_ordered("<", x, self.number(0.0)), self.number(0.0), x)

    def _softplus(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        z = self._decay(b, x)
        tail = self.polynomial(b, b.fsub(z, self.number(0.5)), LOG_TAIL[self.double])
        small = self.fma(b, b.fmul(z, z), tail, z)
        return b.fadd(self._relu(b, x), small)

    def _log(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        bits = b.bitcast(x, self.integers)
        root = b.bitcast(self.number(math.sqrt(0.5)), self.integers)
        # Shifting the origin to sqrt(1/2) leaves the exponent of the reduced number in the high bits.
        exponent = b.ashr(b.sub(bits, root), self.whole(self.mantissa))
        m = b.bitcast(b.sub(bits, b.shl(exponent, self.whole(self.mantissa))), self.vector)
        large = self.number(1.5 * 2.0**self.mantissa)
        n = b.fsub(b.bitcast(b.add(exponent, b.bitcast(large, self.integers)), self.vector), large)
        f = b.fsub(m, self.number(1.0))
        # log(1 + f) = f - f²/2 + s (f²/2 + 2 s²/3 + 2 s⁴/5 + ...) with s = f / (2 + f): f itself is exact.
        s = b.fdiv(f, b.fadd(f, self.number(2.0)))
        square, half = b.fmul(s, s), b.fmul(b.fmul(f, f), self.number(0.5))
        degree = 23 if self.double else 9
        series = b.fmul(square, self.polynomial(b, square, [2 / k for k in range(degree, 1, -2)]))
        high, low = (self.number(part) for part in LN2[self.double])
        inner = self.fma(b, s, b.fadd(half, series), b.fmul(n, low))
        value = self.fma(b, n, high, b.fsub(f, b.fsub(half, inner)))
        smallest = self.number(2.0 ** (1 - self.bias))
        value = b.select(b.fcmp_ordered("<", x, smallest), self.number(-math.inf), value)
        # Compared with the smallest normal number, not with zero: what is between them counts as zero.
        negative = b.fcmp_ordered("<=", x, b.fneg(smallest))
        value = b.select(negative, self.number(math.nan), value)
        endless = b.fcmp_unordered("==", x, self.number(math.inf))
        return b.select(endless, x, value)

    def _sign(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        one = self.intrinsic(b, "copysign", self.number(1.0), x)
        # Neither is what is not a number.
        return b.select(b.fcmp_unordered("==", x, self.number(0.0)), self.number(0.0), one)

    def _step(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        return b.select(b.fcmp_ordered(">", x, self.number(0.0)), self.number(1.0), self.number(0.0))

    def _below(self, b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
        high = b.select(b.fcmp_ordered(">", x, y), self.number(0.0), self.number(1.0))
        return b.select(b.fcmp_ordered("==", x, y), self.number(0.5), high)

    def _where(self, b: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
        return b.select(b.fcmp_ordered("<=", x, self.number(0.0)), z, y)
