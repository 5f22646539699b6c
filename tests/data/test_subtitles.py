"""Subtitles: whatever is spoken and when, cues are in order, fit the screen and keep every word."""

import html
import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.subtitles import TimedWord, cues, subrip, webvtt
from recurra.errors import DataError, SettingError

TEXTS = st.one_of(
    st.sampled_from(["nine", "<i>", "R&B", "-->", "ja.", "why?", "well-known", "x" * 100, "naïve", "一二三", ""]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=60),
)
WORDS = st.lists(st.tuples(TEXTS, st.floats(0, 3), st.floats(0, 3)), max_size=30)


def spoken(steps):
    """Words one after another: each so long after the one before, and so long; a third of them overlap."""
    time, words = 0.0, []
    for number, (text, pause, length) in enumerate(steps):
        start = max(0.0, time + (pause if number % 3 else -pause / 3))
        words.append(TimedWord(text, start, start + length))
        time = start + length
    return words


@given(WORDS)
def test_cues_never_overlap_fit_the_screen_and_keep_every_word(steps):
    words = spoken(steps)
    shown = list(cues(words))
    for cue in shown:
        assert 0 <= cue.start < cue.end
        assert 1 <= len(cue.lines) <= 2
        assert all(0 < len(line) <= 42 for line in cue.lines)
    assert all(cue.end <= after.start for cue, after in itertools.pairwise(shown))
    letters = "".join("".join("".join(cue.lines).split()) for cue in shown)
    assert letters == "".join("".join(word.text.split()) for word in words)


@given(WORDS)
def test_files_are_what_players_read(steps):
    words = spoken(steps)
    expected = [(cue.start, cue.end, list(cue.lines)) for cue in cues(words)]
    pattern = re.compile(r"(\d\d+):(\d\d):(\d\d)[,.](\d{3}) --> (\d\d+):(\d\d):(\d\d)[,.](\d{3})")
    for lines, first, unescape in ((list(subrip(words)), 1, str), (list(webvtt(words))[2:], 0, html.unescape)):
        read, group = [], []
        for line in lines:
            group.append(line)
            if line:
                continue
            numbers = [int(number) for number in pattern.fullmatch(group[first]).groups()]
            times = [((h * 60 + m) * 60 + s) * 1000 + ms for h, m, s, ms in (numbers[:4], numbers[4:])]
            assert not first or group[0] == str(len(read) + 1)
            assert "-->" not in "".join(group[first + 1 : -1]) or unescape is str
            read.append((*times, [unescape(text) for text in group[first + 1 : -1]]))
            group = []
        assert read == expected
        assert not group


def test_a_cue_ends_with_a_sentence_a_pause_and_after_some_seconds():
    words = [TimedWord("a", t, t + 0.9) for t in range(10)]
    assert [cue.lines for cue in cues(words)] == [("a a a a a a a",), ("a a a",)]
    words = [TimedWord("yes.", 0, 0.4), TimedWord("no", 0.5, 1), TimedWord("so", 3, 3.1)]
    assert [(cue.start, cue.end) for cue in cues(words)] == [(0, 500), (500, 1500), (3000, 4000)]


def test_what_has_no_time_is_refused():
    for start, end in ((-1.0, 1.0), (0.0, math.nan), (math.inf, 2.0)):
        with pytest.raises(DataError, match="expected numbers of seconds from 0"):
            list(cues([TimedWord("one", start, end)]))
    with pytest.raises(SettingError, match="width is 0"):
        list(cues([], width=0))
