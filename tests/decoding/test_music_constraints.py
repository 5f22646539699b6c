"""Constraints: what is understood, what is refused, and that whatever is drawn within the masks keeps to them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from recurra.decoding import SamplingSettings
from recurra.decoding.chord_drawing import draw_chords, draw_keys
from recurra.decoding.music_constraints import MusicConstraints
from recurra.decoding.music_masks import ConstraintMasks
from recurra.decoding.music_report import Finding, check_constraints
from recurra.errors import SettingError


def test_a_text_is_read() -> None:
    text = (
        'scale=A:minor range=C3..C6 notes>=2 notes<=4 chords="C|F -|G7" hold<=2bars repeat<=3 keep=1-2,4 bars=8 closed'
    )
    rules = MusicConstraints.parse(text, frames_a_bar=8)
    assert rules.scale == {0, 2, 4, 5, 7, 9, 11}
    assert rules.pitches == (48, 84)
    assert rules.track == ((frozenset({0, 4, 7}),), (frozenset({5, 9, 0}), None), (frozenset({7, 11, 2, 5}),))
    assert (rules.least, rules.most, rules.hold, rules.repeat, rules.length) == (2, 4, 16, 3, 64)
    assert rules.keep == ((0, 16), (24, 32))
    assert rules.end == frozenset()
    assert rules.written["notes"] == "notes>=2 notes<=4"
    assert [rules.chord_at(frame) for frame in (7, 11, 12, 16, 24)] == [
        rules.track[0][0],
        rules.track[1][0],
        None,
        rules.track[2][0],
        rules.track[0][0],
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scale=C:majr", "at character 1: there is no scale 'majr'; did you mean major"),
        ("bars=8 scael=C:major", "'scael=C:major' at character 8: there is no constraint 'scael'; did you mean scale"),
        ("bars=8 major", "at character 8: there is no constraint 'major'"),
        ("hold=2", "'hold=2' at character 1: expected as in hold<=2bars"),
        ("scale=", "expected as in scale=C:major"),
        ("scale=H:major", "'H' is no pitch class"),
        ("scale=major", "'major' is no scale; expected a root"),
        ("range=C6..C3", "exchange them"),
        ("range=C..D", "'C' is no pitch"),
        ('chords="C|Fmajor"', "'Fmajor' is no chord"),
        ('chords="C|F G A|"', "bar 2 has 3 chords"),
        ('chords="C|F', "quotation mark"),
        ("notes=4..1", "exchange them"),
        ("notes=x", "'x' stands where a whole number from 0"),
        ("notes>=3 voices<=2", "3 notes or more and 2 or fewer"),
        ("keep=4-2", "exchange them"),
        ("bars=0", "a whole number from 1"),
        ("bars=8 length=4", "'length=4' at character 8: this was said before"),
        ("rests=no notes=0", "1 notes or more and 0 or fewer"),
        ("length=99999999999", "a whole number from 1 to 1,000,000"),
    ],
)
def test_what_is_not_understood_is_said_with_its_character(text: str, message: str) -> None:
    with pytest.raises(SettingError) as error:
        MusicConstraints.parse(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("bars=2 scale=C:major chords=F#", ["scale=C:major", "chords=F#"]),
        (
            "range=C4..C4 scale=G:major chords=C scale=D:blues".replace(" scale=D:blues", " end=G"),
            ["range=C4..C4", "end=G"],
        ),
        ("range=C4..D4 scale=C:major notes=3", ["range=C4..D4", "notes=3"]),
        ("range=C4..E4 chords=C hold<=2 notes=2", ["hold<=2", "notes=2"]),
        ("range=C4..E4 chords=C repeat<=2 notes=2", ["repeat<=2", "notes=2"]),
        ("keep=1 scale=F#:major", ["keep=1", "scale=F#:major"]),
        ("keep=1 notes=2..3", ["keep=1", "notes=2..3"]),
        ("keep=1 hold<=1", ["keep=1", "hold<=1"]),
        ("keep=3", ["keep=3", "the primer has 4 frames"]),
    ],
)
def test_what_cannot_be_kept_is_refused_by_the_names_of_the_two(text: str, names: list[str]) -> None:
    primer = np.zeros((4, 12), np.bool_)
    primer[:, 0] = True
    with pytest.raises(SettingError) as error:
        ConstraintMasks(MusicConstraints.parse(text, 4), 8, 60, 12, primer)
    assert all(name in str(error.value) for name in names), str(error.value)


def test_the_report_counts_what_breaks_each_constraint_and_where() -> None:
    # A C for three frames, a C#, silence, and a C with an E.
    frames = np.zeros((6, 12), np.bool_)
    frames[[0, 1, 2, 5], 0] = frames[3, 1] = frames[5, 4] = True
    text = "scale=C:major range=C4..C4 chords=C|- notes=1 hold<=2 repeat<=1 length=8 end=C keep=1"
    primer = frames.copy()
    primer[1] = False
    rules = MusicConstraints.parse(text, frames_a_bar=4)
    findings = {
        one.constraint: (one.frames, one.violations, one.first) for one in check_constraints(rules, frames, 60, primer)
    }
    assert findings == {
        "scale=C:major": (6, 1, 3),
        "range=C4..C4": (6, 2, 3),
        "chords=C|-": (4, 1, 3),
        "notes=1": (6, 2, 4),
        "hold<=2": (6, 1, 2),
        "repeat<=1": (2, 0, None),
        "keep=1": (4, 1, 1),
        "length=8": (1, 1, 5),
        "end=C": (1, 0, None),
    }
    finding = Finding("notes=1", 6, 2, 4, frames_a_bar=4)
    assert str(finding) == "notes=1: 6 frames, 2 violations, the first in bar 2, beat 1 (frame 5)"
    assert finding.as_json()["first"] == {"frame": 5, "bar": 2, "beat": 1}
    told = check_constraints(MusicConstraints.parse("scale=C:major repeat<=1"), frames, 60, begun=2)
    assert [(one.frames, one.violations, one.first) for one in told] == [(4, 1, 3), (4, 1, 2)]


KEYS, LENGTH, LOWEST, BAR = 7, 12, 58, 4


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Constraints of which many contend for the few keys there are."""
    terms = [
        st.sampled_from(["scale=C:major", "scale=F:pentatonic", "scale=C,D", "scale=chromatic"]),
        st.sampled_from(["range=A3..E4", "range=B3..D4", "range=C4..D4"]),
        st.sampled_from(['chords="C|-"', 'chords="C G|F"', "chords=Am7"]),
        st.sampled_from(["notes=1", "notes=1..2", "notes<=3", "notes>=2", "rests=no", "notes=2"]),
        st.integers(1, 4).map(lambda number: f"hold<={number}"),
        st.integers(1, 3).map(lambda number: f"repeat<={number}"),
        st.sampled_from(["keep=1", "keep=2", "keep=3", "keep=1,3"]),
        st.sampled_from(["closed", "end=C", "end=G"]),
    ]
    return " ".join(draw(term) for term in draw(st.permutations(terms))[: draw(st.integers(1, 5))])


def stubborn(sharpness: float, seed: int) -> Tensor:
    return sharpness * torch.randn(KEYS + 1, generator=torch.Generator().manual_seed(seed))


def write(masks: ConstraintMasks, frames: int, rows: int, *, chords: bool, logits: Tensor) -> np.ndarray:
    draws = [torch.Generator().manual_seed(row) for row in range(rows)]
    written = []
    for _ in range(frames):
        mask = masks.next()
        if chords:
            drawn, _ = draw_chords(lambda notes, last: logits.expand(rows, -1), mask, SamplingSettings(), draws)
        else:
            drawn, _ = draw_keys(logits[:-1].expand(rows, -1), mask, SamplingSettings(), draws)
        written.append(drawn.bool().numpy())
        masks.advance(written[-1])
    return np.stack(written, 1)


@given(texts(), st.booleans(), st.floats(0, 20), st.integers(0, 10_000), st.integers(0, 3), st.integers(0, 2**62))
def test_nothing_that_is_drawn_breaks_a_constraint(
    text: str, chords: bool, sharpness: float, seed: int, begun: int, code: int
) -> None:
    rules = MusicConstraints.parse(text, BAR)
    flags = np.array([code >> place & 1 for place in range(62)] * 2, np.bool_)[: LENGTH * KEYS]
    primer = flags.reshape(LENGTH, KEYS) & np.roll(flags, 5).reshape(LENGTH, KEYS)
    begin = primer[: 0 if rules.kept else begun]
    rows = 2
    try:
        masks = ConstraintMasks(rules, LENGTH, LOWEST, KEYS, primer, rows, begin)
    except SettingError:
        return
    written = write(masks, LENGTH - len(begin), rows, chords=chords, logits=stubborn(sharpness, seed))
    for row in written:
        whole = np.concatenate([begin, row])
        for finding in check_constraints(rules, whole, LOWEST, primer, len(begin)):
            assert not finding.violations, str(finding)


def every_piece(rules: MusicConstraints, length: int, keys: int) -> bool:
    """Whether any piece at all keeps to constraints, by looking at all of them."""
    chords = np.array(list(itertools.product((False, True), repeat=keys)))
    beginnings = [np.zeros((0, keys), np.bool_)]
    for _ in range(length):
        beginnings = [np.concatenate([one, chord[None]]) for one in beginnings for chord in chords]
        beginnings = [one for one in beginnings if not any(f.violations for f in check_constraints(rules, one, 60))]
    return bool(beginnings)


@pytest.mark.parametrize("text", ["notes=1 hold<=2", "notes>=2 hold<=2", "notes=2 hold<=1", "notes=1..2 hold<=1"])
@pytest.mark.parametrize("keys", [1, 2, 3])
def test_what_can_be_kept_is_not_refused(text: str, keys: int) -> None:
    rules = MusicConstraints.parse(text)
    try:
        masks = ConstraintMasks(rules, 5, 60, keys)
    except SettingError:
        assert not every_piece(rules, 5, keys)
        return
    assert every_piece(rules, 5, keys)
    # A model that likes every key: whatever may sound does, and some have to rest in time all the same.
    for piece in write(masks, 5, 1, chords=False, logits=torch.full((keys + 1,), 20.0)):
        assert not any(finding.violations for finding in check_constraints(rules, piece, 60))


@pytest.mark.parametrize("chords", [False, True])
@pytest.mark.parametrize("likes", [20.0, -20.0])
@pytest.mark.parametrize(
    "text",
    ["keep=2 hold<=2", "keep=2,4 hold<=3", "repeat<=2", "repeat<=3 closed", "repeat<=1 closed", "keep=2 repeat<=1"],
)
def test_a_model_that_always_wants_the_same_is_held_back(text: str, likes: float, chords: bool) -> None:
    primer = np.zeros((8, 4), np.bool_)
    primer[2:4, 0] = primer[6, 1] = True
    rules = MusicConstraints.parse(text, frames_a_bar=2)
    masks = ConstraintMasks(rules, 8, 60, 4, primer)
    logits = torch.cat([torch.full((4,), likes), torch.zeros(1)])
    [piece] = write(masks, 8, 1, chords=chords, logits=logits)
    assert not any(finding.violations for finding in check_constraints(rules, piece, 60, primer))
