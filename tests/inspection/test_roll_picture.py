"""Pictures of pieces are drawn of whatever a piece is."""

import numpy as np
import pytest

from recurra.data.copied_music import CopiedPassage
from recurra.data.lines import Source
from recurra.data.rolls import Roll
from recurra.errors import SettingError
from recurra.inspection.roll_picture import draw_roll


@pytest.mark.parametrize("frames", [np.zeros((3, 12), bool), np.eye(12, dtype=bool), np.ones((1, 12), bool)])
@pytest.mark.parametrize("judged", [False, True])
def test_a_piece_is_drawn_silent_or_not(tmp_path, frames, judged):
    bits = [1.5] * len(frames) if judged else []
    copies = [CopiedPassage(0, 1, 0, 0, 0, 0)]
    draw_roll(Roll(frames, 60, Source(tmp_path, 1)), tmp_path / "a.png", bits=bits, copies=copies, primer=1, title="x")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_name_that_is_no_picture_is_refused(tmp_path):
    with pytest.raises(SettingError, match="a picture's name ends in one of"):
        draw_roll(Roll(np.eye(3, dtype=bool), 60, Source(tmp_path, 1)), tmp_path / "a.txt")
