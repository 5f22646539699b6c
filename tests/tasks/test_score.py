import math

import pytest

from recurra.data import END, Vocabulary
from recurra.tasks.score import Score


def score_of(vocabulary, text, *, end=False):
    """A score in which the n-th unit has the probability 1 / (n + 1)."""
    units, ids = vocabulary.split(text), vocabulary.encode(text)
    if end:
        units, ids = [*units, END], [*ids, vocabulary.end]
    return Score.of(vocabulary, units, ids, [-math.log(n + 2) for n in range(len(ids))])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the cat", ["the", "cat"]),
        (" the cat", ["the", "cat"]),
        ("a  b \n c", ["a", "b", "c"]),
        ("a ", ["a", " "]),
        ("  ", ["  "]),
        ("x", ["x"]),
    ],
)
@pytest.mark.parametrize("level", ["character", "byte"])
def test_words_are_units_with_the_white_space_before_them(level, text, words):
    score = score_of(Vocabulary.build("the cat x\nabc", level), text)
    assert [word.text for word in score.words] == words
    assert sum(word.log_probability for word in score.words) == pytest.approx(score.log_probability)


def test_a_words_probability_is_the_product_of_its_units():
    score = score_of(Vocabulary("byte"), "ab c")
    assert [math.exp(word.log_probability) for word in score.words] == pytest.approx([1 / 6, 1 / 20])


def test_characters_of_several_bytes_are_whole_again_in_words():
    score = score_of(Vocabulary("byte"), "née ☃")
    assert len(score.units) == 8
    assert [word.text for word in score.words] == ["née", "☃"]


def test_pieces_of_words_are_words_again():
    vocabulary = Vocabulary.build(["the cat sat on the mat " * 20], "bpe", max_size=270)
    score = score_of(vocabulary, "the cat née\nmat")
    assert [word.text for word in score.words] == ["the", "cat", "née", "mat"]
    assert len(score.units) < len("the cat née\nmat".encode())


def test_an_end_is_a_word_of_its_own():
    vocabulary = Vocabulary.build("ab c", "character", end_of_sentence=True)
    score = Score.of_all([score_of(vocabulary, "ab c", end=True), score_of(vocabulary, " c", end=True)])
    assert [word.text for word in score.words] == ["ab", "c", END, "c", END]
    assert len(score.units) == 8


def test_a_word_with_an_unknown_character_is_unknown_and_shown_as_it_is():
    score = score_of(Vocabulary.build("ab c", "character"), "axb c")
    assert [(word.text, word.unknown) for word in score.words] == [("axb", True), ("c", False)]


def test_at_word_level_words_are_the_units():
    vocabulary = Vocabulary.build("the cat\n", "word")
    score = score_of(vocabulary, "the emu\nthe cat", end=True)
    assert score.words == score.units
    assert [word.text for word in score.words] == ["the", "emu", END, "the", "cat", END]


def test_what_was_taken_as_given_counts_for_nothing():
    vocabulary = Vocabulary("character", "ab ")
    score = Score.of(vocabulary, ["a", " ", "b"], [0, 2, 1], [None, math.log(0.5), math.log(0.5)])
    assert (score.count, score.probability, score.perplexity, score.bits) == (2, 0.25, 2.0, 1.0)
    assert [word.log_probability for word in score.words] == [None, pytest.approx(math.log(0.25))]
    partly = Score.of(vocabulary, ["a", "b"], [0, 1], [None, math.log(0.5)])
    assert [word.log_probability for word in partly.words] == [pytest.approx(math.log(0.5))]


def test_a_probability_below_all_floats_is_0_and_its_logarithm_is_not():
    vocabulary = Vocabulary("character", "a")
    score = Score.of(vocabulary, ["a"] * 1000, [0] * 1000, [-2.0] * 1000)
    assert (score.probability, score.log_probability) == (0.0, -2000.0)
