"""The precision dial: what it is set to is kept on other text of the kind, and what cannot be had is said."""

import math
import random
import re

import pytest

from recurra.data.lines import Source
from recurra.data.tagged_sentence import TaggedSentence
from recurra.errors import SettingError
from recurra.tasks.operating_points import MAX_POINTS
from recurra.tasks.precision_dial import PrecisionDial
from recurra.tasks.tagging import Tagging


def corpus(count, seed=0, type_="PER", documents=1, sure=1.0):
    """Sentences of one entity each, right as often as σ(logit(confidence) · sure)."""
    draw = random.Random(seed)
    pairs = []
    for number in range(count):
        confidence = draw.uniform(0.5, 1.0)
        odds = (confidence / (1 - confidence)) ** sure
        right = draw.random() < odds / (1 + odds)
        gold = ((0, 1, type_),) if right else ((0, 2, type_),)
        document = number * documents // count
        sentence = TaggedSentence(("a", "b"), Source("a", number + 1), gold, document=document)
        pairs.append((sentence, Tagging(((0, 1, type_),), (confidence,))))
    return pairs


def calibrated(dial, answer):
    confidences = tuple(dial.calibrated(s[2], c) for s, c in zip(answer.spans, answer.confidences, strict=True))
    return Tagging(answer.spans, confidences)


def kept(setting, dial, pairs):
    """For each entity that is kept, whether it is right."""
    return [
        span in sentence.spans for sentence, answer in pairs for span in setting.apply(calibrated(dial, answer)).spans
    ]


@pytest.mark.parametrize("sure", [0.6, 1.0, 1.8])
def test_the_precision_is_kept_on_other_text_and_what_can_be_is_given(sure):
    dial = PrecisionDial.fit(corpus(3000, sure=sure))
    other = corpus(20_000, seed=1, sure=sure)
    for precision in (0.8, 0.9):
        outcomes = kept(dial.at(precision), dial, other)
        assert precision <= sum(outcomes) / len(outcomes) <= precision + 0.07
    fewer = [len(kept(dial.at(precision), dial, other)) for precision in (0.7, 0.8, 0.9)]
    assert fewer == sorted(fewer, reverse=True)


def test_confidences_come_true_and_the_error_is_measured_on_others():
    dial = PrecisionDial.fit(corpus(3000, sure=0.5))
    assert dial.error_before > 0.06
    assert dial.error_after < 0.03
    assert dial.calibrated("a type of none", 0.9) == dial.scaling(0.9)


def test_the_error_after_is_that_of_the_half_that_it_was_not_fitted_on():
    entity = ((0, 1, "PER"),)
    pairs = [
        (TaggedSentence(("a",), Source("a", 1), entity if number % 2 else ()), Tagging(entity, (0.9,)))
        for number in range(200)
    ]
    dial = PrecisionDial.fit(pairs)
    assert dial.calibrated("PER", 0.9) == pytest.approx(0.5, abs=0.1)  # which is right for both halves together
    assert dial.error_after > 0.8


def test_the_cost_is_said():
    dial = PrecisionDial.fit(corpus(2000))
    right = sum(sentence.spans == answer.spans for sentence, answer in corpus(2000))
    [note] = dial.at(0.9).notes
    after = dial.at(0.9)
    kept_right = sum(kept(after, dial, corpus(2000)))
    assert f"{kept_right / 2000:.1%} instead of {right / 2000:.1%}" in note


def test_what_cannot_be_had_is_said_and_not_given():
    dial = PrecisionDial.fit([*corpus(2000, type_="PER", sure=0.6), *corpus(30, type_="LAW", sure=9)])
    setting = dial.at(0.97)
    assert setting.thresholds == {"PER": math.inf, "LAW": math.inf}
    [law, per] = setting.notes[1:]
    assert re.fullmatch(r"PER: its 2,000 entities .* support no precision above 0\.[89]\d; none is kept", per)
    assert re.fullmatch(r"LAW: its 30 entities .* too few to be sure of a precision of 0\.97; none is kept", law)
    answer = Tagging(((0, 1, "PER"), (1, 2, "LAW"), (2, 3, "NEW")), (1.0, 1.0, 1.0), "label", 0.5)
    assert setting.apply(answer) == Tagging((), (), "label", 0.5)
    assert all("\n" not in note for note in setting.notes)


def test_a_type_that_was_never_predicted_is_named():
    missed = (TaggedSentence(("a",), Source("a", 1), ((0, 1, "LAW"),)), Tagging((), ()))
    assert any("no entity of LAW" in note for note in PrecisionDial.fit([*corpus(500), missed]).at(0.6).notes)
    dial = PrecisionDial.fit([missed])
    assert dial.at(0.5).apply(Tagging(((0, 1, "LAW"),), (0.9,))).spans == ()
    assert dial.error_before is None
    assert PrecisionDial.fit([]).at(0.5).notes == []


def test_entities_that_are_right_and_wrong_together_are_less_sure():
    alone = corpus(1000)
    together = [
        (TaggedSentence(s.words, s.source, s.spans, document=number), answer)
        for number, (s, answer) in enumerate(alone)
        for _ in range(4)
    ]
    four = corpus(4000)
    assert PrecisionDial.fit(together).effects["PER"] == pytest.approx(4, rel=0.02)
    assert PrecisionDial.fit(four).effects["PER"] == pytest.approx(1, abs=0.02)
    assert PrecisionDial.fit(together).at(0.9).thresholds["PER"] > PrecisionDial.fit(four).at(0.9).thresholds["PER"]


def test_it_is_small_and_read_back_as_it_was():
    dial = PrecisionDial.fit(corpus(5000))
    assert len(dial.points["PER"]) <= MAX_POINTS
    assert dial.points["PER"][-1].kept == 5000
    assert PrecisionDial.model_validate_json(dial.model_dump_json()) == dial


@pytest.mark.parametrize("precision", [0, 1, 1.5, -1, 95, math.nan])
def test_no_precision_is_refused(precision):
    with pytest.raises(SettingError, match=r"above 0 and below 1, such as 0\.95"):
        PrecisionDial().at(precision)
