"""Music to demonstrate with, with the package music21 and without."""

import sys

import pytest

from recurra.data import tunes
from recurra.data.midi import read_midi
from recurra.data.piano_roll import roll_of


@pytest.mark.parametrize("kind", ["chorales", "tunes"])
def test_pieces_of_the_corpus_are_written_without_importing_it(tmp_path, kind):
    before = set(sys.modules)
    said = tunes.write_tunes(tmp_path, kind, 10)
    assert not any(name.split(".")[0] == "music21" for name in set(sys.modules) - before)
    assert said == f"8 {kind} of the corpus in music21, with 1 to validate and 1 to test"
    pieces = [read_midi(path) for path in sorted(tmp_path.rglob("*.mid"))]
    assert len(pieces) == 10
    assert {len(piece.tracks) for piece in pieces} == ({4} if kind == "chorales" else {1})
    assert all(roll_of(piece)[0].any() and not roll_of(piece)[1]["notes of drums"] for piece in pieces)


def test_scales_stand_for_a_corpus_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(tunes, "corpus_folder", lambda: None)
    assert "scales, made up since music21 is not installed" in tunes.write_tunes(tmp_path, count=20)
    assert len(list(tmp_path.glob("test/*.mid"))) == 2
