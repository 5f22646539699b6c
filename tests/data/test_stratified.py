"""A part kept for validation has its share of every class, and no group that the rest has."""

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from recurra.data.dataset import Examples
from recurra.data.lines import Source
from recurra.data.stratified import stratified_part

FRACTIONS = st.floats(0.01, 0.99)


def cut(items, fraction):
    """The two parts of (group, classes) pairs."""
    examples = Examples(items, [Source(Path("a"), line) for line in range(len(items))], [1] * len(items))
    return [list(part) for part in examples.split(fraction, lambda item: item[0], lambda item: item[1])]


def count(part):
    return Counter(name for _, classes in part for name in classes)


@given(st.lists(st.sampled_from("aaaaabbbc"), min_size=2, max_size=60), FRACTIONS)
def test_the_share_of_a_class_is_kept_within_one_example(names, fraction):
    items = [(f"{number}", (name,)) for number, name in enumerate(names)]
    train, valid = cut(items, fraction)
    assert sorted(train + valid) == sorted(items)
    assert train
    assert valid
    for name, number in Counter(names).items():
        assert abs(count(valid)[name] - fraction * number) < 1 + 1e-9, name
    if len(valid) > 1:  # no class is kept for validation as a whole
        assert set(count(train)) == set(names)
    assert cut(items, fraction) == [train, valid]


@given(st.lists(st.tuples(st.sampled_from("rstuvw"), st.sets(st.sampled_from("abc"))), min_size=2), FRACTIONS)
def test_no_group_is_on_both_sides_and_no_side_is_empty(drawn, fraction):
    items = [(group, tuple(sorted(classes))) for group, classes in drawn]
    if len({group for group, _ in items}) < 2:
        return
    train, valid = cut(items, fraction)
    assert train
    assert valid
    assert not {group for group, _ in train} & {group for group, _ in valid}
    assert Counter(train + valid) == Counter(items)


def test_a_file_in_the_order_of_its_classes_is_cut_within_each():
    items = [(None, (name,)) for name in "a" * 50 + "b" * 30 + "c" * 20]
    train, valid = cut(items, 0.1)
    assert count(valid) == {"a": 5, "b": 3, "c": 2}
    assert count(train) == {"a": 45, "b": 27, "c": 18}


def test_of_many_classes_of_few_examples_the_part_has_its_share_of_the_whole():
    items = [(None, (f"{number // 4}",)) for number in range(400)]
    _, valid = cut(items, 0.1)
    assert len(valid) == 40
    assert max(count(valid).values()) == 1


def test_groups_are_chosen_so_that_classes_have_their_share():
    # Ten authors of ten texts, each of whom writes of one subject; the last two are alike.
    items = [(f"{author}", ("ab"[author in (3, 8, 9)],)) for author in range(10) for _ in range(10)]
    _, valid = cut(items, 0.2)
    assert count(valid) == {"b": 10, "a": 10}


def test_of_several_classes_a_text_the_rarest_has_its_share():
    items = [(None, ("a", "b"))] * 80 + [(None, ("a", "b", "rare"))] * 10 + [(None, ())] * 10
    _, valid = cut(items, 0.2)
    assert count(valid) == {"a": 18, "b": 18, "rare": 2}
    assert sum(not classes for _, classes in valid) == 2


def test_one_of_two_groups_is_kept_whatever_the_fraction():
    assert stratified_part([[0, 1, 2], [3, 4]], ["a"] * 5, 0.01) == [3, 4]
    assert stratified_part([[0], [1], [2]], [["a"], ["a"], ["b"]], 0.01) == [1]  # the only b is trained on
