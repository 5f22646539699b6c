"""Ids to text one at a time."""

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data import LEVELS, Vocabulary

TEXT = "the cat sät\non ☃ 😀 the cat\n"


@functools.cache
def vocabulary_at(level, end):
    return Vocabulary.build([TEXT] * 3, level, max_size=270 if level == "bpe" else None, end_of_sentence=end)


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("level", LEVELS)
@given(data=st.data())
def test_the_pieces_are_what_all_ids_are_together(level, end, data):
    vocabulary = vocabulary_at(level, end)
    numbers = st.lists(st.integers(0, len(vocabulary) - 1) | st.sampled_from(vocabulary.encode("ä ☃😀")), max_size=12)
    before, ids = vocabulary.encode(data.draw(st.sampled_from(["", "the", "the cat\n", "the "]))), data.draw(numbers)
    written = vocabulary.decode(before)
    decoder = vocabulary.decoder(written)
    pieces = [decoder.feed(number) for number in ids]
    assert written + "".join(pieces) + decoder.end() == vocabulary.decode([*before, *ids])


def test_only_a_character_that_is_not_whole_waits():
    decoder = Vocabulary("byte").decoder()
    assert [decoder.feed(byte) for byte in "a😀".encode()] == ["a", "", "", "", "😀"]
    assert [decoder.feed(byte) for byte in b"\xf0\x9fb"] == ["", "", "�b"]
