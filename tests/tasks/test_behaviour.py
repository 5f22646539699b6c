"""The behaviour report, of classifiers whose answers depend on one thing each."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from recurra.data.classified import ClassifiedText
from recurra.data.dataset import Examples
from recurra.data.lines import Source
from recurra.data.perturbations import PERTURBATIONS
from recurra.errors import SettingError
from recurra.tasks import TASKS
from recurra.tasks.behaviour import behaviour_of
from recurra.tasks.classified import Classified
from recurra.tasks.sentiment_classification import SENTIMENT_CLASSIFICATION

TEXTS = [f"Mary said film number {n} is good, and Paul left." for n in range(20)]
NAMES = [perturbation.name for perturbation in PERTURBATIONS]
SPACE, CAPITALS, LOWER, TYPO, PEOPLE, MARKLESS, NEGATED = NAMES


@dataclass
class Stub:
    """A classifier that says yes with the probability that a rule gives to a text."""

    rule: Callable[[str], float]
    task = SENTIMENT_CLASSIFICATION

    def answers(self, examples):
        for example in examples:
            yes = self.rule(example.text)
            yield Classified("yes" if yes > 0.5 else "no", (1 - yes, yes), ("no", "yes"), 1.0)


def dataset(texts):
    sources = [Source(Path("texts.txt"), number) for number in range(1, len(texts) + 1)]
    return Examples([ClassifiedText(*pair) for pair in zip(texts, sources, strict=True)], sources, [1] * len(texts))


def report(rule, texts=TEXTS, **options):
    return {row.name: row for row in behaviour_of(Stub(rule), dataset(texts), **options)}


@pytest.mark.parametrize(
    ("rule", "changing"),
    [
        (lambda text: 0.9, set()),
        (lambda text: 0.9 if text.islower() else 0.1, {LOWER}),
        (lambda text: 0.9 if text.isupper() else 0.1, {CAPITALS}),
        (lambda text: 0.9 if "\n" in text else 0.1, {SPACE}),
        (lambda text: 0.9 if "Mary" in text.title() else 0.1, {PEOPLE}),
        (lambda text: 0.9 if "," in text else 0.1, {MARKLESS}),
        (lambda text: 0.9 if " not " in text.lower() else 0.1, {NEGATED}),
    ],
)
def test_what_an_answer_depends_on_is_what_the_report_says(rule, changing):
    # A typo may fall on the name, as it may on any word.
    rows = {name: row for name, row in report(rule).items() if name != TYPO}
    assert {name for name, row in rows.items() if row.changed} == changing
    for name, row in rows.items():
        assert row.texts == 20
        assert row.changed == (20 if name in changing else 0)
        assert row.moved == pytest.approx(0.8 if name in changing else 0)
        low, high = row.interval
        assert (low == 0) == (row.changed == 0)
        assert (high == 1) == (row.changed == 20)


def test_a_classifier_of_known_spellings_is_told_by_its_typos():
    known = set(" ".join(TEXTS).split())
    row = report(lambda text: 0.9 if set(text.split()) <= known else 0.2)[TYPO]
    assert (row.changed, row.share) == (20, 1)
    assert [change.line for change in row.worst] == [1, 2, 3], "equally bad ones in the order of the file"
    assert row.worst[0].before.label == "yes"
    assert row.worst[0].text == TEXTS[0]


def test_the_worst_of_what_should_not_matter_moved_most_and_of_what_should_least():
    def rule(text):
        number = next(int(word) for word in text.split() if word.isdigit())
        return 0.4 if not text.islower() else 0.5 + number / 50

    row = report(rule)[LOWER]
    assert row.changed == 19
    assert [change.line for change in row.worst] == [20, 19, 18]

    def slow(text):
        number = next(int(word) for word in text.split() if word.isdigit())
        return 0.9 - ("not" in text) * (0.3 - number / 100 + (number > 10))

    kept = report(slow, worst=2)[NEGATED]
    assert kept.changed == 9
    assert [change.line for change in kept.worst] == [11, 10]


def test_texts_without_anything_to_change_are_not_counted():
    rows = report(lambda text: 0.1, ["", "so dull", "So dull"])
    assert [rows[name].texts for name in (SPACE, CAPITALS, LOWER, TYPO, PEOPLE, MARKLESS, NEGATED)] == [
        3,
        2,
        1,
        2,
        0,
        0,
        0,
    ]
    empty = rows[NEGATED]
    assert (empty.share, empty.moved, empty.as_json()["interval"]) == (None, 0, None)
    json.dumps([row.as_json() for row in rows.values()], allow_nan=False)


def test_of_many_texts_some_are_drawn_by_the_seed():
    def drawn(seed):
        rows = report(lambda text: float(text.isupper()), limit=5, worst=5, seed=seed)
        return [change.line for change in rows[CAPITALS].worst]

    assert len(drawn(0)) == 5
    assert drawn(0) == drawn(0) == sorted(drawn(0))
    assert drawn(0) != drawn(1)


def test_several_classes_differ_as_sets():
    def answer(labels):
        return Classified(labels[0], (0.6, 0.7), ("a", "b"), 1.0, several=labels)

    class Swapping(Stub):
        def answers(self, examples):
            return (
                answer(("b", "a") if e.text.isupper() else ("b",) if e.text.islower() else ("a", "b")) for e in examples
            )

    rows = {row.name: row for row in behaviour_of(Swapping(None), dataset(TEXTS))}
    assert rows[CAPITALS].changed == 0
    assert rows[LOWER].changed == 20


def test_a_use_without_texts_has_no_report():
    run = SimpleNamespace(task=TASKS["language-modelling"])
    with pytest.raises(SettingError, match="language-modelling has no behaviour report"):
        behaviour_of(run, dataset(TEXTS))
