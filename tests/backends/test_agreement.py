"""Every backend computes what the reference does: outputs, last states and every gradient, by name.

A new cell or a new backend needs no line here: the catalogue and the table of backends are gone through.
"""

import dataclasses

import pytest
import torch

from recurra.backends import reference
from recurra.backends.choose import BACKENDS
from recurra.cells import CATALOGUE, modifiers
from support.classical import CLASSICAL
from support.edges import EXPRESSIONS, assert_same_numbers, edge_problem
from support.odd_cells import ODD
from support.problems import loss, random_problem
from support.random_cells import random_cell

OTHERS = {**{name: cell for name, cell in CLASSICAL.items() if cell not in CATALOGUE.values()}, **ODD}
DTYPES = {"float64": torch.float64, "float32": torch.float32}
EVERY_CELL = pytest.mark.parametrize("cell", CATALOGUE.values(), ids=CATALOGUE)


@pytest.fixture(params=[name for name in BACKENDS if name != "reference"])
def backend(request):
    return BACKENDS[request.param]


def place_of(backend, cell, dtype):
    """The first device on which the backend runs a cell; none is no failure, but nothing is tested."""
    devices = [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]
    for device in devices:
        if backend.refusal(cell, device, dtype) is None:
            return device
    return pytest.skip(backend.refusal(cell, devices[-1], dtype))


@dataclasses.dataclass(frozen=True)
class Setting:
    """Sizes off every tile and on them, and how the rows run."""

    steps: int
    batch: int
    input_size: int
    hidden_size: int
    ragged: bool = False
    reverse: bool = False

    def problem(self, cell, seed=0):
        """A problem that begins from a state that the cell itself can be in; not every state is one."""
        problem = random_problem(cell, seed, **dataclasses.asdict(self))
        rest = cell.at_rest
        sizes = dataclasses.asdict(dataclasses.replace(self, steps=3, ragged=False, reverse=False))
        before = random_problem(rest, seed + 1, **sizes)
        zero = {key: torch.zeros_like(value) for key, value in before.state.items()}
        _, state = reference.run(rest, {n: problem.parameters[n] for n in rest.parameters}, before.x, zero)
        return problem.replace(state=state)

    def tolerance(self, cell, dtype):
        """In float64 as promised; else two roundings an equation, one a number added up, over steps and rows."""
        parts = max(len(p.columns) for p in cell.parameters.values())
        sums = self.steps * (parts * max(self.hidden_size, self.input_size) + 2 * len(cell.values)) + self.batch
        return 1e-12 if dtype == torch.float64 else torch.finfo(dtype).eps * sums


SETTINGS = [
    Setting(1, 1, 1, 1),
    Setting(5, 3, 3, 17, ragged=True),
    Setting(3, 7, 17, 33, ragged=True, reverse=True),
    Setting(2, 17, 3, 32),
    Setting(4, 4, 33, 3, reverse=True),
]


def results(problem, run, device):
    """The outputs, the last states and every gradient by name, as one dict."""
    problem = problem.to(device)
    leaf = problem.replace(
        parameters={name: p.detach().requires_grad_() for name, p in problem.parameters.items()},
        x=problem.x.detach().requires_grad_(),
        state={key: s.detach().requires_grad_() for key, s in problem.state.items()},
    )
    outputs, last = leaf.run(run)
    given = {"x": leaf.x, **_named("state", leaf.state), **_named("parameter", leaf.parameters)}
    total = loss(outputs, last, leaf)
    found = dict.fromkeys(given)
    if total.requires_grad:
        found = dict(zip(given, torch.autograd.grad(total, list(given.values()), allow_unused=True), strict=True))
    gradients = {f"gradient of {n}": torch.zeros_like(given[n]) if g is None else g for n, g in found.items()}
    found = {"outputs": outputs, **_named("last", last), **gradients}
    return {name: tensor.detach().cpu() for name, tensor in found.items()}


def _named(what, tensors):
    return {f"{what} {name}": tensor for name, tensor in tensors.items()}


def check(backend, problem, dtype=torch.float64, tolerance=1e-12):
    """Compare with the reference in float64, on the numbers that the dtype holds; returns the greatest error."""
    problem = problem.to(dtype)
    found = results(problem, backend.run, place_of(backend, problem.cell, dtype))
    expected = results(problem.to(torch.float64), reference.run, torch.device("cpu"))
    assert all(tensor.dtype == dtype for tensor in found.values())
    gradients = [tensor for name, tensor in expected.items() if name.startswith("gradient")]
    # A gradient that is little beside the others is measured by theirs: it is what is left of a difference of theirs.
    floor = max(0.1 * max(float(g.abs().max()) for g in gradients), 1e-30)
    errors = {
        name: float((found[name].double() - e).abs().max()) / max(float(e.abs().max()), floor)
        for name, e in expected.items()
    }
    wrong = {name: f"{error:.1e}" for name, error in errors.items() if not error <= tolerance}
    assert not wrong, f"{backend.name}, {dtype}: errors {wrong} above {tolerance:.1e}\n{problem.cell}"
    return max(errors.values())


# The catalogue -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@EVERY_CELL
def test_every_cell_of_the_catalogue(backend, cell, dtype):
    worst = 0.0
    for seed, setting in enumerate(SETTINGS):
        worst = max(worst, check(backend, setting.problem(cell, seed), dtype, setting.tolerance(cell, dtype)))
    print(f"{cell.name}, {backend.name}, {dtype}: worst error {worst:.1e}")


@EVERY_CELL
def test_every_cell_of_the_catalogue_when_nothing_is_differentiated(backend, cell):
    """Outputs and last states alone, which may be computed by other code."""
    device, setting = place_of(backend, cell, torch.float32), SETTINGS[2]
    problem = setting.problem(cell).to(torch.float32)
    outputs, last = problem.to(device).run(backend.run)
    expected, expected_last = problem.to(torch.float64).run()
    assert not outputs.requires_grad
    assert list(last) == list(expected_last)
    for found, exact in ((outputs, expected), *((last[key], expected_last[key]) for key in last)):
        error = (found.cpu().double() - exact).abs().max() / exact.abs().max()
        assert error < setting.tolerance(cell, torch.float32)


KINDS = {
    "zoneout": lambda cell: modifiers.zoneout(cell, 0.3),
    "state-dropout": lambda cell: modifiers.state_dropout(cell, 0.3),
    "layer-norm": modifiers.layer_norm,
    "all": lambda cell: modifiers.zoneout(modifiers.state_dropout(modifiers.layer_norm(cell), 0.3), 0.2),
}


def modified():
    """Each cell of the catalogue under one modifier, in turn, that it has something for."""
    for place, cell in enumerate(CATALOGUE.values()):
        reads = any(any(p.recurrent) for p in cell.parameters.values())
        kinds = [kind for kind in KINDS if reads or kind in {"zoneout", "layer-norm"}]
        kind = kinds[place % len(kinds)]
        yield pytest.param(KINDS[kind](cell), id=f"{cell.name}-{kind}")


@pytest.mark.parametrize("cell", list(modified()))
def test_every_cell_of_the_catalogue_modified(backend, cell):
    assert cell.noise or "layer_norm" in str(cell)
    worst = max(check(backend, setting.problem(cell)) for setting in SETTINGS[1:3])
    print(f"{cell.name}, {backend.name}: worst error {worst:.1e}")


@pytest.mark.parametrize("name", OTHERS)
def test_other_cells(backend, name):
    for seed, setting in enumerate(SETTINGS):
        check(backend, setting.problem(OTHERS[name], seed))


# Sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("name", ["lstm", "gru", "min-gru"])
def test_many_units(backend, name, dtype):
    cell, setting = CATALOGUE[name], Setting(2, 13, 1, 100, ragged=True)
    check(backend, setting.problem(cell), dtype, setting.tolerance(cell, dtype))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_thousand_steps(backend, reverse):
    problem = Setting(1000, 3, 2, 5, reverse=reverse).problem(CATALOGUE["gru"])
    check(backend, problem.replace(lengths=torch.tensor([1, 1000, 640])))


@pytest.mark.parametrize("hidden_size", [1, 3, 8, 16, 17, 31, 33, 64])
@pytest.mark.parametrize("batch", [1, 2, 7, 13])
def test_every_tile(backend, batch, hidden_size):
    """Batches and widths that are all of a tile, less than one, and more."""
    check(backend, Setting(2, batch, 3, hidden_size).problem(CATALOGUE["gru"]))


# Random cells --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", range(6))
def test_random_cells(backend, block):
    """Their states may be any; what they read is within the bounds that they are made for."""
    worst = 0.0
    for seed in range(5 * block, 5 * (block + 1)):
        cell = random_cell(seed, noise=True)
        setting = dataclasses.replace(SETTINGS[seed % len(SETTINGS)], ragged=seed % 4 > 0, reverse=seed % 2 == 1)
        if backend.refusal(cell, place_of(backend, CATALOGUE["lstm"], torch.float64), torch.float64) is None:
            worst = max(worst, check(backend, random_problem(cell, seed, **dataclasses.asdict(setting))))
    print(f"{backend.name}: worst error over random cells {worst:.1e}")


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_function_at_its_edges(backend, name):
    """Where a slope is infinite and a mask is 0, a tie, infinity, and what is not a number."""
    problem = edge_problem(name)
    device = place_of(backend, problem.cell, torch.float64)
    assert_same_numbers(results(problem, backend.run, device), results(problem, reference.run, torch.device("cpu")))


@pytest.mark.parametrize("block", range(2))
def test_random_cells_whose_numbers_may_be_infinite(backend, block):
    for seed in range(15 * block, 15 * (block + 1)):
        cell = random_cell(seed, infinite=True)
        if backend.refusal(cell, place_of(backend, CATALOGUE["lstm"], torch.float64), torch.float64) is None:
            problem = random_problem(cell, seed, **dataclasses.asdict(SETTINGS[seed % len(SETTINGS)]))
            device = place_of(backend, cell, torch.float64)
            expected = results(problem, reference.run, torch.device("cpu"))
            assert_same_numbers(results(problem, backend.run, device), expected, tolerance=1e-6)


# What means nothing --------------------------------------------------------------------------------------------------

SOME = {
    "lstm": CATALOGUE["lstm"],
    "gru": CATALOGUE["gru"],
    "further back": CLASSICAL["further back"],
    "dropped": modifiers.state_dropout(CATALOGUE["gru"], 0.3),
}


@pytest.fixture(params=SOME)
def cell(request):
    return SOME[request.param]


def ragged(cell, dtype=torch.float64, **options):
    """Rows of several lengths, one of them the whole length and none as long as a tile has rows."""
    problem = Setting(6, 5, 3, 17, **options).problem(cell, 5).to(dtype)
    return problem.replace(lengths=torch.tensor([4, 1, 6, 3, 4]))


def same(found, expected, tolerance=0.0):
    assert list(found) == list(expected)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=tolerance, atol=tolerance, msg=name)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_padding_never_changes_anything(backend, cell, reverse, poison):
    problem = ragged(cell, reverse=reverse)
    counts = torch.arange(6)[:, None] < problem.lengths

    def poisoned(tensor):
        return torch.where(counts[:, :, None], tensor, poison) if tensor.dim() == 3 else tensor

    other = problem.replace(
        x=poisoned(problem.x),
        noise={name: poisoned(drawn) for name, drawn in problem.noise.items()},
        output_gradients=poisoned(problem.output_gradients),
    )
    device = place_of(backend, cell, torch.float64)
    found = results(other, backend.run, device)
    same(found, results(problem, backend.run, device))
    assert not found["outputs"][~counts].any()
    assert not found["gradient of x"][~counts].any()


def test_a_row_alone_is_the_row_in_the_batch(backend, cell):
    problem, device = ragged(cell), place_of(backend, cell, torch.float64)
    outputs, state = problem.to(device).run(backend.run)
    for row, length in enumerate(problem.lengths.tolist()):
        alone = problem.replace(
            x=problem.x[:length, [row]],
            state={key: s[[row]] for key, s in problem.state.items()},
            lengths=None,
            noise={n: d[:length, [row]] if d.dim() == 3 else d[[row]] for n, d in problem.noise.items()},
        )
        found, last = alone.to(device).run(backend.run)
        same(
            {"outputs": found, **last},
            {"outputs": outputs[:length, [row]], **{k: s[[row]] for k, s in state.items()}},
            1e-13,
        )


def test_chunks_with_the_state_carried_are_the_whole(backend, cell):
    problem, device = ragged(cell).replace(lengths=None), place_of(backend, cell, torch.float64)
    whole, last = problem.to(device).run(backend.run)
    pieces, state = [], problem.state
    for chunk in (slice(0, 1), slice(1, 3), slice(3, 6)):
        noise = {n: d[chunk] if d.dim() == 3 else d for n, d in problem.noise.items()}
        outputs, state = problem.replace(x=problem.x[chunk], state=state, noise=noise).to(device).run(backend.run)
        pieces.append(outputs)
    same({"outputs": torch.cat(pieces), **state}, {"outputs": whole, **last}, 1e-13)


def spread(tensor):
    """The same numbers with gaps between them and the axes the other way round in memory."""
    wide = torch.full((*reversed(tensor.shape), 3), float("nan"), dtype=tensor.dtype)
    view = wide[..., 1].permute(*reversed(range(tensor.dim())))
    view.copy_(tensor)
    assert tensor.numel() == 1 or not view.is_contiguous()
    return view


def test_how_tensors_lie_in_memory_means_nothing(backend, cell):
    problem, device = ragged(cell), place_of(backend, cell, torch.float64)
    other = problem.replace(
        x=spread(problem.x),
        parameters={name: spread(p) for name, p in problem.parameters.items()},
        state={key: spread(s) for key, s in problem.state.items()},
        noise={name: spread(d) for name, d in problem.noise.items()},
        output_gradients=spread(problem.output_gradients),
        state_gradients={key: spread(g) for key, g in problem.state_gradients.items()},
    )
    same(results(other, backend.run, device), results(problem, backend.run, device), 1e-13)


def test_one_number_for_many_is_no_problem(backend, cell):
    """Expanded tensors, whose rows are one and the same memory: as gradients of a sum are, and learned states."""
    problem, device = ragged(cell).replace(lengths=None), place_of(backend, cell, torch.float64)
    other = problem.replace(
        x=problem.x[:1, :1].expand_as(problem.x),
        state={key: s[:1].expand_as(s) for key, s in problem.state.items()},
        output_gradients=torch.ones(1, 1, 1, dtype=torch.float64).expand_as(problem.output_gradients),
    )
    same(results(other, backend.run, device), results(other, reference.run, torch.device("cpu")), 1e-12)


def test_nothing_that_is_given_is_changed(backend, cell):
    problem, device = ragged(cell).to(torch.float64), place_of(backend, cell, torch.float64)
    tensors = [problem.x, *problem.parameters.values(), *problem.state.values(), *problem.noise.values()]
    tensors += [problem.output_gradients, *problem.state_gradients.values()]
    before = [tensor.clone() for tensor in tensors]
    results(problem, backend.run, device)
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))


@pytest.mark.parametrize("where", ["outputs", "last"])
def test_gradients_that_arrive_in_one_place_only(backend, cell, where):
    problem, device = ragged(cell), place_of(backend, cell, torch.float64)
    if where == "outputs":
        problem = problem.replace(state_gradients={})
    else:
        problem = problem.replace(output_gradients=torch.zeros_like(problem.output_gradients))
    same(results(problem, backend.run, device), results(problem, reference.run, torch.device("cpu")), 1e-12)
