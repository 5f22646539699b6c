"""Viterbi decoding step by step: the answer of the whole, each tag no later than it can be known, by enumeration."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding.constraints import iobes_constraints
from recurra.nn.crf import CRF
from recurra.nn.incremental_viterbi import IncrementalViterbi

TAGS = ["O", "B-X", "I-X", "E-X", "S-X", "B-Y", "I-Y", "E-Y", "S-Y"]


def crf(seed, tags=None, constrained=False):
    names = TAGS[:tags]
    layer = CRF(len(names), *(iobes_constraints(names) if constrained else ()))
    draw = torch.Generator().manual_seed(seed)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=draw)
    return layer


def scores(seed, steps, tags, scale=1.0):
    return torch.randn(steps, tags, generator=torch.Generator().manual_seed(seed + 1_000_000)) * scale


REPRESENTATIVES = [0, 1, 2, 2, 1, 5, 6, 6, 5]
"""B for S, and I for E."""


def streamed(layer, rows, decide=lambda step: False, representatives=None):
    """The tags that each step decided, and those of the end."""
    viterbi = layer.stream(representatives)
    return [viterbi.push(row, decide=decide(step)) for step, row in enumerate(rows)] + [viterbi.close()]


def best_path(layer, rows, fixed, *, closed, representatives=(0, 1, 2)):
    """What is said of the best sequence of tags of which what is said begins as it is fixed, by enumeration."""
    transitions, start, end = (potential.tolist() for potential in layer.potentials())
    at_steps = rows.tolist()

    def score(path):
        total = start[path[0]] + sum(at_steps[step][tag] for step, tag in enumerate(path))
        total += sum(transitions[a][b] for a, b in itertools.pairwise(path))
        return total + end[path[-1]] if closed else total

    paths = itertools.product(range(layer.num_tags), repeat=len(rows))
    agreeing = (
        path for path in paths if all(representatives[tag] == said for tag, said in zip(path, fixed, strict=False))
    )
    return tuple(representatives[tag] for tag in max(agreeing, key=score))


@pytest.mark.parametrize("constrained", [True, False])
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
@given(seed=st.integers(0, 10_000), steps=st.integers(1, 40))
def test_it_gives_what_decoding_the_whole_gives(constrained, scale, seed, steps):
    layer = crf(seed, constrained=constrained)
    rows = scores(seed, steps, layer.num_tags, scale)
    [whole] = layer.decode(rows[None])
    pieces = streamed(layer, rows)
    assert list(itertools.chain(*pieces)) == whole
    sooner = streamed(layer, rows, representatives=REPRESENTATIVES)
    assert list(itertools.chain(*sooner)) == [REPRESENTATIVES[tag] for tag in whole]
    counts = [list(itertools.accumulate(map(len, each))) for each in (pieces, sooner)]
    assert all(first <= second for first, second in zip(*counts, strict=True))


@given(seed=st.integers(0, 10_000))
def test_a_tag_is_given_once_no_end_of_the_sequence_can_change_it(seed):
    layer = crf(seed, tags=3)
    rows = scores(seed, 5, 3)
    count = 0
    for step, tags in enumerate(streamed(layer, rows)[:-1]):
        count += len(tags)
        # The best way to each tag of this step, which some later score would make the best of all.
        ways = []
        for tag in range(3):
            forced = rows[: step + 1].clone()
            forced[step, tag] += 1000
            ways.append(best_path(layer, forced, (), closed=False))
            assert ways[-1][-1] == tag
        agreed = list(itertools.takewhile(lambda column: len(set(column)) == 1, zip(*ways, strict=True)))
        assert count == len(agreed)


@pytest.mark.parametrize("representatives", [(0, 1, 2), (0, 1, 1)])
@pytest.mark.parametrize("lookahead", [0, 1, 2])
@given(seed=st.integers(0, 10_000), steps=st.integers(1, 5))
def test_tags_that_must_come_at_once_are_those_of_the_best_way_given_the_tags_before(
    lookahead, representatives, seed, steps
):
    layer = crf(seed, tags=3)
    rows = scores(seed, steps, 3)
    expected = ()
    for step in range(steps - lookahead):
        expected = best_path(layer, rows[: step + 1], expected, closed=False, representatives=representatives)
    expected = best_path(layer, rows, expected, closed=True, representatives=representatives)
    pieces = streamed(layer, rows, lambda step: step < steps - lookahead, representatives)
    assert tuple(itertools.chain(*pieces)) == expected
    assert all(len(piece) == 1 for piece in pieces[: max(0, steps - lookahead)])
    assert layer.decode_online(rows[None], lookahead=lookahead, representatives=representatives) == [list(expected)]


@given(seed=st.integers(0, 10_000), steps=st.integers(1, 20), lookahead=st.integers(1, 3))
def test_tags_that_must_come_at_once_obey_the_constraints_where_the_end_is_known_a_step_before(seed, steps, lookahead):
    layer = crf(seed, constrained=True)
    rows = scores(seed, steps, layer.num_tags, 3.0)
    [tags] = layer.decode_online(rows[None], lookahead=lookahead)
    layer.log_probability(rows[None], torch.tensor([tags]))  # which refuses what the constraints forbid
    [tags] = layer.decode_online(rows[None], lookahead=0)
    for before, after in itertools.pairwise(tags):  # here only the end may be cut off
        assert layer.may_follow[before, after]


def test_sequences_follow_each_other_and_rows_stand_alone():
    layer = crf(3)
    batch = torch.stack([scores(seed, 7, layer.num_tags) for seed in range(4)])
    lengths = [7, 1, 3, 5]
    alone = [layer.decode_online(batch[row : row + 1, :length], lookahead=1)[0] for row, length in enumerate(lengths)]
    assert layer.decode_online(batch, lengths, lookahead=1) == alone
    viterbi = layer.stream()
    assert viterbi.close() == []
    for row, length in enumerate(lengths):
        tags = [tag for step in range(length) for tag in viterbi.push(batch[row, step])]
        assert viterbi.undecided == length - len(tags)
        assert tags + viterbi.close() == layer.decode(batch[row : row + 1, :length])[0]


def test_a_long_sequence_takes_no_more_memory_than_what_is_undecided():
    layer = crf(0, constrained=True)
    viterbi, most = layer.stream(), 0
    for row in scores(0, 3000, layer.num_tags, 2.0):
        viterbi.push(row)
        most = max(most, viterbi.undecided)
    assert most < 60


def test_double_precision_stays():
    layer = crf(5).double()
    rows = scores(5, 9, layer.num_tags).double() * 1e-9
    viterbi = IncrementalViterbi(*layer.potentials())
    assert [tag for row in rows for tag in viterbi.push(row)] + viterbi.close() == layer.decode(rows[None])[0]
