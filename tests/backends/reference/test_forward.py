"""The forward pass is what the equations say, read a second time; padding, order and chunks mean nothing."""

import pytest
import torch

from recurra.backends import reference
from recurra.equations import Cell, Noise
from support.classical import CLASSICAL
from support.differences import meaning_of
from support.problems import random_problem
from support.random_cells import random_cell, random_equations

SIZES = [(1, 1, 1, 1), (1, 3, 3, 5), (2, 5, 1, 3), (3, 1, 5, 7), (5, 3, 3, 1), (7, 3, 5, 3), (4, 7, 7, 5)]
"""T, B, I and H."""


def problem_of(cell, seed, **more):
    steps, batch, inputs, hidden = SIZES[seed % len(SIZES)]
    more = {"ragged": seed % 4 > 0, "reverse": seed % 2 == 1, **more}
    return random_problem(cell, seed, steps=steps, batch=batch, input_size=inputs, hidden_size=hidden, **more)


def sequences(cell, seed=5, **more):
    """A problem with rows of several lengths, one of them the whole length."""
    problem = random_problem(cell, seed, steps=6, batch=5, input_size=3, hidden_size=5, **more)
    return problem.replace(lengths=torch.tensor([4, 1, 6, 3, 4]))


def same(found, expected, **tolerance):
    (outputs, state), (expected_outputs, expected_state) = found, expected
    assert list(state) == list(expected_state)
    torch.testing.assert_close(outputs, expected_outputs, **tolerance)
    for key in state:
        torch.testing.assert_close(state[key], expected_state[key], **tolerance)


def check(problem, text=None):
    outputs, state = problem.run()
    expected, last = meaning_of(problem, text)
    torch.testing.assert_close(outputs, torch.from_numpy(expected), rtol=1e-11, atol=1e-12)
    assert list(state) == list(problem.cell.carried)
    assert set(state) == set(last)
    for key in state:
        torch.testing.assert_close(state[key], torch.from_numpy(last[key]), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("block", range(10))
def test_random_cells_do_what_their_text_says(block):
    for seed in range(30 * block, 30 * (block + 1)):
        written = random_equations(seed, smooth=True, noise=True)
        try:
            check(problem_of(written.cell(), seed), written.text)
        except Exception as error:
            raise AssertionError(f"seed {seed}\n{written.text}") from error


@pytest.mark.parametrize("name", CLASSICAL)
@pytest.mark.parametrize("seed", range(len(SIZES)))
def test_known_cells_do_what_their_text_says(name, seed):
    check(problem_of(CLASSICAL[name], seed))


CELLS = {**CLASSICAL, **{f"random {seed}": random_cell(seed, noise=True) for seed in range(12)}}


@pytest.fixture(params=CELLS)
def cell(request):
    return CELLS[request.param]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_padding_never_changes_anything(cell, reverse, poison):
    """Whatever stands past a row's end, in the inputs, the noise or the gradients at the outputs."""
    problem = sequences(cell, reverse=reverse)
    counts = torch.arange(6)[:, None] < problem.lengths

    def poisoned(tensor):
        return torch.where(counts[:, :, None], tensor, poison) if tensor.dim() == 3 else tensor

    other = problem.replace(
        x=poisoned(problem.x),
        noise={name: poisoned(drawn) for name, drawn in problem.noise.items()},
        output_gradients=poisoned(problem.output_gradients),
    )
    same(other.run(), problem.run(), rtol=0, atol=0)
    for gradients in ("autograd", "backpropagate"):
        found, expected = getattr(other, gradients)(), getattr(problem, gradients)()
        for name in expected:
            assert torch.equal(found[name], expected[name]), (gradients, name)
        assert not found["x"][~counts].any()
    outputs, _ = other.run()
    assert not outputs[~counts].any()


@pytest.mark.parametrize("reverse", [False, True])
def test_a_row_alone_is_the_row_in_the_batch(cell, reverse):
    problem = sequences(cell, reverse=reverse)
    outputs, state = problem.run()
    for row, length in enumerate(problem.lengths.tolist()):
        alone = problem.replace(
            x=problem.x[:length, [row]],
            state={key: s[[row]] for key, s in problem.state.items()},
            lengths=None,
            noise={n: d[:length, [row]] if d.dim() == 3 else d[[row]] for n, d in problem.noise.items()},
        )
        found = alone.run()
        same(found, (outputs[:length, [row]], {k: s[[row]] for k, s in state.items()}), rtol=1e-12, atol=1e-12)


def test_rows_may_come_in_any_order(cell):
    problem = sequences(cell)
    order = torch.tensor([3, 0, 4, 2, 1])
    mixed = problem.replace(
        x=problem.x[:, order],
        state={key: s[order] for key, s in problem.state.items()},
        lengths=problem.lengths[order],
        noise={n: d[:, order] if d.dim() == 3 else d[order] for n, d in problem.noise.items()},
    )
    outputs, state = problem.run()
    same(mixed.run(), (outputs[:, order], {k: s[order] for k, s in state.items()}), rtol=1e-12, atol=1e-12)


def test_lengths_that_are_all_the_whole_are_no_lengths(cell):
    problem = sequences(cell).replace(lengths=None)
    same(problem.replace(lengths=torch.full((5,), 6)).run(), problem.run(), rtol=0, atol=0)


def test_chunks_with_the_state_carried_are_the_whole(cell):
    """Every lag's state goes over the border between two chunks."""
    problem = sequences(cell).replace(lengths=None)
    whole, last = problem.run()
    pieces, state = [], problem.state
    for chunk in (slice(0, 1), slice(1, 3), slice(3, 6)):
        noise = {n: d[chunk] if d.dim() == 3 else d for n, d in problem.noise.items()}
        outputs, state = problem.replace(x=problem.x[chunk], state=state, noise=noise).run()
        pieces.append(outputs)
    same((torch.cat(pieces), state), (whole, last), rtol=1e-12, atol=1e-12)


def test_reversed_is_the_flipped_sequence_flipped_back(cell):
    problem = sequences(cell).replace(lengths=None)
    noise = {n: d.flip(0) if d.dim() == 3 else d for n, d in problem.noise.items()}
    flipped = problem.replace(x=problem.x.flip(0), noise=noise)
    outputs, state = flipped.run()
    same(problem.replace(reverse=True).run(), (outputs.flip(0), state), rtol=1e-12, atol=1e-12)


def test_nothing_that_is_given_is_changed(cell):
    problem = sequences(cell)
    copy = problem.to(torch.float64).replace(
        x=problem.x.clone(),
        parameters={n: p.clone() for n, p in problem.parameters.items()},
        state={k: s.clone() for k, s in problem.state.items()},
        output_gradients=problem.output_gradients.clone(),
        state_gradients={k: g.clone() for k, g in problem.state_gradients.items()},
    )
    problem.run()
    problem.backpropagate()
    assert torch.equal(problem.x, copy.x)
    assert torch.equal(problem.output_gradients, copy.output_gradients)
    for part in ("parameters", "state", "state_gradients"):
        assert all(torch.equal(t, getattr(copy, part)[n]) for n, t in getattr(problem, part).items()), part


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_dtype_and_shapes_are_kept(cell, dtype, ragged):
    problem = sequences(cell).to(dtype)
    problem = problem if ragged else problem.replace(lengths=None)
    outputs, state = problem.run()
    assert (outputs.dtype, outputs.shape) == (dtype, (6, 5, 5))
    assert all((s.dtype, s.shape) == (dtype, (5, 5)) for s in state.values())
    for gradients in (problem.autograd(), problem.backpropagate()):
        assert all(g.dtype == dtype for g in gradients.values())


@pytest.mark.parametrize("device", ["meta", *(["cuda"] if torch.cuda.is_available() else [])])
@pytest.mark.parametrize("name", [name for name in CELLS if name not in CLASSICAL or name in ("lstm", "further back")])
def test_everything_stays_on_the_device_it_is_given_on(name, device):
    """On the device "meta" nothing is computed, and whatever was made elsewhere would be refused."""
    problem = random_problem(CELLS[name], 5, steps=2, batch=2, input_size=3, hidden_size=5).to(torch.device(device))
    problem = problem.replace(lengths=None) if device == "meta" else problem
    outputs, state = problem.run()
    tensors = [outputs, *state.values(), *problem.autograd().values(), *problem.backpropagate().values()]
    assert {t.device.type for t in tensors} == {device}


def test_single_precision_is_as_good_as_it_can_be():
    """The worst figure over many cells of the difference to double precision."""
    worst = 0.0
    for seed in range(60):
        problem = problem_of(random_cell(seed, smooth=True, noise=True), seed)
        outputs, state = problem.to(torch.float32).run()
        expected, last = problem.run()
        for found, exact in ((outputs, expected), *((state[k], last[k]) for k in state)):
            worst = max(worst, float((found.double() - exact).abs().max()))
    print(f"worst difference of float32 from float64 over 60 random cells, values within 2: {worst:.1e}")
    assert worst < 5e-6


@pytest.mark.parametrize("seed", range(30))
def test_a_cell_at_rest_is_the_cell_with_every_noise_at_its_mean(seed):
    cell = random_cell(seed, smooth=True, noise=True)
    problem = problem_of(cell, seed)
    means = {name: torch.full_like(problem.noise[name], noise.mean) for name, noise in cell.noise.items()}
    expected = problem.replace(noise=means).run()
    same(problem.replace(cell=cell.at_rest, noise=None).run(), expected, rtol=1e-11, atol=1e-12)


def test_a_noise_of_a_step_and_one_of_a_sequence():
    cell = Cell(
        "h[t] = each[t] * h[t-1] + row[t]",
        noise={"each": Noise(0.5, 1.0, 0.5, "step"), "row": Noise(0.5, 1.0, 0.5, "sequence")},
    )
    each = torch.tensor([[[1.0]], [[0.0]], [[2.0]]])
    outputs, state = reference.run(
        cell,
        {},
        torch.zeros(3, 1, 1),
        {"h": torch.tensor([[10.0]])},
        noise={"each": each, "row": torch.tensor([[0.5]])},
    )
    assert outputs.flatten().tolist() == [10.5, 0.5, 1.5]
    assert state["h"].item() == 1.5


def test_lags_reach_back_before_the_first_step():
    cell = Cell("h[t] = h[t-3] + W @ x[t]")
    state = {"h": 3.0, "h[t-1]": 2.0, "h[t-2]": 1.0}
    outputs, last = reference.run(
        cell,
        {"W": torch.ones(1, 1)},
        torch.tensor([10.0, 20, 30, 40, 50]).reshape(5, 1, 1),
        {key: torch.tensor([[value]]) for key, value in state.items()},
    )
    assert outputs.flatten().tolist() == [11.0, 22.0, 33.0, 51.0, 72.0]
    assert {key: value.item() for key, value in last.items()} == {"h": 72.0, "h[t-1]": 51.0, "h[t-2]": 33.0}
    _, last = reference.run(
        cell,
        {"W": torch.ones(1, 1)},
        torch.tensor([10.0, 20]).reshape(2, 1, 1),
        {key: torch.tensor([[value]]) for key, value in state.items()},
    )
    assert {key: value.item() for key, value in last.items()} == {"h": 22.0, "h[t-1]": 11.0, "h[t-2]": 3.0}


def test_a_cell_that_reads_no_input_and_one_that_learns_nothing():
    x = torch.full((3, 2, 4), torch.nan)
    outputs, state = reference.run(Cell("h[t] = h[t-1] / 2"), {}, x, {"h": torch.ones(2, 5)})
    assert outputs.shape == (3, 2, 5)
    assert outputs[:, 0, 0].tolist() == [0.5, 0.25, 0.125]
    assert torch.equal(state["h"], outputs[-1])
    outputs, state = reference.run(Cell("h[t] = tanh(b)"), {"b": torch.ones(5)}, x, {})
    assert outputs.shape == (3, 2, 5)
    assert state == {}


HALVES = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
NORMALISED = Cell("h[t] = 0.5 * h[t-1] + layer_norm(W @ x[t])")


def large_problem(dtype):
    """Inputs whose squares are no numbers of float16, exactly representable in half precision."""
    problem = random_problem(NORMALISED, 0, steps=3, batch=2, input_size=4, hidden_size=6, ragged=False)
    return problem.replace(x=problem.x * 300).to(dtype)


@HALVES
def test_squares_that_half_precision_has_no_numbers_for_are_summed_in_float32(dtype):
    problem = large_problem(dtype)
    outputs, last = problem.run()
    expected, _ = problem.to(torch.float64).run()
    assert outputs.dtype == last["h"].dtype == dtype
    torch.testing.assert_close(outputs.double(), expected, rtol=0, atol=8 * torch.finfo(dtype).eps)


@HALVES
@pytest.mark.parametrize("way", ["autograd", "backpropagate"])
def test_so_are_their_gradients(way, dtype):
    problem = large_problem(dtype)
    expected = problem.to(torch.float64).autograd()
    for name, gradient in getattr(problem, way)().items():
        assert gradient.dtype == dtype
        error = (gradient.double() - expected[name]).abs().max() / expected[name].abs().max()
        assert error < 30 * torch.finfo(dtype).eps, name


@HALVES
def test_a_chain_of_calls_in_half_precision_carries_what_one_call_does(dtype):
    problem = large_problem(dtype)
    outputs, last = problem.run()
    first, state = problem.replace(x=problem.x[:1]).run()
    rest, end = problem.replace(x=problem.x[1:], state=state).run()
    assert torch.equal(torch.cat([first, rest]), outputs)
    assert torch.equal(end["h"], last["h"])


def test_a_state_that_is_returned_is_never_the_one_that_was_given():
    cell = Cell("h[t] = tanh(W @ [h[t-1], h[t-2], x[t]])")
    parameters = {"W": torch.randn(3, 8)}
    state = {key: torch.randn(2, 3) for key in cell.carried}
    before = {key: rows.clone() for key, rows in state.items()}
    _, last = reference.run(cell, parameters, torch.randn(1, 2, 2), state)
    for rows in last.values():
        rows.zero_()
    assert all(torch.equal(state[key], before[key]) for key in state)
