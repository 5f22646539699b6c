"""Tokens: pieces of the text that cover all but its white space, in time in proportion to it, as the corpora cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.tokens import Token, spans_of_characters, tokenise


def words(text):
    return [token.text for token in tokenise(text)]


hostile = st.text(st.sampled_from("aB1'’.-_@&:/+ \n\u2028\u00a0é\u0301中ア\u200d👩🏽🇩🇪ß\u0e01\u0e31nt")) | st.text()


@given(hostile)
def test_tokens_are_pieces_of_the_text_and_only_white_space_stands_between(text):
    end = 0
    for token in tokenise(text):
        assert token.text == text[token.start : token.end]
        assert token.start >= end
        assert token.start < token.end
        assert not text[end : token.start].strip()
        assert not any(character.isspace() for character in token.text)
        end = token.end
    assert not text[end:].strip()


@given(hostile, hostile)
def test_what_white_space_parts_is_cut_by_itself(left, right):
    # But for an initial, which is one by the word after it, each word is cut the same alone and in a text.
    joined = words(f"{left}\n\n{right.lower()}")
    assert joined == words(left) + words(right.lower())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I didn't, we'll, they've", "I did n't , we 'll , they 've"),
        ("I didn’t; it’s O’Brien’s", "I did n’t ; it ’s O’Brien ’s"),
        ("DON'T can't've 'S", "DO N'T ca n't 've 'S"),
        ("the players' 'tis rock'n'roll", "the players ' ' tis rock'n'roll"),
        ("Mr. Ann J. Lee and J.K. Ray of Acme Inc. left.", "Mr. Ann J. Lee and J.K. Ray of Acme Inc. left ."),
        ("You and I. Then plan B.", "You and I . Then plan B ."),
        ("The U.S., U.S.-based", "The U.S. , U.S.-based"),
        ("24-year-old 3rd 1990s 10:30am $3.50 1,000-mile", "24-year-old 3rd 1990s 10:30am $ 3.50 1,000-mile"),
        ("1996-08-22: Ajax 2-1 (AT&T)", "1996-08-22 : Ajax 2-1 ( AT&T )"),
        ("a.b+c@d-e.org, (http://x.org/a?b=1/)...", "a.b+c@d-e.org , ( http://x.org/a?b=1/ ) ..."),
        ("well--yes… no", "well -- yes … no"),
        ("हिन्दी cafe\u0301 co\u00adop نمی\u200cخواهم", "हिन्दी cafe\u0301 co\u00adop نمی\u200cخواهم"),
        ("我在iPhone上", "我 在 iPhone 上"),
        ("👩‍👩‍👧‍👦👍🏽 🇩🇪🇫🇷 ❤️", "👩‍👩‍👧‍👦 👍🏽 🇩🇪 🇫🇷 ❤️"),
        ("", ""),
        (" \u2028\u00a0\t\x0c\x85", ""),
    ],
)
def test_words_are_cut_as_the_corpora_cut_them(text, expected):
    assert words(text) == expected.split(" " if expected else None)


def test_offsets_count_characters_and_not_bytes_or_code_units():
    assert tokenise("😀 é Ann")[-1] == Token("Ann", 4, 7)


TRAPS = ["a", ".", "'", "1", "aa.", "a.", "1.", "a-", "-.", "'s", "n't", "a@", "a@a.-", "www.!", "http://", "\u200d"]


@pytest.mark.parametrize("piece", [*TRAPS, "a\u0301"])
def test_a_text_of_one_thing_is_no_trap(piece):
    # If what is read were read again from each of 50,000 characters, this would take minutes.
    text = piece * (50_000 // len(piece)) + "@"
    assert "".join(words(text)) == text


def test_spans_of_characters_are_spans_of_tokens():
    text = "Ann  left New York."
    tokens = [(token.start, token.end) for token in tokenise(text)]
    fitting = [(0, 3, "PER"), (10, 18, "LOC"), (3, 10, "X"), (0, 19, "Y")]
    assert spans_of_characters(tokens, fitting) == ([(0, 1, "PER"), (2, 4, "LOC"), (1, 2, "X"), (0, 5, "Y")], [])


@pytest.mark.parametrize("span", [(0, 2), (1, 3), (10, 12), (3, 5), (8, 10), (12, 18), (9, 17)])
def test_a_span_that_cuts_a_token_or_holds_none_fits_none(span):
    tokens = [(token.start, token.end) for token in tokenise("Ann  left New York.")]
    assert spans_of_characters(tokens, [(*span, "X")]) == ([], [(*span, "X")])


@given(hostile, st.data())
def test_the_characters_of_tokens_are_spans_of_those_tokens(text, data):
    tokens = tokenise(text)
    if not tokens:
        return
    first = data.draw(st.integers(0, len(tokens) - 1))
    last = data.draw(st.integers(first, len(tokens) - 1))
    span = (tokens[first].start, tokens[last].end, "X")
    offsets = [(token.start, token.end) for token in tokens]
    assert spans_of_characters(offsets, [span]) == ([(first, last + 1, "X")], [])
    if tokens[first].end - tokens[first].start > 1:
        assert spans_of_characters(offsets, [(span[0] + 1, *span[1:])])[1]
