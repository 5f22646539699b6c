"""The picture: labels that do not overlap, and the same bytes for the same numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from recurra.lab.picture import COLOURS, Curve, Style, draw_curves, png, spread

HEIGHTS = st.lists(st.floats(0, 1), max_size=8)


@given(HEIGHTS)
def test_labels_keep_their_order_and_do_not_overlap(heights):
    sizes = [0.06] * len(heights)
    placed = spread(heights, sizes)
    order = sorted(range(len(heights)), key=lambda place: heights[place])
    for lower, upper in pairwise(order):
        assert placed[upper] - placed[lower] >= 0.06 - 1e-9


@given(HEIGHTS)
def test_labels_with_room_stand_where_they_belong(heights):
    apart = [0.05 + 0.9 * n / 20 for n in range(len(heights))]
    assert all(abs(a - b) < 1e-9 for a, b in zip(spread(apart, [0.04] * len(apart)), apart, strict=True))


def test_the_same_numbers_give_the_same_picture():
    def draw(figure):
        axes = figure.subplots()
        axes.set(yscale="log")
        draw_curves(axes, [Curve("one", [1, 2], [0.1, 1.0], Style(COLOURS[0])), Curve("two", [1], [1.0], Style("k"))])

    assert png("a title", draw) == png("a title", draw)


def test_colours_are_told_apart():
    assert len(set(COLOURS)) == len(COLOURS)
