"""Random pieces of music, and MIDI files that were damaged."""

import random

from hypothesis import strategies

from recurra.data.piece import Key, Metre, Note, Piece, Tempo, Track

ticks = strategies.integers(0, 40) | strategies.integers(0, 1 << 30)


@strategies.composite
def pieces(draw):
    """A piece with tempos, metres, keys and one to four parts, each with a note at least.

    Notes of one key and part end in the order they begin, which is all that a MIDI file can tell.
    """
    parts = strategies.tuples(
        strategies.text("ab é", max_size=3), strategies.integers(0, 127), strategies.integers(0, 15)
    )
    tracks = draw(strategies.lists(parts, min_size=1, max_size=4))
    notes = []
    for track in range(len(tracks)):
        for pitch in draw(strategies.lists(strategies.integers(0, 127), min_size=1, max_size=4, unique=True)):
            spans = draw(strategies.lists(strategies.tuples(ticks, ticks), min_size=1, max_size=4))
            begins, ends = sorted(min(span) for span in spans), sorted(max(span) for span in spans)
            velocities = draw(strategies.lists(strategies.integers(1, 127), min_size=len(spans), max_size=len(spans)))
            notes += [Note(*times, pitch, v, track) for *times, v in zip(begins, ends, velocities, strict=True)]
    at = strategies.lists(ticks, max_size=3, unique=True)
    return Piece(
        notes,
        tracks=[Track(*track) for track in tracks],
        tempos=[Tempo(tick, draw(strategies.integers(1, (1 << 24) - 1))) for tick in draw(at)],
        metres=[
            Metre(tick, draw(strategies.integers(1, 255)), 1 << draw(strategies.integers(0, 7))) for tick in draw(at)
        ],
        keys=[Key(tick, draw(strategies.integers(-7, 7)), draw(strategies.booleans())) for tick in draw(at)],
        ticks_per_quarter=draw(strategies.integers(1, 32767)),
        title=draw(strategies.text("xyz", max_size=3)),
    )


def damaged(data: bytes, seed: int) -> bytes:
    """A file with some bytes changed, cut, doubled, moved or filled with the largest values."""
    random_ = random.Random(seed)
    content = bytearray(data)
    for _ in range(random_.choice([1, 1, 2, 5])):
        at = random_.randrange(len(content) + 1)
        end = min(len(content), at + random_.choice([1, 1, 2, 20]))
        kind = random_.choice([0, 0, 0, 0, 1, 2, 3, 4, 5])
        if kind == 0:
            highest = random_.choice([0x7F, 0xFF])
            content[at:end] = bytes(byte & highest for byte in random_.randbytes(end - at))
        elif kind == 1:
            del content[at:end]
        elif kind == 2:
            content[at:at] = content[at:end]
        elif kind == 3:
            content[at:end] = b"\xff" * (end - at)
        elif kind == 4:
            del content[at:]
        else:
            content[at:at] = random_.choice(
                [b"MTrk\x7f\xff\xff\xff", b"\xff\x51\x03\0\0\0", b"\xf0\x8f\xff\xff\x7f", b"\xff\x7f"]
            )
    return bytes(content)
