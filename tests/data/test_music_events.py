"""Events of pieces: exact both ways, and any sequence of them is some piece."""

import dataclasses

from hypothesis import given, strategies
from tests.support.pieces import pieces

from recurra.data.music_events import decode, encode


@given(pieces())
def test_a_piece_comes_back_from_its_events_exactly(piece):
    events = encode(piece)
    again = decode(events, title=piece.title)
    assert again == dataclasses.replace(piece, tracks=[track._replace(name="") for track in piece.tracks])
    assert not again.lost
    assert not any(set(event) & set(" \n\t") for event in events)


words = strategies.from_regex(
    r"(on|off)(\d{1,3})(@\d)?|(shift|tempo|velocity|ticks)\d{1,4}|metre\d/\d|key-?\dmajor|nonsense|", fullmatch=True
)


@given(strategies.lists(words, max_size=20))
def test_any_events_are_a_piece_and_nothing_is_lost_uncounted(events):
    piece = decode(events)
    begun = sum(event.startswith("on") for event in events)
    lost = piece.lost.get("notes of a pitch or a part that there is not", 0)
    assert len(piece.notes) == begun - lost
    assert decode(encode(piece)).notes == piece.notes
