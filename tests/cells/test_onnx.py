"""GRU and peephole LSTM are ONNX's, as onnxruntime runs them: GRU with linear_before_reset 0, LSTM with input P."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from recurra import cells
from recurra.backends import reference

INPUT, HIDDEN, STEPS, BATCH = 3, 5, 7, 4
LENGTHS = torch.tensor([7, 2, 5, 1])


def run_onnx(operator, inputs, attributes, outputs):
    """Run one recurrent operator, bidirectional; the inputs by their names, in its order."""
    node = helper.make_node(
        operator, list(inputs), outputs, hidden_size=HIDDEN, direction="bidirectional", **attributes
    )
    types = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int32): TensorProto.INT32}
    graph = helper.make_graph(
        [node],
        operator,
        [helper.make_tensor_value_info(n, types[a.dtype], a.shape) for n, a in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None] * (4 if n == "Y" else 3)) for n in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [torch.from_numpy(a) for a in session.run(None, inputs)]


def gates_of(parameters, names, sign=None):
    """W, R and B of one direction, gates below one another; a gate of sign -1 is 1 less it in ONNX."""
    signs = sign or {}
    matrices = [parameters[f"W_{n}"] * signs.get(n, 1) for n in names]
    bias = torch.cat([parameters[f"b_{n}"] * signs.get(n, 1) for n in names])
    recurrent = torch.cat([m[:, :HIDDEN] for m in matrices])
    # Our one bias as ONNX's two, unequal, so that leaving out either would show.
    return torch.cat([m[:, HIDDEN:] for m in matrices]), recurrent, torch.cat([0.25 * bias, 0.75 * bias])


def both_directions(cell):
    """Parameters for each direction, inputs, states, and what the reference makes of them."""
    generator = torch.Generator().manual_seed(3)

    def draw(*shape):
        return torch.randn(*shape, generator=generator) * 0.7

    parameters = [{n: draw(*p.shape(INPUT, HIDDEN)) for n, p in cell.parameters.items()} for _ in range(2)]
    x = draw(STEPS, BATCH, INPUT)
    states = [{key: draw(BATCH, HIDDEN) for key in cell.carried} for _ in range(2)]
    ran = [reference.run(cell, parameters[way], x, states[way], lengths=LENGTHS, reverse=bool(way)) for way in (0, 1)]
    return parameters, x, states, ran


def compare(name, ran, y, last):
    """Print and bound the worst difference of outputs (T, D, B, H) and last states (D, B, H)."""
    ours = torch.stack([outputs for outputs, _ in ran], dim=1)
    worst = {"outputs": float((ours - y).abs().max())}
    for key, value in last.items():
        worst[key] = float((torch.stack([state[key] for _, state in ran]) - value).abs().max())
    print(f"{name} and onnxruntime: " + ", ".join(f"{what} {error:.1e}" for what, error in worst.items()))
    assert max(worst.values()) < 1e-6


def stacked(pairs):
    return [torch.stack(tensors).numpy() for tensors in zip(*pairs, strict=True)]


def test_gru_agrees_with_onnxruntime():
    parameters, x, states, ran = both_directions(cells.GRU)
    # ONNX's z multiplies h[t-1], our update the candidate: each is 1 less the other.
    order = ("update", "relevance", "candidate")
    w, r, b = stacked([gates_of(p, order, {"update": -1}) for p in parameters])
    inputs = {
        "X": x.numpy(),
        "W": w,
        "R": r,
        "B": b,
        "sequence_lens": LENGTHS.int().numpy(),
        "initial_h": torch.stack([s["h"] for s in states]).numpy(),
    }
    y, y_h = run_onnx("GRU", inputs, {"linear_before_reset": 0}, ["Y", "Y_h"])
    compare("GRU", ran, y, {"h": y_h})
    # The other form is another: the agreement above is no accident.
    other, _ = run_onnx("GRU", inputs, {"linear_before_reset": 1}, ["Y", "Y_h"])
    assert float((other - y).abs().max()) > 1e-2


@pytest.mark.parametrize("cell", [cells.PeepholeLSTM, cells.LSTM], ids=lambda cell: cell.name)
def test_lstm_agrees_with_onnxruntime(cell):
    parameters, x, states, ran = both_directions(cell)
    w, r, b = stacked([gates_of(p, ("input", "output", "forget", "candidate")) for p in parameters])
    zero = torch.zeros(HIDDEN)
    peepholes = [torch.cat([p.get(f"peephole_{g}", zero) for g in ("input", "output", "forget")]) for p in parameters]
    inputs = {
        "X": x.numpy(),
        "W": w,
        "R": r,
        "B": b,
        "sequence_lens": LENGTHS.int().numpy(),
        "initial_h": torch.stack([s["h"] for s in states]).numpy(),
        "initial_c": torch.stack([s["memory"] for s in states]).numpy(),
        "P": torch.stack(peepholes).numpy(),
    }
    y, y_h, y_c = run_onnx("LSTM", inputs, {}, ["Y", "Y_h", "Y_c"])
    compare(cell.title, ran, y, {"h": y_h, "memory": y_c})
