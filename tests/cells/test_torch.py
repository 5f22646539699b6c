"""RNN, GRU reset-after and LSTM are torch.nn's: outputs, last states and every gradient, both ways, ragged."""

import pytest
import torch

from recurra import cells
from support.problems import loss, worst_error

# For each layer of torch.nn: our cell, and torch's gates in its order, each with our matrix, or our recurrent and our
# input matrix, and our bias, or our recurrent and our input bias.
LAYERS = {
    "RNN with tanh": (cells.RNN, torch.nn.RNN, {}, [("W", "b")]),
    "RNN with relu": (cells.IRNN, torch.nn.RNN, {"nonlinearity": "relu"}, [(("W_recurrent", "W_input"), "b")]),
    "GRU": (
        cells.GRUResetAfter,
        torch.nn.GRU,
        {},
        [
            ("W_reset", "b_reset"),
            ("W_update", "b_update"),
            (("W_recurrent", "W_candidate"), ("b_recurrent", "b_candidate")),
        ],
    ),
    "LSTM": (
        cells.LSTM,
        torch.nn.LSTM,
        {},
        [(f"W_{gate}", f"b_{gate}") for gate in ("input", "forget", "candidate", "output")],
    ),
}
STATES = {"RNN": ["h"], "GRU": ["h"], "LSTM": ["h", "memory"]}


def as_torch_has_them(tensors, gates):
    """Torch's weight_ih, weight_hh and biases, made of ours; a bias that is one of ours stands in bias_ih."""
    hidden = next(iter(tensors.values())).shape[0]
    pieces = []
    for matrix, bias in gates:
        if isinstance(matrix, str):
            recurrent, read = tensors[matrix][:, :hidden], tensors[matrix][:, hidden:]
        else:
            recurrent, read = (tensors[name] for name in matrix)
        ours = (None, bias) if isinstance(bias, str) else bias
        pieces.append(
            (read, recurrent, tensors[ours[1]], tensors[ours[0]] if ours[0] else torch.zeros_like(read[:, 0]))
        )
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    return {name: torch.cat(parts) for name, parts in zip(names, zip(*pieces, strict=True), strict=True)}


def torch_answers(kind, problem):
    """What torch.nn gives for a problem: outputs, last states, and gradients under torch's names.

    Of a bidirectional layer only the backward half is asked; our cell running backward is that half.
    """
    _, layer_class, options, gates = LAYERS[kind]
    layer = layer_class(3, 5, **options, bidirectional=problem.reverse, dtype=problem.x.dtype)
    ending = "_reverse" if problem.reverse else ""
    weights = {}
    with torch.no_grad():
        for name, ours in as_torch_has_them(problem.parameters, gates).items():
            weights[name] = layer.get_parameter(name + ending).copy_(ours)
    x = problem.x.clone().requires_grad_()
    states = {name: problem.state[name].clone().requires_grad_() for name in STATES[layer_class.__name__]}
    given = tuple(torch.stack([s] * (2 if problem.reverse else 1)) for s in states.values())
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, problem.lengths, enforce_sorted=False)
    outputs, last = layer(packed, given if len(given) > 1 else given[0])
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(outputs, total_length=len(x))
    last = dict(zip(states, [part[-1] for part in (last if len(given) > 1 else [last])], strict=True))
    outputs = outputs[..., -5:]
    wanted = {"x": x, **{f"state {name}": s for name, s in states.items()}, **weights}
    found = torch.autograd.grad(loss(outputs, last, problem), list(wanted.values()))
    last = {name: state.detach() for name, state in last.items()}
    return outputs.detach(), last, dict(zip(wanted, found, strict=True))


def as_torch_names_them(gradients, gates):
    """Our gradients under torch's names. A bias that is one of ours has the gradient of each of torch's two."""
    ours = {name.removeprefix("parameter "): g for name, g in gradients.items() if name.startswith("parameter ")}
    twice = [(matrix, (bias, bias) if isinstance(bias, str) else bias) for matrix, bias in gates]
    others = {name: g for name, g in gradients.items() if not name.startswith("parameter ")}
    return others | as_torch_has_them(ours, twice)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("kind", LAYERS)
def test_agrees_with_torch(kind, reverse, dtype, problem_of):
    cell, _, _, gates = LAYERS[kind]
    problem = problem_of(cell, reverse=reverse, dtype=dtype)
    outputs, last, expected = torch_answers(kind, problem)
    ours, our_last = problem.run()
    values = worst_error({"outputs": ours, **our_last}, {"outputs": outputs, **{k: last[k] for k in our_last}})
    worst = {"outputs and states": values}
    for how, gradients in {"autograd": problem.autograd(), "derived": problem.backpropagate()}.items():
        found = as_torch_names_them(gradients, gates)
        worst[f"gradients, {how}"] = worst_error(found, {name: expected[name] for name in found})
    print(f"{kind}: " + "; ".join(f"{what} {error:.1e}" for what, error in worst.items()))
    assert max(worst.values()) < (1e-12 if dtype == torch.float64 else 1e-6)
