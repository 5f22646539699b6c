"""What is read of a text at each level; space at its ends and between words changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.tasks.text_units import SPACE, TextUnits, head_and_tail, learn_pieces, words_of

TEXTS = ["The film is good.", "The film isn't good at all", "a good, good film"] * 3


@pytest.fixture(scope="module")
def pieces():
    return learn_pieces(TEXTS, 300)


@pytest.mark.parametrize("level", ["word", "character", "bpe"])
@given(st.lists(st.sampled_from(["good", "films", "é", "n't", "."]), max_size=6), st.sampled_from(["\n", "\r\n", "  "]))
def test_space_changes_nothing(pieces, level, words, space):
    cut = TextUnits(level, pieces=pieces)
    assert cut(space + space.join(words) + space) == cut(" ".join(words))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_characters_and_pieces_make_the_text_again(text):
    spaced = " ".join(text.split())
    assert "".join(TextUnits("character")(text)).replace(SPACE, " ") == spaced.replace(SPACE, " ")
    vocabulary = learn_pieces(TEXTS, 300)
    units = TextUnits("bpe", pieces=vocabulary)(text)
    assert vocabulary.decode([vocabulary.tokens.index(unit) for unit in units]) == spaced


def test_frequent_words_are_one_piece(pieces):
    assert TextUnits("bpe", pieces=pieces)("the film, good") == ["t", "h", "e", "Ġfilm", ",", "Ġgood"]


@given(st.integers(0, 12), st.integers(2, 9))
def test_the_longest_counts_words_at_every_level(count, longest):
    words = [f"w{number}" for number in range(count)]
    kept = words_of(" ".join(words), longest)
    assert words_of(head_and_tail(" ".join(words), longest)) == kept
    characters = TextUnits("character", longest)(" ".join(words))
    assert "".join(characters) == SPACE.join(kept)
