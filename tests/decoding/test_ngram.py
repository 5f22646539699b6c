"""Models of n-grams: probabilities of all words add up to one, smoothing as in the paper, ARPA files to the bit."""

import itertools
import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.decoding.ngram import END, START, UNKNOWN, NgramModel
from recurra.errors import DataError, SettingError

TEXTS = st.lists(st.lists(st.sampled_from(["a", "b", "c", "d", "é"]), max_size=6), min_size=1, max_size=12)


@given(TEXTS, st.integers(1, 4), st.sampled_from(["kneser-ney", "witten-bell"]))
def test_the_probabilities_of_all_words_add_up_to_one_after_every_history(sentences, order, smoothing):
    model = NgramModel.fit(sentences, order, smoothing, vocabulary=["z"])
    assert {"z", END, UNKNOWN} <= model.words
    assert START not in model.words
    for history in [(), ("never", "seen"), *(ngram for ngram in model.table if len(ngram) < order)]:
        total = math.fsum(math.exp(model.log_probability(history, word)) for word in model.words)
        assert total == pytest.approx(1, abs=1e-9)
    assert NgramModel.from_arpa(model.to_arpa(), "model.arpa").table == model.table


def test_kneser_ney_counts_contexts_and_not_how_often():
    # c comes often, but after b alone; a comes twice, after two words.
    sentences = [["b", "c"]] * 6 + [["d", "a"], ["b", "a"], ["a"]]
    model = NgramModel.fit(sentences, order=2)
    pairs = {pair for words in sentences for pair in itertools.pairwise([START, *words, END])}
    contexts = Counter(word for _, word in pairs)
    assert contexts["a"] == 3 > contexts["c"] == 1
    assert model.log_probability((), "a") > model.log_probability((), "c")
    often = NgramModel.fit(sentences, order=1)
    assert often.log_probability((), "a") < often.log_probability((), "c")


def test_interpolation_is_what_the_formula_says():
    sentences = [["a", "b"], ["a", "c"], ["a", "b"], ["b"]]
    model = NgramModel.fit(sentences, order=2, smoothing="witten-bell")
    # After a stand b, b and c: p(b | a) = (2 + 2 p(b)) / (3 + 2); b is 3 of 11 tokens of 4 kinds.
    kinds, tokens, vocabulary = 4, 11, 5
    single = (3 + kinds / vocabulary) / (tokens + kinds)
    assert math.exp(model.log_probability((), "b")) == pytest.approx(single)
    assert math.exp(model.log_probability(("a",), "b")) == pytest.approx((2 + 2 * single) / 5)
    assert model.perplexity([["a", "b"]]) == pytest.approx(
        math.exp(
            -sum(
                model.log_probability(history, word)
                for history, word in [((START,), "a"), (("a",), "b"), (("b",), END)]
            )
            / 3
        )
    )


ARPA = """\\data\\
ngram 1=4
ngram 2=1

\\1-grams:
-99 <s> -0.3
-0.5 </s>
-0.4 one -0.2
-1.0 <UNK>

\\2-grams:
-0.1 <s> one

\\end\\
"""


def test_a_model_of_another_tool_is_read():
    model = NgramModel.from_arpa(ARPA.splitlines(), "words.arpa")
    start = model.start()
    assert model.log_probability(start, "one") == pytest.approx(-0.1 * math.log(10))
    assert model.log_probability(start, "two") == pytest.approx(-1.3 * math.log(10))
    assert model.log_probability(model.after(start, "one"), END) == pytest.approx(-0.7 * math.log(10))
    assert model.log_probability((), START) == model.log_probability((), "never")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("-0.1 <s> one", "-0.1 <s>"), "line 12: an entry has a number, 2 words"),
        (("-0.4 one", "x one"), "line 8: .* has no number"),
        (("-0.4 one", "0.4 one"), "line 8: a logarithm of a probability is 0 or less"),
        (("-0.4 one", "nan one"), "line 8: a logarithm"),
        (("\\end\\", ""), "no whole model .*4 of 4 1-grams, 1 of 1 2-grams"),
        (("ngram 2=1", "ngram 2=2"), "1 of 2 2-grams"),
        (("\\1-grams:", "hello"), "line 5: 'hello' stands where"),
        ((ARPA, "just a text"), "it has no n-grams"),
        ((ARPA, ""), "it has no n-grams"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_line(change, message):
    with pytest.raises(DataError, match=f"words.arpa, line .*{message}|words.arpa, {message}"):
        NgramModel.from_arpa(ARPA.replace(*change).splitlines(), "words.arpa")


def test_what_no_model_comes_of_is_refused():
    with pytest.raises(DataError, match="no sentence"):
        NgramModel.fit([])
    with pytest.raises(DataError, match="'two words' is no word"):
        NgramModel.fit([["two words"]])
    with pytest.raises(SettingError, match="smoothing 'none' is unknown"):
        NgramModel.fit([["a"]], smoothing="none")
    with pytest.raises(SettingError, match="order is 0"):
        NgramModel.fit([["a"]], order=0)
    with pytest.raises(SettingError, match="at least one"):
        NgramModel({})
