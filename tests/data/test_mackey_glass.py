import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from recurra.data.mackey_glass import mackey_glass
from recurra.errors import SettingError


def solution(until, delay=17.0, history=1.2):
    """The solution at 0, 1, ..., by SciPy: one ordinary equation after another, each driven by the one before."""
    pieces = [lambda t: [history]]
    while len(pieces) - 1 < until / delay:

        def slope(t, y, past=pieces[-1]):
            delayed = past(t - delay)[0]
            return 0.2 * delayed / (1 + delayed**10) - 0.1 * y

        start = (len(pieces) - 1) * delay
        span = (start, start + delay)
        solved = solve_ivp(slope, span, pieces[-1](start), method="DOP853", rtol=1e-13, atol=1e-14, dense_output=True)
        pieces.append(solved.sol)
    values = [pieces[1 + min(int(t // delay), len(pieces) - 2)](t)[0] for t in range(until)]
    return torch.tensor(values, dtype=torch.float64)


def test_runge_kutta_agrees_with_scipy_and_both_schemes_have_their_order():
    exact = solution(120)

    def error(scheme, substeps):
        return float((mackey_glass(120, scheme=scheme, substeps=substeps, discard=0) - exact).abs().max())

    errors = {scheme: [error(scheme, n) for n in (4, 8, 16, 32)] for scheme in ("runge-kutta", "euler")}
    print(f"\nMackey-Glass, largest error over 120 units of time with 4, 8, 16, 32 substeps: {errors}")
    assert error("runge-kutta", 10) < 1e-8
    assert all(3.7 < math.log2(a / b) < 4.3 for a, b in itertools.pairwise(errors["runge-kutta"]))
    assert all(0.8 < math.log2(a / b) < 1.2 for a, b in itertools.pairwise(errors["euler"]))


@given(st.integers(1, 400), st.integers(1, 10), st.floats(0, 1.5), st.integers(1, 50), st.sampled_from([0, 1, 7]))
@settings(max_examples=25)
def test_eulers_scheme_is_the_recursion_of_the_report(lag, substeps, history, steps, discard):
    y = [history] * (lag + 1)
    for n in range((steps + discard) * substeps):
        y.append(y[-1] + (0.2 * y[n] / (1 + y[n] ** 10) - 0.1 * y[-1]) / substeps)
    expected = torch.tensor(y[lag::substeps][discard : discard + steps], dtype=torch.float64)
    series = mackey_glass(steps, lag / substeps, scheme="euler", substeps=substeps, history=history, discard=discard)
    torch.testing.assert_close(series, expected, rtol=1e-9, atol=1e-12)


@given(st.floats(0, 2), st.sampled_from([0.5, 3.0, 17.0, 40.0]))
@settings(max_examples=20)
def test_over_the_first_delay_the_solution_is_known(history, delay):
    series = mackey_glass(int(delay) + 1, delay, substeps=40, history=history, discard=0)
    rest = 2 * history / (1 + history**10)
    expected = rest + (history - rest) * torch.exp(-0.1 * torch.arange(int(delay) + 1, dtype=torch.float64))
    torch.testing.assert_close(series, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("scheme", ["runge-kutta", "euler"])
@pytest.mark.parametrize("history", [0.0, 1.0])
def test_a_path_that_begins_at_a_fixed_point_stays_there(scheme, history):
    series = mackey_glass(50, scheme=scheme, history=history, discard=0)
    torch.testing.assert_close(series, torch.full_like(series, history), rtol=0, atol=1e-12)


def test_what_is_discarded_is_the_beginning():
    assert torch.equal(mackey_glass(30, discard=50), mackey_glass(80, discard=0)[50:])
    assert mackey_glass(1, discard=0).tolist() == [1.2]


def test_whole_numbers_are_numbers():
    assert torch.equal(mackey_glass(50, 17, history=2), mackey_glass(50, 17.0, history=2.0))


def test_it_is_chaotic_at_a_delay_of_17_and_periodic_at_8():
    def growth(delay):
        first, second = (mackey_glass(3000, delay, history=h, discard=2000)[-500:] for h in (1.2, 1.2 + 1e-10))
        return float((first - second).abs().max())

    assert growth(8) < 1e-8
    assert growth(17) > 1e-3


def test_the_beginning_may_be_far_from_the_attractor():
    for history in (1e200, -1e200, 50.0):
        series = mackey_glass(10, history=history, discard=2000 if abs(history) < 100 else 0)
        assert series.isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps is 0; it is a whole number from 1"),
        ({"steps": 2.5}, "steps is 2.5; it is a whole number from 1"),
        ({"steps": 5, "substeps": True}, "substeps is True; it is a whole number from 1"),
        ({"steps": 5, "discard": -1}, "discard is -1; it is a whole number from 0"),
        ({"steps": 5, "delay": 17.05}, "delay is 17.05; it is above 0 and a whole number of steps of 1 / 10"),
        ({"steps": 5, "delay": 0}, "delay is 0; it is above 0"),
        ({"steps": 5, "delay": math.inf}, "delay is inf; it is a finite number"),
        ({"steps": 5, "delay": "17"}, "delay is '17'; it is a finite number"),
        ({"steps": 5, "history": math.nan}, "history is nan; it is a finite number"),
        ({"steps": 5, "scheme": "rk4"}, "there is no scheme 'rk4'; choose one of: runge-kutta, euler"),
    ],
)
def test_a_setting_that_is_not_possible_is_refused(arguments, message):
    with pytest.raises(SettingError) as caught:
        mackey_glass(**arguments)
    assert str(caught.value).startswith(message)
