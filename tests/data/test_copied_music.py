"""What is copied is found exactly: by comparison with the plain definition."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.copied_music import MusicIndex
from recurra.data.lines import Source
from recurra.data.rolls import Roll

KEYS = 5


def roll(chords, lowest=60):
    return Roll(np.array([[bool(chord >> key & 1) for key in range(KEYS)] for chord in chords]), lowest, Source("a", 1))


def same_in_some_transposition(first, second):
    """Whether two lists of sets of pitches are the same but for one number of semitones; it, or None."""
    sounding = [(a, b) for a, b in zip(first, second, strict=True) if a or b]
    if not sounding or not all(a and b for a, b in sounding):
        return None
    shift = min(sounding[0][0]) - min(sounding[0][1])
    return shift if all(a == {pitch + shift for pitch in b} for a, b in sounding) else None


def by_definition(piece, others):
    """The most changes, and of passages with as many the most frames, by trying all passages."""
    pitches, best = [set(chord) for chord in piece.pitches], (0, 0)
    for begin, end in itertools.combinations(range(len(pitches) + 1), 2):
        if not pitches[begin] or not pitches[end - 1]:
            continue
        changes = sum(a != b for a, b in itertools.pairwise(pitches[begin:end]))
        for other in others:
            there = [set(chord) for chord in other.pitches]
            for start in range(len(there) - (end - begin) + 1):
                shift = same_in_some_transposition(pitches[begin:end], there[start : start + end - begin])
                if shift is not None:
                    best = max(best, (changes, end - begin))
    return best


chords = st.lists(st.sampled_from([0, 0b1, 0b10, 0b100, 0b11, 0b110, 0b101]), min_size=1, max_size=7)


@given(chords, st.lists(chords, min_size=1, max_size=3), st.integers(-3, 3))
def test_the_longest_passage_is_that_of_the_definition(piece, others, shift):
    here, there = roll(piece, 60 + shift), [roll(other) for other in others]
    passage = MusicIndex(there).longest(here)
    assert ((0, 0) if passage is None else (passage.changes, passage.frames)) == by_definition(here, there)
    if passage is not None:
        copy = there[passage.piece].pitches[passage.there : passage.there + passage.frames]
        heard = here.pitches[passage.begin : passage.begin + passage.frames]
        assert heard == [[pitch + passage.semitones for pitch in chord] for chord in copy]


def test_passages_that_lie_within_others_are_left_out():
    source = roll([1, 2, 4, 1, 2, 0b11])
    piece = roll([1, 2, 4, 0b101, 1, 2, 0b11])
    passages = MusicIndex([source]).passages(piece, 1)
    assert [(p.begin, p.frames, p.there) for p in passages] == [(0, 3, 0), (4, 3, 3)]
    assert MusicIndex([source]).passages(piece, 3) == []


def test_nothing_goes_on_from_one_piece_to_the_next():
    assert MusicIndex([roll([1, 2]), roll([4, 2])]).longest(roll([1, 2, 4, 2])).frames == 2
