"""The cells of the comparison as loops in plain PyTorch, as someone would write them who reads the equations.

One operation of PyTorch for each operation of the equations, a step at a time; autograd does the rest. Each function
takes the parameters by their names in the cell's text and the inputs (T, B, I), and gives the outputs (T, B, H). The
state before the first step is zero. That they compute what the library does is checked before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import softplus

Parameters = Mapping[str, Tensor]
Loop = Callable[[Parameters, Tensor], Tensor]


def rnn(p: Parameters, x: Tensor) -> Tensor:
    """The simple recurrent network."""
    h = x.new_zeros(x.shape[1], len(p["b"]))
    outputs = []
    for t in range(len(x)):
        h = torch.tanh(torch.cat([h, x[t]], -1) @ p["W"].T + p["b"])
        outputs.append(h)
    return torch.stack(outputs)


def simplified_gru(p: Parameters, x: Tensor) -> Tensor:
    """A gated recurrent unit with its update gate alone."""
    h = x.new_zeros(x.shape[1], len(p["b_update"]))
    outputs = []
    for t in range(len(x)):
        both = torch.cat([h, x[t]], -1)
        update = torch.sigmoid(both @ p["W_update"].T + p["b_update"])
        candidate = torch.tanh(both @ p["W_candidate"].T + p["b_candidate"])
        h = update * candidate + (1 - update) * h
        outputs.append(h)
    return torch.stack(outputs)


def gru(p: Parameters, x: Tensor) -> Tensor:
    """The gated recurrent unit, relevance gate before the product."""
    h = x.new_zeros(x.shape[1], len(p["b_update"]))
    outputs = []
    for t in range(len(x)):
        both = torch.cat([h, x[t]], -1)
        update = torch.sigmoid(both @ p["W_update"].T + p["b_update"])
        relevance = torch.sigmoid(both @ p["W_relevance"].T + p["b_relevance"])
        candidate = torch.tanh(torch.cat([relevance * h, x[t]], -1) @ p["W_candidate"].T + p["b_candidate"])
        h = update * candidate + (1 - update) * h
        outputs.append(h)
    return torch.stack(outputs)


def gru_reset_after(p: Parameters, x: Tensor) -> Tensor:
    """The gated recurrent unit of torch.nn, reset gate after the product."""
    h = x.new_zeros(x.shape[1], len(p["b_update"]))
    outputs = []
    for t in range(len(x)):
        both = torch.cat([h, x[t]], -1)
        reset = torch.sigmoid(both @ p["W_reset"].T + p["b_reset"])
        update = torch.sigmoid(both @ p["W_update"].T + p["b_update"])
        recurrent = h @ p["W_recurrent"].T + p["b_recurrent"]
        candidate = torch.tanh(x[t] @ p["W_candidate"].T + p["b_candidate"] + reset * recurrent)
        h = (1 - update) * candidate + update * h
        outputs.append(h)
    return torch.stack(outputs)


def lstm(p: Parameters, x: Tensor) -> Tensor:
    """Long short-term memory."""
    h = memory = x.new_zeros(x.shape[1], len(p["b_input"]))
    outputs = []
    for t in range(len(x)):
        both = torch.cat([h, x[t]], -1)
        entry = torch.sigmoid(both @ p["W_input"].T + p["b_input"])
        forget = torch.sigmoid(both @ p["W_forget"].T + p["b_forget"])
        candidate = torch.tanh(both @ p["W_candidate"].T + p["b_candidate"])
        output = torch.sigmoid(both @ p["W_output"].T + p["b_output"])
        memory = forget * memory + entry * candidate
        h = output * torch.tanh(memory)
        outputs.append(h)
    return torch.stack(outputs)


def peephole_lstm(p: Parameters, x: Tensor) -> Tensor:
    """Long short-term memory whose gates see the memory."""
    h = memory = x.new_zeros(x.shape[1], len(p["b_input"]))
    outputs = []
    for t in range(len(x)):
        both = torch.cat([h, x[t]], -1)
        entry = torch.sigmoid(both @ p["W_input"].T + p["peephole_input"] * memory + p["b_input"])
        forget = torch.sigmoid(both @ p["W_forget"].T + p["peephole_forget"] * memory + p["b_forget"])
        candidate = torch.tanh(both @ p["W_candidate"].T + p["b_candidate"])
        memory = forget * memory + entry * candidate
        output = torch.sigmoid(both @ p["W_output"].T + p["peephole_output"] * memory + p["b_output"])
        h = output * torch.tanh(memory)
        outputs.append(h)
    return torch.stack(outputs)


def own(p: Parameters, x: Tensor) -> Tensor:
    """The cell that no library has; its text is in contenders.py."""
    h = slow = x.new_zeros(x.shape[1], len(p["b_gate"]))
    outputs = []
    for t in range(len(x)):
        gate = torch.sigmoid(torch.cat([h, x[t]], -1) @ p["W_gate"].T + p["b_gate"])
        change = softplus(torch.cat([slow, x[t]], -1) @ p["W_slow"].T + p["b_slow"])
        slow = gate * slow + (1 - gate) * change
        h = torch.tanh(slow * gate + torch.cat([gate * h, x[t]], -1) @ p["W_mix"].T)
        outputs.append(h)
    return torch.stack(outputs)


LOOPS: dict[str, Loop] = {
    "rnn": rnn,
    "simplified-gru": simplified_gru,
    "gru": gru,
    "gru-reset-after": gru_reset_after,
    "lstm": lstm,
    "peephole-lstm": peephole_lstm,
    "own": own,
}
