"""One step of a stream, called from Python: a batch of one, the state kept between calls."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from contenders import TORCH, layer_of, parameters_of, torch_layer
from results import Results, Step
from timing import wait_for_rest
from torch import Tensor, nn

CELLS = ("lstm", "gru", "gru-reset-after")
ROUNDS, LENGTH = 10, 300


def measure_stream(results: Results, size: int, progress: Callable[[str], None]) -> None:
    """The median of many steps, in rounds by turns; without gradients."""
    for name in CELLS:
        progress(f"stream: {name}, H {size}")
        layer = layer_of(name, size)
        x = torch.randn(1, size)
        with torch.no_grad():
            found: dict[str, Callable[[], object]] = {}
            stream: Any = getattr(layer, "stream", None)
            if stream is not None:
                found["recurra"] = partial(stream(batch_size=1).step, x)
            else:
                results.notes.append(f"stream, {name}: layers have no stream() yet")
            if name in TORCH:
                found["torch.nn"] = _cell(torch_layer(name, parameters_of(layer)), x)
            for who, microseconds in _medians(found).items():
                results.stream.append(Step(name, size, who, microseconds))


def _cell(layer: nn.RNNBase, x: Tensor) -> Callable[[], object]:
    """A step of torch.nn's LSTMCell or GRUCell with the weights of a layer, which keeps its state."""
    kind = nn.LSTMCell if isinstance(layer, nn.LSTM) else nn.GRUCell
    cell = kind(layer.input_size, layer.hidden_size)
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in layer.state_dict().items()})
    state = None

    def step() -> None:
        nonlocal state
        state = cell(x, state)

    return step


def _medians(steps: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Of each, the median step in microseconds; the first of each round are not counted."""
    taken: dict[str, list[int]] = {who: [] for who in steps}
    for _ in range(ROUNDS):
        for who, step in steps.items():
            wait_for_rest()
            for _ in range(LENGTH // 10):
                step()
            for _ in range(LENGTH):
                begun = time.perf_counter_ns()
                step()
                taken[who].append(time.perf_counter_ns() - begun)
    return {who: statistics.median(times) / 1e3 for who, times in taken.items()}
