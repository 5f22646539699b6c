"""Frames are drawn as enumeration says they are, given what is allowed."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from recurra.decoding import SamplingSettings
from recurra.decoding.chord_drawing import FrameMask, draw_chords, draw_keys
from recurra.errors import RunError, SettingError

KEYS = 4
CHORDS = list(itertools.product((0, 1), repeat=KEYS))
DRAWS = 1500
Chord = tuple[int, ...]


def mask_of(may: Chord, must: Chord, least: int, most: int, barred: Chord | None, rows: int = 1) -> FrameMask:
    one = FrameMask(
        torch.tensor([may]).bool(),
        torch.tensor([must]).bool(),
        torch.tensor([least]),
        torch.tensor([most]),
        torch.tensor([barred or (0,) * KEYS]).bool(),
        torch.tensor([barred is not None]),
    )
    return FrameMask(*(part.expand(rows, *part.shape[1:]) for part in one))


def allowed_chords(mask: FrameMask) -> list[Chord]:
    may, must, least, most, barred, bars = (part[0].tolist() for part in mask)
    return [
        chord
        for chord in CHORDS
        if all(m <= c <= a for m, c, a in zip(must, chord, may, strict=True))
        and least <= sum(chord) <= most
        and not (bars and list(map(bool, chord)) == barred)
    ]


def toy(notes: Tensor, last: Tensor) -> Tensor:
    """Logits that depend on all notes so far."""
    code = (notes * 2.0 ** torch.arange(KEYS)).sum(1, keepdim=True)
    logits = torch.sin(code * 1.7 + torch.arange(KEYS + 1) * 2.3) * 1.5
    past = torch.nn.functional.pad(torch.arange(KEYS) <= last[:, None], (0, 1))
    return logits.masked_fill(past, -torch.inf)


def one_by_one(mask: FrameMask) -> dict[Chord, float]:
    """p(chord) where each note is drawn from those that lead to an allowed chord."""
    allowed, shares = set(allowed_chords(mask)), {}

    def follow(notes: Chord, last: int, share: float) -> None:
        logits = toy(torch.tensor([notes]).float(), torch.tensor([last]))[0]
        ways: dict[int, Chord] = {}
        for key in range(last + 1, KEYS):
            chord = tuple(1 if k == key else n for k, n in enumerate(notes))
            if any(other[: key + 1] == chord[: key + 1] for other in allowed):
                ways[key] = chord
        if notes in allowed:
            ways[KEYS] = notes
        total = sum(math.exp(logits[way]) for way in ways)
        for way, chord in ways.items():
            part = share * math.exp(logits[way]) / total
            if way == KEYS:
                shares[chord] = part
            else:
                follow(chord, way, part)

    follow((0,) * KEYS, -1, 1.0)
    return shares


def bits(logits: Tensor, mask: FrameMask) -> dict[Chord, float]:
    """p(chord | allowed) of independent keys."""
    weights = {
        chord: math.exp(sum(float(z) * c for z, c in zip(logits, chord, strict=True))) for chord in allowed_chords(mask)
    }
    total = sum(weights.values())
    return {chord: weight / total for chord, weight in weights.items()}


def assert_drawn_from(shares: dict[Chord, float], frames: Tensor) -> None:
    counts = Counter(tuple(int(value) for value in row) for row in frames.tolist())
    assert set(counts) <= set(shares)
    for chord, share in shares.items():
        off = 4.5 * math.sqrt(share * (1 - share) / DRAWS) + 1e-9
        assert abs(counts[chord] / DRAWS - share) <= off, (chord, share, counts[chord] / DRAWS)


MASKS = [
    ((1, 1, 1, 1), (0, 0, 0, 0), 0, 4, None),
    ((1, 1, 0, 1), (0, 0, 0, 0), 1, 2, (1, 0, 0, 1)),
    ((1, 1, 1, 1), (0, 1, 0, 0), 2, 3, (0, 1, 0, 1)),
    ((1, 1, 1, 1), (0, 0, 1, 0), 0, 4, (0, 0, 1, 0)),
    ((1, 1, 1, 1), (0, 0, 0, 0), 0, 1, (0, 0, 0, 0)),
    ((1, 1, 1, 1), (0, 0, 0, 0), 3, 3, None),
    ((1, 1, 1, 1), (0, 0, 1, 1), 0, 3, None),
]


@pytest.mark.parametrize("parts", MASKS)
def test_frames_are_drawn_as_often_as_enumeration_says(parts: tuple[Chord, Chord, int, int, Chord | None]) -> None:
    mask = mask_of(*parts, rows=DRAWS)
    draws = [torch.Generator().manual_seed(seed) for seed in range(DRAWS)]
    logits = torch.tensor([0.7, -1.2, 0.1, 1.5])

    keys, own = draw_keys(logits.expand(DRAWS, -1), mask, SamplingSettings(), draws)
    assert_drawn_from(bits(logits, mask), keys)
    by_hand = torch.where(keys.bool(), logits.sigmoid(), 1 - logits.sigmoid()).log().sum(1)
    torch.testing.assert_close(own, by_hand)

    chords, _ = draw_chords(toy, mask, SamplingSettings(), draws)
    assert_drawn_from(one_by_one(mask), chords)


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), min_size=KEYS, max_size=KEYS),
    st.integers(0, KEYS),
    st.integers(0, KEYS),
    st.booleans(),
    st.sampled_from([SamplingSettings(), SamplingSettings(0.0), SamplingSettings(2.0)]),
    st.integers(0, 1000),
)
def test_every_frame_is_one_that_is_allowed(
    keys: list[tuple[bool, bool, bool]], one: int, two: int, bars: bool, settings: SamplingSettings, seed: int
) -> None:
    may = tuple(int(a) for a, _, _ in keys)
    must = tuple(int(a and b) for a, b, _ in keys)
    barred = tuple(int(c) for _, _, c in keys) if bars else None
    mask = mask_of(may, must, min(one, two), max(one, two), barred)
    draw = [torch.Generator().manual_seed(seed)]
    logits = 5 * torch.randn(1, KEYS, generator=draw[0])
    allowed = allowed_chords(mask)
    if not allowed:
        with pytest.raises(SettingError, match="no chord"):
            draw_keys(logits, mask, settings, draw)
        with pytest.raises(SettingError, match="no chord"):
            draw_chords(toy, mask, settings, draw)
        return
    for frames, _ in (draw_keys(logits, mask, settings, draw), draw_chords(toy, mask, settings, draw)):
        assert tuple(int(value) for value in frames[0].tolist()) in allowed


def test_without_a_mask_a_chord_has_the_probability_of_the_model() -> None:
    draws = [torch.Generator().manual_seed(seed) for seed in range(50)]
    mask = FrameMask.anything(50, KEYS)
    shares = one_by_one(mask)
    chords, own = draw_chords(toy, mask, SamplingSettings(), draws)
    expected = [math.log(shares[tuple(int(v) for v in row)]) for row in chords.tolist()]
    torch.testing.assert_close(own, torch.tensor(expected), atol=1e-5, rtol=1e-5)


def test_a_row_depends_on_its_own_numbers_alone() -> None:
    logits = torch.tensor([0.7, -1.2, 0.1, 1.5])
    for rows in (1, 3):
        draws = [torch.Generator().manual_seed(seed) for seed in range(rows)]
        first, _ = draw_keys(logits.expand(rows, -1), FrameMask.anything(rows, KEYS), SamplingSettings(), draws)
        then, _ = draw_chords(toy, FrameMask.anything(rows, KEYS), SamplingSettings(), draws)
        if rows == 1:
            alone = first, then
    assert torch.equal(alone[0][0], first[0])
    assert torch.equal(alone[1][0], then[0])


def test_filters_are_those_of_each_note_and_not_of_independent_keys() -> None:
    draws = [torch.Generator().manual_seed(seed) for seed in range(30)]
    mask = FrameMask.anything(30, KEYS)
    chords, _ = draw_chords(toy, mask, SamplingSettings(top_k=1), draws)
    greedy, _ = draw_chords(toy, mask, SamplingSettings(0.0), draws)
    assert torch.equal(chords, greedy)
    with pytest.raises(SettingError, match="independent"):
        draw_keys(torch.zeros(30, KEYS), mask, SamplingSettings(top_k=1), draws)


def test_logits_that_are_not_numbers_are_refused() -> None:
    draws = [torch.Generator().manual_seed(0)]
    with pytest.raises(RunError, match="not numbers"):
        draw_keys(torch.full((1, KEYS), math.nan), FrameMask.anything(1, KEYS), SamplingSettings(), draws)
