"""One step of a cell at a time, with weights packed once and the state kept between calls."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from recurra.backends import gate
from recurra.backends.cpu import run, threads
from recurra.backends.cpu.arrange import arrange
from recurra.backends.cpu.prepare import prepare
from recurra.backends.cpu.table import PACK_WORDS
from recurra.backends.gathered import gathered
from recurra.backends.layout import Layout
from recurra.equations.cell import Cell

__all__ = ["Stepper"]

OUTPUTS = 32
"""For how many steps outputs are made at once."""

MOST_PRODUCTS = 1 << 20
"""So many numbers at most are kept for the rows of a table: more would leave a core's cache no room for the weights."""

SMALL = 512
"""Steps of no more units than this, over all rows, are too short for another thread to gain from them."""


class Stepper:
    """A cell that is advanced one step a call.

    The loop for one step is called with the same words each time; only the addresses of the input and the output
    differ. The state lies where the loop both finds and leaves it.

    Args:
        cell: The cell, without noise.
        parameters: Its parameters by name, which are packed now and not looked at again.
        input_size: I.
        hidden_size: H.
        batch_size: B.

    Raises:
        ShapeError: A parameter has another shape than the cell gives it, or not the dtype or device of the others.
        BackendError: A parameter has no memory of its own.
    """

    def __init__(
        self, cell: Cell, parameters: Mapping[str, Tensor], input_size: int, hidden_size: int, batch_size: int
    ) -> None:
        hidden, tensors = hidden_size, [parameters[name] for name in cell.parameters]
        expected = gate.shapes(cell, batch_size, input_size, hidden)[: len(tensors)]
        if not gate.check_plain(tensors, expected, tensors[0].dtype):
            self._refuse(cell, tensors, expected)
        dtype = tensors[0].dtype
        self._prepared = prepared = prepare(cell, dtype == torch.float64, input_size, hidden)
        self._layout = Layout.of(1, batch_size, None)
        # All of this outlives the mode that the stream is made in.
        with torch.inference_mode(False), _disable_current_modes():
            self._arrangement = arrangement = arrange(prepared, "forward", self._layout, False, 1, ())
            self._memory = memory = arrangement.memory(self._layout)
            self.state = {key: torch.zeros(batch_size, hidden, dtype=dtype, device="cpu") for key in cell.carried}
            names = [f"parameter.{name}" for name in cell.parameters]
            held = gate.contiguous([tensor.detach() for tensor in tensors], names)
            addresses = dict(zip(names, gate.addresses(held, names), strict=True))
        for key, rows in self.state.items():
            addresses[f"before.{key}"] = addresses[f"after.{key}"] = rows.data_ptr()
        for fix in arrangement.given:
            if fix.array in addresses:
                memory.words[fix.word] = addresses[fix.array] + fix.bytes
        self._pack()
        words = [(fix.array, fix.word) for fix in arrangement.given]
        self._output = next(word for array, word in words if array == "output")
        self._operands = [
            tuple(word for array, word in words if array == f"operand.{number}")
            for number in range(len(prepared.outside))
        ]
        self._inputs = tuple(word for place in self._operands for word in place)
        self._shape, self._dtype = (OUTPUTS, batch_size, prepared.width), dtype
        self._exact = prepared.width == hidden
        # A short step is over before another thread of Python could have begun: only long ones let one run.
        small = batch_size * hidden <= SMALL
        kind = ctypes.PYFUNCTYPE if small else ctypes.CFUNCTYPE
        self._call = kind(None, ctypes.c_void_p)(arrangement.kernel.address)
        self._advance = self._advancing()
        self.step: Callable[[Tensor], Tensor] = self._advance if prepared.plain else self._computed
        """The output (B, H) for an input (B, I), contiguous and of the parameters' dtype; nothing is checked."""

    @staticmethod
    def _refuse(cell: Cell, tensors: Sequence[Tensor], expected: Sequence[tuple[int, ...]]) -> None:
        """Say which parameter compiled code cannot take, and why."""
        labels = gate.labels(cell, None, reverse=False)[: len(tensors)]
        for label, tensor in zip(labels, tensors, strict=True):
            reason = gate.unreadable(label, tensor)
            if reason:
                raise gate.UnreadableError(f"the cpu backend cannot run this cell: {reason}")
        gate.check(gate.Operand(*each) for each in zip(labels, tensors, expected, strict=True))

    def _pack(self) -> None:
        """Pack the weights, and have no call of the loop do so."""
        slots, words = self._arrangement.kernel.slots, self._memory.words
        pack = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(words[slots["pack"]])
        for number in range(words[slots["packs.count"]]):
            pack(words[slots["packs"]] + number * PACK_WORDS * 8, 0, 1)
        words[slots["packs.count"]] = 0
        assert words[slots["thread"]] == threads.SINGLE

    def _computed(self, x: Tensor) -> Tensor:
        """A step of a cell whose products before the loop read something else than its input."""
        operands = self._read(x)
        self._tell(self._memory.words, operands)
        return self._advance(None)

    def _read(self, x: Tensor) -> list[Tensor]:
        """What each of the products before the loop reads of an input."""
        prepared = self._prepared
        if prepared.plain:
            return [x] * len(prepared.wanted)
        found = run.operands(prepared.cell, prepared.wanted, prepared.hidden, x[None])
        return [tensor.contiguous() for tensor in found]

    def _tell(self, words: ctypes.Array[ctypes.c_int64], operands: Sequence[Tensor]) -> None:
        """Have a table tell where the operands are."""
        for places, operand in zip(self._operands, operands, strict=True):
            for word in places:
                words[word] = operand.data_ptr()

    # -- from and to the same tensors at every step ---------------------------------------------------------------

    def bound(self, x: Tensor, out: Tensor) -> Callable[[], None]:
        """What advances it by one step a call, from what x holds then; the output is left in `out`.

        Args:
            x: (B, I), contiguous.
            out: (B, H), contiguous.
        """
        if not self._prepared.plain:

            def computed() -> None:
                out.copy_(self.step(x))

            return computed
        words = self._table()
        self._tell(words, self._read(x))
        return self._calling(words, out, x)

    def lookup(self, inputs: Tensor, rows: Tensor, out: Tensor) -> Callable[[], None]:
        """What advances it by one step a call, whose input are the rows of `inputs` that `rows` then names.

        What the products before the loop make of each row is computed once, unless that would be too many numbers.

        Args:
            inputs: (N, I), contiguous.
            rows: (B,), whole numbers below N.
            out: (B, H), contiguous.
        """
        slots, products = self._arrangement.kernel.slots, len(self._arrangement.kernel.loop.products)
        batch, count = self._shape[1], len(inputs)
        if not products or count * products * self._prepared.hidden > MOST_PRODUCTS:
            return gathered(self.bound, inputs, rows, out)
        table, words = self._products(inputs), self._table()
        words[slots["inputs.product"]] = words[slots["inputs.split"]] = 0
        if batch > 1:
            chosen = table.new_empty(batch, table.shape[1])
            words[slots["products"]] = chosen.data_ptr()
            advance = self._calling(words, out, chosen)

            def step() -> None:
                torch.index_select(table, 0, rows, out=chosen)
                advance()

            return step
        advance = self._calling(words, out, table)
        begin, apart, word = table.data_ptr(), table.stride(0) * table.element_size(), slots["products"]
        numbers = rows.numpy()

        def step_of_one() -> None:
            number = numbers.item(0)
            if not 0 <= number < count:
                raise IndexError(f"there is no row {number} among {count}")
            words[word] = begin + number * apart
            advance()

        return step_of_one

    def _products(self, inputs: Tensor) -> Tensor:
        """What the products before the loop make of rows (N, ·), by the loop itself: as it will find them."""
        slots, batch = self._arrangement.kernel.slots, self._shape[1]
        blocks = -(-len(inputs) // batch)
        padded = inputs.new_zeros(blocks * batch, inputs.shape[1])
        padded[: len(inputs)] = inputs
        words = self._table()
        line = len(self._arrangement.kernel.loop.products) * words[slots["padded"]]
        table = inputs.new_empty(blocks * batch, line)
        states = {key: torch.zeros_like(state) for key, state in self.state.items()}
        for key, rows in states.items():
            words[slots[f"before.{key}"]] = words[slots[f"after.{key}"]] = rows.data_ptr()
        advance = self._calling(words, inputs.new_empty(batch, self._prepared.hidden))
        for x, to in zip(padded.view(blocks, batch, -1), table.view(blocks, batch, -1), strict=True):
            operands = self._read(x)
            self._tell(words, operands)
            words[slots["products"]] = to.data_ptr()
            advance()
        return table[: len(inputs)]

    def _table(self) -> ctypes.Array[ctypes.c_int64]:
        """A table of its own for calls that always read and write in the same places."""
        words = self._memory.words
        return type(words).from_buffer_copy(words)

    def _calling(self, words: ctypes.Array[ctypes.c_int64], out: Tensor, *kept: Tensor) -> Callable[[], None]:
        """Calls with a table; the output goes to `out`, and some tensors that the table names stay in memory."""
        call, address = self._call, ctypes.addressof(words)
        wide = out if self._exact else out.new_empty(self._shape[1:])
        words[self._output] = wide.data_ptr()
        memory = (self, words, wide, out, *kept)

        def advance(memory: tuple[object, ...] = memory) -> None:
            call(address)

        if self._exact:
            return advance
        numbers, narrow = out.numpy(), wide[:, : self._prepared.hidden].numpy()

        def cut() -> None:
            advance()
            numbers[...] = narrow

        return cut

    def _advancing(self) -> Callable[[Tensor | None], Tensor]:
        """What a step does, as a function with all it needs at hand: a tenth of a microsecond counts here."""
        words, address, call, exact = self._memory.words, self._memory.address, self._call, self._exact
        inputs, output, more = self._inputs, self._output, self._more
        made: list[tuple[Tensor, int]] = []

        def advance(x: Tensor | None) -> Tensor:
            if x is not None:
                place = x.data_ptr()
                if place < gate.LOW:
                    gate.check_stored("x", x)
                    x = gate.stored(x)
                    place = x.data_ptr()
                for word in inputs:
                    words[word] = place
            if not made:
                made.extend(more())
            out, words[output] = made.pop()
            call(address)
            return out if exact else out.contiguous()

        return advance

    def _more(self) -> list[tuple[Tensor, int]]:
        """Outputs for many steps with their addresses, which takes little longer than for one."""
        if torch.is_inference_mode_enabled() or gate.watched():  # what is made now may be given out after that
            with torch.inference_mode(False), _disable_current_modes():
                return self._more()
        with torch.no_grad():
            block = torch.empty(self._shape, dtype=self._dtype, device="cpu")
            first, apart = block.data_ptr(), block.stride(0) * block.element_size()
            outputs = block[..., : self._prepared.hidden].unbind()
        return [(out, first + apart * number) for number, out in enumerate(outputs)]
