"""What a layer asks of a backend: a state that is not given is zero, and the last one has an axis for layers."""

import pytest
import torch

from recurra import Recurrent, cells
from recurra.backends import reference
from recurra.backends.choose import BACKENDS
from recurra.backends.job import Job, one_by_one
from support.problems import random_problem

EACH = pytest.mark.parametrize("name", BACKENDS)


def job(problem, given):
    return Job(problem.cell, problem.hidden_size, problem.parameters, problem.x, given, problem.lengths)


@EACH
@pytest.mark.parametrize("given", [(), ("h",), ("h", "memory")])
@pytest.mark.parametrize("ragged", [False, True])
def test_a_state_that_is_not_given_is_zero(name, given, ragged):
    problem = random_problem(cells.LSTM, 3, steps=4, batch=3, input_size=2, hidden_size=5, ragged=ragged)
    assert set(problem.state) == {"h", "memory"}
    state = {key: problem.state[key] if key in given else torch.zeros_like(problem.state[key]) for key in problem.state}
    expected, ended = problem.replace(state=state).run()
    ((outputs, last),) = BACKENDS[name].all([job(problem, {key: problem.state[key] for key in given})])
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
    assert {key: rows.shape for key, rows in last.items()} == dict.fromkeys(ended, (1, 3, 5))
    for key, rows in ended.items():
        torch.testing.assert_close(last[key][0], rows, rtol=0, atol=1e-12)


def test_jobs_run_one_by_one_where_there_is_nothing_else():
    problems = [random_problem(cells.GRU, seed, steps=3, batch=2, input_size=2, hidden_size=4) for seed in (1, 2)]
    found = one_by_one(reference.run, [job(problem, problem.state) for problem in problems])
    for (outputs, last), problem in zip(found, problems, strict=True):
        expected, ended = problem.replace(noise=None).run()
        assert torch.equal(outputs, expected)
        assert torch.equal(last["h"], ended["h"].unsqueeze(0))


@EACH
def test_a_last_state_may_be_changed_in_place(name):
    """It is nothing that a later call reads."""
    layer, x = Recurrent("lstm", 2, 4, backend=name), torch.randn(3, 5, 2)
    with torch.no_grad():
        first, state = layer(x)
        for rows in state.values():
            rows.fill_(torch.nan)
        assert torch.equal(layer(x)[0], first)


def test_what_inference_has_made_serves_a_gradient():
    """Zeros are kept from call to call, and a tensor that is made in inference mode cannot be kept for a gradient."""
    layer, x = Recurrent("gru", 3, 6, backend="cpu"), torch.randn(2, 23, 3)
    with torch.inference_mode():
        outputs, _ = layer(x)
    found, state = layer(x)
    assert torch.equal(found, outputs)
    torch.autograd.backward([found.sum(), state["h"].sum()])
    assert all(p.grad is not None for p in layer.parameters())
