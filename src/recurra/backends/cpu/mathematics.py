"""exp, log, tanh and the others on whole vectors, as LLVM IR.

exp: Cody and Waite's reduction x = n ln 2 + r with |r| ≤ ln 2 / 2, a polynomial in r, and 2^n by its exponent bits.
tanh and sigmoid rest on it, log on the odd series of the inverse hyperbolic tangent. Not a number stays one; what is
too large becomes infinite, what is too small zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

__all__ = ["Mathematics"]

I32, I64 = ir.IntType(32), ir.IntType(64)


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
        function = self.module.globals.get(full) or ir.Function(self.module, kind, full)
        return b.call(function, args)

    def fma(self, b: ir.IRBuilder, x: ir.Value, y: ir.Value, z: ir.Value) -> ir.Value:
        """X y + z, rounded once."""
        return self.intrinsic(b, "fma", x, y, z)

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
        if exponent == int(exponent) and 1 <= abs(exponent) <= 64:
            value: ir.Value | None = None
            square, left = x, int(abs(exponent))
            while left:
                if left & 1:
                    value = square if value is None else b.fmul(value, square)
                left >>= 1
                square = b.fmul(square, square) if left else square
            assert value is not None
            return value if exponent > 0 else b.fdiv(self.number(1.0), value)
        return self.intrinsic(b, "pow", x, self.number(exponent))

    def _reduced_exp(self, b: ir.IRBuilder, x: ir.Value) -> tuple[ir.Value, ir.Value]:
        """N and e^r - 1 of x = n ln 2 + r; n as a vector of floats."""
        n = self.intrinsic(b, "rint", b.fmul(x, self.number(1 / math.log(2))))
        if self.double:
            high, low = 6.93147180369123816490e-01, 1.90821492927058770002e-10
            degree = 13
        else:
            high, low = 0.693359375, -2.12194440e-4
            degree = 7
        r = self.fma(b, n, self.number(-high), x)
        r = self.fma(b, n, self.number(-low), r)
        # e^r - 1 = r + r^2 (1/2 + r/6 + ...): relative accuracy near 0, where tanh and expm1 need it.
        tail = self.polynomial(b, r, [1 / math.factorial(k) for k in range(degree, 1, -1)])
        return n, self.fma(b, b.fmul(r, r), tail, r)

    def _scale(self, b: ir.IRBuilder, n: ir.Value) -> ir.Value:
        """2^n by its bits, for a whole n within the exponents there are."""
        bits = b.add(b.fptosi(n, self.integers), self.whole(self.bias))
        return b.bitcast(b.shl(bits, self.whole(self.mantissa)), self.vector)

    def _exp(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        limit = 709.8 if self.double else 88.8
        # Cut off a little beyond what overflows. The order of the comparisons lets what is not a number through.
        cut = self._within(b, x, -limit, limit)
        n, tail = self._reduced_exp(b, cut)
        # 2^n in two halves, since n itself may be one beyond the largest exponent.
        half = self.intrinsic(b, "floor", b.fmul(n, self.number(0.5)))
        first, second = self._scale(b, half), self._scale(b, b.fsub(n, half))
        return b.fmul(b.fmul(b.fadd(tail, self.number(1.0)), first), second)

    def _within(self, b: ir.IRBuilder, x: ir.Value, low: float, high: float) -> ir.Value:
        above = b.fcmp_ordered(">", x, self.number(high))
        x = b.select(above, self.number(high), x)
        below = b.fcmp_ordered("<", x, self.number(low))
        return b.select(below, self.number(low), x)

    def _sigmoid(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        one = self.number(1.0)
        return b.fdiv(one, b.fadd(one, self._exp(b, b.fneg(x))))

    def _tanh(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        """(e^2|x| - 1) / (e^2|x| + 1) with the sign of x."""
        limit = 20.0 if self.double else 9.5
        size = self._within(b, self.intrinsic(b, "fabs", x), 0.0, limit)
        n, tail = self._reduced_exp(b, b.fadd(size, size))
        scale = self._scale(b, n)
        minus = self.fma(b, scale, tail, b.fsub(scale, self.number(1.0)))
        return self.intrinsic(b, "copysign", b.fdiv(minus, b.fadd(minus, self.number(2.0))), x)

    def _relu(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        return b.select(b.fcmp_ordered("<", x, self.number(0.0)), self.number(0.0), x)

    def _softplus(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        """max(x, 0) + log1p(e^-|x|)."""
        u = self._exp(b, b.fneg(self.intrinsic(b, "fabs", x)))
        # log1p(u) = 2 atanh(u / (2 + u)), with u from 0 to 1.
        small = self._atanh_twice(b, b.fdiv(u, b.fadd(u, self.number(2.0))), 41 if self.double else 17)
        return b.fadd(self._relu(b, x), small)

    def _atanh_twice(self, b: ir.IRBuilder, s: ir.Value, degree: int) -> ir.Value:
        """2 (s + s^3 / 3 + s^5 / 5 + ...)."""
        square = b.fmul(s, s)
        tail = self.polynomial(b, square, [2 / k for k in range(degree, 1, -2)])
        return self.fma(b, b.fmul(s, square), tail, b.fadd(s, s))

    def _log(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        """N ln 2 + log(m) of x = 2^n m, with m from sqrt(1/2) to sqrt(2)."""
        bits = b.bitcast(x, self.integers)
        root = b.bitcast(self.number(math.sqrt(0.5)), self.integers)
        # Shifting the origin to sqrt(1/2) leaves the exponent of the reduced number in the high bits.
        moved = b.sub(bits, root)
        exponent = b.ashr(moved, self.whole(self.mantissa))
        m = b.bitcast(b.sub(bits, b.shl(exponent, self.whole(self.mantissa))), self.vector)
        n = b.sitofp(exponent, self.vector)
        f = b.fsub(m, self.number(1.0))
        s = b.fdiv(f, b.fadd(f, self.number(2.0)))
        series = self._atanh_twice(b, s, 25 if self.double else 11)
        high, low = (
            (6.93147180369123816490e-01, 1.90821492927058770002e-10) if self.double else (0.693359375, -2.12194440e-4)
        )
        value = self.fma(b, n, self.number(high), self.fma(b, n, self.number(low), series))
        smallest = 2.0 ** (1 - self.bias)
        value = b.select(b.fcmp_ordered("<", x, self.number(smallest)), self.number(-math.inf), value)
        value = b.select(b.fcmp_ordered("<", x, self.number(0.0)), self.number(math.nan), value)
        endless = b.fcmp_unordered("==", x, self.number(math.inf))
        return b.select(endless, x, value)

    def _sign(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        one = self.intrinsic(b, "copysign", self.number(1.0), x)
        return b.select(b.fcmp_ordered("==", x, self.number(0.0)), self.number(0.0), one)

    def _step(self, b: ir.IRBuilder, x: ir.Value) -> ir.Value:
        return b.select(b.fcmp_ordered(">", x, self.number(0.0)), self.number(1.0), self.number(0.0))

    def _below(self, b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
        high = b.select(b.fcmp_ordered("<", x, y), self.number(1.0), self.number(0.0))
        return b.select(b.fcmp_ordered("==", x, y), self.number(0.5), high)
