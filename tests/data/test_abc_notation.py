"""Tunes in ABC notation: read as symusic reads what it can read, and as the standard says."""

import pytest
import symusic

from recurra.data.abc_notation import parse_abc, read_abc
from recurra.data.piece import Key, Metre
from recurra.data.repeats import Bar, played
from recurra.errors import DataError


def tune(music, head="M:4/4\nL:1/8\nK:C"):
    (piece,) = parse_abc(f"X:1\nT:tune\n{head}\n{music}\n", "a.abc")
    return piece


def pitches(music, head="M:4/4\nL:1/8\nK:C"):
    return [note.pitch for note in tune(music, head).notes]


def times(music, **options):
    """When notes begin and end, in eighths."""
    piece = tune(music, **options)
    return [tuple(2 * tick / piece.ticks_per_quarter for tick in note[:2]) for note in piece.notes]


@pytest.mark.parametrize(
    "music",
    [
        "CDEF GABc|d2e2 f4|]",
        "^F_B=F2 c'C,|F2 B4 z2|",
        "A>B c<d e3/2f/ g//a3//|z4 A4-|A4 B4|",
        "(3ABc (3d2e2f2 A2|[CEG]4 [C2E2]2|",
        "|:CDEF GABc|1 d8:|2 e8||f8|",
        "|:C8:|D8::E8:|F8|",
    ],
)
def test_symusic_reads_the_same(music):
    text = f"X:1\nT:tune\nM:4/4\nL:1/8\nK:D\n{music}\n"
    score = symusic.Score.from_abc(text)
    quarter = score.ticks_per_quarter
    theirs = sorted((n.time / quarter, n.pitch) for track in score.tracks for n in track.notes)
    piece = tune(music, head="M:4/4\nL:1/8\nK:D")
    ours = sorted((note.start / piece.ticks_per_quarter, note.pitch) for note in piece.notes)
    assert [pitch for _, pitch in ours] == [pitch for _, pitch in theirs]
    assert [time for time, _ in ours] == pytest.approx([time for time, _ in theirs], abs=0.05)  # it spreads chords


def test_accidentals_hold_in_every_octave_until_the_bar_ends_and_over_ties():
    assert pitches("^F f F|F ^c-|cc") == [66, 78, 66, 65, 73, 72]
    assert pitches("FBfb", head="K:Eb") == [65, 70, 77, 82]
    assert pitches("CFcf", head="K:Hp") == [61, 66, 73, 78]


def test_lengths_dots_and_tuplets():
    assert times("A>B (A>)B A<<B") == [(0, 1.5), (1.5, 2), (2, 3.5), (3.5, 4), (4, 4.25), (4.25, 6)]
    assert times("(3:2:4A2B2c2d2 e") == [(0, 4 / 3), (4 / 3, 8 / 3), (8 / 3, 4), (4, 16 / 3), (16 / 3, 19 / 3)]
    assert times("A4-|A2-A2 B4") == [(0, 8), (8, 12)]


def test_what_is_not_kept_is_counted():
    piece = tune('"Am"A{gab}B "^slowly"!trill!c ~d ? A-B')
    assert piece.lost == {
        "chord symbols": 1, "grace notes": 3, "annotations": 1, "decorations": 2, "characters that ABC has not": 1,
        "ties to another pitch, which are slurs": 1,
    }  # fmt: skip


def test_voices_are_tracks_and_stay_together():
    piece = tune("V:1\nC8|D8|\nV:2\n[K:G]F4|F8|", head="M:4/4\nL:1/8\nV:1\nV:2\nK:C")
    assert [(note.start, note.pitch, note.track) for note in piece.notes] == [
        (0, 60, 0), (0, 66, 1), (1920, 62, 0), (1920, 66, 1),
    ]  # fmt: skip


def test_an_upbeat_gets_a_metre_so_that_bars_begin_where_they_are_written():
    piece = tune("G2|CDEF GABc|", head="M:C\nL:1/8\nQ:1/4=100\nK:Em")
    assert piece.metres == (Metre(0, 1, 4), Metre(480, 4, 4))
    assert piece.keys == (Key(0, 1, True),)
    assert piece.tempos == ((0, 600_000),)


def test_tunes_are_named_by_their_lines(tmp_path):
    path = tmp_path / "a.abc"
    path.write_bytes("X:1\nT:Für\nK:C\nC\n\nX:2\nT:zwei\n".encode("latin-1"))
    tunes = read_abc(path)
    first = next(tunes)
    assert (first.title, str(first.source)) == ("Für", f"{path}:1")
    with pytest.raises(DataError, match=r"a\.abc:6: the tune has no K: field"):
        next(tunes)
    path.write_text("a letter")
    with pytest.raises(DataError, match="no X: field"):
        read_abc(path)


def test_three_endings_and_a_section_after_them():
    one, two, three = (frozenset({number}) for number in (1, 2, 3))
    bars = [Bar(), Bar(ends=2, endings=one), Bar(ends=2, endings=two), Bar(endings=three), Bar(), Bar(ends=2), Bar()]
    assert played(bars) == [0, 1, 0, 2, 0, 3, 4, 5, 4, 5, 6]
