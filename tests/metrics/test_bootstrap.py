"""The bootstrap's interval: that of the theory, the same for parts added up as for the whole."""

import math

import pytest

from recurra.errors import SettingError
from recurra.metrics import Bootstrap


def share(tally):
    return tally["right"] / tally["all"] if tally["all"] else math.nan


def measured(indices, replicates=400):
    bootstrap = Bootstrap(replicates)
    for index in indices:
        bootstrap.add(index, {"right": index % 5 > 0, "all": 1})
    return bootstrap


def test_the_interval_of_a_share_is_that_of_the_binomial():
    interval = measured(range(1000)).interval(share)
    deviation = math.sqrt(0.8 * 0.2 / 1000)
    assert interval.low == pytest.approx(0.8 - 1.96 * deviation, abs=0.3 * deviation)
    assert interval.high == pytest.approx(0.8 + 1.96 * deviation, abs=0.3 * deviation)


def test_parts_add_up_to_the_whole_in_any_order():
    whole, part = measured(range(60)), measured(range(59, 29, -1))
    part.merge(measured(range(30)))
    assert part.interval(share) == whole.interval(share)


def test_what_belongs_together_is_drawn_together():
    # Ten copies of each example say no more than one of each.
    alone, copied = Bootstrap(), Bootstrap()
    for group in range(50):
        alone.add(group, {"right": group % 2, "all": 1})
        for _ in range(10):
            copied.add(group, {"right": group % 2, "all": 1})
    assert copied.interval(share) == alone.interval(share)


def test_replicates_without_a_figure_are_left_out():
    bootstrap = Bootstrap()
    bootstrap.add("only", {"right": 1, "all": 1})
    assert bootstrap.interval(share).low == 1.0
    assert math.isnan(Bootstrap().interval(share).low)


def test_replicates_in_which_no_group_was_drawn_are_left_out():
    bootstrap = Bootstrap()
    for group in range(2):
        bootstrap.add(group, {"right": 3, "all": 4})
    interval = bootstrap.interval(lambda tally: tally["right"] / tally["all"] if tally["all"] else 0.0)
    assert (interval.low, interval.high) == (0.75, 0.75)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(SettingError, match="replicates is 5"):
        Bootstrap(5)
    with pytest.raises(SettingError, match="same replicates and seed"):
        Bootstrap(50).merge(Bootstrap(60))
