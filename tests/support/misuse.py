"""Layers called with what they were not made for, drawn at random: numbers that are right, or a refusal in words."""

import contextlib
import random
import warnings
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.utils.rnn import pack_padded_sequence
from torch.testing._internal.two_tensor import TwoTensor
from torch.utils.flop_counter import FlopCounterMode

import recurra.nn
from recurra import Recurrent
from recurra.errors import RecurraError

INPUT, BATCH = 3, 3


class Text(torch.Tensor):
    """A subclass that only has a name of its own, as fastai's do."""


class Narrow(nn.Module):
    """A parametrisation that changes a shape, which torch allows if it is told that this is unsafe."""

    def forward(self, weight):
        return weight[..., :-1] if weight.shape[-1] > 1 else weight.repeat(2, *[1] * (weight.dim() - 1))


def freed(tensor):
    """A tensor whose storage is gone, as that of a sharded weight between passes."""
    own = tensor.detach().clone()
    own.untyped_storage().resize_(0)
    return own


def spread(tensor):
    """The same numbers with gaps between them."""
    wide = torch.full((*tensor.shape, 2), torch.nan, dtype=tensor.dtype)
    wide[..., 1] = tensor.detach()
    return wide[..., 1]


def turned(tensor):
    """The same numbers, as the imaginary part of a conjugate: their sign is still to be turned."""
    return (
        torch.complex(torch.zeros_like(tensor), -tensor.detach()).conj().imag if tensor.is_floating_point() else tensor
    )


def dense_only(function):
    """A conversion that some shapes do not have."""

    def convert(tensor):
        try:
            return function(tensor.detach())
        except (RuntimeError, NotImplementedError, IndexError):
            return tensor

    return convert


ALIKE = {
    "as it is": lambda t: t,
    "spread": spread,
    "turned": lambda t: turned(t.detach()),
    "negative view": lambda t: torch._neg_view(t.detach()),
    "axes turned in memory": lambda t: t.detach().mT.contiguous().mT if t.dim() > 1 else t,
    "expanded": lambda t: t.detach()[:1].expand_as(t) if t.dim() and len(t) else t,
    "requires grad": lambda t: t.detach().clone().requires_grad_(),
    "not a number": lambda t: t.detach() * torch.nan,
    "infinite": lambda t: t.detach() * torch.inf,
    "zeros that are not stored": lambda t: torch._efficientzerotensor(t.shape, dtype=t.dtype),
}
"""Tensors of the right shape and dtype."""

ODD = {
    "float64": lambda t: t.detach().double(),
    "float16": lambda t: t.detach().half(),
    "whole numbers": lambda t: t.detach().long(),
    "complex": lambda t: t.detach() * 1j,
    "meta": lambda t: t.detach().to("meta"),
    "coordinates": lambda t: t.detach().to_sparse(),
    "compressed rows": dense_only(torch.Tensor.to_sparse_csr),
    "mkldnn": dense_only(torch.Tensor.to_mkldnn),
    "quantised": lambda t: torch.quantize_per_tensor(t.detach(), 0.1, 0, torch.qint8),
    "subclass": lambda t: t.detach().as_subclass(Text),
    "wrapper": lambda t: TwoTensor(t.detach(), t.detach().clone()),
    "fake": lambda t: FakeTensorMode().from_tensor(t.detach()),
    "freed": freed,
    "without the last": lambda t: t.detach()[..., :-1],
    "without the last, copied": lambda t: t.detach()[..., :-1].clone(),
    "without the first": lambda t: t.detach()[1:] if t.dim() else t,
    "transposed": lambda t: t.detach().mT if t.dim() > 1 else t,
    "one more axis": lambda t: t.detach()[None],
    "one axis fewer": lambda t: t.detach()[0] if t.dim() else t,
    "one number": lambda t: torch.zeros((), dtype=t.dtype),
    "nothing": lambda t: torch.zeros(0, dtype=t.dtype),
    "flat": lambda t: t.detach().flatten(),
    "nested": lambda t: torch.nested.nested_tensor([t.detach(), t.detach()]),
}
"""Tensors that are none of what is expected, or that not every backend reads."""

NO_TENSORS = {"list": torch.Tensor.tolist, "array": lambda t: t.detach().numpy(), "none": lambda _: None, "text": str}

LENGTHS = {
    "none": lambda steps, rng: None,
    "list": lambda steps, rng: [rng.randint(1, steps) for _ in range(BATCH)],
    "tensor": lambda steps, rng: torch.tensor([rng.randint(1, steps) for _ in range(BATCH)]),
    "int32": lambda steps, rng: torch.tensor([rng.randint(1, steps) for _ in range(BATCH)], dtype=torch.int32),
    "array": lambda steps, rng: np.array([rng.randint(1, steps) for _ in range(BATCH)]),
    "floats": lambda steps, rng: [1.0] * BATCH,
    "truth values": lambda steps, rng: [True] * BATCH,
    "mask": lambda steps, rng: torch.ones(BATCH, dtype=torch.bool),
    "too long": lambda steps, rng: [steps + 1, 1, 1],
    "too short": lambda steps, rng: [0, 1, 1],
    "negative": lambda steps, rng: torch.tensor([-1, 1, 1]),
    "too few": lambda steps, rng: [1],
    "text": lambda steps, rng: "111",
    "a number": lambda steps, rng: 1,
}

MODES = {
    "grad": contextlib.nullcontext,
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "mutation allowed": torch.autograd.graph.allow_mutation_on_saved_tensors,
    "flops counted": lambda: FlopCounterMode(display=False),
    "another device": lambda: torch.device("meta"),
    "saved elsewhere": torch.autograd.graph.save_on_cpu,
}

CELLS = ("lstm", "gru", "h[t] = tanh(W @ [h[t-2], x[t]] + b)", "h[t] = tanh(W @ [h[t-1], tanh(x[t])]) * scale")


@dataclass
class Case:
    """What is done in one case, and what it is called in a message."""

    layer: nn.Module
    x: object
    state: object = None
    lengths: object = None
    mode: str = "grad"
    gradient: str = "as it is"
    between: str = ""
    way: str = "call"
    told: list[str] = field(default_factory=list)


def put(layer, name, how):
    """Give a layer's parameter another value, by one of the ways that people do it."""
    owner_name, _, last = name.rpartition(".")
    owner = layer.get_submodule(owner_name)
    kind, value = how
    old = getattr(owner, last)
    new = value(old.detach())
    if kind == "parametrised":
        nn.utils.parametrize.register_parametrization(owner, last, Narrow(), unsafe=True)
    elif kind == "data":
        old.data = new
    elif kind == "parameter":
        setattr(owner, last, nn.Parameter(new, requires_grad=new.is_floating_point()))
    else:
        delattr(owner, last)
        setattr(owner, last, new)


def drawn(seed):
    """A case."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    hidden, steps = rng.choice((1, 3, 16)), rng.choice((1, 4))
    told = []

    def pick(values, usual, share=0.6):
        """The usual one, or one of the others."""
        return usual if rng.random() < share else rng.choice(sorted(values))

    backend = rng.choice(("auto", "auto", "cpu"))
    options = {"num_layers": rng.choice((1, 1, 2)), "bidirectional": rng.random() < 0.25, "backend": backend}
    compatible = rng.random() < 0.4
    if compatible:
        kind = rng.choice(("RNN", "GRU", "LSTM"))
        options |= {"batch_first": rng.random() < 0.5, "bias": rng.random() < 0.7}
        if kind == "LSTM" and hidden > 1 and rng.random() < 0.3:
            options["proj_size"] = hidden - 1
        layer = getattr(recurra.nn, kind)(INPUT, hidden, **options)
        cell = kind
    else:
        cell = rng.choice(CELLS)
        options |= {"learn_initial_state": rng.random() < 0.3, "zoneout": rng.choice((0.0, 0.0, 0.5))}
        layer = Recurrent(cell, INPUT, hidden, **options)
    told.append(f"{cell} {hidden=} {steps=} {options}")
    names = list(layer.state_dict())
    shape = (BATCH, steps, INPUT) if not compatible or layer.batch_first else (steps, BATCH, INPUT)
    x = torch.randn(shape)
    everything = ALIKE | ODD
    how = pick(everything, "as it is")
    x_ = (NO_TENSORS[rng.choice(list(NO_TENSORS))] if rng.random() < 0.03 else everything[how])(x)
    case = Case(
        layer, x_, told=told, mode=pick(MODES, "grad"), gradient=pick(everything.keys() - {"freed"}, "as it is")
    )
    told.append(f"x {how}" if isinstance(x_, torch.Tensor) else f"x {type(x_).__name__}")
    if rng.random() < 0.4:
        name, how = rng.choice(names), rng.choice(list(everything))
        way = rng.choice(("data", "parameter", "attribute", "parametrised"))
        with contextlib.suppress(RuntimeError, TypeError, NotImplementedError, ValueError):  # torch has not every way
            put(layer, name, (way, everything[how]))
            told.append(f"{name} {how} as {way}")
    if rng.random() < 0.5:
        directions = 1 + options["bidirectional"]
        wide = options.get("proj_size", hidden)
        how = pick(everything, "as it is")
        rows = options["num_layers"] * directions
        if compatible:
            h = everything[how](torch.randn(rows, BATCH, wide))
            case.state = (h, torch.randn(rows, BATCH, hidden)) if cell == "LSTM" else h
        else:
            keys = list(layer.cell.carried)
            keys = keys if rng.random() < 0.8 else rng.choice((keys[:1], [*keys, "nothing"]))
            case.state = {key: everything[how](torch.randn(rows, BATCH, hidden)) for key in keys}
        told.append(f"state {how}")
    if not compatible and rng.random() < 0.35:
        how = rng.choice(list(LENGTHS))
        case.lengths = LENGTHS[how](steps, rng)
        told.append(f"lengths {how}")
    if rng.random() < 0.1:
        case.between = rng.choice(("pruned", "added in place", "converted", "x pruned"))
    case.way = rng.choice(("call", "call", "call", "packed" if compatible else "stream", "state only"))
    told.append(f"{case.mode}, gradient {case.gradient}, {case.way} {case.between}")
    return case


def numbers(value):
    """What a tensor of any kind holds, as a plain one."""
    if isinstance(value, TwoTensor):
        value = value.a
    if hasattr(value, "fake_mode") or value.device.type == "meta":
        return torch.zeros(value.shape)
    return value.detach().as_subclass(torch.Tensor).clone()


def called(case):
    """Outputs and states, in a list."""
    layer, x, options = case.layer, case.x, {}
    if case.way == "stream":
        step = x[:, 0] if isinstance(x, torch.Tensor) and not x.is_nested and x.dim() > 1 and x.shape[1] else x
        stream = layer.stream(BATCH)
        return [stream.step(step), stream.step(step), *stream.state.values()]
    if isinstance(layer, Recurrent):
        outputs, last = layer(x, case.state, case.lengths)
        return [outputs, *last.values()]
    if case.way == "packed" and isinstance(x, torch.Tensor) and not x.is_nested and x.dim() == 3:
        x = pack_padded_sequence(x, [2, 1, 1] if x.shape[layer.batch_first] > 1 else [1] * BATCH, layer.batch_first)
    outputs, last = layer(x, case.state, **options)
    return [outputs.data, *(last if isinstance(last, tuple) else (last,))]


def run(case):
    """Results and gradients by name, or the error."""
    torch.manual_seed(0)
    found = {}
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(MODES[case.mode]())
            results = called(case)
            found |= {f"result {k}": numbers(t) for k, t in enumerate(results)}
            if case.between:
                changed(case)
            if case.mode == "autocast":  # which is for the forward pass alone
                stack.close()
            if case.mode != "another device":
                found |= gradients(case, results)
    except Exception as error:
        return error
    return found


def gradients(case, results):
    """The gradients at the parameters and the input, by name, from gradients that are drawn for the results."""
    wanted = [t for t in (results[1:] if case.way == "state only" else results) if t.grad_fn is not None]
    if not wanted:
        return {}
    generator = torch.Generator().manual_seed(1)
    kinds = ALIKE | ODD | {"zeros": torch.zeros_like}
    given = [kinds[case.gradient](torch.randn(t.shape, generator=generator).to(t.dtype)) for t in wanted]
    torch.autograd.backward(wanted, given)
    leaves = [*case.layer.named_parameters(), ("x", case.x)]
    leaves = [(name, leaf) for name, leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.grad is not None]
    return {f"gradient of {name}": numbers(leaf.grad) for name, leaf in leaves}


def changed(case):
    """What happens to a layer or its input between the passes."""
    with torch.no_grad():
        if case.between == "x pruned":
            if type(case.x) is torch.Tensor and case.x.dim() > 1:
                case.x.data = case.x.data[..., :-1]
            return
        weight = next((p for p in case.layer.parameters() if p.dim() > 1), None)
        if weight is None:
            return
        if case.between == "pruned":
            weight.data = weight.data[:, :-1].clone()
        elif case.between == "converted":
            case.layer.double()
        else:
            weight.add_(1)


def compare(seed):
    """Run a case on the backend that is asked for and on the reference; what came of it in a word.

    Raises:
        AssertionError: Other numbers came, or something that is neither an answer nor a refusal in words.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of layouts that are new
        case = drawn(seed)
        found, expected = run(case), run(on_reference(drawn(seed)))
    told = f"seed {seed}: {'; '.join(case.told)}"
    plain = (RuntimeError, TypeError, ValueError, NotImplementedError)
    if isinstance(found, AssertionError) and "fake" in str(found).lower():  # torch's word where fake and real ones meet
        return "refused by torch"
    if isinstance(found, RuntimeError) and case.gradient == "zeros that are not stored":
        return "refused by torch"  # which is given others for the reference
    if isinstance(found, RuntimeError) and "modified by an inplace operation" in str(found) and case.between:
        return "refused by torch"  # the reference may not need what was modified
    if isinstance(found, RecurraError):
        assert "\n" not in str(found), f"{told}\nseveral lines: {found}"
        return "refused" if isinstance(expected, Exception) else "refused, reference ran"
    if isinstance(found, Exception):
        assert isinstance(found, plain), f"{told}\n{type(found).__name__}: {found}"
        assert isinstance(expected, Exception), f"{told}\nonly the backend raised {type(found).__name__}: {found}"
        return "refused by torch"
    if isinstance(expected, NotImplementedError) and case.gradient in ("coordinates", "compressed rows"):
        return "ran, refused by torch"  # which has no sparse gradients of its own operations
    assert not isinstance(expected, Exception), f"{told}\nonly the reference raised {expected!r}"
    assert found.keys() == expected.keys(), f"{told}\n{[*found]} {[*expected]}"
    for name, value in found.items():
        assert value.shape == expected[name].shape, f"{told}\n{name}: {value.shape} {expected[name].shape}"
        same = torch.allclose(value.double(), expected[name].double(), rtol=1e-3, atol=1e-4, equal_nan=True)
        assert same, f"{told}\n{name} differs: {value} {expected[name]}"
    return "same"


def with_zeros(value):
    """Zeros that are stored in place of those that are not."""
    return torch.zeros_like(value) if isinstance(value, torch.Tensor) and value._is_zerotensor() else value


def on_reference(case):
    """The same case on the reference backend."""
    case.layer.backend = "reference"
    if case.gradient == "zeros that are not stored":
        case.gradient = "zeros"  # times what is no number, the others are 0
    case.x = with_zeros(case.x)
    if isinstance(case.state, dict):
        case.state = {key: with_zeros(value) for key, value in case.state.items()}
    elif isinstance(case.state, tuple):
        case.state = tuple(map(with_zeros, case.state))
    else:
        case.state = with_zeros(case.state)
    return case
