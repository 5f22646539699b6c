"""Memory that calls give back and take again: never twice at once, never much more than was held at one time."""

import gc
import os
import signal
import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.backends.cpu import spare
from recurra.backends.cpu.spare import LEAST, LENT, SLACK, Pool, Shelf, give, lend, release, take
from recurra.nn import Recurrent


@pytest.fixture(autouse=True)
def empty():
    release()
    yield
    release()


def held():
    return spare._WORK.held()


def rows(*shape, dtype=torch.float32):
    """Something of a shape."""
    return torch.zeros((), dtype=dtype).expand(shape)


def places_of(pool):
    pool.held()
    return [block.data_ptr() for block in pool.blocks]


def test_what_fits_is_taken_again_the_closest_first():
    small, large = take(LEAST, torch.float32), take(3 * LEAST // 2, torch.float32)
    give(large)
    give(small)
    assert take(LEAST, torch.float32) is small
    assert take(LEAST, torch.float32) is large
    assert not held()


@pytest.mark.parametrize(
    ("numbers", "dtype"), [(LEAST + 1, torch.float32), (LEAST, torch.float64), (LEAST - 1, torch.float32)]
)
def test_what_does_not_fit_is_not_taken(numbers, dtype):
    block = take(LEAST, torch.float32)
    give(block)
    other = take(numbers, dtype)
    assert other is not block
    assert (len(other), other.dtype) == (numbers, dtype)


def test_what_is_much_too_large_is_left_for_others():
    block = take(2 * LEAST + 1, torch.float32)
    give(block)
    assert take(LEAST, torch.float32) is not block


def test_a_little_memory_is_not_kept():
    give(take(LEAST - 1, torch.float32))
    assert not held()


@given(st.lists(st.tuples(st.booleans(), st.integers(LEAST, 60 * LEAST)), max_size=40))
def test_never_twice_at_once_and_never_much_more_than_was_held_at_one_time(events):
    pool = Pool(loose=2)
    taken, most = [], 0
    for takes, numbers in events:
        if takes or not taken:
            taken.append(pool.take(numbers, torch.float32))
            assert len(taken[-1]) >= numbers
        else:
            pool.give(taken.pop(numbers % len(taken)))
        in_use = sum(block.nbytes for block in taken)
        most = max(most, in_use)
        assert in_use + pool.held() <= most + SLACK
        places = [block.data_ptr() for block in taken] + places_of(pool)
        assert len(set(places)) == len(places)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 70)), max_size=40))
def test_a_shelf_keeps_what_was_put_last_and_gives_everything_back_once(events):
    shelf, held, gone = Shelf(most=100), {}, []
    for number, (key, size) in enumerate(events):
        if size > 60:  # take
            assert shelf.take(key) == (held.pop(key)[0] if key in held else None)
            continue
        for old in [held.pop(key)[0]] if key in held else []:
            gone.append(old)
        held[key] = number, size
        while sum(size for _, size in held.values()) > 100:
            gone.append(held.pop(next(iter(held)))[0])
        assert shelf.put(key, number, size) == gone
        gone.clear()
        assert shelf.bytes == sum(size for _, size in held.values())
    shelf.release()
    assert shelf.bytes == 0
    assert all(shelf.take(key) is None for key in held)


def test_what_is_too_large_for_a_shelf_is_given_back_at_once():
    shelf = Shelf(most=100)
    assert shelf.put("small", 1, 10) == []
    assert shelf.put("large", 2, 101) == [1, 2]


def test_layers_that_take_turns_keep_what_they_need():
    small = take(LEAST, torch.float32)
    first = small.data_ptr()
    give(small)
    for _ in range(3):
        large = take(8 * LEAST, torch.float32)
        give(large)
        small = take(LEAST, torch.float32)
        assert small.data_ptr() == first
        give(small)


def test_what_was_lent_comes_back_with_its_last_view():
    lent = lend(rows(4, LEAST))
    place, part = lent.data_ptr(), lent[2, 5:]
    del lent
    gc.collect()
    other = lend(rows(4, LEAST))
    assert other.data_ptr() != place
    part.fill_(1.0)
    del part
    assert lend(rows(2, 2, LEAST)).data_ptr() == place


def test_what_was_lent_is_a_tensor_like_others():
    lent = lend(rows(3, LEAST, dtype=torch.float64))
    assert (lent.shape, lent.dtype) == ((3, LEAST), torch.float64)
    assert lent.is_contiguous()
    assert lent._base is None  # not a view, which could not be changed in place
    few = lend(rows(2, 3))
    assert few.shape == (2, 3)


def test_of_what_is_given_back_together_only_so_much_is_kept():
    collected = [lend(rows(16 * LEAST)) for _ in range(20)]
    assert sum(t.nbytes for t in collected) > LENT
    del collected
    assert LENT - 16 * LEAST * 4 < spare._RESULTS.held() <= LENT


def test_memory_of_inference_serves_training():
    with torch.inference_mode():
        block = take(LEAST, torch.float32)
    assert not block.is_inference()


def test_threads_never_share_a_block():
    shared, lock, faults = set(), threading.Lock(), []

    def work():
        for _ in range(200):
            block = take(LEAST, torch.float32)
            with lock:
                faults.extend([block.data_ptr()] * (block.data_ptr() in shared))
                shared.add(block.data_ptr())
            with lock:
                shared.remove(block.data_ptr())
            give(block)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system copies no processes")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_process_that_is_copied_while_a_thread_takes_memory_can_take_some_too():
    with spare._WORK._lock, spare._RESULTS._lock:
        child = os.fork()
        if not child:
            signal.alarm(5)
            os._exit(len(take(LEAST, torch.float32)) + len(lend(rows(LEAST))) != 2 * LEAST)
    assert os.waitpid(child, 0)[1] == 0


def gradients(layer, x):
    outputs, _ = layer(x)
    return [g.clone() for g in torch.autograd.grad(outputs.square().sum(), [*layer.parameters(), x])]


def test_training_takes_the_same_memory_again_and_gives_the_same_gradients(monkeypatch):
    """Also where a graph is gone through twice, and where one is left without a backward pass."""
    monkeypatch.setattr(spare, "LEAST", 64)
    layer, x = Recurrent("lstm", 5, 7), torch.randn(3, 11, 5, requires_grad=True)
    expected = gradients(layer, x)
    kept = {*places_of(spare._WORK)}
    assert kept
    layer(x)  # never gone back through
    for _ in range(3):
        assert all(torch.equal(a, b) for a, b in zip(gradients(layer, x), expected, strict=True))
    outputs, _ = layer(x)
    loss = outputs.square().sum()
    for _ in range(2):
        found = torch.autograd.grad(loss, [*layer.parameters(), x], retain_graph=True)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    one, two = layer(x)[0], layer(x)[0]
    for outputs in (one, two):
        found = torch.autograd.grad(outputs.square().sum(), [*layer.parameters(), x])
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
