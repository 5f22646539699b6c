"""Random valid cells, that use all there is in the language.

A cell is written line by line as text, with the spaces, parentheses and comments that people use. With every expression
goes an interval that its value stays in, so that logarithms, roots and quotients stay where they are defined and no
state grows: that holds for inputs within ±2, vectors within ±1, states before the first step within ±1, and matrices
whose rows and columns of absolute values sum to at most 1.5 (`problems` draws such).

    random_cell(7)                                  one cell, always the same for a seed
    random_cell(7, smooth=True)                     one whose kinks are never near: fit for finite differences
    random_cell(7, infinite=True)                   one that also takes logarithms and quotients of what is cut off at 0
    @given(cells(noise=True))                       a strategy for hypothesis
"""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from recurra.equations import FUNCTIONS, Cell, Noise
from recurra.errors import EquationError
from support.meaning import FUNCTIONS as MEANING

__all__ = ["Equations", "cells", "equations", "random_cell", "random_equations"]

SUM, TERM, UNARY, POWER, ATOM = 1, 2, 3, 4, 5
HIDDEN, INPUT, NUMBER = "H", "I", "1"
NAMES = ["h", "c", "gate", "memory", "update", "reset", "candidate", "fast", "slow", "m_2", "Ω", "state"]
KINKS = {
    **dict.fromkeys(("relu", "abs", "sign", "step", "softsign", "elu", "leaky_relu"), (0.0,)),
    "hard_tanh": (-1.0, 1.0),
    "hard_sigmoid": (-3.0, 3.0),
}
"""Where the slope of a function, or the slope of its slope, jumps."""
CALLABLE = [name for name, function in FUNCTIONS.items() if not function.symbol]
UNARY_FUNCTIONS = [name for name in CALLABLE if FUNCTIONS[name].arity == 1]
BINARY_FUNCTIONS = [name for name in CALLABLE if FUNCTIONS[name].arity == 2]
TERNARY_FUNCTIONS = [name for name in CALLABLE if FUNCTIONS[name].arity == 3]


@dataclass(frozen=True)
class Equations:
    """The text of a random cell, before it is read."""

    text: str
    constants: dict[str, float]
    noise: dict[str, Noise]

    def cell(self) -> Cell:
        """The cell that the text makes."""
        return Cell(self.text, constants=self.constants, noise=self.noise)


@dataclass(frozen=True)
class Piece:
    """A piece of text, how tightly it binds, how wide its value is, and the interval the value stays in."""

    text: str
    binding: int = ATOM
    low: float = -2.0
    high: float = 2.0
    width: str = HIDDEN

    @property
    def reach(self) -> float:
        return max(abs(self.low), abs(self.high))


def random_equations(
    seed: int | random.Random, *, smooth: bool = False, noise: bool = False, infinite: bool = False
) -> Equations:
    """The text of a random valid cell.

    Args:
        seed: A number, or a generator to draw from.
        smooth: Whether every function stays away from its kinks.
        noise: Whether values drawn at random are among what it reads.
        infinite: Whether values and slopes may be infinite, or not a number.
    """
    generator = seed if isinstance(seed, random.Random) else random.Random(seed)
    written = _Writer(generator, smooth, noise, infinite).write()
    while infinite and not _is_accepted(written):
        written = _Writer(generator, smooth, noise, infinite).write()
    return written


def _is_accepted(written: Equations) -> bool:
    """Whether no number of the text is infinite, which would be refused."""
    try:
        written.cell()
    except EquationError:
        return False
    return True


def random_cell(
    seed: int | random.Random, *, smooth: bool = False, noise: bool = False, infinite: bool = False
) -> Cell:
    """A random valid cell; see `random_equations`."""
    return random_equations(seed, smooth=smooth, noise=noise, infinite=infinite).cell()


def equations(*, smooth: bool = False, noise: bool = False) -> st.SearchStrategy[Equations]:
    """Texts of random valid cells, for hypothesis."""
    return st.randoms(use_true_random=False).map(lambda r: random_equations(r, smooth=smooth, noise=noise))


def cells(*, smooth: bool = False, noise: bool = False) -> st.SearchStrategy[Cell]:
    """Random valid cells, for hypothesis."""
    return equations(smooth=smooth, noise=noise).map(Equations.cell)


@dataclass
class _Writer:
    random: random.Random
    smooth: bool
    noisy: bool
    infinite: bool = False
    names: list[str] = field(default_factory=list)
    defined: list[str] = field(default_factory=list)
    constants: dict[str, float] = field(default_factory=dict)
    noises: dict[str, Noise] = field(default_factory=dict)
    matrices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    vectors: list[str] = field(default_factory=list)
    line: str = ""
    states: bool = True
    inputs: bool = True
    reads_state: bool = False

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def write(self) -> Equations:
        self.names = self.random.sample(NAMES, self.random.randint(1, 5))
        self.states, self.inputs = not self.chance(0.08), not self.chance(0.05)
        lines = []
        for name in self.names:
            self.line = name
            piece = self.value()
            if name == self.names[-1] and not (self.matrices or self.vectors or self.reads_state):
                piece = self.bounded(self.add(piece, self.product(1)))  # or no size of the cell could be told
            lines.append((name, piece.text))
            self.defined.append(name)
        read = set(re.findall(r"\w+", " ".join(text for _, text in lines)))  # a piece may have been thrown away since
        return Equations(
            self.layout(lines),
            {name: value for name, value in self.constants.items() if name in read},
            {name: noise for name, noise in self.noises.items() if name in read},
        )

    def layout(self, lines: list[tuple[str, str]]) -> str:
        """The lines as people write them: indented, aligned, commented, split by blank lines or carriage returns."""
        width = max(len(name) for name, _ in lines) if self.chance(0.5) else 0
        indent = self.random.choice(["", "    ", "\t"])
        text = []
        for name, expression in lines:
            if self.chance(0.05):
                text.append(self.random.choice(["", f"{indent}# what follows is {name}[t] = nothing"]))
            comment = "  # a comment: h[t-1] @ ???" if self.chance(0.05) else ""
            text.append(f"{indent}{name}[t]{' ' * max(0, width - len(name))} = {expression}{comment}")
        return self.random.choice(["\n", "\n", "\n", "\r\n", "\r"]).join(text)

    # What a line may be.

    def value(self) -> Piece:
        kind = self.random.random()
        if kind < 0.05:
            return self.bounded(self.number())
        if kind < 0.12:
            return self.leaf()
        if kind < 0.17:
            return self.bounded(self.function(self.vector_name(), self.random.choice(UNARY_FUNCTIONS)))
        if kind < 0.25 and self.states:
            gate, old = self.bounded(self.hidden(2)), self.state()
            return self.bounded(self.add(self.multiply(gate, self.hidden(1)), self.multiply(self.less(gate), old)))
        return self.bounded(self.hidden(self.random.randint(1, 4)))

    def less(self, piece: Piece) -> Piece:
        return Piece(f"1 - {self.inside(piece, TERM)}", SUM, 1 - piece.high, 1 - piece.low, piece.width)

    def bounded(self, piece: Piece, bound: float = 2.0) -> Piece:
        """The piece itself if it stays within the bound, else a squashed or scaled one."""
        if piece.reach <= bound:
            return piece
        if piece.width == NUMBER:
            return self.literal()
        return self.squash(piece) if self.chance(0.7) else self.scale(piece, bound)

    def scale(self, piece: Piece, bound: float) -> Piece:
        factor = float(f"{0.9 * bound / piece.reach:.2g}")
        return self.multiply(self.exact(factor), piece)

    def squash(self, piece: Piece) -> Piece:
        """The piece brought between -1 and 1."""
        if piece.reach <= 1:
            return piece
        functions = ["tanh", "tanh", "sigmoid", "sin", "cos"] + ["softsign", "hard_tanh"] * (not self.smooth)
        function = self.random.choice(functions)
        return Piece(f"{function}({piece.text})", ATOM, -1.0, 1.0, piece.width)

    # Numbers.

    def exact(self, value: float) -> Piece:
        text = repr(int(value)) if value == int(value) else repr(value)
        return Piece(text, UNARY if value < 0 else ATOM, value, value, NUMBER)

    def literal(self) -> Piece:
        text = self.random.choice(["0.5", ".5", "5e-1", "1", "0.1", "-0.5", "2", "2.", "-1", "0", "1e-3", "1.5", "0x1"])
        value = float(int(text, 16)) if text == "0x1" else float(text)
        return Piece(text, UNARY if value < 0 else ATOM, value, value, NUMBER)

    def number(self) -> Piece:
        kind = self.random.random()
        if kind < 0.6:
            return self.literal()
        if kind < 0.8:
            name = self.random.choice(["gain", "leak"])
            value = self.constants.setdefault(name, self.random.choice([0.5, 0.1, 1.0, -0.3, 2.0, 0.0]))
            return Piece(name, ATOM, value, value, NUMBER)
        left = self.number()
        if kind < 0.9:
            value = math.tanh(left.low)
            return Piece(f"tanh({left.text})", ATOM, value, value, NUMBER)
        return self.multiply(left, self.literal()) if kind < 0.95 else self.add(left, self.literal())

    # Leaves.

    def state(self) -> Piece:
        self.reads_state = True
        lag = self.random.choice([1, 1, 1, 1, 2, 3])
        minus = self.random.choice(["-", " - "])
        return Piece(f"{self.random.choice(self.names)}[t{minus}{lag}]")

    def vector_name(self) -> Piece:
        if self.vectors and self.chance(0.2):
            name = self.random.choice(self.vectors)
        else:
            name = f"{self.random.choice('bpu')}_{self.line}"
            if name not in self.vectors:
                self.vectors.append(name)
        return Piece(name, ATOM, -1.0, 1.0)

    def noise(self) -> Piece:
        each = self.random.choice(["step", "sequence"])
        name = "mask" if each == "step" else "keep"
        self.noises.setdefault(name, Noise(0.8, 1.25, 1.0, each))
        return Piece(f"{name}[t]", ATOM, 0.0, 1.25)

    def leaf(self) -> Piece:
        kind = self.random.random()
        if self.noisy and kind < 0.1:
            return self.noise()
        if self.defined and kind < 0.45:
            return Piece(f"{self.random.choice(self.defined)}[t]")
        if self.states and kind < 0.8:
            return self.state()
        return self.vector_name()

    # Expressions.

    def inside(self, piece: Piece, binding: int) -> str:
        """The text of a piece where something binds that tightly, in parentheses if it must, or for no reason."""
        if piece.binding < binding or self.chance(0.03):
            return f"({piece.text})"
        return piece.text

    def wide(self, a: Piece, b: Piece) -> str:
        return b.width if a.width == NUMBER else a.width

    def add(self, a: Piece, b: Piece, sign: str = "+") -> Piece:
        low, high = (b.low, b.high) if sign == "+" else (-b.high, -b.low)
        text = f"{self.inside(a, SUM)}{self.spaced(sign)}{self.inside(b, TERM)}"
        return Piece(text, SUM, a.low + low, a.high + high, self.wide(a, b))

    def multiply(self, a: Piece, b: Piece) -> Piece:
        corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
        text = f"{self.inside(a, TERM)}{self.spaced('*')}{self.inside(b, UNARY)}"
        return Piece(text, TERM, min(corners), max(corners), self.wide(a, b))

    def spaced(self, sign: str) -> str:
        return sign if self.chance(0.1) else f" {sign} "

    def divide(self, a: Piece, b: Piece) -> Piece:
        b = self.exact(2) if b.width == NUMBER and abs(b.low) < 0.3 else self.away_from_zero(b)
        corners = [x / y for x in (a.low, a.high) for y in (b.low, b.high)]
        text = f"{self.inside(a, TERM)}{self.spaced('/')}{self.inside(b, UNARY)}"
        return Piece(text, TERM, min(corners), max(corners), self.wide(a, b))

    def power(self, base: Piece) -> Piece:
        exponent = self.random.choice([2.0, 2.0, 3.0, 1.0, 0.0, 0.5, -1.0, -0.5, 1.5])
        base = self.bounded(base) if exponent in (0.0, 1.0, 2.0, 3.0) else self.positive(base)
        low, high = _image(lambda a: a**exponent, base.low, base.high)
        text = f"{self.inside(base, ATOM)}{self.spaced('**')}{self.exact(exponent).text}"
        return Piece(text, POWER, low, high, base.width)

    def negate(self, piece: Piece) -> Piece:
        return Piece(f"-{self.inside(piece, UNARY)}", UNARY, -piece.high, -piece.low, piece.width)

    def positive(self, piece: Piece) -> Piece:
        """The piece made safely positive: at least 0.3."""
        if piece.low >= 0.3:
            return piece
        if piece.width == NUMBER:
            return self.exact(0.5)
        inner = self.squash(piece)
        kind = self.random.randrange(4)
        if kind == 0:
            return Piece(f"exp({inner.text})", ATOM, math.exp(inner.low), math.exp(inner.high), piece.width)
        if kind == 1:
            return Piece(f"1.5 + {self.inside(inner, TERM)}", SUM, 1.5 + inner.low, 1.5 + inner.high, piece.width)
        if kind == 2:
            return Piece(f"softplus({piece.text}) + 0.5", SUM, 0.5, piece.reach + 1.2, piece.width)
        return Piece(f"{self.inside(inner, ATOM)} ** 2 + 0.4", SUM, 0.4, inner.reach**2 + 0.4, piece.width)

    def away_from_zero(self, piece: Piece) -> Piece:
        if piece.low >= 0.3 or piece.high <= -0.3:
            return piece
        positive = self.positive(piece)
        return positive if self.chance(0.7) else self.negate(positive)

    def away_from_kinks(self, piece: Piece, kinks: tuple[float, ...]) -> Piece:
        """The piece moved between two kinks, or beyond all of them."""
        between = pairwise([-math.inf, *kinks, math.inf])
        if any(low + 0.1 <= piece.low and piece.high <= high - 0.1 for low, high in between):
            return piece
        if piece.width == NUMBER:
            return self.exact(kinks[-1] + 0.5)
        below, above = kinks[0] - 0.75, kinks[-1] + 0.75
        center = self.random.choice([below, above, *((kinks[0] + kinks[1]) / 2 for _ in kinks[1:])])
        moved = self.multiply(self.exact(0.5), self.squash(piece))
        return self.add(moved, self.exact(center)) if center else moved

    def function(self, piece: Piece, name: str) -> Piece:
        """A function of one argument, kept where it is defined and, if wanted, smooth."""
        if name in ("log", "sqrt"):
            piece = self.positive(piece)
        elif name in ("exp", "square", "gelu"):
            piece = self.bounded(piece)
        elif self.smooth and name in KINKS:
            piece = self.away_from_kinks(piece, KINKS[name])
        elif self.smooth and name == "layer_norm" and piece.width != NUMBER:
            # Where all units are nearly equal its slope is in the hundreds.
            piece = self.add(self.multiply(self.exact(0.1), self.bounded(piece)), self.anchor(piece.width))
        if name == "layer_norm":
            low, high = -3.0, 3.0
        elif name == "mean":
            low, high = piece.low, piece.high
        else:
            low, high = _image(MEANING[name], piece.low, piece.high)
        return Piece(f"{name}({piece.text})", ATOM, low, high, piece.width)

    def anchor(self, width: str) -> Piece:
        """Something whose units differ: a learned vector, or the input."""
        return self.vector_name() if width == HIDDEN else Piece("x[t]", width=INPUT)

    def pair(self, a: Piece, b: Piece, name: str) -> Piece:
        """A function of two arguments, apart from one another if it is to be smooth."""
        if self.smooth:
            a, b = self.bounded(a), self.bounded(b)
            distance = self.exact(math.ceil(10 * (a.reach + b.reach + 0.5)) / 10)
            a, b = (a, self.add(b, distance)) if self.chance(0.5) else (self.add(a, distance), b)
        lows, highs = (a.low, b.low), (a.high, b.high)
        low, high = (0.0, 1.0) if name == "below" else (min(lows), max(highs))
        return Piece(f"{name}({a.text}, {b.text})", ATOM, low, high, self.wide(a, b))

    def select(self, a: Piece, b: Piece, c: Piece, name: str) -> Piece:
        """A function that chooses between its last two arguments by its first."""
        if self.smooth:
            a = self.exact(0.5) if a.width == NUMBER else self.away_from_zero(a)
        low, high = min(b.low, c.low), max(b.high, c.high)
        width = next((piece.width for piece in (a, b, c) if piece.width != NUMBER), NUMBER)
        return Piece(f"{name}({a.text}, {b.text}, {c.text})", ATOM, low, high, width)

    def cut(self, piece: Piece) -> Piece:
        """The piece cut off at 0, where an infinite slope then meets what selects."""
        piece = self.bounded(piece)
        inside, high = self.inside(piece, SUM), max(piece.high, 0.0)
        texts = [f"relu({inside})", f"where({inside}, {inside}, 0)", f"relu(1 - relu(1 - relu({inside})))"]
        texts += [f"(2 - minimum(2, 2 - leaky_relu(relu({inside}))))"]
        if self.infinite or not self.noisy:
            # At a tie half of an infinite gradient passes, and noise that is 0 makes ties.
            texts += [f"maximum({inside}, 0)", f"minimum(maximum(0, {inside}), 2)"]
            texts += [f"hard_sigmoid(6 * hard_tanh({inside}) - 3)"]
        return Piece(self.random.choice(texts), ATOM, 0.0, max(high, 1.0), piece.width)

    def steep(self, piece: Piece) -> Piece:
        """A function that is infinitely steep at 0, of a piece that is cut off there."""
        cut = self.cut(piece)
        high = math.sqrt(cut.high)
        texts = [f"sqrt({cut.text})", f"{cut.text} ** 0.5", f"sqrt(elu({cut.text}))"]
        if self.infinite:
            texts += [
                f"log({cut.text})",
                f"0.1 / {cut.text}",
                f"{cut.text} ** -0.5",
                f"where({cut.text}, log({cut.text}), 0)",
            ]
            texts += [f"minimum(log({cut.text}), 1)", f"hard_tanh(1 / {cut.text})", f"maximum(log({cut.text}), -2)"]
            texts += [f"1 / (1 + 1 / {cut.text})", f"exp(log({cut.text}))", f"sigmoid(log({cut.text}))"]
        text = self.random.choice(texts)
        return Piece(text, POWER if "**" in text else TERM if "/" in text else ATOM, 0.0, high, cut.width)

    def product(self, depth: int) -> Piece:
        """A matrix, sometimes one that was used before, times a vector or a concatenation."""
        known = [m for m, columns in self.matrices.items() if len(columns) < 4]
        if known and self.chance(0.25):
            matrix = self.random.choice(known)
            columns = self.matrices[matrix]
        else:
            matrix = self.random.choice([f"W_{self.line}", f"U_{self.line}", f"W{len(self.matrices)}"])
            widths = self.random.choice(["H", "I", "HI", "HI", "HI", "IH", "HH", "HIH", "HHI", "II"])
            columns = self.matrices.setdefault(matrix, tuple(w if self.inputs else HIDDEN for w in widths))
        operands = [self.hidden(depth) if c == HIDDEN else self.input(depth) for c in columns]
        reach = 1.5 * max(o.reach for o in operands)
        name = f"transpose({matrix})" if columns == (HIDDEN,) and self.chance(0.3) else matrix
        if len(operands) > 1:
            right = f"[{', '.join(o.text for o in operands)}]"
        else:
            right = f"[{operands[0].text}]" if self.chance(0.1) else self.inside(operands[0], UNARY)
        return Piece(f"{name} @ {right}", TERM, -reach, reach)

    def hidden(self, depth: int) -> Piece:
        """Any expression of hidden width."""
        if depth <= 0:
            return self.leaf()
        return self.combined(self.hidden, depth) if self.chance(0.7) else self.product(depth - 2)

    def input(self, depth: int) -> Piece:
        """Any expression of the input's width: of x[t] and numbers only."""
        if depth <= 0 or self.chance(0.6):
            return Piece("x[t]", width=INPUT)
        return self.combined(self.input, depth)

    def combined(self, part, depth: int) -> Piece:
        kind = self.random.random()
        a = part(depth - 1)
        if not self.smooth and a.width != NUMBER and self.chance(0.3 if self.infinite else 0.05):
            return self.steep(a)
        if kind < 0.3:
            return self.function(a, self.random.choice(UNARY_FUNCTIONS))
        if kind < 0.36:
            return self.power(a)
        if kind < 0.4:
            return self.negate(a)
        b = self.number() if self.chance(0.2) else part(depth - 1)
        if self.chance(0.3):
            a, b = b, a
        if self.chance(0.05):
            return self.select(a, b, part(depth - 1), self.random.choice(TERNARY_FUNCTIONS))
        if kind < 0.6:
            return self.add(a, b, self.random.choice("+-"))
        if kind < 0.8:
            return self.multiply(a, b)
        return self.divide(a, b) if kind < 0.88 else self.pair(a, b, self.random.choice(BINARY_FUNCTIONS))


def _image(function, low: float, high: float) -> tuple[float, float]:
    """The interval a function maps an interval to, with a little to spare."""
    values = function(np.linspace(low, high, 33))
    least, most = float(np.min(values)), float(np.max(values))
    if low == high:
        return least, most
    spare = 0.05 * (most - least)
    return (least if least >= 0 else least - spare), most + spare
