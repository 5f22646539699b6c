"""Copying unknown words from the source, by attention."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding import replace_unknown
from recurra.errors import ShapeError

WORDS = st.lists(st.sampled_from(["a", "b", "<UNK>", "<unk>"]), max_size=5)


@given(
    WORDS, st.lists(st.text("xyz", min_size=1), max_size=4), st.integers(0, 2), st.integers(0, 2), st.integers(0, 99)
)
def test_only_unknown_words_change_and_become_the_one_most_read(words, source, more_rows, more_columns, seed):
    generator = torch.Generator().manual_seed(seed)
    attention = torch.rand(len(words) + more_rows, len(source) + more_columns, generator=generator)
    attention[:, len(source) :] += 1  # what is no word, such as the end, is never copied
    copied = replace_unknown(words, attention, source)
    assert len(copied) == len(words)
    for row, (before, after) in enumerate(zip(words, copied, strict=True)):
        if before == "<UNK>" and source:
            weights = attention[row, : len(source)].tolist()
            assert after == source[weights.index(max(weights))]
        else:
            assert after == before


def test_of_equal_attention_the_first_word_counts():
    assert replace_unknown(["<UNK>"], torch.full((1, 3), 1 / 3), ["x", "y", "z"]) == ["x"]


def test_a_word_of_the_dictionary_is_translated():
    attention = torch.eye(3)
    source, words = ["Haus", "Schmidt", "am"], ["<UNK>", "<UNK>", "at"]
    assert replace_unknown(words, attention, source, dictionary={"Haus": "house", "am": "on"}) == [
        "house",
        "Schmidt",
        "at",
    ]


def test_an_unknown_word_may_be_written_otherwise():
    words = ["<unk>", "<UNK>"]
    assert replace_unknown(words, torch.eye(2), ["x", "y"], unknown="<unk>") == ["x", "<UNK>"]


def test_the_words_given_are_left_as_they_are():
    words = ["<UNK>", "a"]
    assert replace_unknown(words, torch.eye(2), ["x", "y"]) == ["x", "a"]
    assert words == ["<UNK>", "a"]
    assert replace_unknown(words, torch.zeros(2, 0), []) == words
    assert replace_unknown(words, torch.zeros(2, 0), []) is not words


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (2,), (2, 2, 1)])
def test_attention_of_too_few_rows_or_columns_is_refused(shape):
    with pytest.raises(ShapeError, match=r"over 2 words of a source from 2 of a translation must be at least \(2, 2\)"):
        replace_unknown(["<UNK>", "a"], torch.zeros(shape), ["x", "y"])
