"""What the language means, a second time: numpy over Python's own syntax tree of the text, a row and a step at a time.

Nothing of the package is used, neither its reader nor its graphs, so that an error in one of them shows here. All
arrays may have further axes in front, which hold problems side by side.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Mapping

import numpy as np

__all__ = ["FUNCTIONS", "carried", "evaluate", "forward", "lines"]

Array = np.ndarray


def _layer_norm(a: Array) -> Array:
    return (a - _mean(a)) / np.sqrt(np.var(a, axis=-1, keepdims=True) + 1e-5)


def _mean(a: Array) -> Array:
    return np.mean(a, axis=-1, keepdims=True) + np.zeros_like(a) if np.ndim(a) else np.asarray(a)


def _sigmoid(a: Array) -> Array:
    return np.exp(-np.logaddexp(0.0, -np.asarray(a)))


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "relu": lambda a: np.where(np.asarray(a) > 0, a, 0.0),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "softplus": lambda a: np.logaddexp(0.0, a),
    "sin": np.sin,
    "cos": np.cos,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "sign": np.sign,
    "step": lambda a: np.where(np.asarray(a) > 0, 1.0, 0.0),
    "below": lambda a, b: np.where(np.greater(a, b), 0.0, np.where(np.equal(a, b), 0.5, 1.0)),
    "where": lambda a, b, c: np.where(np.asarray(a) <= 0, c, b),
    "mean": _mean,
    "square": np.square,
    "silu": lambda a: a * _sigmoid(a),
    "gelu": lambda a: 0.5 * a * (1 + np.tanh(np.sqrt(2 / np.pi) * (a + 0.044715 * np.power(a, 3)))),
    "elu": lambda a: np.where(np.asarray(a) > 0, a, np.expm1(np.minimum(a, 0))),
    "leaky_relu": lambda a: np.where(np.asarray(a) > 0, a, 0.01 * np.asarray(a)),
    "softsign": lambda a: a / (1 + np.abs(a)),
    "log_sigmoid": lambda a: -np.logaddexp(0.0, -np.asarray(a)),
    "hard_tanh": lambda a: np.clip(a, -1, 1),
    "hard_sigmoid": lambda a: np.clip(np.asarray(a) / 6 + 0.5, 0, 1),
    "layer_norm": _layer_norm,
}
ARITHMETIC: dict[type, Callable[..., Array]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: lambda a, b: np.power(np.asarray(a, dtype=float), b),
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}


def lines(text: str) -> list[tuple[str, ast.expr]]:
    """The name and the expression of every line that defines a value; constants are among the names."""
    text = "\n".join(line.strip() for line in text.splitlines())
    assignments = [(statement.targets[0], statement.value) for statement in ast.parse(text).body]
    return [(target.value.id, value) for target, value in assignments if isinstance(target, ast.Subscript)]


def lag(index: ast.expr) -> int:
    """How many steps back `t`, `t-1`, ... is."""
    return index.right.value if isinstance(index, ast.BinOp) else 0


def carried(text: str) -> dict[str, tuple[str, int]]:
    """The keys of the state, in any order: `h` is (h, 1), `h[t-1]` is (h, 2), and so on."""
    furthest: dict[str, int] = {}
    for node in ast.walk(ast.parse(textwrap.dedent("\n".join(line.strip() for line in text.splitlines())))):
        if isinstance(node, ast.Subscript) and lag(node.slice):
            furthest[node.value.id] = max(lag(node.slice), furthest.get(node.value.id, 0))
    return {f"{n}[t-{k - 1}]" if k > 1 else n: (n, k) for n, most in furthest.items() for k in range(1, most + 1)}


def evaluate(node: ast.expr, names: Mapping[str, Array], steps: Mapping[tuple[str, int], Array]) -> Array:
    """The value of an expression.

    Args:
        node: The expression, as Python's syntax tree.
        names: The values of bare names: parameters and constants.
        steps: The value of each name and lag.
    """
    if isinstance(node, ast.Constant):
        return np.float64(node.value)
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.Subscript):
        return steps[node.value.id, lag(node.slice)]
    if isinstance(node, ast.UnaryOp):
        return ARITHMETIC[type(node.op)](evaluate(node.operand, names, steps))
    if isinstance(node, ast.Call):
        return FUNCTIONS[node.func.id](*(evaluate(a, names, steps) for a in node.args))
    assert isinstance(node, ast.BinOp), ast.dump(node)
    if isinstance(node.op, ast.MatMult):
        return _product(node, names, steps)
    return ARITHMETIC[type(node.op)](evaluate(node.left, names, steps), evaluate(node.right, names, steps))


def _product(node: ast.BinOp, names: Mapping[str, Array], steps: Mapping[tuple[str, int], Array]) -> Array:
    if isinstance(node.left, ast.Call):
        matrix = np.swapaxes(names[node.left.args[0].id], -1, -2)
    else:
        matrix = names[node.left.id]
    parts = node.right.elts if isinstance(node.right, ast.List) else [node.right]
    operands = [evaluate(part, names, steps) for part in parts]
    if len(operands) == 1 and not np.ndim(operands[0]):  # in printed gradients a number may stand for a vector
        operands = [np.full(matrix.shape[-1], operands[0])]
    front = np.broadcast_shapes(*(o.shape[:-1] for o in operands))
    vector = np.concatenate([np.broadcast_to(o, front + o.shape[-1:]) for o in operands], axis=-1)
    return (matrix @ vector[..., None])[..., 0]


def forward(
    text: str,
    names: Mapping[str, Array],
    x: Array,
    state: Mapping[str, Array],
    hidden: int,
    *,
    front: tuple[int, ...] = (),
    lengths: list[int],
    reverse: bool = False,
    noise: Mapping[str, Array] | None = None,
) -> tuple[Array, dict[str, Array]]:
    """Run the equations over ragged rows, one row at a time and one step at a time.

    Args:
        text: The equations.
        names: The parameters and the constants.
        x: The inputs (..., T, B, I).
        state: The state before the first step (..., B, H) for each key of `carried`.
        hidden: H.
        front: The axes in front of any of the arrays.
        lengths: How many steps of each row count.
        reverse: Whether to run from each row's last step to its first.
        noise: What was drawn for each noise: (T, B, H), or (B, H) for a whole sequence.

    Returns:
        The outputs (..., T, B, H), zero where no step counts, and the last state.
    """
    equations, keys = lines(text), carried(text)
    outputs = np.zeros((*front, *x.shape[-3:-1], hidden))
    last = {key: np.zeros((*front, x.shape[-2], hidden)) for key in keys}
    for row, length in enumerate(lengths):
        past = {place: state[key][..., row, :] for key, place in keys.items()}
        for t in reversed(range(length)) if reverse else range(length):
            steps = {**past, ("x", 0): x[..., t, row, :]}
            steps |= {(n, 0): d[t, row] if d.ndim == 3 else d[row] for n, d in (noise or {}).items()}
            for name, expression in equations:
                value = evaluate(expression, names, steps)
                steps[name, 0] = value if np.ndim(value) else np.full(hidden, value)
            outputs[..., t, row, :] = steps[equations[-1][0], 0]
            past = {(name, k): steps[name, k - 1] for name, k in past}
        for key, place in keys.items():
            last[key][..., row, :] = past[place]
    return outputs, last
