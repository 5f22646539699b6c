"""Batches of sequences of many lengths: is the time that of the steps that count?

Lengths are spread evenly from T/4 to T, in random order. The library takes them as they are; torch.nn packs the batch
and unpacks the outputs, which is part of its time: both begin and end with the same tensors. Each is also compared
with itself on the batch without lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from contenders import Contender, layer_of, parameters_of, pass_of, torch_layer
from results import KINDS, Ragged, Results
from timing import Effort, alternate
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

CELLS = ("lstm", "gru-reset-after")


def measure_ragged(
    results: Results,
    places: Sequence[tuple[int, int]],
    steps: int,
    effort: Effort,
    progress: Callable[[str], None],
) -> None:
    """Measure at some (B, H), and add each figure to the results."""
    for name in CELLS:
        for batch, size in places:
            generator = torch.Generator().manual_seed(0)
            x = torch.randn(steps, batch, size, generator=generator)
            above = torch.randn(steps, batch, size, generator=generator)
            spread = torch.linspace(steps / 4, steps, batch).round().long().clamp(1)
            lengths = spread[torch.randperm(batch, generator=generator)]
            found = _contenders(name, size, lengths)
            for kind in KINDS:
                progress(f"ragged: {name}, B {batch}, H {size}, {kind}")
                timings = alternate({who: pass_of(c, x, above, kind) for who, c in found.items()}, effort)
                counted = float(lengths.sum()) / (batch * steps)
                for who in ("recurra", "torch.nn"):
                    own, dense = timings[who].seconds, timings[f"{who}, dense"].seconds
                    results.ragged.append(Ragged(kind, name, batch, size, who, counted, own, dense))


def _contenders(name: str, size: int, lengths: Tensor) -> dict[str, Contender]:
    """Both, with and without lengths, checked to give the same outputs."""
    layer = layer_of(name, size)
    rival = torch_layer(name, parameters_of(layer))
    own, others = dict(layer.named_parameters()), dict(rival.named_parameters())

    def packed(x: Tensor) -> Tensor:
        outputs, _ = rival(pack_padded_sequence(x, lengths, enforce_sorted=False))
        padded: Tensor = pad_packed_sequence(outputs, total_length=len(x))[0]
        return padded

    found = {
        "recurra": Contender(lambda x: layer(x, lengths=lengths)[0], own),
        "torch.nn": Contender(packed, others),
        "recurra, dense": Contender(lambda x: layer(x)[0], own),
        "torch.nn, dense": Contender(lambda x: rival(x)[0], others),
    }
    with torch.no_grad():
        x = torch.randn(int(lengths.max()), len(lengths), size)
        error = float((found["recurra"].forward(x) - packed(x)).abs().max())
    if not error < 1e-4:
        raise RuntimeError(f"{name}, ragged: outputs differ by {error:.1e} from those of torch.nn on a packed sequence")
    return found
