"""Pieces as pictures."""

import matplotlib.image
import numpy as np
import pytest

from recurra.data.piece import Note, Piece
from recurra.errors import SettingError
from recurra.inspection.roll_picture import Passage, draw_piece


def test_notes_are_dark_and_passages_marked(tmp_path):
    piece = Piece([Note(480 * n, 480 * (n + 1), 60 + n % 5) for n in range(16)])
    draw_piece(piece, tmp_path / "plain.png")
    draw_piece(piece, tmp_path / "marked.png", passages=[Passage(0, 1920, "copied")])
    plain, marked = (matplotlib.image.imread(tmp_path / name)[..., :3] for name in ("plain.png", "marked.png"))
    dark = (plain.sum(axis=2) < 1.5).mean()
    assert 0.02 < dark < 0.5
    assert plain.mean() > 0.7

    def yellow(picture):
        return ((picture[..., 0] > 0.9) & (picture[..., 2] < 0.8) & (picture[..., 1] > 0.8)).mean()

    assert yellow(plain) == 0
    assert 0.1 < yellow(marked) < 0.3
    assert np.isfinite(plain).all()


def test_a_piece_without_notes_is_drawn_and_an_unknown_kind_refused(tmp_path):
    draw_piece(Piece([]), tmp_path / "empty.svg")
    with pytest.raises(SettingError, match="ends in one of"):
        draw_piece(Piece([]), tmp_path / "a.doc")
