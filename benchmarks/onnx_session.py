"""The cells that onnxruntime has, on its own operators, with as many threads as torch has."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

AVAILABLE = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))


@dataclass(frozen=True)
class Operator:
    """An operator of ONNX, and the cell's words for its gates in its order.

    `recurrent` has the words of the products with h[t-1] where they are others, `peepholes` the gates that have one,
    `opposite` those gates that are 1 less the cell's own: their weights have the other sign.
    """

    name: str
    gates: tuple[str, ...]
    recurrent: tuple[str, ...] = ()
    peepholes: tuple[str, ...] = ()
    opposite: tuple[str, ...] = ()
    linear_before_reset: bool = False


OPERATORS: dict[str, Operator] = {
    "rnn": Operator("RNN", ("",)),
    "gru": Operator("GRU", ("_update", "_relevance", "_candidate"), opposite=("_update",)),
    "gru-reset-after": Operator(
        "GRU",
        ("_update", "_reset", "_candidate"),
        recurrent=("_update", "_reset", "_recurrent"),
        linear_before_reset=True,
    ),
    "lstm": Operator("LSTM", ("_input", "_output", "_forget", "_candidate")),
    "peephole-lstm": Operator(
        "LSTM",
        ("_input", "_output", "_forget", "_candidate"),
        peepholes=("_input", "_output", "_forget"),
    ),
}


def session_of(name: str, p: Mapping[str, Tensor]) -> Callable[[Tensor], Tensor] | None:
    """A function from inputs (T, B, I) to outputs (T, B, H); None where onnxruntime lacks the cell or is not there."""
    if name not in OPERATORS or not AVAILABLE:
        return None
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    operator = OPERATORS[name]
    size = len(next(iter(p.values())))
    weights = _weights(operator, {key: value.detach().numpy() for key, value in p.items()}, size)
    attributes: dict[str, Any] = {"hidden_size": size}
    if operator.linear_before_reset:
        attributes["linear_before_reset"] = 1
    # Inputs that are left out: the lengths, and the states before the first step.
    inputs = ["X", "W", "R", "B", *(["", "", "", "P"] if "P" in weights else [])]
    node = helper.make_node(operator.name, inputs, ["Y"], **attributes)
    graph = helper.make_graph(
        [node],
        name,
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["T", "B", size])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["T", 1, "B", size])],
        [numpy_helper.from_array(value, key) for key, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(x: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"X": x.detach().numpy()})[0]).squeeze(1)

    return run


def _weights(operator: Operator, p: Mapping[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    """The operator's W (1, G·H, I), R (1, G·H, H), B (1, 2·G·H) and, with peepholes, P (1, 3·H)."""
    gates, recurrent = operator.gates, operator.recurrent or operator.gates

    def signed(prefix: str, gate: str) -> np.ndarray:
        return -p[prefix + gate] if gate in operator.opposite else p[prefix + gate]

    def columns(gate: str, of_state: bool) -> np.ndarray:
        matrix = signed("W", gate)
        return matrix if matrix.shape[1] == size else matrix[:, :size] if of_state else matrix[:, size:]

    # Two biases of which most cells here have one.
    pairs = zip(gates, recurrent, strict=True)
    second = [signed("b", own) if own != gate else np.zeros(size, np.float32) for gate, own in pairs]
    weights = {
        "W": np.concatenate([columns(gate, False) for gate in gates]),
        "R": np.concatenate([columns(gate, True) for gate in recurrent]),
        "B": np.concatenate([signed("b", gate) for gate in gates] + second),
    }
    if operator.peepholes:
        weights["P"] = np.concatenate([p[f"peephole{gate}"] for gate in operator.peepholes])
    return {key: np.ascontiguousarray(value[np.newaxis]) for key, value in weights.items()}
