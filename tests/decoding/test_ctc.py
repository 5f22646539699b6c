"""CTC: best ways, alignments and probabilities, against the enumeration of all ways and against torch's loss."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding.ctc import (
    CtcPath,
    HeardLabel,
    ctc_frames_needed,
    ctc_log_probability,
    forced_alignment,
    greedy_path,
    greedy_paths,
)
from recurra.decoding.word_times import heard_words
from recurra.errors import DataError, RunError, ShapeError


def random_frames(seed, frames, classes, sharpness=2.0):
    generator = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(frames, classes, generator=generator, dtype=torch.float64)).log_softmax(-1)


def spelled(way, blank):
    """What a way spells: repeats merged, blanks dropped."""
    return tuple(label for label, _ in itertools.groupby(way) if label != blank)


def all_ways(log_probabilities, blank):
    """Each way through the frames: what it spells, the way, its log-probability."""
    frames, classes = log_probabilities.shape
    for way in itertools.product(range(classes), repeat=frames):
        total = sum(float(log_probabilities[t, label]) for t, label in enumerate(way))
        yield spelled(way, blank), way, total


@given(st.integers(0, 9999), st.integers(1, 6), st.integers(0, 2), st.lists(st.integers(0, 2), max_size=4))
def test_probability_and_alignment_are_those_of_all_ways(seed, frames, blank, labels):
    labels = [label for label in labels if label != blank]
    log_probabilities = random_frames(seed, frames, 3)
    ways = [(total, way) for text, way, total in all_ways(log_probabilities, blank) if text == tuple(labels)]
    if not ways:
        assert frames < ctc_frames_needed(labels)
        for function in (ctc_log_probability, forced_alignment):
            with pytest.raises(DataError, match=f"has {frames} frames and its transcript takes at least"):
                function(log_probabilities, labels, blank)
        return
    assert ctc_log_probability(log_probabilities, labels, blank) == pytest.approx(
        math.log(math.fsum(math.exp(total) for total, _ in ways))
    )
    path = forced_alignment(log_probabilities, labels, blank)
    total, way = max(ways)
    assert path.ids == tuple(labels)
    assert path.log_probability == pytest.approx(total)
    runs = [(label, list(group)) for label, group in itertools.groupby(enumerate(way), key=lambda pair: pair[1])]
    expected = [(label, group[0][0], group[-1][0] + 1) for label, group in runs if label != blank]
    assert [tuple(heard[:3]) for heard in path.labels] == expected
    for heard in path.labels:
        best = max(float(log_probabilities[t, heard.label]) for t in range(heard.start, heard.end))
        assert heard.confidence == pytest.approx(math.exp(best))


@given(st.integers(0, 9999), st.integers(0, 6), st.integers(0, 2))
def test_the_greedy_way_is_the_best_of_all(seed, frames, blank):
    log_probabilities = random_frames(seed, frames, 3)
    path = greedy_path(log_probabilities, blank)
    text, _, total = max(all_ways(log_probabilities, blank), key=lambda way: way[2])
    assert path.ids == text
    assert path.log_probability == pytest.approx(total)


def test_long_transcripts_agree_with_torch_and_with_a_plain_viterbi():
    log_probabilities = random_frames(3, 203, 12, 1.0)
    labels = torch.randint(1, 12, (70,), generator=torch.Generator().manual_seed(1)).tolist()
    loss = F.ctc_loss(log_probabilities[:, None], torch.tensor([labels]), (203,), (len(labels),), reduction="sum")
    assert ctc_log_probability(log_probabilities, labels) == pytest.approx(-float(loss), rel=1e-12)
    states = [0] + [state for label in labels for state in (label, 0)]
    best = [float(log_probabilities[0, states[0]]), float(log_probabilities[0, states[1]])]
    best += [-math.inf] * (len(states) - 2)
    for frame in log_probabilities[1:].tolist():
        best = [
            max(
                best[s],
                best[s - 1] if s else -math.inf,
                best[s - 2] if s > 2 and s % 2 and states[s] != states[s - 2] else -math.inf,
            )
            + frame[states[s]]
            for s in range(len(states))
        ]
    path = forced_alignment(log_probabilities, labels)
    assert path.log_probability == pytest.approx(max(best[-2:]), rel=1e-12)
    assert path.ids == tuple(labels)
    assert all(heard.end <= after.start for heard, after in itertools.pairwise(path.labels))


def test_frames_past_a_length_are_not_heard():
    log_probabilities = torch.stack([random_frames(seed, 7, 4) for seed in range(3)])
    lengths = torch.tensor([7, 3, 0])
    paths = greedy_paths(log_probabilities, lengths)
    assert paths == [greedy_path(row[:end]) for row, end in zip(log_probabilities, lengths, strict=True)]
    assert paths[2] == CtcPath((), 0.0, 0)


def test_words_share_the_time_between_them_and_leave_pauses_alone():
    labels = [(1, 4, 5), (2, 6, 7), (9, 8, 9), (3, 9, 10), (9, 12, 13), (9, 13, 14), (4, 40, 42)]
    path = CtcPath(tuple(HeardLabel(*label, 0.5) for label in labels), -1.0, 43)
    words = heard_words(path, 9, reach=4)
    assert [word.labels for word in words] == [(1, 2), (3,), (4,)]
    assert [(word.start, word.end) for word in words] == [(0, 8), (8, 14), (36, 43)]
    assert [word.confidence for word in words] == [0.25, 0.5, 0.5]
    assert len(heard_words(path, None, reach=4)) == len(labels)
    assert heard_words(CtcPath((), 0.0, 5), 9, reach=4) == []


def test_what_is_no_lattice_is_refused():
    frames = random_frames(0, 4, 3)
    with pytest.raises(ShapeError, match="label 3 is not one of 0 to 2"):
        forced_alignment(frames, [3])
    with pytest.raises(ShapeError, match="label 0 is not one"):
        ctc_log_probability(frames, [0])
    with pytest.raises(ShapeError, match=r"\(T, V \+ 1\)"):
        greedy_path(frames, blank=3)
    with pytest.raises(RunError, match="not numbers"):
        greedy_path(frames * math.nan)
    frames[:, 2] = -math.inf
    with pytest.raises(DataError, match="impossible"):
        forced_alignment(frames, [2])
