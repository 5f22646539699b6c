"""Bits a character that can be compared: nothing of a text goes uncounted at either level."""

import math

import pytest
import torch

from recurra.lab.bench import Course
from recurra.lab.experiments.character_vs_word import UNKNOWN, Units, figures
from recurra.models import LanguageModel

TEXT = "the cat sat on the mat. the dog sat on the log. "


@pytest.mark.parametrize("level", ["character", "word"])
def test_units_lose_nothing(level):
    units = Units(level, TEXT, 100)
    assert "".join(units.cut(TEXT)) == TEXT
    assert UNKNOWN not in units.encode(TEXT)
    assert units.spelling(TEXT) == 0


def test_an_unknown_word_costs_its_spelling():
    units = Units("word", TEXT, 4)
    assert len(units) == 4
    text = " the zoo"  # " zoo" is unknown, and z a sign never seen
    assert units.encode(text).tolist()[-1] == UNKNOWN
    total = len(TEXT) + units.ends + len(set(TEXT)) + 1
    chances = [TEXT.count(" ") + 1, 0 + 1, TEXT.count("o") + 1, TEXT.count("o") + 1, units.ends + 1]
    expected = sum(-math.log2(chance / total) for chance in chances)
    assert units.spelling(" zoo") == pytest.approx(expected)


def test_the_chances_of_signs_sum_to_one():
    units = Units("word", TEXT, 4)
    assert sum(n + 1 for n in units.signs.values()) + (units.ends + 1) <= units.total + 1


def test_a_model_that_knows_nothing_is_charged_what_guessing_costs():
    units = Units("character", TEXT, 100)
    model = LanguageModel(len(units), "rnn", 3, 4)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    found = figures(model, units, TEXT, Course([], []))
    assert found["bits"] == pytest.approx(math.log2(len(units)))
