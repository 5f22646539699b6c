"""Figures of pieces against counts by hand."""

import math

import numpy as np
import pytest

from recurra.metrics.music_statistics import music_statistics, statistics_table

#                 C  D  E  C' (keys 60, 62, 64, 72 of 13)
TUNE = np.zeros((8, 13), dtype=bool)
TUNE[0:2, 0] = TUNE[4:6, 0] = True  # C C . . C C
TUNE[2, 2] = TUNE[2, 4] = True  # D and E together
TUNE[6, 2] = TUNE[6, 4] = True
TUNE[7, 12] = True  # and a C an octave above the first; frame 3 is silent


def test_figures_of_a_tune_counted_by_hand():
    figures = music_statistics([TUNE, TUNE[:1]], bar=2, lowest=60)
    expected = {
        "pieces": 2,
        "frames": 9,
        "notes": 8,
        "lowest pitch": 60,
        "highest pitch": 72,
        "notes a frame": 10 / 9,
        "silent frames": 1 / 9,
        "onsets a bar": 16 / 9,
        "frames a note": 10 / 8,
        "frames like the last": 2 / 7,
        "bars like an earlier one": 1 / 3,
        "mean step of the top voice": (4 + 4 + 4 + 8) / 4,
        "steps of 2 semitones or less": 0,
        "leaps of over 7 semitones": 1 / 4,
        "share of C": 6 / 10,
        "share of D": 2 / 10,
        "share of E": 2 / 10,
        "share of B": 0,
    }
    assert {name: figures[name] for name in expected} == pytest.approx(expected)


def test_nothing_to_divide_by_is_no_number_and_shown_as_a_dash():
    figures = music_statistics([np.zeros((0, 3), dtype=bool)])
    assert math.isnan(figures["notes a frame"])
    assert statistics_table({"drawn": figures}).splitlines()[4].split() == ["lowest", "pitch", "-"]
