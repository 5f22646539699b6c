"""Error rates of recognition: the distances are enumerated, the pooled rates are jiwer's."""

import functools
import math

import jiwer
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recurra.metrics import Bootstrap, add, edits
from recurra.metrics.edits import align
from recurra.metrics.recognition import (
    aligned_listing,
    character_error_rate,
    confusions,
    error_tally,
    sentence_error_rate,
    word_error_rate,
)

SEQUENCES = st.text("abc", max_size=9)
UTTERANCES = st.lists(st.sampled_from(["one", "two", "to", "three", "one-two", "é"]), max_size=8).map(" ".join)
CORPORA = st.lists(st.tuples(UTTERANCES, UTTERANCES), min_size=1, max_size=8)


def fewest_edits_and_most_kept(reference, answer):
    """The least (edits, -items kept) over all alignments, by recursion."""

    @functools.cache
    def best(i, j):
        if not i or not j:
            return i + j, 0
        ways = [(best(i - 1, j), 1, 0), (best(i, j - 1), 1, 0)]
        equal = reference[i - 1] == answer[j - 1]
        ways.append((best(i - 1, j - 1), 0 if equal else 1, -1 if equal else 0))
        return min((edits_ + cost, kept + more) for (edits_, kept), cost, more in ways)

    return best(len(reference), len(answer))


@given(SEQUENCES, SEQUENCES, st.sampled_from([2**24, 6]))
@example("abcdeafghi", "afghiabcde", 2**24)  # more would be kept by more edits
def test_an_alignment_makes_the_answer_by_the_fewest_edits_and_keeps_most(reference, answer, whole_table):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edits, "WHOLE_TABLE", whole_table)  # with the small one, sequences are cut in halves
        steps = align(reference, answer)
    assert [step.reference for step in steps if step.reference is not None] == list(reference)
    assert [step.answer for step in steps if step.answer is not None] == list(answer)
    for step in steps:
        missing = {"deletion": step.answer is None, "insertion": step.reference is None}
        assert missing.get(step.kind, (step.reference == step.answer) == (step.kind == "equal"))
    kept = sum(step.kind == "equal" for step in steps)
    distance, most = fewest_edits_and_most_kept(reference, answer)
    assert len(steps) - kept == distance
    assert kept == -most


WORDS = word_error_rate(lambda example: example, lambda answer: answer)
CHARACTERS = character_error_rate(lambda example: example, lambda answer: answer)
SENTENCES = sentence_error_rate(lambda example: example, lambda answer: answer)


@given(CORPORA)
def test_pooled_rates_are_those_of_jiwer(corpus):
    references, answers = map(list, zip(*corpus, strict=True))
    words, characters = (add(metric.tally(*pair) for pair in corpus) for metric in (WORDS, CHARACTERS))
    expected = jiwer.process_words(references, answers)
    assert WORDS.value(words) == pytest.approx(expected.wer)
    assert words["items"] == expected.hits + expected.substitutions + expected.deletions
    assert CHARACTERS.value(characters) == pytest.approx(jiwer.cer(references, answers))


@pytest.mark.parametrize(
    ("references", "answers", "rate"), [([""], ["a b"], 2.0), ([""], [""], 0.0), (["", "a"], ["b", ""], 2.0)]
)
def test_an_utterance_in_which_nothing_was_spoken_counts_by_what_was_put_in(references, answers, rate):
    assert WORDS.value(add(map(WORDS.tally, references, answers))) == rate == jiwer.wer(references, answers)
    assert math.isnan(WORDS.value({}))


def test_pairs_of_words_tell_what_was_taken_for_what():
    tally = add([error_tally(list("bbbe"), list("eebe")), error_tally(list("ep"), list("e")), error_tally([], ["b"])])
    assert confusions(tally) == [("b", "e", 2), ("", "b", 1), ("p", "", 1)]
    rows = {row.name: list(row.figures.values()) for row in WORDS.table(tally)}
    assert rows == {"b": [3, 1, 2, 0, 1, 0], "e": [2, 2, 0, 0, 0, 2], "p": [1, 0, 0, 1, 0, 0]}
    matrix = WORDS.matrix(tally)
    assert list(matrix.classes) == ["b", "e", "p", "(none)"]
    assert matrix.counts == [[1, 2, 0, 0], [0, 2, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0]]


def test_the_interval_is_drawn_on_few_counts():
    bootstrap = Bootstrap(20)
    for speaker in range(30):
        bootstrap.add(speaker, WORDS.coarsened(WORDS.tally(f"word{speaker} yes", "yes")))
    assert len(bootstrap.state()) == 4
    assert bootstrap.interval(WORDS.value).low == 0.5


def test_a_sentence_is_wrong_as_a_whole_and_spaces_are_no_words():
    total = add(map(SENTENCES.tally, ["one  two", "", "one"], ["one two ", "", "two"]))
    assert SENTENCES.value(total) == pytest.approx(1 / 3)


def test_a_long_listing_goes_on_below_and_wide_characters_stay_in_columns():
    text = aligned_listing(align(["あ", "b", "c"], ["a", "b", "c", "d"]), width=19)
    assert text == (
        "spoken      あ  b\nrecognised  a   b\n            S\n\nspoken      c  *\nrecognised  c  d\n               I"
    )
