"""From text to equations: Python's own grammar, read with `ast` and never evaluated.

Only what the language knows gets through: lines of the form `name[t] = expression`, where an expression is made of
numbers, bare names, `name[t]`, `name[t-k]`, arithmetic, the functions of the table, and products with a matrix; and
lines `name = expression` that give a constant, made of numbers and of constants above it. Whatever else Python can say
is refused by name, with its line quoted and the character marked.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NoReturn, TypeGuard

from recurra.equations.expression import (
    Call,
    Constant,
    Equation,
    Expression,
    Number,
    Place,
    Product,
    Step,
    Vector,
    walk,
)
from recurra.equations.foreign import SIGN_REMEDIES, remedy_for_function
from recurra.equations.functions import FUNCTIONS, OPERATORS
from recurra.equations.slips import Names
from recurra.errors import EquationError
from recurra.spelling import nearest

__all__ = ["ParsedText", "parse", "parse_expression", "parse_text"]

FORM = "Write name[t] = expression, such as h[t] = tanh(W @ [h[t-1], x[t]] + b)."
"""What an equation looks like, for messages."""
LONGEST_TEXT = 100_000
"""Characters a text may have: far beyond any cell, and short enough that no text can exhaust the machine."""
DEEPEST_NESTING = 80
"""How deep an expression may nest: far beyond any cell, and safely within Python's recursion limit."""
LONGEST_CHAIN = 1000
"""How many operators may follow one another, as in a + b + c: Python's parser refuses a few thousand."""
FURTHEST_LAG = 64
"""How many steps back a value may be read: each step back is a state that every layer carries."""
RESERVED = ("grad_", "delta_", "part_")
"""Beginnings of names that the derived gradient equations use."""

T_REMEDY = "It stands only in brackets: h[t], h[t-1]. To count the steps, carry a counter: clock[t] = clock[t-1] + 1."
TOO_LARGE, LARGEST = "the number is too large: it is not finite", "The largest number is about 1.8e308."

_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}
_STATEMENTS: dict[type[ast.stmt], str] = {
    ast.AugAssign: "an assignment that adds to a value",
    ast.AnnAssign: "an annotation",
    ast.Expr: "an expression that defines nothing",
    ast.Import: "an import",
    ast.ImportFrom: "an import",
    ast.FunctionDef: "a function definition",
    ast.ClassDef: "a class definition",
    ast.If: "a condition",
    ast.For: "a loop",
    ast.While: "a loop",
    ast.Return: "a return",
    ast.Delete: "a deletion",
    ast.With: "a with block",
    ast.Raise: "a raise",
    ast.Try: "a try block",
    ast.Assert: "an assertion",
}
_EXPRESSIONS: dict[type[ast.expr], str] = {
    ast.Attribute: "an attribute",
    ast.Compare: "a comparison",
    ast.BoolOp: "a logical operator",
    ast.IfExp: "a condition",
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.Dict: "a dictionary",
    ast.Set: "a set",
    ast.Tuple: "a tuple",
    ast.JoinedStr: "a string",
    ast.NamedExpr: "an assignment inside an expression",
    ast.Starred: "a starred expression",
    ast.Await: "an await",
    ast.Yield: "a yield",
    ast.Slice: "a slice",
}


@dataclass(frozen=True, slots=True)
class ParsedText:
    """A text, read line by line.

    Args:
        equations: The lines `name[t] = expression`, in order.
        constants: The lines `name = expression`, in order; each is made of numbers and constants alone.
        lines: The lines as written, for messages.
    """

    equations: tuple[Equation, ...]
    constants: tuple[Equation, ...]
    lines: tuple[str, ...]


def parse(text: str, constants: Collection[str] = ()) -> tuple[Equation, ...]:
    r"""Read the equations of a cell.

    Args:
        text: The equations, a line each; `#` begins a comment.
        constants: The names that stand for numbers, besides those that the text gives itself.

    Returns:
        The equations in the order of the text.

    Raises:
        EquationError: The text is not of the language; the message quotes the line and marks the character.

    Example:
        >>> [e.name for e in parse("a[t] = W @ x[t]\nh[t] = tanh(a[t] + u * h[t-1])")]
        ['a', 'h']
    """
    return parse_text(text, constants).equations


def parse_text(text: str, constants: Collection[str] = ()) -> ParsedText:
    """Read the equations of a cell and the constants that its text gives; arguments and errors are those of `parse`."""
    return _Reader(text, frozenset(constants)).read()


def parse_expression(text: str) -> Expression:
    """Read one expression, such as a gradient in the table of functions."""
    return parse(f"y[t] = {text}")[0].expression


def check_constants(constants: Collection[str]) -> None:
    """Refuse names of constants that the text could not use for them."""
    for name in constants:
        if not isinstance(name, str) or not name.isidentifier() or name in {"t", "x", "transpose", *FUNCTIONS}:
            raise EquationError(
                f"a constant cannot be called {name!r}",
                "Choose a name that Python takes for a variable and that is neither x, t nor a function.",
            )


class _Reader:
    """Reads one text, with the lines at hand for messages."""

    def __init__(self, text: str, constants: frozenset[str]) -> None:
        if not isinstance(text, str):
            raise EquationError(
                f"a cell's equations are text, not {type(text).__name__}", "Give a string with a line for each value."
            )
        if len(text) > LONGEST_TEXT:
            raise EquationError(
                f"the text has {len(text):,} characters; at most {LONGEST_TEXT:,} are read",
                "A cell is a few lines; check that this is the file you meant.",
            )
        # Only the newlines that Python's tokenizer knows may count as such, or a caret would mark the wrong line.
        # Indentation means nothing here: a text may be an indented block, or begin right after the quotes.
        self.lines = [line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
        self.text = "\n".join(self.lines)
        self.constants = set(constants)
        self.constants_below: dict[str, int] = {}
        self.values: set[str] = set()

    def read(self) -> ParsedText:
        """All lines."""
        statements = self.tree().body
        targets = {s: _bare_target(s) for s in statements}
        self.constants_below = {t.id: s.lineno for s, t in targets.items() if t is not None}
        equations: list[Equation] = []
        constants: dict[str, Equation] = {}
        for statement in statements:
            target = targets[statement]
            if target is None or not isinstance(statement, ast.Assign):
                equations.append(self.equation(statement))
                self.values.add(equations[-1].name)
                continue
            if target.id in constants:
                self.fail(target, f"{target.id!r} is defined twice", "Give the second constant a name of its own.")
            constants[target.id] = self.constant(target, statement.value)
            self.constants.add(target.id)
        if not equations:
            raise EquationError(
                "the text has no equations", "Write at least one line, such as h[t] = tanh(W @ [h[t-1], x[t]] + b)."
            )
        return ParsedText(tuple(equations), tuple(constants.values()), tuple(self.lines))

    def tree(self) -> ast.Module:
        """The text as Python's syntax tree, or the syntax error in our words."""
        self._refuse_zero_characters()
        self._refuse_printed_signs()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(self.text)
        except SyntaxError as error:
            line = min(error.lineno or 1, len(self.lines))
            source = self.lines[line - 1]
            column = max(0, min((error.offset or 1) - 1, max(len(source) - 1, 0)))
            self._explain_line(line)
            too_long = "integer string conversion" in error.msg
            raise EquationError(
                TOO_LARGE if too_long else f"this is not an equation ({error.msg})",
                LARGEST if too_long else FORM,
                line=line,
                column=column,
                source=source,
            ) from None
        except (RecursionError, MemoryError):
            raise EquationError(
                f"the text cannot be read: some expression nests deeper than {DEEPEST_NESTING} levels, "
                f"or has more than {LONGEST_CHAIN:,} operators in a row",
                "Break it up: give its parts lines and names of their own.",
            ) from None
        except (ValueError, OverflowError) as error:
            raise EquationError(
                f"the text cannot be read ({error})",
                "Equations are plain text, a line for each value, without control characters.",
            ) from None
        self._refuse_deep_nesting(tree)
        return tree

    def _refuse_zero_characters(self) -> None:
        # Python's releases differ in what they say of one, and in whether they say where.
        for number, line in enumerate(self.lines, 1):
            if "\0" in line:
                place = Place(number, line.index("\0"), 1)
                raise error_at(self.lines, place, "this is not an equation (a zero character)", FORM)

    def _refuse_printed_signs(self) -> None:
        """Refuse signs as papers print them, some of which Python would take for letters."""
        for number, line in enumerate(self.lines, 1):
            written = line.partition("#")[0]
            if written.isascii() and "\\" not in written:
                continue
            for column, character in enumerate(written):
                if character in SIGN_REMEDIES and (character != "\\" or written[column + 1 : column + 2].isalpha()):
                    place = Place(number, column, 1)
                    raise error_at(
                        self.lines,
                        place,
                        f"the sign {character} is not part of the language",
                        SIGN_REMEDIES[character],
                    )

    def _explain_line(self, number: int) -> None:
        """Say what is wrong in a line that Python cannot read, if it is one of the ways in which papers write."""
        written = self.lines[number - 1].partition("#")[0]
        if re.search("['\"]", written):
            return
        if match := _INDEX_IN_PARENTHESES.search(written):
            where = Place(number, match.start(), len(match[0]))
            remedy = f"Write {match['name']}[{match['index'].replace(' ', '')}]."
            raise error_at(self.lines, where, "a time index stands in brackets", remedy)
        if match := _NUMBER_BEFORE_NAME.search(written):
            where = Place(number, match.start(), len(match[0]))
            remedy = f"A product is written {match['number']} * {match['name']}; a name begins with a letter."
            raise error_at(self.lines, where, "a number and a name stand side by side, without an operator", remedy)
        for match in _SIDE_BY_SIDE.finditer(written):
            left, right = match["left"], match["right"]
            if any(keyword.iskeyword(word) or keyword.issoftkeyword(word) for word in (left, right)):
                continue
            short = len(left) + len(right) < 40 and left != ")" and right != "("
            a, b = (left, right) if short else ("W", "v")
            raise error_at(
                self.lines,
                Place(number, match.start("right"), len(right)),
                "two operands stand side by side, without an operator",
                f"A product with a matrix is written {a} @ {b}, one unit by unit {a} * {b}.",
            )

    def _refuse_deep_nesting(self, tree: ast.Module) -> None:
        pending: list[tuple[ast.AST, int, int]] = [(statement, 0, statement.lineno) for statement in tree.body]
        while pending:
            node, depth, line = pending.pop()
            if depth > DEEPEST_NESTING:
                raise EquationError(
                    f"the expression nests deeper than {DEEPEST_NESTING} levels",
                    "Break it up: give its parts lines and names of their own.",
                    line=line,
                    source=self.lines[line - 1],
                )
            # A chain such as a + b + c goes deeper with every term in Python's tree, but is not nested in the text.
            level = [node.left] if _is_arithmetic(node) and _is_arithmetic(node.left) else []
            pending += [(child, depth, line) for child in level]
            pending += [(child, depth + 1, line) for child in ast.iter_child_nodes(node) if child not in level]

    def place(self, node: ast.AST) -> Place:
        """Where a node of Python's tree stands, in characters (Python counts bytes)."""
        line = getattr(node, "lineno", 1)
        source = self.lines[line - 1].encode()
        start = getattr(node, "col_offset", 0)
        end = getattr(node, "end_col_offset", None) if getattr(node, "end_lineno", line) == line else len(source)
        column = len(source[:start].decode(errors="replace"))
        return Place(line, column, max(1, len(source[start:end].decode(errors="replace"))))

    def source(self, node: ast.AST) -> str:
        """What is written where a node stands; of several lines the first."""
        place = self.place(node)
        return self.lines[place.line - 1][place.column : place.column + place.length]

    def error(self, node: ast.AST, problem: str, mend: str) -> EquationError:
        return error_at(self.lines, self.place(node), problem, mend)

    def fail(self, node: ast.AST, problem: str, mend: str) -> NoReturn:
        raise self.error(node, problem, mend)

    def constant(self, target: ast.Name, value: ast.expr) -> Equation:
        """One line `name = expression`, of numbers and the constants above."""
        name = target.id
        if name in {"x", "t"}:
            what = "the input" if name == "x" else "the step"
            self.fail(target, f"{name} is {what}; it cannot be a constant", "Call the constant something else.")
        if name in self.values:
            self.fail(
                target,
                f"{name!r} is a value of the step above; it cannot be a constant as well",
                f"Write {name}[t] for a value of the step, or call the constant something else.",
            )
        self._check_name(target, name)
        expression = self.expression(value)
        for part in walk(expression):
            if isinstance(part, Step | Product):
                stem = name.removesuffix("_t") or name
                self.fail(
                    target,
                    f"{name!r} has no time index",
                    f"A line defines a value at step t: {stem}[t] = ...; without [t] it gives a constant, a number.",
                )
            if isinstance(part, Vector):
                near = Names(self.constants).near(part.name)
                raise error_at(
                    self.lines,
                    part.place,
                    f"{name!r} has no time index, so that it is a constant, and {part.name!r} is not one above it",
                    (f"Did you mean {near}? " if near else "")
                    + f"A constant is made of numbers and constants above it; a value of the step is {name}[t] = ...",
                )
        return Equation(name, expression, self.place(target))

    def equation(self, statement: ast.stmt) -> Equation:
        """One line: `name[t] = expression`."""
        if not isinstance(statement, ast.Assign):
            kind = _STATEMENTS.get(type(statement), "this kind of statement")
            self.fail(statement, f"{kind} is not an equation", "Every line has the form name[t] = expression.")
        if len(statement.targets) > 1:
            self.fail(statement, "a line defines one value", "Write a line for each: a[t] = ..., then b[t] = a[t].")
        name = self._defined_name(statement.targets[0])
        return Equation(name, self.expression(statement.value), self.place(statement.targets[0]))

    def _defined_name(self, target: ast.expr) -> str:
        if not (isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name)):
            self.fail(target, "only name[t] can be defined", "Every line has the form name[t] = expression.")
        name = target.value.id
        if not (isinstance(target.slice, ast.Name) and target.slice.id == "t"):
            first = isinstance(target.slice, ast.Constant | ast.UnaryOp)
            before = (
                "Before the first step a state is zero, or given to the layer, or learned: learn_initial_state=True."
            )
            self.fail(
                target,
                f"a line defines the value at step t itself, not {self.source(target)}",
                f"Write {name}[t]. {before}" if first else f"Write {name}[t].",
            )
        if name == "x":
            self.fail(target, "x[t] is the input; it cannot be defined", "Call the value something else.")
        if name == "t":
            self.fail(target, "t is the step; it cannot be defined", "Call the value something else.")
        if name in self.constants:
            self.fail(target, f"{name!r} is a constant; it cannot be defined", "Call the value something else.")
        self._check_name(target, name)
        return name

    def _check_name(self, node: ast.AST, name: str) -> None:
        if name in FUNCTIONS or name == "transpose":
            self.fail(node, f"{name!r} is a function; nothing else can have its name", "Call the value something else.")
        for beginning in RESERVED:
            if name.startswith(beginning):
                self.fail(
                    node, f"names that begin with {beginning!r} are those of gradients", "Call it something else."
                )
        if name.startswith("__"):
            self.fail(node, f"{name!r} begins with two underscores", "Begin the name with a letter.")

    def expression(self, node: ast.expr) -> Expression:
        """Any expression of the language."""
        if isinstance(node, ast.Constant):
            return self._number(node)
        if isinstance(node, ast.Name):
            return self._bare_name(node)
        if isinstance(node, ast.Subscript):
            return self._step(node)
        if isinstance(node, ast.BinOp):
            return self._operation(node)
        if isinstance(node, ast.UnaryOp):
            return self._unary(node)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.List):
            self.fail(
                node,
                "a concatenation stands only right of a matrix",
                "Write W @ [a, b]: the matrix brings it to the hidden width.",
            )
        kind = _EXPRESSIONS.get(type(node), "this kind of expression")
        raise self.error(
            node,
            f"{kind} is not part of the language",
            "An expression is made of numbers, names, name[t], name[t-1], + - * / **, W @ v and functions.",
        )

    def _number(self, node: ast.Constant) -> Number:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            kind = "a string" if isinstance(node.value, str | bytes) else repr(node.value)
            self.fail(node, f"{kind} is not a number", "Numbers are written 2, 0.5 or 1e-3.")
        try:
            value = float(node.value)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            self.fail(node, TOO_LARGE, LARGEST)
        return Number(value, self.place(node))

    def _bare_name(self, node: ast.Name) -> Expression:
        if node.id in self.constants:
            return Constant(node.id, self.place(node))
        if node.id in FUNCTIONS or node.id == "transpose":
            self.fail(node, f"{node.id!r} is a function without its argument", f"Write {node.id}(...).")
        if node.id == "t":
            self.fail(node, "t is the step, not a value", T_REMEDY)
        if node.id == "x":
            self.fail(node, "x has no time index", "The input at step t is x[t].")
        if node.id in self.constants_below:
            self.fail(
                node,
                f"the constant {node.id!r} is used before it is given",
                f"Move line {self.constants_below[node.id]} up, above this one.",
            )
        self._check_name(node, node.id)
        return Vector(node.id, self.place(node))

    def _step(self, node: ast.Subscript) -> Step:
        if not isinstance(node.value, ast.Name):
            self.fail(node, "only a name takes a time index", "Give the expression a line and a name of its own.")
        name = node.value.id
        index = node.slice
        lag: int | None = None
        if isinstance(index, ast.Name) and index.id == "t":
            lag = 0
        elif (
            isinstance(index, ast.BinOp)
            and isinstance(index.left, ast.Name)
            and index.left.id == "t"
            and isinstance(index.op, ast.Sub | ast.Add)
            and isinstance(index.right, ast.Constant)
            and type(index.right.value) is int
        ):
            lag = index.right.value if isinstance(index.op, ast.Sub) else -index.right.value
        if any(isinstance(part, ast.Subscript) for part in ast.walk(index)):
            remedy = f"A product with a matrix is written {name} @ v, one with a concatenation {name} @ [a, b]."
            self.fail(index, "this is not a time index", remedy)
        if lag is None or (lag == 0 and not isinstance(index, ast.Name)):
            self.fail(
                index, "this is not a time index", f"Write {name}[t] for this step, {name}[t-1] for the one before."
            )
        if lag < 0:
            self.fail(
                index,
                "a step cannot read later ones",
                "To use what comes after, make the layer bidirectional.",
            )
        if lag > FURTHEST_LAG:
            # The lag itself is not put into words: Python refuses to print an integer of thousands of digits.
            self.fail(index, f"this is further back than the {FURTHEST_LAG} steps that are kept", "Read a nearer step.")
        if name == "t":
            self.fail(node, "t is the step, not a value", T_REMEDY)
        if name == "x" and lag:
            self.fail(
                node,
                f"x[t-{lag}] is not kept: the input is read only at its own step",
                "Carry what you need: define seen[t] = W_seen @ x[t] and read seen[t-1].",
            )
        if name in self.constants:
            self.fail(node, f"{name!r} is a constant and has no time index", f"Write {name}.")
        self._check_name(node, name)
        return Step(name, lag, self.place(node))

    def _operation(self, node: ast.BinOp) -> Expression:
        if isinstance(node.op, ast.MatMult):
            return self._product(node)
        chain = [node]
        while _is_arithmetic(chain[-1].left):
            chain.append(chain[-1].left)
        for operation in chain:
            if isinstance(operation.op, ast.BitXor):
                remedy = "A power is written a ** 2, a transposed matrix transpose(W) @ v."
                self.fail(operation, "this operator is not part of the language", remedy)
            if type(operation.op) not in _OPERATORS:
                self.fail(operation, "this operator is not part of the language", "The operators are + - * / ** and @.")
        if len(chain) > LONGEST_CHAIN:
            self.fail(
                node,
                f"the expression has {len(chain):,} operators in a row; at most {LONGEST_CHAIN:,} are read",
                "Break it up: give its parts lines and names of their own.",
            )
        value = self.expression(chain[-1].left)
        for operation in reversed(chain):
            function = OPERATORS[_OPERATORS[type(operation.op)]]
            value = Call(function, (value, self.expression(operation.right)), self.place(operation))
        return value

    def _unary(self, node: ast.UnaryOp) -> Expression:
        if isinstance(node.op, ast.UAdd):
            return self.expression(node.operand)
        if not isinstance(node.op, ast.USub):
            self.fail(node, "this operator is not part of the language", "The operators are + - * / ** and @.")
        operand = self.expression(node.operand)
        if isinstance(operand, Number):
            return Number(-operand.value, self.place(node))
        return Call("negate", (operand,), self.place(node))

    def _call(self, node: ast.Call) -> Call:
        if not isinstance(node.func, ast.Name):
            library = isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
            if library and isinstance(node.func, ast.Attribute) and node.func.attr in _callable():
                remedy = f"Write {node.func.attr}(...), with nothing before it."
                self.fail(node, "functions are called by their name alone", remedy)
            self.fail(
                node,
                "only a function of the table can be called",
                f"They are: {', '.join(_callable())}. A product unit by unit is written a * b.",
            )
        name = node.func.id
        if len(node.args) == 1 and name not in _callable() and _is_time(node.args[0]):
            self.fail(node, "a time index stands in brackets", f"Write {name}[{self.source(node.args[0])}].")
        if name == "transpose":
            self.fail(node, "a transposed matrix stands only left of a vector", "Write transpose(W) @ v.")
        if name not in _callable():
            self.fail(
                node.func,
                f"there is no function {name!r}",
                f"{_function_hint(name)}The functions are: {', '.join(_callable())}.",
            )
        if node.keywords:
            self.fail(node, f"{name} takes no arguments by keyword", "Give them by position.")
        arity = FUNCTIONS[name].arity
        if len(node.args) != arity:
            self.fail(
                node,
                f"{name} takes {arity} argument{'s' if arity > 1 else ''}, not {len(node.args)}",
                f"{name} computes {FUNCTIONS[name].summary}.",
            )
        return Call(name, tuple(self.expression(a) for a in node.args), self.place(node))

    def _product(self, node: ast.BinOp) -> Product:
        matrix, transposed = self._matrix(node.left, node)
        right = node.right
        if isinstance(right, ast.List):
            if not right.elts:
                self.fail(right, "an empty concatenation has no width", "Write W @ [h[t-1], x[t]].")
            operands = tuple(self.expression(e) for e in right.elts)
        elif isinstance(right, ast.Tuple):
            self.fail(right, "a concatenation stands in brackets", "Write W @ [h[t-1], x[t]].")
        else:
            operands = (self.expression(right),)
        return Product(matrix, operands, transposed, self.place(node))

    def _matrix_remedy(self, left: ast.expr, product: ast.expr) -> str:
        """What to write instead of a product with something that is no bare name."""
        computed = (
            "A matrix is learned as it is; what is computed from it is a parametrization of the layer's parameter"
        )
        if isinstance(left, ast.Constant):
            return "For a number write *; a product with a matrix in parentheses: 2 * (W @ v)."
        if isinstance(left, ast.UnaryOp):
            return "The negative of a product is written -(W @ v)."
        if isinstance(left, ast.Attribute):
            return "A transposed matrix is written transpose(W) @ v."
        if isinstance(left, ast.Call):
            return f"{computed}: torch.nn.utils.parametrize."
        if isinstance(left, ast.BinOp):
            in_parentheses = product.col_offset < left.col_offset or product.lineno < left.lineno
            if isinstance(left.op, ast.Add | ast.Sub):
                return "A sum of matrices is written as a sum of products: W @ v - transpose(W) @ v."
            if in_parentheses and not isinstance(left.op, ast.MatMult):
                return f"{computed}: torch.nn.utils.parametrize. A factor a unit stands outside: u * (W @ v)."
        return "@ binds like *: put the product in parentheses, as in u * (W @ v) or W @ (V @ v)."

    def _matrix(self, left: ast.expr, product: ast.BinOp) -> tuple[str, bool]:
        transposed = isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id == "transpose"
        if transposed:
            assert isinstance(left, ast.Call)
            if len(left.args) != 1 or left.keywords or not isinstance(left.args[0], ast.Name):
                self.fail(left, "transpose takes the name of one matrix", "Write transpose(W) @ v.")
            left = left.args[0]
        if isinstance(left, ast.Subscript):
            self.fail(
                product,
                "a product of two values of a step",
                "The left side of @ is a learned matrix, a bare name: W @ h[t-1]. For unit by unit write *.",
            )
        if not isinstance(left, ast.Name):
            self.fail(left, "the left side of @ is the name of a learned matrix", self._matrix_remedy(left, product))
        if left.id in self.constants:
            self.fail(left, f"{left.id!r} is a constant, not a matrix", "Multiply by a number with *.")
        if left.id in {"x", "t"} or left.id in FUNCTIONS:
            self.fail(left, f"{left.id!r} is not a matrix", "The left side of @ is a bare name, as in W @ x[t].")
        self._check_name(left, left.id)
        return left.id, transposed


_INDEX_IN_PARENTHESES = re.compile(r"(?<!\w)(?P<name>(?!\d)\w{1,40}+)\((?P<index> ?t ?(?:[-+] ?\d{1,3})? ?)\)")
_NUMBER_BEFORE_NAME = re.compile(
    r"(?<![\w.])(?P<number>\d{1,20}(?:\.\d{1,20})?)(?P<name>(?![eEjJxXoObB_])[^\W\d]\w{0,40})(?!\w)"
)
_OPERAND = r"(?<!\w)\w++(?:\[[^\[\]]*+\])?+"  # possessive, or a long word would take quadratic time
_SIDE_BY_SIDE = re.compile(rf"(?P<left>{_OPERAND}(?=\s)|\)(?=\s*\w))\s*(?P<right>{_OPERAND}|\()")
"""Two operands with nothing but white space between them."""


def _is_time(node: ast.expr) -> bool:
    """Whether it reads t, t - 1 or the like."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Add) and isinstance(node.right, ast.Constant):
        node = node.left
    return isinstance(node, ast.Name) and node.id == "t"


def _bare_target(statement: ast.stmt) -> ast.Name | None:
    """The name on the left of a line `name = expression`."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        return target if isinstance(target, ast.Name) else None
    return None


def _function_hint(name: str) -> str:
    """What stands for a function that there is not, or which one was meant."""
    known = _callable()
    meant = name.lower() if name.lower() in known else Names(known).near(name)
    if meant is None and (remedy := remedy_for_function(name)) is not None:
        return f"{remedy} "
    meant = meant or nearest(name, known)
    if meant is None and name[0].isupper():
        return "A product with a matrix is written W @ v. "
    return "" if meant is None else f"Did you mean {meant}? "


def _is_arithmetic(node: ast.AST) -> TypeGuard[ast.BinOp]:
    return isinstance(node, ast.BinOp) and not isinstance(node.op, ast.MatMult)


def _callable() -> list[str]:
    return [f.name for f in FUNCTIONS.values() if not f.symbol]


def error_at(lines: Sequence[str], place: Place, problem: str, mend: str) -> EquationError:
    """An error that quotes the line of a place and marks its characters."""
    source = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
    return EquationError(problem, mend, line=place.line, column=place.column, source=source, length=place.length)
