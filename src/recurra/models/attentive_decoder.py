"""A decoder that looks back at what was encoded at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.checks import whole_number
from recurra.errors import SettingError
from recurra.nn.attention import Attention, AttentionKind, Memory
from recurra.nn.dropout import Dropout
from recurra.nn.recurrent import Recurrent

__all__ = ["AttentiveDecoder", "DecoderKind", "DecoderState"]

DecoderKind = Literal["deep", "input-feeding", "conditional"]
"""Where a decoder attends."""


class DecoderState(NamedTuple):
    """What a decoder carries from step to step; the rows are the first axis of every tensor.

    Attributes:
        memory: What it attends to.
        lower: The state of the layers below the attention by name, (B, L, H).
        upper: That of the layers above, by name, (B, L, H); empty where there are none.
        fed: The last output, (B, output_size), where it is fed back; else (B, 0).
    """

    memory: Memory
    lower: dict[str, Tensor]
    upper: dict[str, Tensor]
    fed: Tensor

    def select(self, rows: Tensor, *, memory: bool = True) -> DecoderState:
        """The state of some rows, in another order or more than once.

        Args:
            rows: Which, (R,).
            memory: Whether to select what they attend to as well; without, each place must keep it.
        """
        return DecoderState(
            Memory(*(part.index_select(0, rows) for part in self.memory)) if memory else self.memory,
            {name: part.index_select(0, rows) for name, part in self.lower.items()},
            {name: part.index_select(0, rows) for name, part in self.upper.items()},
            self.fed.index_select(0, rows),
        )


class AttentiveDecoder(nn.Module):
    """A recurrent decoder with attention over a memory m<1..S>.

    | kind | equations | all steps at once |
    | --- | --- | --- |
    | deep | s<t> = lower(e<t>); c<t> = attend(s<t>); u<t> = upper([s<t>, c<t>]) | yes |
    | input-feeding | s<t> = lower([e<t>, o<t-1>]); c<t> = attend(s<t>); u<t> = s<t> | no |
    | conditional | s'<t> = lower(e<t>, s<t-1>); c<t> = attend(s'<t>); u<t> = s<t> = upper(c<t>, s'<t>) | no |

        o<t> = tanh(W [u<t>, c<t>, e<t>])

    "deep" attends after its first layer has read all of the sentence, and lets the layers above read what was attended
    to: Wu et al., "Google's neural machine translation system", 2016, §3. With one layer there is none above, and
    u<t> = s<t>, as in Luong, Pham and Manning, EMNLP 2015, from whom input feeding is, too. "conditional" is the
    conditional GRU, two cells with attention between: Sennrich et al., "Nematus: a toolkit for neural machine
    translation", EACL 2017; any cell may be in its place.

    The state before the first step is s<0> = tanh(V mean(m<1..S>)), for the output of the cell; what else the cell
    carries begins at zero.

    Args:
        cell: The cell, its name or its equations.
        input_size: The width of e<t>.
        hidden_size: H, the width of the recurrent layers.
        num_layers: How many layers there are. Of a deep decoder one is below the attention, of the others all are; the
            conditional kind has one more above.
        memory_size: M, the width of the memory.
        output_size: The width of o<t>.
        kind: Where it attends.
        attention: How it compares.
        dropout: Rate of dropout between layers.
        **recurrent: What else `Recurrent` takes.

    Raises:
        SettingError: A size is not positive, or a kind unknown.

    Example:
        >>> decoder = AttentiveDecoder("gru", 4, 6, 2, memory_size=8, output_size=5)
        >>> state = decoder.start(torch.randn(2, 7, 8), torch.tensor([7, 3]))
        >>> outputs, weights, state = decoder(torch.randn(2, 3, 4), state)
        >>> outputs.shape, weights.shape
        (torch.Size([2, 3, 5]), torch.Size([2, 3, 7]))
    """

    def __init__(
        self,
        cell: Cell | str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 2,
        *,
        memory_size: int,
        output_size: int,
        kind: DecoderKind = "deep",
        attention: AttentionKind = "general",
        dropout: float = 0.0,
        **recurrent: Any,  # noqa: ANN401  (handed on as it is)
    ) -> None:
        super().__init__()
        if kind not in get_args(DecoderKind):
            raise SettingError(f"there is no decoder {kind!r}; choose one of: {', '.join(get_args(DecoderKind))}")
        num_layers = whole_number("decoder_layers", num_layers, 1)
        self.kind, self.output_size = kind, output_size
        fed = output_size if kind == "input-feeding" else 0
        above = num_layers - 1 if kind == "deep" else 1 if kind == "conditional" else 0
        below = 1 if kind == "deep" else num_layers
        self.lower = Recurrent(cell, input_size + fed, hidden_size, below, dropout=dropout, **recurrent)
        self.attention = Attention(hidden_size, memory_size, attention)
        joined = memory_size if kind == "conditional" else hidden_size + memory_size
        self.upper = Recurrent(cell, joined, hidden_size, above, dropout=dropout, **recurrent) if above else None
        self.between = Dropout(dropout)
        self.bridge = nn.Linear(memory_size, hidden_size * (below + (above if kind == "deep" else 0)))
        self.output = nn.Linear(hidden_size + memory_size + input_size, output_size)

    def start(self, memory: Tensor, lengths: Tensor) -> DecoderState:
        """The state before the first step, over a memory (B, S, M) of which so many parts of each row count, (B,)."""
        prepared = self.attention.prepare(memory, lengths)
        inside = prepared.inside.unsqueeze(2)
        mean = memory.masked_fill(~inside, 0).sum(1) / lengths.to(memory)[:, None]
        bridged = self.bridge(mean).tanh().unflatten(1, (-1, self.lower.hidden_size))
        below = self.lower.num_layers
        deep = self.upper is not None and self.kind == "deep"
        return DecoderState(
            prepared,
            _begun(self.lower, bridged[:, :below]),
            _begun(self.upper, bridged[:, below:]) if deep and self.upper is not None else {},
            memory.new_zeros(len(memory), self.output_size if self.kind == "input-feeding" else 0),
        )

    def forward(
        self, embedded: Tensor, state: DecoderState, lengths: Tensor | Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """The outputs o<1..T> (B, T, output_size), the attention (B, T, S), and the state after the last step.

        Args:
            embedded: The inputs e<1..T>, (B, T, input_size).
            state: What the decoder goes on from.
            lengths: How many steps of each row count, (B,), for the state that is returned; None for all. Attention
                past them is anything.
        """
        if self.kind == "deep" or (self.kind == "conditional" and embedded.shape[1] == 0):
            return self._at_once(embedded, state, lengths)
        step = self._fed if self.kind == "input-feeding" else self._conditional
        outputs, weights = [], []
        after = state
        ends = None if lengths is None else torch.as_tensor(lengths, device=embedded.device)
        for t in range(embedded.shape[1]):
            output, attended, following = step(embedded[:, t : t + 1], after)
            after = following if ends is None else _where(t < ends, following, after)
            outputs.append(output)
            weights.append(attended)
        return torch.cat(outputs, 1), torch.cat(weights, 1), after

    def _at_once(
        self, embedded: Tensor, state: DecoderState, lengths: Tensor | Sequence[int] | None
    ) -> tuple[Tensor, Tensor, DecoderState]:
        below, lower = _run(self.lower, embedded, state.lower, lengths)
        context, weights = self.attention(below, state.memory)
        if self.upper is None:
            top, upper = below, state.upper
        else:
            top, upper = _run(self.upper, self.between(torch.cat([below, context], 2)), state.upper, lengths)
        outputs = self._output(top, context, embedded)
        return outputs, weights, state._replace(lower=lower, upper=upper)

    def _fed(self, embedded: Tensor, state: DecoderState) -> tuple[Tensor, Tensor, DecoderState]:
        """A step with input feeding."""
        below, lower = _run(self.lower, torch.cat([embedded, state.fed.unsqueeze(1)], 2), state.lower)
        context, weights = self.attention(below, state.memory)
        output = self._output(below, context, embedded)
        return output, weights, state._replace(lower=lower, fed=output[:, 0])

    def _conditional(self, embedded: Tensor, state: DecoderState) -> tuple[Tensor, Tensor, DecoderState]:
        """A step of two cells with attention between, which carry one state."""
        assert self.upper is not None
        below, between = _run(self.lower, embedded, state.lower)
        context, weights = self.attention(below, state.memory)
        # The last layer below hands its state to the cell above, which hands it back.
        last = {name: rows[:, -1:] for name, rows in between.items()}
        top, after = _run(self.upper, self.between(context), last)
        lower = {name: torch.cat([rows[:, :-1], after[name]], 1) for name, rows in between.items()}
        return self._output(top, context, embedded), weights, state._replace(lower=lower)

    def _output(self, top: Tensor, context: Tensor, embedded: Tensor) -> Tensor:
        output: Tensor = self.output(torch.cat([top, context, embedded], 2)).tanh()
        return output


def _begun(layers: Recurrent, bridged: Tensor) -> dict[str, Tensor]:
    """The state before the first step: the outputs of the layers as given, (B, L, H), all else zero."""
    cell = layers.cell
    return {name: bridged if name == cell.output else torch.zeros_like(bridged) for name in cell.carried_names}


def _run(
    layers: Recurrent,
    x: Tensor,
    state: Mapping[str, Tensor],
    lengths: Tensor | Sequence[int] | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The layers over x, their state with the rows first."""
    outputs, after = layers(x, {name: rows.transpose(0, 1) for name, rows in state.items()}, lengths)
    return outputs, {name: rows.transpose(0, 1) for name, rows in after.items()}


def _where(chosen: Tensor, first: DecoderState, second: DecoderState) -> DecoderState:
    """Rows of the first state where chosen, else of the second."""

    def pick(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(chosen.view(-1, *[1] * (a.dim() - 1)), a, b)

    return first._replace(
        lower={name: pick(rows, second.lower[name]) for name, rows in first.lower.items()},
        upper={name: pick(rows, second.upper[name]) for name, rows in first.upper.items()},
        fed=pick(first.fed, second.fed),
    )
