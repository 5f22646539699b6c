"""Strings that end a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding import StopStrings
from recurra.errors import SettingError

PIECES = st.lists(st.text("ab", max_size=4), max_size=8)
STRINGS = st.lists(st.text("ab", min_size=1, max_size=5), max_size=3)


def by_character(text, stop):
    """The definition: character by character, until one of the strings stands at the end; the longest of those."""
    for end in range(1, len(text) + 1):
        standing = [string for string in stop if text[:end].endswith(string)]
        if standing:
            return text[: end - max(map(len, standing))], True
    return text, False


@given(PIECES, STRINGS)
def test_how_a_text_is_cut_makes_no_difference(pieces, stop):
    strings = StopStrings(stop)
    shown = "".join(map(strings.feed, pieces))
    stopped = strings.stopped
    assert (shown + strings.end(), stopped) == by_character("".join(pieces), stop)


@given(PIECES, STRINGS)
def test_nothing_is_held_back_but_the_beginning_of_a_string(pieces, stop):
    strings, shown, text = StopStrings(stop), "", ""
    for piece in pieces:
        shown, text = shown + strings.feed(piece), text + piece
        held = text[len(shown) :]
        if not strings.stopped:
            assert text == shown + held
            assert not held or any(string.startswith(held) and string != held for string in stop)


@pytest.mark.parametrize("wrong", ["", ["a", ""], [None], [b"a"]])
def test_what_is_no_string_is_refused(wrong):
    with pytest.raises(SettingError, match=r"the stop string .* is (empty|no text)"):
        StopStrings(wrong)
