"""BLEU, chrF and TER: the sums of sentences are sacrebleu's figures, whatever the sentences hold."""

import math
import sys

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import SettingError
from recurra.metrics import Bootstrap, add
from recurra.metrics.translation import bleu, chrf, moses_tokens, ter, tokenised_warning

SCORES = {
    "BLEU": (bleu(), sacrebleu.BLEU()),
    "BLEU, lower-cased": (bleu(lowercase=True), sacrebleu.BLEU(lowercase=True)),
    "BLEU, tokenised": (
        bleu(lowercase=True, tokenise="none"),
        sacrebleu.BLEU(lowercase=True, tokenize="none", force=1),
    ),
    "chrF2": (chrf(), sacrebleu.CHRF()),
    "chrF2, lower-cased": (chrf(lowercase=True), sacrebleu.CHRF(lowercase=True)),
    "chrF2++": (chrf(words=2), sacrebleu.CHRF(word_order=2)),
    "TER": (ter(), sacrebleu.TER()),
    "TER, cased": (ter(cased=True), sacrebleu.TER(case_sensitive=True)),
}

WORDS = st.lists(
    st.sampled_from(["A", "man", "Man", "is", "asleep", ".", ",", "1,000", "3.5", "\u2028", "&quot;"]), max_size=9
)
PAIRS = st.lists(st.tuples(WORDS.map(" ".join), WORDS.map(" ".join)), min_size=1, max_size=6)


@given(PAIRS)
def test_the_figure_of_sums_is_that_of_the_corpus(pairs):
    references, answers = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for name, (score, scorer) in SCORES.items():
        ours = score.value(add(score.tally(*pair) for pair in pairs))
        assert ours == pytest.approx(scorer.corpus_score(answers, [references]).score, abs=1e-9), name


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize(
    ("references", "answers"),
    [
        ([""], [""]),
        ([""], ["A man."]),
        (["A man."], [""]),
        (["", "A man is here."], ["A dog is here.", "A man is here."]),
    ],
)
def test_empty_references_and_answers_count_as_sacrebleu_counts_them(name, references, answers):
    score, scorer = SCORES[name]
    ours = score.value(add(map(score.tally, references, answers)))
    assert ours == scorer.corpus_score(answers, [references]).score


@pytest.mark.parametrize("name", SCORES)
def test_the_signature_is_sacrebleu_s(name):
    score, scorer = SCORES[name]
    scorer.corpus_score(["A man."], [["A man."]])
    assert score.signature() == str(scorer.get_signature())


def test_without_a_sentence_there_is_no_figure():
    assert all(math.isnan(score.value({})) for score, _ in SCORES.values())


def test_names_differ_and_say_what_is_measured():
    assert len({score.name for score, _ in SCORES.values()}) == len(SCORES)
    assert [score.label for score, _ in SCORES.values()] == [
        *("BLEU", "BLEU (lower-cased)", "BLEU (lower-cased, tok:none)"),
        *("chrF2", "chrF2 (lower-cased)", "chrF2++", "TER", "TER (cased)"),
    ]
    assert bleu(name="bleu").name == "bleu"


def test_a_metric_takes_examples_and_answers_and_has_an_interval():
    metric = bleu().metric(lambda example: example["target"], lambda answer: answer[0])
    pairs = [
        ({"target": "A man is here ."}, ("A man is here .",)),
        ({"target": "Two dogs run ."}, ("Two cats run .",)),
    ] * 20
    bootstrap = Bootstrap(100)
    for number, pair in enumerate(pairs):
        bootstrap.add(number, metric.tally(*pair))
    figure = metric.value(add(metric.tally(*pair) for pair in pairs))
    interval = bootstrap.interval(metric.value)
    assert 0 < interval.low < figure < interval.high < 100
    assert metric.better == "higher"
    assert (ter().metric(str, str).better, ter().metric(str, str).detail, metric.detail) == ("lower", True, False)


def test_references_that_are_tokenised_are_noticed():
    assert tokenised_warning(["Two dogs run.", "", "A man", "Yes , no .", "1,000 men, all asleep."]) is None
    assert "2 of 3 lines" in tokenised_warning(["Two dogs run .", "", "A man", "Yes , no .", "A man."])
    assert tokenised_warning([]) is None


@pytest.mark.parametrize(
    ("text", "language", "tokens"),
    [
        ("A man's hat isn't here.", "en", "a man 's hat isn 't here ."),
        ("The boys' dogs, 1,000 of them (all).", "en", "the boys ' dogs , 1,000 of them ( all ) ."),
        ("L’homme d'État: « oui ».", "fr", "l' homme d' état : \" oui \" ."),
        ("Sie ist's; „ja“.", "de", 'sie ist \' s ; " ja " .'),
        ("A well-known U.S. team at 3.5 m...", "en", "a well-known u.s. team at 3.5 m ..."),
        ("", "en", ""),
    ],
)  # fmt: skip
def test_sentences_are_tokenised_as_by_moses(text, language, tokens):
    assert moses_tokens(text, language) == tokens


def test_without_sacrebleu_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    for build, what in ((bleu, "BLEU"), (chrf, "chrF"), (ter, "TER")):
        with pytest.raises(
            SettingError, match=rf"^{what} needs sacrebleu, which is not installed: .*install sacrebleu$"
        ):
            build()
