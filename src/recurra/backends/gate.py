"""What every tensor is asked before a backend reads it: its kind, its shape, its dtype and its device.

Compiled code takes addresses and knows neither types nor sizes, and PyTorch's own operations broadcast a wrong shape
in silence. So each backend asks here first, and whatever does not fit is refused in one line that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

from recurra.equations.cell import Cell, Noise
from recurra.errors import BackendError, ShapeError

if TYPE_CHECKING:
    from recurra.backends.job import Job

__all__ = [
    "LOW",
    "PLAIN",
    "Gate",
    "Operand",
    "UnreadableError",
    "addresses",
    "check",
    "check_dense",
    "check_lengths",
    "check_plain",
    "check_shape",
    "check_stored",
    "contiguous",
    "in_memory",
    "labels",
    "noise_shape",
    "operands_of",
    "readable",
    "shapes",
    "stored",
    "tracer",
    "unreadable",
    "watched",
]

PLAIN = frozenset((Tensor, Parameter))
"""The types whose numbers lie in memory; a subclass may stand for anything (a shard, a tracer's, a batch of others)."""

_is_nested = Tensor.is_nested.__get__  # type: ignore[attr-defined]

LOW = 1 << 32
"""Memory is seldom so low: an address below is looked into, since one without memory is as low as its offset."""


class UnreadableError(BackendError):
    """A tensor that compiled code cannot read, though PyTorch's own operations can."""


class Operand(NamedTuple):
    """A tensor that a cell is given.

    Args:
        label: What a message calls it.
        tensor: The tensor.
        shape: The shape it must have; None if its shape decides that of the others.
    """

    label: str
    tensor: Tensor
    shape: tuple[int, ...] | None


def tracer() -> str | None:
    """What now follows PyTorch's own operations and would not see compiled code; None if nothing does."""
    if torch._C._is_tracing():
        return "torch.jit.trace follows PyTorch's own operations only"
    if torch._C._functorch.maybe_current_level() is not None:
        return "torch.func goes through PyTorch's own operations only"
    if forward_ad._current_level >= 0:
        return "forward-mode differentiation goes through PyTorch's own operations only"
    return None


def watched() -> bool:
    """Whether a TorchDispatchMode watches each operation: it must see one, and makes up the tensors of some."""
    return bool(torch._C._len_torch_dispatch_stack())


def shapes(cell: Cell, batch: int, input_size: int, hidden_size: int) -> list[tuple[int, ...]]:
    """The shapes that the parameters and states of a cell must have, in this order."""
    of_parameters = [parameter.shape(input_size, hidden_size) for parameter in cell.parameters.values()]
    return [*of_parameters, *[(batch, hidden_size)] * len(cell.carried)]


def labels(cell: Cell, layer: int | None, *, reverse: bool) -> list[str]:
    """What messages call the parameters and states of a cell, in this order."""
    prefix = "" if layer is None else f"{'reverse_layers' if reverse else 'layers'}.{layer}."
    return [f"the parameter {prefix}{name}" for name in cell.parameters] + [
        f"the state {key!r}" for key in cell.carried
    ]


def operands_of(job: Job) -> list[Operand]:
    """All tensors that a cell is given, but for lengths."""
    if job.x.is_nested:  # which has no shape
        return [Operand("x", job.x, None)]
    cell, (steps, batch, input_size), hidden = job.cell, job.x.shape, job.hidden_size
    tensors = [*[job.parameters[name] for name in cell.parameters], *[job.state.get(key) for key in cell.carried]]
    expected = shapes(cell, batch, input_size, hidden)
    named = zip(labels(cell, job.layer, reverse=job.reverse), tensors, expected, strict=True)
    operands = [Operand("x", job.x, None)]
    operands += [Operand(label, tensor, shape) for label, tensor, shape in named if tensor is not None]
    for name, drawn in (job.noise or {}).items():
        shape = noise_shape(cell.noise[name], steps, batch, hidden)
        operands.append(Operand(f"the noise {name!r}", drawn, shape))
    return operands


def noise_shape(noise: Noise, steps: int, batch: int, hidden_size: int) -> tuple[int, ...]:
    """The shape of what is drawn for a noise of a cell."""
    return (batch, hidden_size) if noise.each == "sequence" else (steps, batch, hidden_size)


def check(operands: Iterable[Operand]) -> None:
    """Refuse the first of some tensors that does not fit beside the first of all, which may be of a subclass.

    Raises:
        ShapeError: It is laid out in another way than by strides, or its shape, dtype or device is another.
    """
    first: Operand | None = None
    for operand in operands:
        label, tensor, shape = operand
        check_dense(label, tensor)
        check_stored(label, tensor)
        if shape is not None:
            check_shape(label, tensor, shape)
        first = operand if first is None else first
        dtype, device = first.tensor.dtype, first.tensor.device
        if tensor.dtype != dtype or tensor.device != device:
            raise ShapeError(
                f"{label} is {tensor.dtype} on {tensor.device}, and {first.label} {dtype} on {device}; "
                "move one of them with .to(...)"
            )


def check_dense(label: str, tensor: Tensor) -> None:
    """Refuse a tensor whose numbers stand for others (quantised), or are not all there (sparse, nested)."""
    if tensor.is_nested:
        raise ShapeError(f"{label} is a nested tensor; pad it with .to_padded_tensor(0.0) and give the lengths")
    if tensor.is_quantized:
        raise ShapeError(f"{label} is quantised ({tensor.dtype}); expected floating-point numbers: .dequantize() it")
    if tensor.layout != torch.strided:
        raise ShapeError(
            f"{label} has the layout {tensor.layout}; expected a dense tensor: convert it with .to_dense()"
        )


def check_stored(label: str, tensor: Tensor) -> None:
    """Refuse a tensor whose memory was let go of, which PyTorch's own operations would read as well."""
    if not torch.compiler.is_compiling() and type(tensor) in PLAIN and tensor.is_cpu:
        _refuse_freed(label, tensor)


def _refuse_freed(label: str, tensor: Tensor) -> None:
    try:
        address = tensor.data_ptr()
    except (RuntimeError, NotImplementedError):  # it stands for others
        return
    at_nothing = address == tensor.storage_offset() * tensor.element_size()
    if at_nothing and tensor.numel() and not tensor._is_zerotensor():
        raise BackendError(
            f"{label} has the shape {tuple(tensor.shape)} and no memory: its storage was let go of, as that of a "
            "sharded weight is between passes; call the layer through the sharded model"
        )


def check_shape(label: str, tensor: Tensor, shape: Sequence[int]) -> None:
    """Refuse a tensor of another shape than the equations give it."""
    came, expected = tuple(tensor.shape), tuple(shape)
    if came != expected:
        turned = len(came) == 2 and came == expected[::-1]
        mend = "transpose it with .T" if turned else "give one of that shape, or make the layer anew with other sizes"
        raise ShapeError(f"{label} has the shape {came}; expected {expected}: {mend}")


def check_lengths(lengths: Tensor, steps: int, batch: int) -> None:
    """Refuse lengths that are not B whole numbers from 1 to T."""
    dtype = lengths.dtype
    if tuple(lengths.shape) != (batch,) or dtype.is_floating_point or dtype.is_complex or dtype == torch.bool:
        came = f"the shape {tuple(lengths.shape)} and dtype {dtype}"
        raise ShapeError(f"lengths has {came}; expected {batch} whole numbers, one a row")
    least, most = (int(end) for end in lengths.aminmax())
    if least < 1 or most > steps:
        raise ShapeError(f"lengths are from {least} to {most}; expected each from 1 to T = {steps}")


# Compiled code alone -------------------------------------------------------------------------------------------------


def check_plain(tensors: Sequence[Tensor], shapes: Sequence[tuple[int, ...]], dtype: torch.dtype) -> bool:
    """Whether compiled code can take the addresses of tensors: of these shapes, of a dtype, on this processor.

    Whether the memory there was let go of is asked by `addresses`.
    """
    try:
        return (
            PLAIN.issuperset(map(type, tensors))
            and [*map(Tensor.size, tensors)] == shapes
            and all(t.dtype is dtype and t.is_cpu and t.layout is torch.strided for t in tensors)
            and [*map(Tensor.data_ptr, tensors)] != []
        )
    except RuntimeError:  # a nested tensor has no size, and one that stands for others no address
        return False


class Gate:
    """Whether tensors are what compiled code takes them for, asked the fast way.

    What torch.compile asks of the tensors that it is given, in C++, is whether they are just as others were: in type,
    kind, dtype, shape and strides. So tensors that are like some that were looked at need not be looked at.

    Args:
        shapes: The shapes that they must have, of some at the end only where these are given.
        dtype: Their dtype.

    Example:
        >>> gate = Gate([(2, 3), (3,)], torch.float32)
        >>> gate.accepts([torch.zeros(3, 2).T, torch.zeros(3)]), gate.accepts([torch.zeros(2, 3), torch.zeros(6)[::2]])
        (True, False)
        >>> gate.accepts([torch.zeros(3, 3), torch.zeros(3)]) is None
        True
    """

    MOST = 6
    """For how many kinds of tensors it is remembered that they were accepted."""

    def __init__(self, shapes: Sequence[tuple[int, ...]], dtype: torch.dtype) -> None:
        self.shapes, self.dtype = list(shapes), dtype
        self._known: list[tuple[int, Callable[..., bool], bool]] = []

    def accepts(self, tensors: Sequence[Tensor]) -> bool | None:
        """Whether each can be read as it lies in memory; None if one cannot be read at all.

        The first, which is the input, need not be contiguous for that.
        """
        count = len(tensors)
        traced = torch.compiler.is_compiling()  # which cannot look into what is compiled already
        try:
            if not traced and any(map(_is_nested, tensors)):  # on which what follows would end the process
                return None
            for length, alike, ready in () if traced else self._known:
                if length == count and alike(*tensors):
                    return ready
        except TypeError:  # one is no tensor
            return None
        if not check_plain(tensors, self.shapes[:count], self.dtype):
            return None
        stored = not any(t.is_neg() or t._is_zerotensor() for t in tensors)
        ready = stored and all(t.is_contiguous() for t in tensors[1:])
        if len(self._known) < self.MOST and not traced:
            others = _alike(tensors)
            if others is not None:
                self._known.append((count, others, ready))
        return ready


def _alike(tensors: Sequence[Tensor]) -> Callable[..., bool] | None:
    """What tells whether other tensors are like these; None where there is nothing that does."""
    sizes, strides = [[*tensor.shape] for tensor in tensors], [[*tensor.stride()] for tensor in tensors]
    try:
        # An inside of PyTorch's: where it is another, a call takes a few microseconds longer.
        guards: Any = getattr(torch._C._dynamo.guards, "TensorGuards")  # noqa: B009
        alike: Callable[..., bool] = guards(*tensors, dynamic_dims_sizes=sizes, dynamic_dims_strides=strides).check
        return alike if alike(*tensors) else None  # not where one is there twice
    except (AttributeError, TypeError, RuntimeError, SystemError):
        return None


def in_memory(tensors: Sequence[Tensor]) -> bool:
    """Whether all have memory, as far as their addresses tell."""
    try:
        return min(map(Tensor.data_ptr, tensors)) >= LOW
    except RuntimeError:
        return False


def readable(tensor: Tensor) -> bool:
    """Whether a gradient has memory to be read; of one that has not it is seen elsewhere why."""
    try:
        return type(tensor) in PLAIN and tensor.data_ptr() >= LOW
    except RuntimeError:
        return False


def unreadable(label: str, tensor: Tensor) -> str | None:
    """Why compiled code cannot read a tensor that PyTorch's own operations can; None if it can."""
    if type(tensor) not in PLAIN:
        return f"{label} is a {type(tensor).__name__}, and it reads tensors that have memory of their own"
    try:
        tensor.data_ptr()
    except RuntimeError:
        return f"{label} stands for other tensors, and it reads tensors that have memory of their own"
    return None


def stored(tensor: Tensor) -> Tensor:
    """A tensor whose numbers are what is stored for it: a sign may be still to be turned, and zeros not be there."""
    if tensor._is_zerotensor():
        return torch.zeros(tensor.shape, dtype=tensor.dtype, device=tensor.device)
    return tensor.resolve_neg()


def contiguous(tensors: Sequence[Tensor], names: Sequence[str]) -> list[Tensor]:
    """Tensors whose numbers follow one another in memory and are what is stored there.

    Raises:
        ShapeError: One is sparse.
    """
    tensors = [*map(stored, tensors)]
    if not in_memory(tensors):  # before a number is read to be copied
        _check_stored(tensors, names)
    try:
        return [*map(Tensor.contiguous, tensors)]
    except RuntimeError:
        _check_stored(tensors, names)
        raise


def addresses(tensors: list[Tensor], names: Sequence[str]) -> list[int]:
    """Where tensors that are contiguous lie in memory; of zeros that are not stored there are some put in their place.

    Raises:
        ShapeError: One has another layout.
        BackendError: One has no memory.
    """
    try:
        found = [*map(Tensor.data_ptr, tensors)]
    except RuntimeError:
        _check_stored(tensors, names)
        raise
    if min(found) < LOW:
        for number, tensor in enumerate(tensors):
            if found[number] < LOW and tensor.numel():
                if tensor._is_zerotensor():
                    tensors[number] = zeros = stored(tensor)
                    found[number] = zeros.data_ptr()
                else:
                    _check_stored([tensor], [names[number]])
    return found


def _check_stored(tensors: Sequence[Tensor], names: Sequence[str]) -> None:
    for tensor, name in zip(tensors, names, strict=False):
        kind, _, rest = name.partition(".")
        label = f"the {'state' if kind == 'before' else kind} {rest}"
        check_dense(label, tensor)
        reason = unreadable(label, tensor)
        if reason:
            raise UnreadableError(f"the cpu backend cannot run this cell: {reason}")
        _refuse_freed(label, tensor)  # whatever device it says that it is on
