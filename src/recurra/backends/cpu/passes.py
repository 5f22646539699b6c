"""One pass over a batch of sequences, forward or backward: results made, addresses given, compiled code called.

Much of a short pass is spent here, so what depends on sizes alone is worked out once for each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from recurra.backends import gate
from recurra.backends.cpu import spare, threads
from recurra.backends.cpu.arrange import arrange
from recurra.backends.cpu.arrangement import Arrangement, Memory, launch
from recurra.backends.cpu.prepare import Prepared, Which
from recurra.backends.cpu.sources import covered
from recurra.backends.gate import Gate
from recurra.backends.layout import Layout

__all__ = ["HERE", "Call", "Pass", "Results", "backward", "forward", "results", "whole"]

HERE = torch.device("cpu")
"""Named wherever memory is made, since the caller may have made another device the default."""


class Results(NamedTuple):
    """What a pass makes at given sizes: tensors with the shape of each result, since to say it takes longer."""

    wide: Tensor
    """Of hidden width, up to whole vectors, for all steps of all rows."""
    output: Tensor
    saved: Tensor
    """As many numbers as the forward loop keeps at most."""
    state: Tensor
    """Zero, and a state that is."""
    stacked: Tensor
    """A state with an axis for layers."""
    shapes: list[tuple[int, ...]]
    """Of the input, the operands of the products before the loop, the parameters and the states."""
    before: Gate
    """What the input, the parameters and the states must be before the forward pass."""
    after: Gate
    """What the last operand, or all that are not the input itself, and the others must be before the backward pass."""


class Call(NamedTuple):
    """What a call is, but for its tensors.

    Args:
        prepared: The cell at its sizes.
        layout: The rows and steps that count.
        reverse: Whether it goes from the last step to the first.
        noise: What was drawn for it, packed.
        x: Its inputs.
        drawn: What was drawn as it was given.
        results: Its results' shapes.
        last: A last state's shape.
        ready: Whether its parameters and states can be read as they lie.
        checked: How many of its tensors are looked at again before the backward pass; None for all.
        layer: Which layer of a network it is, for messages.
    """

    prepared: Prepared
    layout: Layout
    reverse: bool
    noise: Sequence[Tensor]
    x: Tensor
    drawn: Mapping[str, Tensor]
    results: Results
    last: Tensor
    ready: bool = False
    checked: int | None = None
    layer: int | None = None


@lru_cache(maxsize=256)
def whole(steps: int, batch: int) -> Layout:
    """The layout of a batch whose rows are all as long."""
    return Layout.of(steps, batch, None)


@lru_cache(maxsize=256)
def results(prepared: Prepared, steps: int, batch: int) -> Results:
    """The shapes of a pass's results."""
    zero, state = _zeros(prepared.double), _zeros(prepared.double, batch, prepared.hidden)
    widths = [group.blocks[0].stop - group.blocks[0].start for group in prepared.outside]
    shapes: list[tuple[int, ...]] = [(steps, batch, prepared.input_size), *((steps, batch, width) for width in widths)]
    shapes += gate.shapes(prepared.cell, batch, prepared.input_size, prepared.hidden)
    first = max(0, len(widths) - 1) if prepared.plain else 0
    before, after = [shapes[0], *shapes[1 + len(widths) :]], shapes[1 + first :]
    with _disable_current_modes():
        return Results(
            zero.expand(steps, batch, prepared.width),
            zero.expand(steps, batch, prepared.hidden),
            zero.expand(steps * batch * len(prepared.plan.saved) * prepared.width),
            state,
            state.unsqueeze(0),
            shapes,
            Gate(before, zero.dtype),
            Gate(after, zero.dtype),
        )


@lru_cache(maxsize=64)
def _zeros(double: bool, *shape: int) -> Tensor:
    """Zeros that nobody changes, whatever mode the first who needs them is in: they may be kept for a gradient, too."""
    with torch.inference_mode(False), _disable_current_modes():
        return torch.zeros(shape, dtype=torch.float64 if double else torch.float32, device=HERE)


class _Gradients(NamedTuple):
    """What a backward pass makes for operands, parameters and states.

    Args:
        made: For each of them whether its gradient is a tensor of its own.
        zeroed: Whether that begins as zeros, because the loop does not write all of it.
        vectors: For each, which of the gradients of vectors is its; -1 for none.
    """

    made: tuple[bool, ...]
    zeroed: tuple[bool, ...]
    vectors: tuple[int, ...]


@lru_cache(maxsize=256)
def _gradients(prepared: Prepared, wanted: tuple[bool, ...], ragged: bool) -> _Gradients:
    operands, vectors = prepared.outside, prepared.vectors
    zeroed = [ragged or all(place < 0 for place in operand.gradients) for operand in operands]
    zeroed += [name not in vectors and not covered(prepared, name) for name in prepared.parameters]
    zeroed += [False] * len(prepared.carried)
    place = {f"parameter.{name}": number for number, name in enumerate(vectors)}
    asked = list(zip(prepared.names, wanted, strict=True))
    return _Gradients(
        tuple(needed and name not in place for name, needed in asked),
        tuple(zeroed),
        tuple(place.get(name, -1) if needed else -1 for name, needed in asked),
    )


class Pass:
    """One call of the loops.

    Args:
        call: What is called.
        tensors: The operands of the products before the loop, parameters and states, in the order of `Prepared.names`.
    """

    def __init__(self, call: Call, tensors: Sequence[Tensor]) -> None:
        self.call, self.prepared, self.layout = call, call.prepared, call.layout
        # What is named here is held until the loop has run, since only its address is given away.
        self.tensors = [*tensors] if call.ready else gate.contiguous(tensors, call.prepared.names)
        self.noise = [self._padded(drawn) for drawn in call.noise] if call.noise else []
        self.results = call.results
        self.saved: Tensor | None = None

    @property
    def saved_shape(self) -> tuple[int, int, int]:
        """What the forward loop keeps: some values of every step that counts. They stand first in `saved`."""
        return self.layout.total, len(self.prepared.plan.saved), self.prepared.width

    def forward(self, *, training: bool) -> list[Tensor]:
        """Outputs and last state."""
        return forward([self], training=training)

    def backward(self, gradients: Sequence[Tensor | None], needs: Sequence[bool]) -> list[Tensor | None]:
        """The gradients of operands, parameters and state from those of the outputs and the last state."""
        return backward([self], [gradients], [needs])[0]

    def begin_forward(self, most: int, *, training: bool) -> tuple[Arrangement, Memory]:
        """What the forward loop takes, laid out."""
        self.output = self._rows(self.results.wide)
        self.last = [torch.empty_like(self.call.last) for _ in self.prepared.carried]
        given = [*self.tensors, *self.noise, self.output, *self.last]
        if training:
            self.saved = self._kept()
            given.append(self.saved)
        which: Which = "training" if training else "forward"
        return self._laid_out(arrange(self.prepared, which, self.layout, self.call.reverse, most), given)

    def end_forward(self, arrangement: Arrangement, memory: Memory) -> list[Tensor]:
        """Outputs and last state."""
        arrangement.give_back(memory)
        output, hidden = self.output, self.prepared.hidden
        if self.prepared.width != hidden:
            # None of what is returned is a view, so that each may be changed in place.
            output = spare.lend(self.results.output).copy_(output[..., :hidden])
        return [output, *self.last]

    def begin_backward(
        self, most: int, gradients: Sequence[Tensor | None], needs: Sequence[bool]
    ) -> tuple[Arrangement, Memory]:
        """What the backward loop takes, laid out."""
        assert self.saved is not None
        tensors = self.tensors
        states = len(tensors) - len(self.prepared.carried)
        wanted = tuple(needs)
        arrangement = arrange(self.prepared, "backward", self.layout, not self.call.reverse, most, wanted)
        output, *last = gradients
        received = self.results.wide.contiguous() if output is None else self._padded(output)
        # It begins with the gradients at the last state, and ends with those at the first.
        zero = self.results.state
        first = [zero if rows is None else gate.stored(rows).contiguous() for rows in last]
        # What the gradients of vectors are added up in, by each thread its own.
        shape = len(self.prepared.vectors), self.prepared.width
        used = arrangement.used
        self.sums = _zeros(self.prepared.double, *(shape if used == 1 else (used, *shape))).clone()
        self.gradients = _gradients(self.prepared, wanted, self.layout.ragged)
        self.found = [
            (spare.lend(tensor).zero_() if zeroed else spare.lend(tensor)) if made else None
            for tensor, made, zeroed in zip(tensors, self.gradients.made, self.gradients.zeroed, strict=True)
        ]
        given = [*tensors[:states], *first, *self.noise, received, self.saved, self.sums]
        given += [tensor for tensor in self.found if tensor is not None]
        return self._laid_out(arrangement, given)

    def end_backward(self, arrangement: Arrangement, memory: Memory) -> list[Tensor | None]:
        """The gradients of operands, parameters and state; None where none is wanted."""
        arrangement.give_back(memory)
        assert self.saved is not None
        spare.give(self.saved)
        prepared, found = self.prepared, self.found
        if prepared.vectors:
            sums = self.sums if arrangement.used == 1 else self.sums.sum(0)
            rows = (sums if prepared.width == prepared.hidden else sums[:, : prepared.hidden]).unbind()
            for number, vector in enumerate(self.gradients.vectors):
                if vector >= 0:
                    found[number] = rows[vector]
        return found

    def _laid_out(self, arrangement: Arrangement, given: list[Tensor]) -> tuple[Arrangement, Memory]:
        """A call of a loop with its memory, in which it is said where the caller's arrays are."""
        addresses = gate.addresses(given, arrangement.arrays)
        self.given = given
        memory = arrangement.memory(self.layout, addresses[len(self.prepared.outside)])
        arrangement.address(memory, addresses)
        return arrangement, memory

    def _kept(self) -> Tensor:
        """Something for what the forward loop keeps."""
        like = self.results.saved
        if len(like) < spare.LEAST:
            return torch.empty_like(like)
        return spare.take(math.prod(self.saved_shape), like.dtype)

    def _rows(self, like: Tensor) -> Tensor:
        """Something for all steps of all rows, zero where a step does not count."""
        rows = spare.lend(like)
        return rows.zero_() if self.layout.ragged else rows

    def _padded(self, array: Tensor) -> Tensor:
        """Rows of hidden width as contiguous rows of whole vectors."""
        hidden, width = self.prepared.hidden, self.prepared.width
        if width == hidden:
            return gate.stored(array).contiguous()
        wide = torch.zeros(*array.shape[:-1], width, dtype=array.dtype, device=HERE)
        wide[..., :hidden] = array
        return wide


def _most(passes: Sequence[Pass]) -> int:
    """How many threads a pass may take: one where there are others and too few rows to share out well."""
    most = threads.available()
    if len(passes) == 1:
        return most
    few = all(pass_.layout.batch < 12 * most for pass_ in passes)
    return 1 if few and most <= len(passes) else most


def forward(passes: Sequence[Pass], *, training: bool) -> list[Tensor]:
    """Outputs and last state of each pass, one after the other."""
    most = _most(passes)
    calls = [pass_.begin_forward(most, training=training) for pass_ in passes]
    launch(calls)
    return [tensor for pass_, call in zip(passes, calls, strict=True) for tensor in pass_.end_forward(*call)]


def backward(
    passes: Sequence[Pass], received: Sequence[Sequence[Tensor | None]], needs: Sequence[Sequence[bool]]
) -> list[list[Tensor | None]]:
    """The gradients of each pass's operands, parameters and state."""
    most = _most(passes)
    calls = [pass_.begin_backward(most, g, n) for pass_, g, n in zip(passes, received, needs, strict=True)]
    launch(calls)
    return [pass_.end_backward(*call) for pass_, call in zip(passes, calls, strict=True)]
