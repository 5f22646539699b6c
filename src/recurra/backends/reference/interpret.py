"""The nodes of a graph as PyTorch operations, one line each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.equations.graph import Graph, Node
from recurra.equations.shapes import NUMBER, Parameter

__all__ = ["FUNCTIONS", "Program", "Values", "blocks", "working_dtype"]

Values = list[Tensor | None]
"""The value of each node that has one by now."""

Blocks = Mapping[tuple[str, int], Tensor]
"""For each matrix and part of its operand, the block of its columns."""


def _softplus(a: Tensor) -> Tensor:
    # torch's own softplus becomes the identity above 20, which is off by 2e-9: too coarse for float64.
    return torch.logaddexp(a, torch.zeros_like(a))


def _below(a: Tensor, b: Tensor) -> Tensor:
    with torch.no_grad():
        return 1 - 0.5 * ((a >= b).to(a.dtype) + (a > b).to(a.dtype))


def _sign(a: Tensor) -> Tensor:
    # Without a gradient, not with one of zeros: behind an infinite slope zeros would become NaN.
    with torch.no_grad():
        return torch.sign(a)


def _step(a: Tensor) -> Tensor:
    return (a > 0).to(a.dtype)


def _where(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return torch.where(a <= 0, c, b)


def _mean(a: Tensor) -> Tensor:
    return a.mean(-1, keepdim=True).expand_as(a)


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "divide": torch.div,
    "negate": torch.neg,
    "power": torch.pow,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "softplus": _softplus,
    "sin": torch.sin,
    "cos": torch.cos,
    "minimum": torch.minimum,
    "maximum": torch.maximum,
    "sign": _sign,
    "step": _step,
    "below": _below,
    "where": _where,
    "mean": _mean,
}


def blocks(parameters: Mapping[str, Parameter], tensors: Mapping[str, Tensor], input_size: int) -> Blocks:
    """Cut every matrix into the blocks that meet the parts of its operand.

    Args:
        parameters: The parameters of the cell.
        tensors: Their values; a matrix is (H, width of its operand).
        input_size: I.
    """
    found: dict[tuple[str, int], Tensor] = {}
    for name, parameter in parameters.items():
        if parameter.kind == "matrix":
            sizes = parameter.column_sizes(input_size, tensors[name].shape[0])
            found.update(
                {(name, part): block for part, block in enumerate(torch.split(tensors[name], list(sizes), dim=1))}
            )
    return found


class Program:
    """The operations that compute some nodes of a graph from others, in order.

    Args:
        graph: The graph.
        wanted: The nodes to compute.
        given: The nodes whose values will be there.
    """

    def __init__(self, graph: Graph, wanted: Iterable[int], given: Collection[int] = ()) -> None:
        needed: set[int] = set()
        pending = list(wanted)
        while pending:
            number = pending.pop()
            if number not in needed and number not in given and graph[number].args:
                needed.add(number)
                pending += graph[number].args
        self.nodes: list[tuple[int, Node]] = [(number, graph[number]) for number in sorted(needed)]
        # An exponent is a number of the text: a Python float takes the branch that is exact for whole exponents, and
        # nothing has to be read back from a device.
        self.exponents = {number: graph[node.args[1]].number for number, node in self.nodes if node.kind == "power"}

    @property
    def reads(self) -> set[int]:
        """The nodes whose values must be there before."""
        own = {number for number, _ in self.nodes}
        return {a for _, node in self.nodes for a in node.args} - own

    def run(self, values: Values, matrices: Blocks) -> None:
        """Compute the nodes, into `values`."""
        for number, node in self.nodes:
            args = [values[a] for a in node.args]
            if node.kind in {"product", "adjoint"}:
                (operand,), matrix = args, matrices[node.name, node.index]
                assert operand is not None
                narrow = operand.to(matrix.dtype)  # see `working_dtype`
                product = F.linear(narrow, matrix) if node.kind == "product" else narrow @ matrix
                values[number] = product.to(operand.dtype)
            elif node.kind == "power":
                values[number] = FUNCTIONS["power"](args[0], self.exponents[number])
            else:
                values[number] = FUNCTIONS[node.kind](*args)


def working_dtype(graph: Graph, dtype: torch.dtype) -> torch.dtype:
    """The dtype in which what stands between the products of a graph is computed.

    It is that of the tensors, but for a cell with means in half precision, which works in float32: squares of numbers
    beyond 255 are none of float16, and a layer norm adds them up. torch's own layer norm does the same.
    """
    has_mean = any(node.kind == "mean" for node in graph.nodes)
    return torch.promote_types(dtype, torch.float32) if has_mean else dtype


def constants(graph: Graph, like: Tensor, input_size: int, hidden_size: int) -> Values:
    """The values of a graph's nodes before anything is computed: its numbers, in the dtype and place of `like`."""
    values: Values = [None] * len(graph)
    for number, node in enumerate(graph.nodes):
        if node.kind == "number":
            shape = () if node.width == NUMBER else (node.width.size(input_size, hidden_size),)
            values[number] = torch.full(shape, node.number, dtype=like.dtype, device=like.device)
    return values
