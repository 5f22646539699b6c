"""Stretches of shifted lines: the least cost of all ways to divide the lines, by enumeration."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.shifted_lines import CHANGE, MAX_SHIFT, Stretch, shift_costs, stretches

LOST = 3.0
STATES = [*range(-MAX_SHIFT, MAX_SHIFT + 1), None]


def cost_of(path, costs):
    lines = sum(LOST if shift is None else costs[line, shift + MAX_SHIFT] for line, shift in enumerate(path))
    return lines + CHANGE * sum(one != two for one, two in itertools.pairwise(path))


@given(st.lists(st.lists(st.floats(0, 40), min_size=7, max_size=7), min_size=1, max_size=4))
def test_no_other_division_costs_less(rows):
    costs = np.array(rows)
    found = stretches(costs, LOST)
    path = [stretch.shift for stretch in found for _ in range(stretch.first, stretch.last)]
    assert len(path) == len(rows)
    least = min(cost_of(other, costs) for other in itertools.product(STATES, repeat=len(rows)))
    assert cost_of(path, costs) <= least + 1e-9


def test_lines_that_fit_nowhere_are_lost_and_may_be_found_again():
    costs = np.full((90, 7), 5.0)
    costs[:30, 3] = costs[60:, 1] = 0.5
    assert stretches(costs, LOST) == [Stretch(0, 30, 0), Stretch(30, 60, None), Stretch(60, 90, -2)]


def test_a_bad_line_or_two_are_no_stretch():
    costs = np.full((40, 7), 5.0)
    costs[:, 3] = 1.0
    costs[17:19, 3], costs[17:19, 4] = 5.0, 1.0
    assert stretches(costs, LOST) == [Stretch(0, 40, 0)]


def test_no_lines():
    assert stretches(np.empty((0, 7)), LOST) == []


def test_costs_of_lines_beyond_the_ends_are_those_of_others():
    costs = shift_costs(lambda shift: np.full(5 - abs(shift), float(shift)), 5, 9.0)
    assert costs[0].tolist() == [9, 9, 9, 0, 1, 2, 3]
    assert costs[4].tolist() == [-3, -2, -1, 0, 9, 9, 9]
