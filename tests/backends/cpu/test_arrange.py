"""Where everything is that a call needs: shared out, laid out, and used again."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra import Recurrent, cells
from recurra.backends.cpu import arrange as module
from recurra.backends.cpu.arrange import arrange
from recurra.backends.cpu.arrangement import KEPT, shared_rows
from recurra.backends.cpu.gradients import ROWS
from recurra.backends.cpu.prepare import prepare
from recurra.backends.cpu.sources import covered, matrix_sources
from recurra.backends.layout import Layout
from recurra.cells import CATALOGUE, modifiers
from support.classical import CLASSICAL
from support.odd_cells import ODD

LOOPS = ("forward", "training", "backward")
EVEN = Layout.of(3, 3, None)
EVERY_CELL = pytest.mark.parametrize("cell", CATALOGUE.values(), ids=CATALOGUE)


def laid_out(lengths):
    return Layout.of(max(lengths), len(lengths), torch.tensor(lengths))


def arranged(cell, which="forward", lengths=(3, 3, 3), hidden=17, most=1, inputs=3):
    prepared = prepare(cell, True, inputs, hidden)
    wanted = (True,) * len(prepared.names) if which == "backward" else ()
    return arrange(prepared, which, laid_out(lengths), False, most, wanted)


# How many threads, and what they share out ---------------------------------------------------------------------------


def shared_out(cell, batch, steps, hidden, most, which="forward"):
    """How many threads run a loop, and whether they share out units."""
    found = arranged(cell, which, (steps,) * batch, hidden, most, inputs=hidden)
    words = np.frombuffer(found.words, np.int64)
    assert words[found.kernel.slots["threads"]] == found.used
    return found.used, bool(words[found.kernel.slots["by_units"]])


def test_little_work_is_done_by_one_thread():
    for cell in (cells.LSTM, cells.MinGRU):
        assert shared_out(cell, batch=1, steps=1, hidden=16, most=4) == (1, False)
        assert shared_out(cell, batch=32, steps=100, hidden=128, most=1) == (1, False)


def test_many_rows_are_shared_out_and_few_are_not_where_units_are_better():
    assert shared_out(cells.LSTM, batch=256, steps=20, hidden=128, most=4) == (4, False)
    assert shared_out(cells.LSTM, batch=3, steps=200, hidden=32, most=4) == (3, False)
    assert shared_out(cells.LSTM, batch=1, steps=20, hidden=512, most=4) == (4, True)
    assert shared_out(cells.LSTM, batch=5, steps=20, hidden=512, most=4, which="backward") == (4, True)


def test_units_over_which_there_is_a_mean_are_never_shared_out():
    """Each thread would have to have all of them."""
    cell = modifiers.layer_norm(cells.LSTM)
    assert any(stage.means for stage in prepare(cell, True, 512, 512).plan.forward.stages)
    for which in LOOPS:
        assert shared_out(cell, batch=1, steps=20, hidden=512, most=4, which=which) == (1, False)


LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=20).map(lambda lengths: sorted(lengths, reverse=True))


@given(LENGTHS, st.integers(1, 6), st.booleans())
def test_rows_are_shared_out_so_that_all_have_about_the_same_number_of_steps(lengths, parts, in_turn):
    parts = min(parts, len(lengths))
    sizes = [sum(length > t for length in lengths) for t in range(lengths[0])]
    shared = shared_rows(sizes, len(lengths), parts, in_turn=in_turn)
    rows = [list(range(first, end, parts if in_turn else 1)) for first, end, _ in shared]
    assert sorted(itertools.chain(*rows)) == list(range(len(lengths)))
    assert [before for *_, before in shared] == [sum(map(len, rows[:k])) for k in range(parts)]
    loads = [sum(lengths[row] for row in own) for own in rows]
    assert max(loads) <= sum(lengths) / parts + max(lengths)


@given(st.integers(1, 50), st.integers(1, 8))
def test_rows_of_one_length_are_shared_out_evenly(batch, parts):
    parts = min(parts, batch)
    counts = np.diff([first for first, *_ in shared_rows([batch] * 3, batch, parts, in_turn=False)] + [batch])
    assert counts.sum() == batch
    assert counts.max() - counts.min() <= 1


# What the words say --------------------------------------------------------------------------------------------------

CELLS = {
    **CATALOGUE,
    "normalised and dropped": modifiers.zoneout(modifiers.layer_norm(cells.GRU), 0.3),
    "further back": CLASSICAL["further back"],
}


@pytest.mark.parametrize("units", [False, True])
@pytest.mark.parametrize("which", LOOPS)
@pytest.mark.parametrize("name", CELLS)
def test_every_array_has_a_place_of_its_own(name, which, units, shared, monkeypatch):
    rooms, own = [], module._Arranger._room

    def room(arranger, array, numbers):
        own(arranger, array, numbers)
        rooms.append((arranger.places[array], arranger.places[array] + numbers, array))

    monkeypatch.setattr(module._Arranger, "_room", room)
    with shared(2, units=units):
        found = arranged(CELLS[name], which)
    assert len(rooms) == len(found.places)
    for (_, end, _), (begin, _, _) in itertools.pairwise(sorted(rooms)):
        assert end <= begin
    assert max((end for _, end, _ in rooms), default=0) <= found.space
    # What is beside a vector of another array would be fetched with it.
    assert all(begin % 16 == 0 for begin, _, _ in rooms)


@pytest.mark.parametrize("which", LOOPS)
@pytest.mark.parametrize("name", CELLS)
def test_a_word_is_a_number_or_one_address(name, which):
    cell = CELLS[name]
    found = arranged(cell, which)
    fixes = [fix.word for fix in (*found.own, *found.given)]
    assert len(set(fixes)) == len(fixes)
    words = np.frombuffer(found.words, np.int64)
    assert not words[fixes].any()
    slots = found.kernel.slots
    arrays = [
        name
        for name in slots
        if name.startswith(("ring.", "noise.", "before.", "after.", "operand.", "input.", "panel."))
    ]
    assert {slots[array] for array in (*arrays, "sync", "packs", "tasks", "lines", "starts")} <= set(fixes)
    begin, end = found.sync
    assert end == len(found.words) if which == "backward" else begin == end, "one thread counts nothing but its tasks"
    assert {fix.array for fix in found.own} <= {*found.places, "words", "lines"}


def test_what_is_arranged_once_is_arranged_for_all_that_are_alike():
    assert arranged(cells.GRU) is arranged(cells.GRU)
    assert arranged(cells.GRU) is not arranged(cells.GRU, lengths=(3, 3))
    ragged = arranged(cells.GRU, lengths=(3, 1, 2))
    assert ragged is not arranged(cells.GRU)
    assert ragged is arranged(cells.GRU, lengths=(5, 2, 2))  # what rows run when is written at every call
    assert ragged is not arranged(cells.GRU, lengths=(50, 2, 2))
    assert arranged(cells.GRU) is not arranged(cells.GRU, "training")


# Memory that is used again -------------------------------------------------------------------------------------------


@pytest.fixture
def fresh():
    """An arrangement whose memory nobody has used."""
    module._arrange.cache_clear()
    yield arranged(cells.GRU)
    module._arrange.cache_clear()


def test_memory_is_used_again_when_it_is_free_and_not_before(fresh):
    one, two = fresh.memory(EVEN), fresh.memory(EVEN)
    assert one is not two
    assert one.address != two.address
    assert one.space.data_ptr() != two.space.data_ptr()
    fresh.give_back(one)
    assert fresh.memory(EVEN) is one
    assert fresh.memory(EVEN) not in (one, two)


def test_the_counters_of_memory_that_is_used_again_begin_at_zero(fresh):
    memory = fresh.memory(EVEN)
    first, end = (place // 8 for place in fresh.sync)
    before = list(memory.words)
    assert not any(before[first:end])
    memory.words[first:end] = [7] * (end - first)
    fresh.give_back(memory)
    assert list(fresh.memory(EVEN).words) == before


def test_no_more_memory_is_kept_than_can_be_of_use(fresh):
    several = [fresh.memory(EVEN) for _ in range(5)]
    for memory in several:
        fresh.give_back(memory)
    assert len(fresh.free) <= 2
    large = arranged(cells.GRU, hidden=512)
    assert large.space > KEPT
    large.give_back(large.memory(EVEN))
    assert not large.free


# The gradients of matrices -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [*CATALOGUE.values(), *CLASSICAL.values(), *ODD.values()])
def test_the_columns_of_a_matrix_that_have_a_gradient(cell):
    """Each block is one job, and none overlap; a matrix of which some columns have none is told from others."""
    prepared = prepare(cell, True, 3, 5)
    for name, parameter in cell.parameters.items():
        if parameter.kind == "matrix":
            reached = torch.zeros(sum(parameter.column_sizes(3, 5)), dtype=torch.int64)
            for matrix, start, stop in matrix_sources(prepared):
                if matrix == name:
                    reached[start:stop] += 1
            assert reached.max() <= 1
            assert covered(prepared, name) == bool(reached.all())


@pytest.mark.parametrize("lengths", [(40,) * 3, (40, 1, 30), (1, 1, 2), (48, 47, 1)])
@pytest.mark.parametrize("hidden", [1, ROWS, ROWS + 1, 3 * ROWS])
def test_every_row_of_a_gradient_is_one_task_s(hidden, lengths):
    """No task has more rows than it has room for."""
    found = arranged(cells.RNN, "backward", lengths, hidden)
    memory = found.memory(laid_out(lengths))
    words, slots = list(memory.words), found.kernel.slots
    first = (words[slots["tasks"]] - memory.address) // 8
    tasks = [words[first + 4 * k : first + 4 * k + 4] for k in range(words[slots["tasks.count"]])]
    by_job = {}
    for function, job, begin, end in tasks:
        by_job.setdefault((function, job), []).append((begin, end))
    gradient = module.matrix_function("gradient", True)
    for (function, _), parts in by_job.items():
        rows = hidden if function == gradient else sum(lengths)
        assert [row for begin, end in parts for row in range(begin, end)] == list(range(rows))
        assert all(end - begin <= ROWS for begin, end in parts)
    # Both parts of the matrix are of one job, since they share what its rows are made of.
    assert sum(function == gradient for function, _ in by_job) == 1
    assert len(by_job) == 2


def test_batches_of_other_lengths_between_change_nothing():
    """The call's memory is used again: what was longer before, shorter, or in another order."""
    layer = Recurrent("gru", 5, 17, backend="cpu")
    x = torch.randn(6, 30, 5, generator=torch.Generator().manual_seed(1), requires_grad=True)

    def gradients(lengths):
        output = layer(x, lengths=torch.tensor(lengths))[0]
        return [output, *torch.autograd.grad(output.square().sum(), [x, *layer.parameters()])]

    several = [(30, 1, 20, 7, 7, 2), (2, 30, 1, 1, 1, 1), (30,) * 6, (29, 30, 28, 30, 30, 30), (17, 18, 19, 20, 21, 30)]
    first = [gradients(lengths) for lengths in several]
    for lengths, expected in reversed(list(zip(several, first, strict=True))):
        assert all(map(torch.equal, gradients(lengths), expected))
    layer.backend = "reference"
    for lengths, expected in zip(several, first, strict=True):
        assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(gradients(lengths), expected, strict=True))
