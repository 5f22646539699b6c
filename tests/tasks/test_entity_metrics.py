"""The figures of a tagger: parts add up to the whole, and entities learned by heart are told from others."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.lines import Source
from recurra.data.tagged_sentence import TaggedSentence
from recurra.data.tags import Scheme
from recurra.metrics import add
from recurra.tasks.entity_metrics import SeenEntities, entity_metrics
from recurra.tasks.tagging import Tagging


def sentence(words, *spans, label=None):
    return TaggedSentence(tuple(words.split()), Source("a", 1), spans, label=label)


def answer(*spans, label=None):
    return Tagging(spans, (0.5,) * len(spans), label, None if label is None else 0.5)


def figures(metrics, pairs):
    pairs = list(pairs)
    return {metric.name: metric.value(add(metric.tally(*pair) for pair in pairs)) for metric in metrics}


TRAINING = [sentence("Ann saw New York", (0, 1, "PER"), (2, 4, "LOC"))]


def test_entities_are_seen_by_their_words_and_type_whatever_their_capitals():
    seen = SeenEntities.of(TRAINING)
    assert len(seen) == 2
    assert ("NEW YORK", "LOC") in seen
    assert ("Ann", "LOC") not in seen
    assert ("New", "LOC") not in seen
    assert "Ann" not in seen
    assert SeenEntities.model_validate_json(seen.model_dump_json()) == seen
    assert "Ann" not in seen.model_dump_json()
    assert len(SeenEntities()) == 0


def test_what_was_learned_by_heart_is_told_from_what_was_not():
    metrics = entity_metrics(SeenEntities.of(TRAINING), {"Ann", "saw", "New", "York", "left"}.__contains__)
    pairs = [
        (sentence("Ann left", (0, 1, "PER")), answer((0, 1, "PER"))),  # seen, right
        (sentence("Bob left", (0, 1, "PER")), answer()),  # unseen, missed
        (sentence("York left", (0, 1, "LOC")), answer((0, 1, "LOC"))),  # unseen, of a known word, right
        (sentence("Ann left", (0, 1, "PER")), answer((0, 1, "LOC"))),  # seen, and answered as an unseen one
    ]
    assert figures(metrics, pairs) == pytest.approx(
        {
            "f1": 2 * 2 / (4 + 3),
            "precision": 2 / 3,
            "recall": 2 / 4,
            "token_accuracy": 6 / 8,
            "f1_seen": 2 * 1 / (2 + 1),
            "f1_unseen": 2 * 1 / (2 + 2),
            "f1_known_words": 2 * 2 / (3 + 3),
            "f1_unknown_words": 0.0,
        }
    )


spans = st.lists(st.sampled_from([(0, 1, "PER"), (1, 2, "LOC"), (2, 4, "LOC"), (2, 4, "PER")]), max_size=3, unique=True)
words = st.permutations(["Ann", "saw", "New", "York"]).map(" ".join)


@given(st.lists(st.tuples(words, spans, spans), max_size=5))
def test_parts_add_up_to_the_whole(rows):
    metrics = {m.name: m for m in entity_metrics(SeenEntities.of(TRAINING), {"Ann", "saw"}.__contains__)}
    del metrics["token_accuracy"]  # a span of two types is drawn, too, and cannot be written as tags
    pairs = [(sentence(text, *gold), answer(*predicted)) for text, gold, predicted in rows]

    def tally(name):
        return add(metrics[name].tally(*pair) for pair in pairs)

    assert tally("f1") == tally("f1_seen") + tally("f1_unseen")
    assert tally("f1") == tally("f1_known_words") + tally("f1_unknown_words")


def test_the_label_of_a_sentence_and_no_entity_at_all():
    metrics = entity_metrics(labels=True)
    pairs = [(sentence("a b", label="x"), answer(label="x")), (sentence("a", label="x"), answer(label="y"))]
    result = figures(metrics, pairs)
    assert result["label_accuracy"] == 0.5
    assert result["token_accuracy"] == 1.0
    assert math.isnan(result["f1"])
    assert math.isnan(figures(metrics, [])["label_accuracy"])


def test_the_accuracy_of_tags_is_that_of_the_scheme():
    pair = (sentence("a b", (0, 2, "X")), answer((0, 1, "X"), (1, 2, "X")))
    accuracies = {
        scheme: figures(entity_metrics(scheme=scheme), [pair])["token_accuracy"]
        for scheme in (Scheme.IO, Scheme.IOB1, Scheme.IOB2, Scheme.IOBES)
    }
    assert accuracies == {Scheme.IO: 1.0, Scheme.IOB1: 0.5, Scheme.IOB2: 0.5, Scheme.IOBES: 0.0}
