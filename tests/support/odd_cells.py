"""Cells that few would write and every backend must run all the same: one for each way to be out of the ordinary."""

from recurra.equations import Cell

__all__ = ["ODD"]

_TEXTS = {
    "of low rank": "low[t] = V @ [h[t-1], x[t]]\nh[t] = tanh(U @ low[t] + b)",
    "of low rank before the loop": "low[t] = V @ x[t]\nh[t] = tanh(U @ low[t] + W @ h[t-1])",
    "a vector for an operand": "h[t] = tanh(W @ b + U @ h[t-1] + V @ x[t])",
    "functions of the input": "h[t] = tanh(W @ [h[t-1], tanh(x[t])] + V @ x[t] + U @ (x[t] * x[t]))",
    "no gradient at the furthest step": "h[t] = 0.5 * h[t-1] + step(h[t-2]) + W @ x[t]",
    "no gradient at any step": "h[t] = step(W @ h[t-1] + V @ x[t]) + b",
    "no input": "h[t] = tanh(W @ h[t-1] + b)",
    "no state": "h[t] = tanh(W @ x[t] + b)",
    "a mean of a state": "h[t] = 0.5 * mean(h[t-1]) + layer_norm(W @ x[t]) * u",
    "states that are no output": "c[t] = 0.9 * c[t-1] + W @ x[t]\nd[t] = V @ c[t]\nh[t] = tanh(d[t-3] + c[t])",
    "an output that is no state": "c[t] = tanh(W @ [c[t-1], x[t]])\nout[t] = V @ c[t] + b",
    "a matrix in many places": "a[t] = tanh(W @ h[t-1])\nh[t] = tanh(W @ a[t] + transpose(W) @ h[t-2] + V @ x[t])",
    "a product in two sums": "a[t] = W @ h[t-1]\nh[t] = tanh(a[t] + U @ h[t-2] + V @ x[t]) + 0.5 * a[t]",
    "the state as it was": "h[t] = h[t-1] + b",
    "two names for one value": "a[t] = tanh(W @ [a[t-1], x[t]])\nh[t] = a[t]",
    "a value that nothing reads": "unread[t] = V @ x[t] + c\nh[t] = W @ x[t] + 0.5 * h[t-1]",
}

ODD: dict[str, Cell] = {name: Cell(text) for name, text in _TEXTS.items()}
