"""Reads MIDI files that were damaged at random: each is read or refused in one line, whatever it holds.

python scripts/fuzz_midi.py --files 1000 --seed 0
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.pieces import damaged

from recurra.data.midi import parse_midi
from recurra.data.midi_writing import midi_bytes
from recurra.data.piece import Key, Metre, Note, Piece, Tempo, Track
from recurra.errors import DataError

PIECE = Piece(
    [Note(60 * n, 60 * n + 55, 40 + 7 * n % 50, 1 + n % 127, n % 3) for n in range(300)],
    tracks=[Track("flute", 73, 0), Track("", 0, 9), Track("bass", 33, 1)],
    tempos=[Tempo(tick, 300_000 + tick) for tick in range(0, 18_000, 1000)],
    metres=[Metre(0, 6, 8), Metre(7200, 3, 4)],
    keys=[Key(0, -3, True)],
    title="a piece",
)


def main() -> int:
    """Damages and reads the files, and prints what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000, help="how many files (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first (default: 0)")
    arguments = parser.parse_args()
    data = midi_bytes(PIECE)
    outcomes: Counter[str] = Counter()
    slowest = 0.0
    for seed in range(arguments.seed, arguments.seed + arguments.files):
        begin = time.perf_counter()
        try:
            piece = parse_midi(damaged(data, seed), Path(f"{seed}.mid"))
            again = parse_midi(midi_bytes(piece), Path(f"{seed}.mid"))
            if again.notes != piece.notes or again.tempos != piece.tempos or again.metres != piece.metres:
                print(f"seed {seed}: what was read is not read again from what is written")
                return 1
            outcomes["read and written exactly"] += 1
        except DataError as error:
            if "\n" in str(error):
                print(f"seed {seed}: the message has several lines: {error}")
                return 1
            outcomes["refused in one line"] += 1
        slowest = max(slowest, time.perf_counter() - begin)
    print(
        ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items()), f"; slowest {slowest:.3f} s", sep=""
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
