"""Every way to get an equation wrong is refused with its line, the character marked under it, and a mend."""

import re

import pytest

from recurra.equations import Cell, Noise, read_cell
from recurra.errors import LONGEST_QUOTE, EquationError

DROP = Noise(0.5, 2.0, 1.0, "step")


def refused(text, **more):
    with pytest.raises(EquationError) as caught:
        Cell(text, **more)
    return caught.value


def check(error, text, problem, marked, mend):
    """The message has four lines: the problem, the line as written, the marks, the mend."""
    said, quoted, marks, way_out = str(error).split("\n")
    number = int(re.match(r"line (\d+): ", said)[1])
    written = text.split("\n")[number - 1].strip()
    whole = len(written) <= LONGEST_QUOTE
    assert quoted == f"    {written}" if whole else quoted.removesuffix(" …") == f"    {written[:LONGEST_QUOTE]}"
    assert set(marks) <= {" ", "\t", "^"}
    assert marked.startswith(quoted[marks.index("^") : len(marks)].removesuffix(" …"))
    assert not whole or quoted[marks.index("^") : len(marks)] == marked
    assert re.search(problem, said), said
    assert re.search(mend, way_out), way_out
    assert (error.line, error.column) == (number, marks.index("^") - 4)


CASES = {
    # names
    "unknown function": ("h[t] = b + tahn(W @ x[t])", "no function 'tahn'", "tahn", r"Did you mean tanh\?"),
    "unknown function, nothing like it": (
        "h[t] = quux(W @ x[t])",
        "no function 'quux'",
        "quux",
        "The functions are: sig",
    ),
    "operator by its name": ("h[t] = add(W @ x[t], b)", "no function 'add'", "add", "The functions are"),
    "unknown name": ("h[t] = tanh(gate[t])", "'gate' is not defined", "gate[t]", "Add a line"),
    "misspelt name": ("gate[t] = W @ x[t]\nh[t] = tanh(gaet[t])", "'gaet' is not", "gaet[t]", r"Did you mean gate\?"),
    "used before defined": ("h[t] = tanh(c[t])\nc[t] = W @ x[t]", "before it is defined", "c[t]", r"c\[t-1\]"),
    "defined by itself": ("h[t] = 0.5 * h[t]", "before it is defined", "h[t]", r"h\[t-1\]"),
    "state never assigned": ("h[t] = tanh(W @ [c[t-1], x[t]])", "no line assigns", "c[t-1]", r"Add a line c\[t\]"),
    "earlier input": ("h[t] = W @ x[t] + V @ x[t-1]", "the input is read only", "x[t-1]", "Carry what you need"),
    "defined twice": ("h[t] = W @ x[t]\nh[t] = tanh(W @ x[t])", "'h' is defined twice", "h[t]", "a name of its own"),
    "value as a parameter": ("c[t] = W @ x[t]\nh[t] = c * 2", "'c' is a value of the step", "c", r"Write c\[t\]"),
    "value as a matrix": ("h[t] = h @ x[t]", "'h' is a value of the step", "h @ x[t]", "a name of its own"),
    "later value as a parameter": ("h[t] = c + W @ x[t]\nc[t] = b", "'c' is a value of the step", "c", r"c\[t-1\]"),
    "matrix as a vector": (
        "h[t] = W @ x[t] + W",
        "a matrix in one place and a vector in another",
        "W",
        "a name of its",
    ),
    "vector as a matrix": (
        "h[t] = W + W @ x[t]",
        "a matrix in one place and a vector",
        "W @ x[t]",
        "a name of its own",
    ),
    "function as a name": ("tanh[t] = W @ x[t]", "'tanh' is a function", "tanh[t]", "something else"),
    "operator as a name": ("h[t] = add * x[t]", "'add' is a function without", "add", "Write add"),
    "transpose as a name": ("transpose[t] = W @ x[t]", "'transpose' is a function", "transpose[t]", "something else"),
    "name of a gradient": ("grad_h[t] = W @ x[t]", "begin with 'grad_'", "grad_h[t]", "something else"),
    "parameter named as a gradient": ("h[t] = delta_W @ x[t]", "begin with 'delta_'", "delta_W", "something else"),
    "name of a piece": ("h[t] = W @ x[t] + part_b", "begin with 'part_'", "part_b", "something else"),
    "private name": ("h[t] = __import__ + W @ x[t]", "two underscores", "__import__", "letter"),
    "input defined": ("x[t] = W @ x[t]", r"x\[t\] is the input", "x[t]", "something else"),
    "step defined": ("t[t] = W @ x[t]", "t is the step", "t[t]", "something else"),
    "step as a value": ("h[t] = t * h[t-1]", "t is the step, not a value", "t", r"clock\[t\] = clock\[t-1\] \+ 1"),
    "first step on the left": ("h[t] = h[t-1]\nh[0] = 1", r"not h\[0\]", "h[0]", "learn_initial_state=True"),
    "step with a time index": ("h[t] = t[t-1]", "t is the step, not a value", "t[t-1]", r"h\[t-1\]"),
    "input without time": ("h[t] = W @ x", "x has no time index", "x", r"x\[t\]"),
    "no time index on the left": ("h = W @ x[t]", "'h' has no time index", "h", r"h\[t\] = "),
    "another step on the left": ("h[ t-1 ] = W @ x[t]", r"not h\[ t-1 \]", "h[ t-1 ]", r"Write h\[t\]"),
    "function without argument": ("h[t] = tanh * h[t-1]", "'tanh' is a function without", "tanh", r"tanh\(\.\.\.\)"),
    # time
    "later step": ("h[t] = h[t+1]", "cannot read later ones", "t+1", "bidirectional"),
    "no step": ("h[t] = h[t-0]", "not a time index", "t-0", r"h\[t-1\]"),
    "fixed step": ("h[t] = h[0]", "not a time index", "0", r"h\[t-1\]"),
    "fraction of a step": ("h[t] = h[t-1.0]", "not a time index", "t-1.0", r"h\[t-1\]"),
    "true step": ("h[t] = h[t-True]", "not a time index", "t-True", r"h\[t-1\]"),
    "two steps": ("h[t] = h[t, 1]", "not a time index", "t, 1", r"h\[t-1\]"),
    "slice of steps": ("h[t] = h[t:]", "not a time index", "t:", r"h\[t-1\]"),
    "step of a step": ("h[t] = h[t-1][t]", "only a name takes a time index", "h[t-1][t]", "a name of its own"),
    "step of an expression": ("h[t] = (h[t-1] + b)[t]", "only a name takes", "(h[t-1] + b)[t]", "a name of its own"),
    "too far back": ("h[t] = h[t-65]", "further back than the 64 steps", "t-65", "nearer"),
    "much too far back": (f"h[t] = h[t-0x{'f' * 5000}]", "further back", f"t-0x{'f' * 5000}", "nearer"),
    # widths
    "input added to hidden": ("h[t] = h[t-1] + x[t]", "widths cannot agree: H and I", "h[t-1] + x[t]", r"W @ x\[t\]"),
    "bias added to input": ("h[t] = W @ (x[t] + b)", "widths cannot agree: I and H", "x[t] + b", r"W @ x\[t\]"),
    "gate over input": ("h[t] = W @ (sigmoid(V @ x[t]) * x[t])", "cannot agree", "sigmoid(V @ x[t]) * x[t]", "matrix"),
    "minimum of two widths": ("h[t] = minimum(h[t-1], x[t])", "cannot agree", "minimum(h[t-1], x[t])", r"W @ x\[t\]"),
    "input as a value": ("h[t] = x[t]", "would be I wide", "x[t]", r"h\[t\] = W @ \(x\[t\]\)"),
    "function of the input as a value": ("h[t] = 2 * tanh(x[t])", "would be I wide", "2 * tanh(x[t])", r"h\[t\] = W @"),
    "matrix times a number": ("h[t] = W @ 2", "this is a number", "2", r"write \*"),
    "matrix times a number in a list": ("h[t] = W @ [x[t], 0.5]", "this is a number", "0.5", r"write \*"),
    "one matrix, two widths": ("h[t] = W @ x[t] + W @ h[t-1]", "vector I wide above, one H", "W @ h[t-1]", "two matr"),
    "one matrix, two orders": (
        "h[t] = W @ [h[t-1], x[t]] + W @ [x[t], h[t-1]]",
        r"H \+ I wide above, one I \+ H here",
        "W @ [x[t], h[t-1]]",
        "same order",
    ),
    "transposed times the input": (
        "h[t] = transpose(W) @ x[t]",
        "of hidden width, not one I",
        "transpose(W) @ x[t]",
        "H",
    ),
    "transposed elsewhere": ("h[t] = W @ x[t] + transpose(W) @ b", "I wide above, one H", "transpose(W) @ b", "two"),
    "exponent that is a vector": ("h[t] = h[t-1] ** p", "the exponent is a vector", "p", r"exp\(p \* log\(v\)\)"),
    "exponent that is a value": ("k[t] = 2\nh[t] = h[t-1] ** k[t]", "the exponent is a vector", "k[t]", "exp"),
    # products
    "product of two values": ("h[t] = h[t-1] @ x[t]", "two values of a step", "h[t-1] @ x[t]", r"write \*"),
    "product of two matrices": ("h[t] = W @ V @ x[t]", "name of a learned matrix", "W @ V", r"W @ \(V @ v\)"),
    "product after a product": ("h[t] = u * W @ x[t]", "name of a learned matrix", "u * W", "parentheses"),
    "number times a vector by @": ("h[t] = 2 @ x[t]", "name of a learned matrix", "2", r"For a number write \*"),
    "difference of matrices": (
        "h[t] = (W - transpose(W)) @ h[t-1]",
        "name of a learned matrix",
        "W - transpose(W)",
        r"a sum of products: W @ v - transpose\(W\) @ v",
    ),
    "function of a matrix": ("h[t] = abs(W) @ h[t-1]", "name of a learned", "abs(W)", r"torch\.nn\.utils\.parametrize"),
    "masked matrix": ("h[t] = (M * W) @ h[t-1]", "name of a learned", "M * W", r"parametrize\. .* u \* \(W @ v\)"),
    "negative matrix": ("h[t] = -W @ h[t-1]", "name of a learned matrix", "-W", r"-\(W @ v\)"),
    "transposed as in torch": ("h[t] = W.T @ h[t-1]", "name of a learned", "W.T", r"transpose\(W\) @ v"),
    "transposed as in TeX": ("h[t] = W^T @ h[t-1]", "this operator", "W^T @ h[t-1]", r"transpose\(W\) @ v"),
    "mean of the input": (
        "h[t] = mean(x[t]) * h[t-1]",
        "widths cannot agree: I and H",
        "mean(x[t]) * h[t-1]",
        r"write mean\(W @ x\[t\]\)",
    ),
    # as papers print it
    "product without a sign": (
        "h[t] = W x[t]",
        "two operands stand side by side",
        "x[t]",
        r"W @ x\[t\], .* W \* x\[t\]",
    ),
    "product without a sign, inside": ("h[t] = tanh(W h[t-1] + b)", "side by side", "h[t-1]", r"written W @ h\[t-1\]"),
    "product with parentheses": ("h[t] = (1 - u) h[t-1]", "side by side", "h[t-1]", r"W @ v, one unit by unit W \* v"),
    "product of two parentheses": ("h[t] = (1 - u)(h[t-1])", "can be called", "(1 - u)(h[t-1])", r"written a \* b"),
    "number before a name": ("h[t] = 2h[t-1]", "a number and a name stand side by side", "2h", r"2 \* h"),
    "index in parentheses": ("h[t] = tanh(W @ x(t))", "a time index stands in brackets", "x(t)", r"Write x\[t\]"),
    "lag in parentheses": ("h[t] = tanh(W @ h(t-1))", "stands in brackets", "h(t-1)", r"Write h\[t-1\]"),
    "index in parentheses on the left": ("h(t) = W @ x[t]", "stands in brackets", "h(t)", r"Write h\[t\]"),
    "concatenation as an index": ("h[t] = W[h[t-1], x[t]]", "not a time index", "h[t-1], x[t]", r"W @ \[a, b\]"),
    "concatenation as a tuple": (
        "h[t] = W @ (h[t-1], x[t])",
        "in brackets",
        "(h[t-1], x[t])",
        r"W @ \[h\[t-1\], x\[t\]\]",
    ),
    "matrix as a function": ("h[t] = W(x[t])", "no function 'W'", "W", "matrix is written W @ v"),
    "function of a library": ("h[t] = np.tanh(W @ x[t])", "by their name alone", "np.tanh(W @ x[t])", r"Write tanh\("),
    "underscore on the left": ("h_t = W @ x[t]", "'h_t' has no time index", "h_t", r"h\[t\] = \.\.\."),
    "circled dot": ("h[t] = f[t] ⊙ h[t-1]", "the sign ⊙ is not part", "⊙", r"unit by unit is written a \* b"),
    "raised dot": ("h[t] = W · x[t]", "the sign · is not part", "·", r"a matrix W @ v"),
    "cross": ("h[t] = W × x[t]", "the sign × is not part", "×", r"a matrix W @ v"),
    "printed minus": ("h[t] = 1 − b", "the sign − is not part", "−", "minus sign is written -"),
    "subscript": ("h[t] = tanh(W @ xₜ)", "the sign ₜ is not part", "ₜ", r"in brackets: h\[t\]"),
    "superscript": ("h[t] = Wᵀ @ h[t-1]", "the sign ᵀ is not part", "ᵀ", r"transpose\(W\) @ v"),
    "TeX": (r"h[t] = f[t] \odot h[t-1]", r"the sign \\ is not part", "\\", "LaTeX is not read"),
    "sigma": ("h[t] = σ(W @ x[t])", "no function 'σ'", "σ", r"called sigmoid\(a\)"),
    "underscore for the time": ("h[t] = tanh(W @ x[t] + x_t)", "'x_t' has no time index", "x_t", r"written x\[t\]"),
    # functions of other libraries
    "sum of products": ("h[t] = einsum(W @ x[t])", "no function 'einsum'", "einsum", r"^There is none; mean\(a \* b\)"),
    "arctan": ("h[t] = arctan(W @ x[t])", "no function 'arctan'", "arctan", "^There is none; tanh"),
    "softmax": ("h[t] = softmax(W @ x[t])", "no function 'softmax'", "softmax", r"exp\(a\) / mean\(exp\(a\)\)"),
    "clamp": ("h[t] = clamp(W @ x[t], -1, 1)", "no function 'clamp'", "clamp", r"minimum\(maximum\(a, -1\), 1\)"),
    "concatenation": ("h[t] = cat(h[t-1], x[t])", "no function 'cat'", "cat", r"W @ \[a, b\]"),
    "maximum by its short name": ("h[t] = max(W @ x[t], 0)", "no function 'max'", "max", r"maximum\(a, b\)"),
    "capitals": ("h[t] = ReLU(W @ x[t])", "no function 'ReLU'", "ReLU", r"Did you mean relu\?"),
    # misspelt
    "misspelt value": (
        "gate[t] = W @ x[t]\nh[t] = gaet * b",
        "almost like 'gate'",
        "gaet",
        r"Did you mean gate\[t\]\?",
    ),
    "misspelt function": ("h[t] = sigmoidd + W @ x[t]", "almost like 'sigmoid'", "sigmoidd", r"Did you mean sigmoid\?"),
    "misspelt vector": ("h[t] = scale * (W @ x[t] + sclae)", "almost like 'scale'", "sclae", r"Did you mean scale\?"),
    "misspelt matrix": (
        "h[t] = Wide @ x[t] + Wiide @ x[t]",
        "almost like 'Wide'",
        "Wiide @ x[t]",
        r"Did you mean Wide\?",
    ),
    # constants
    "constant of a value": ("k = h[t-1] * 2\nh[t] = k * h[t-1]", "'k' has no time index", "k", r"k\[t\] = \.\.\."),
    "constant of an unknown": (
        "rate = 2\nk = raet / 20\nh[t] = k",
        "'raet' is not one",
        "raet",
        r"Did you mean rate\?",
    ),
    "constant used before": ("h[t] = k * h[t-1]\nk = 2", "used before it is given", "k", "Move line [24] up"),
    "constant given twice": ("k = 1\nk = 2\nh[t] = k * W @ x[t]", "'k' is defined twice", "k", "a name of its own"),
    "constant never read": ("k = 1\nh[t] = W @ x[t]", "the constant 'k' is never read", "k", "leave it out"),
    "constant that is a value": ("h[t] = W @ x[t]\nh = 2", "'h' is a value of the step above", "h", r"Write h\[t\]"),
    "value that is a constant": ("k = 2\nk[t] = W @ x[t]", "'k' is a constant; it cannot", "k[t]", "something else"),
    "constant called as the input": ("x = 2\nh[t] = W @ x[t]", "x is the input", "x", "something else"),
    "constant called as the step": ("t = 2\nh[t] = W @ x[t]", "t is the step", "t", "something else"),
    "constant called as a function": ("tanh = 2\nh[t] = W @ x[t]", "'tanh' is a function", "tanh", "something else"),
    "constant that is not finite": (
        "k = 1 / 0\nh[t] = k",
        r"divide\(1, 0\) is not a finite",
        "1 / 0",
        "Check the numbers",
    ),
    "constant that is a matrix": ("k = 2\nh[t] = k @ x[t]", "'k' is a constant, not a matrix", "k", r"with \*"),
    "input as a matrix": ("h[t] = x @ h[t-1]", "'x' is not a matrix", "x", "bare name"),
    "function as a matrix": ("h[t] = tanh @ h[t-1]", "'tanh' is not a matrix", "tanh", "bare name"),
    "empty concatenation": ("h[t] = W @ []", "empty concatenation", "[]", r"W @ \[h\[t-1\], x\[t\]\]"),
    "concatenation without a matrix": ("h[t] = tanh([h[t-1], x[t]])", "right of a matrix", "[h[t-1], x[t]]", "W @"),
    "concatenation in a concatenation": ("h[t] = W @ [[b], x[t]]", "right of a matrix", "[b]", "W @"),
    "transpose without a vector": ("h[t] = transpose(W) + b", "left of a vector", "transpose(W)", "@ v"),
    "transpose of an expression": ("h[t] = transpose(W + V) @ b", "one matrix", "transpose(W + V)", "@ v"),
    "transpose of two": ("h[t] = transpose(W, V) @ b", "one matrix", "transpose(W, V)", "@ v"),
    "transpose of a function": ("h[t] = transpose(tanh) @ b", "'tanh' is not a matrix", "tanh", "bare name"),
    # arguments
    "too many arguments": ("h[t] = tanh(W @ x[t], 2)", "tanh takes 1 argument, not 2", "tanh(W @ x[t], 2)", "tangent"),
    "too few arguments": ("h[t] = minimum(W @ x[t])", "takes 2 arguments, not 1", "minimum(W @ x[t])", "the smaller"),
    "no arguments": ("h[t] = b + tanh()", "tanh takes 1 argument, not 0", "tanh()", "tangent"),
    "keyword argument": ("h[t] = tanh(a=W @ x[t])", "no arguments by keyword", "tanh(a=W @ x[t])", "position"),
    "starred argument": ("h[t] = tanh(*x[t])", "a starred expression", "*x[t]", "made of numbers"),
    "double-starred argument": ("h[t] = tanh(**x[t])", "by keyword", "tanh(**x[t])", "position"),
    # numbers
    "infinite number": ("h[t] = W @ x[t] + 1e999", "not finite", "1e999", "1.8e308"),
    "infinite integer": (f"h[t] = 0x{'f' * 500} * b", "not finite", f"0x{'f' * 500}", "1.8e308"),
    "logarithm of nothing": ("h[t] = W @ x[t] + log(0)", r"log\(0\) is not a finite", "log(0)", "Check the numbers"),
    "division by nothing": ("h[t] = W @ x[t] + 1 / (2 - 2)", r"divide\(1, 0\) is not", "1 / (2 - 2)", "Check the"),
    "root of a negative number": ("h[t] = (-8) ** 0.5 * b", r"power\(-8, 0.5\)", "(-8) ** 0.5", "Check the numbers"),
    "overflow": ("h[t] = b * exp(1000)", r"exp\(1000\) is not a finite", "exp(1000)", "Check the numbers"),
    "inside a composed function": ("h[t] = b * silu(1e308 * 10)", r"multiply\(1e\+308, 10\)", "1e308 * 10", "Check"),
    "complex number": ("h[t] = 1j * b", "1j is not a number", "1j", "0.5"),
    "truth": ("h[t] = True * b", "True is not a number", "True", "0.5"),
    "nothing": ("h[t] = None", "None is not a number", "None", "0.5"),
    "ellipsis": ("h[t] = ...", "Ellipsis is not a number", "...", "0.5"),
    "string": ("h[t] = 'tanh'", "a string is not a number", "'tanh'", "0.5"),
    "bytes": ("h[t] = b'tanh'", "a string is not a number", "b'tanh'", "0.5"),
    # what else Python can say
    "attribute": ("h[t] = W @ x[t].T", "an attribute is not part", "x[t].T", "made of numbers"),
    "method": ("h[t] = h[t-1].tanh()", "only a function of the table", "h[t-1].tanh()", "They are"),
    "call of a call": ("h[t] = tanh(b)(b)", "only a function of the table", "tanh(b)(b)", "They are"),
    "import by name": (
        "h[t] = __import__('os').system('ls')",
        "only a function",
        "__import__('os').system('ls')",
        "They",
    ),
    "comparison": ("h[t] = h[t-1] > 0", "a comparison is not part", "h[t-1] > 0", "made of numbers"),
    "logic": ("h[t] = b and h[t-1]", "a logical operator is not", "b and h[t-1]", "made of numbers"),
    "not": ("h[t] = not b", "this operator is not part", "not b", r"\+ - \* /"),
    "inverse": ("h[t] = ~b", "this operator is not part", "~b", r"\+ - \* /"),
    "remainder": ("h[t] = b % 2", "this operator is not part", "b % 2", r"\+ - \* /"),
    "whole division": ("h[t] = b // 2", "this operator is not part", "b // 2", r"\+ - \* /"),
    "power by a caret": ("h[t] = b ^ 2", "this operator is not part", "b ^ 2", r"\*\*"),
    "condition": ("h[t] = b if c else d", "a condition is not part", "b if c else d", "made of numbers"),
    "lambda": ("h[t] = lambda: 1", "a lambda is not part", "lambda: 1", "made of numbers"),
    "list comprehension": ("h[t] = [b for b in c]", "a comprehension is not part", "[b for b in c]", "made of"),
    "generator": ("h[t] = tanh(b for b in c)", "a comprehension is not", "(b for b in c)", "made of numbers"),
    "set comprehension": ("h[t] = {b for b in c}", "a comprehension is not", "{b for b in c}", "made of numbers"),
    "dictionary comprehension": ("h[t] = {b: b for b in c}", "a comprehension", "{b: b for b in c}", "made of numbers"),
    "dictionary": ("h[t] = {1: 2}", "a dictionary is not part", "{1: 2}", "made of numbers"),
    "set": ("h[t] = {1, 2}", "a set is not part", "{1, 2}", "made of numbers"),
    "tuple": ("h[t] = W @ x[t], 2", "a tuple is not part", "W @ x[t], 2", "made of numbers"),
    "formatted string": ("h[t] = f'{x}'", "a string is not part", "f'{x}'", "made of numbers"),
    "assignment inside": ("h[t] = tanh(a := b)", "an assignment inside", "a := b", "made of numbers"),
    "yield": ("h[t] = yield", "a yield is not part", "yield", "made of numbers"),
    "yield from": ("h[t] = yield from b", "this kind of expression", "yield from b", "made of numbers"),
    "await": ("h[t] = await b", "an await is not part", "await b", "made of numbers"),
    # statements
    "expression alone": ("W @ x[t]", "defines nothing", "W @ x[t]", r"name\[t\] = expression"),
    "import": ("import os", "an import is not an equation", "import os", r"name\[t\] = expression"),
    "import from": ("h[t] = b; from os import system", "an import", "from os import system", r"name\[t\] = expression"),
    "adding assignment": ("h[t] += b", "an assignment that adds", "h[t] += b", r"name\[t\] = expression"),
    "annotation": ("h[t]: float = b", "an annotation is not", "h[t]: float = b", r"name\[t\] = expression"),
    "deletion": ("del h[t]", "a deletion is not", "del h[t]", r"name\[t\] = expression"),
    "definition": ("def h(): pass", "a function definition", "def h(): pass", r"name\[t\] = expression"),
    "class": ("class h: pass", "a class definition", "class h: pass", r"name\[t\] = expression"),
    "condition as a statement": ("if b: pass", "a condition is not", "if b: pass", r"name\[t\] = expression"),
    "for loop": ("for t in x: pass", "a loop is not", "for t in x: pass", r"name\[t\] = expression"),
    "while loop": ("while b: pass", "a loop is not", "while b: pass", r"name\[t\] = expression"),
    "with": ("with b: pass", "a with block is not", "with b: pass", r"name\[t\] = expression"),
    "raise": ("raise b", "a raise is not", "raise b", r"name\[t\] = expression"),
    "assertion": ("assert b", "an assertion is not", "assert b", r"name\[t\] = expression"),
    "return": ("return b", "a return is not", "return b", r"name\[t\] = expression"),
    "pass": ("pass", "this kind of statement is not", "pass", r"name\[t\] = expression"),
    "global": ("global h", "this kind of statement is not", "global h", r"name\[t\] = expression"),
    "two at once": ("a[t] = h[t] = b", "a line defines one value", "a[t] = h[t] = b", "a line for each"),
    "two by a tuple": ("a[t], h[t] = b, c", r"only name\[t\] can be defined", "a[t], h[t]", r"name\[t\] = expression"),
    "attribute defined": ("h.t = b", r"only name\[t\] can be defined", "h.t", r"name\[t\] = expression"),
    "call defined": ("h[t][t] = b", r"only name\[t\] can be defined", "h[t][t]", r"name\[t\] = expression"),
    "string as the time": ("h['t'] = b", r"the value at step t itself, not h\['t'\]", "h['t']", r"Write h\[t\]"),
    # text that is not even Python's
    "open parenthesis": ("h[t] = tanh(W @ x[t]", "never closed", "(", r"name\[t\] = expression"),
    "unknown character": ("h[t] = W @ x[t] ¿ b", "invalid character", "¿", r"name\[t\] = expression"),
    "a sign too many": ("h[t] = W @ @ x[t]", "this is not an equation", "@", r"name\[t\] = expression"),
    "string without end": ("h[t] = 'tanh", "unterminated string", "'", r"name\[t\] = expression"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_where_it_stands(case):
    text, problem, marked, mend = CASES[case]
    check(refused(text), text, problem, marked, mend)


@pytest.mark.parametrize("case", CASES)
def test_the_mark_moves_with_the_text(case):
    """In the third line of a text, indented, with tabs and letters of several bytes before it."""
    text, problem, marked, mend = CASES[case]
    tabbed, marked = (t.replace(" = ", " =\t", 1) for t in (text, marked))
    moved = f"été[t] = Ω @ x[t]\r\n\r\n\t  {tabbed}  # Ω"
    check(refused(moved), moved.replace("\r\n", "\n"), problem, marked, mend)


@pytest.mark.parametrize(
    "text",
    [
        "tanh(h[t]) = b",
        "h[t] = 007 * b",
        "h[t] = W @ x[t] \\",
        "h[t] = (W @ x[t]\n\n",
        "h[t] = '''\n\n",
        "h[t] = b)",
        "h[t] = W @ x[t]\x00",
        "\ufeffh[t] = b",
        "h[t] = f'{a b}'",
        "h[t] =",
        "= b",
        "h[t] == b = c",
        "print 'h'",
        "else: b",
        "match b:\n  case c: pass",
    ],
)
def test_what_is_not_even_python_is_refused_with_a_mark_in_its_line(text):
    """Where exactly Python stumbles differs from one of its versions to the next."""
    error = refused(text)
    assert re.match(r"line \d+: this is not an equation \(.+\)\n", str(error))
    assert error.source in [line.strip() for line in text.split("\n")]
    assert 0 <= error.column < max(1, len(error.source))
    assert error.mend.startswith("Write name[t] = expression")


def test_the_mark_is_right_after_letters_of_several_bytes():
    text = "été[t] = Ω @ x[t] + ñandú[t]"
    check(refused(text), text, "'ñandú' is not defined", "ñandú[t]", "Add a line")
    text = "été[t] = Ω @ x[t] + $"
    check(refused(text), text, "this is not an equation", "$", "Write name")


def test_the_mark_of_an_expression_of_several_lines_ends_with_its_first():
    text = "h[t] = W @ x[t] + minimum(b,\n  h[t-1],\n  2)"
    check(refused(text), text, "minimum takes 2 arguments, not 3", "minimum(b,", "the smaller")
    text = "h[t] = (W @ x[t]\n   + gate[t])"
    check(refused(text), text, "'gate' is not defined", "gate[t]", "Add a line")


@pytest.mark.parametrize("text", ["", "   ", "\n\n", "# h[t] = b", "\t\r\n  # nothing\r\n"])
def test_a_text_without_equations(text):
    error = refused(text)
    assert str(error).startswith("the text has no equations; write at least one line")
    assert error.line == 0


@pytest.mark.parametrize("text", [None, 3, b"h[t] = b", ["h[t] = b"]])
def test_what_is_no_text(text):
    assert str(refused(text)).startswith(f"a cell's equations are text, not {type(text).__name__}; give a string")


@pytest.mark.parametrize("digits", [400, 5000])
def test_an_integer_of_any_length_is_too_large(digits):
    text = f"h[t] = W @ x[t] + 1{'0' * digits}"
    said = str(refused(text))
    assert said.startswith("line 1: the number is too large: it is not finite\n")
    assert said.endswith("\nThe largest number is about 1.8e308.")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("k", float("nan"), "the constant 'k' is nan"),
        ("k", float("inf"), "the constant 'k' is inf"),
        ("k", 10**400, "the constant 'k' is too large"),
        ("k", "2", "the constant 'k' is '2'"),
        ("k", True, "the constant 'k' is True"),
        ("k", None, "the constant 'k' is None"),
        ("x", 2.0, "a constant cannot be called 'x'"),
        ("t", 2.0, "a constant cannot be called 't'"),
        ("tanh", 2.0, "a constant cannot be called 'tanh'"),
        ("transpose", 2.0, "a constant cannot be called 'transpose'"),
        ("a b", 2.0, "a constant cannot be called 'a b'"),
        ("", 2.0, "a constant cannot be called ''"),
        (3, 2.0, "a constant cannot be called 3"),
        ("unused", 2.0, "the constant 'unused' is never read"),
    ],
)
def test_a_bad_constant(name, value, said):
    error = refused("h[t] = W @ x[t] + k * h[t-1]", constants={name: value})
    assert str(error).startswith(said)
    assert error.mend


@pytest.mark.parametrize(
    ("text", "problem", "marked", "mend"),
    [
        ("k[t] = W @ x[t]", "'k' is a constant; it cannot be defined", "k[t]", "something else"),
        ("h[t] = k[t] + W @ x[t]", "'k' is a constant and has no time index", "k[t]", "Write k"),
        ("h[t] = k @ x[t]", "'k' is a constant, not a matrix", "k", r"with \*"),
    ],
)
def test_a_constant_misused(text, problem, marked, mend):
    check(refused(text, constants={"k": 2}), text, problem, marked, mend)


def test_a_constant_that_leads_to_no_number():
    text = "h[t] = W @ x[t] + 1 / k"
    check(
        refused(text, constants={"k": 0}), text, r"divide\(1, 0\) is not a finite number", "1 / k", "Check the numbers"
    )


@pytest.mark.parametrize(
    ("text", "problem", "marked", "mend"),
    [
        ("z[t] = W @ x[t]\nh[t] = z[t]", "'z' is drawn at random; it cannot be defined", "z[t]", "Rename"),
        ("h[t] = z[t-1] * h[t-1]", "'z' is drawn anew; it is not carried", "z[t-1]", r"Write z\[t\]"),
        ("h[t] = z * h[t-1]", "'z' is a value of the step", "z", r"Write z\[t\]"),
    ],
)
def test_noise_misused(text, problem, marked, mend):
    check(refused(text, noise={"z": DROP}), text, problem, marked, mend)


def test_noise_that_is_never_read():
    assert str(refused("h[t] = W @ x[t]", noise={"z": DROP})).startswith("the noise 'z' is never read; use it")


def test_an_initial_value_for_no_parameter():
    error = refused("h[t] = W @ x[t] + b", initial={"c": 1.0})
    assert str(error) == "initial names 'c', which is not a parameter; the parameters are: W, b"


def test_a_parameter_read_as_a_value():
    text = "h[t] = W @ x[t] + b\nc[t] = b[t]"
    check(refused(text), text, "'b' is a learned parameter above", "b[t]", "Write b without a time index")


def test_a_file_names_itself_first(tmp_path):
    path = tmp_path / "cell.txt"
    path.write_text("h[t] = tanh(W @ x[t])\no[t] = tahn(h[t])\n", encoding="utf-8")
    with pytest.raises(EquationError) as caught:
        read_cell(path)
    said, quoted, marks, mend = str(caught.value).split("\n")
    assert said == f"{path}, line 2: there is no function 'tahn'"
    assert quoted[marks.index("^") : len(marks)] == "tahn"
    assert mend.startswith("Did you mean tanh?")
    assert caught.value.line == 2
    for write, reason in (
        (lambda: path.write_bytes(b"\xff\xfe\x00"), "it is not UTF-8 text"),
        (path.unlink, "No such file or directory"),
        (path.mkdir, "Is a directory"),
    ):
        write()
        with pytest.raises(EquationError, match="cannot be read") as caught:
            read_cell(path)
        assert reason in str(caught.value)


def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "mine.txt"
    text = "Ω[t] = W @ x[t]\r\nh[t] = Ω[t] + h[t-1]\r\n"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_bytes(text.encode(encoding))
        assert read_cell(path) == Cell(text)
        assert read_cell(str(path)).name == "mine"
