import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data import Vocabulary
from recurra.data.merge_dropout import MergeDropout
from recurra.errors import SettingError

TEXTS = ["the lower tower is lowest", "newer flowers grow slower", "où est l'été ?", "low low lower lowest"]
VOCABULARY = Vocabulary.build(TEXTS * 3, "bpe", 320, 2, end_of_sentence=True)


@given(st.text(alphabet="lowernsft 'éü\n\u2028", max_size=30))
def test_without_dropout_it_cuts_as_byte_pairs_do(text):
    assert VOCABULARY.encode_with_dropout(text, 0.0, random.Random(0)) == VOCABULARY.encode(text)


@given(st.text(max_size=30).filter(lambda text: text.isprintable()), st.floats(0, 0.99), st.integers(0, 99))
def test_however_a_text_is_cut_it_is_the_same_text(text, rate, seed):
    assert VOCABULARY.decode(VOCABULARY.encode_with_dropout(text, rate, random.Random(seed))) == text


def test_merges_are_left_out_as_often_as_is_said():
    """Of the one merge of two signs, and of all ways to cut four, the chances are known."""
    cut, draw = MergeDropout([("a", "b")]), random.Random(0)
    kept = sum(cut("ab", 0.3, draw) == ["ab"] for _ in range(20_000))
    assert abs(kept / 20_000 - 0.7) < 0.02
    cut = MergeDropout([("a", "b"), ("c", "d")])
    ways = Counter(tuple(cut("abcd", 0.3, draw)) for _ in range(20_000))
    # Each merge has a turn of its own until all that are left are out of the question at once.
    neither, only_one = 0.3 * 0.3, 0.3
    first = 0.7  # a b is merged first unless it is left out
    expected = {
        ("a", "b", "c", "d"): neither,
        ("ab", "c", "d"): first * only_one,
        ("a", "b", "cd"): (1 - first - neither) * only_one,
        ("ab", "cd"): first * 0.7 + (1 - first - neither) * 0.7,
    }
    for way, chance in expected.items():
        assert abs(ways[way] / 20_000 - chance) < 0.015, way


def test_only_byte_pairs_can_be_cut_in_another_way():
    words = Vocabulary.build("a b c", "word")
    with pytest.raises(SettingError, match="at level 'bpe', and this is 'word'"):
        words.encode_with_dropout("a", 0.1, random.Random(0))
