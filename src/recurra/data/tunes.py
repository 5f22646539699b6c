"""Music to demonstrate with: the chorales and the tunes that come with the package music21, or else scales."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from recurra.data.abc_notation import read_abc
from recurra.data.midi_writing import write_midi
from recurra.data.music_xml import read_music_xml
from recurra.data.piece import Key, Metre, Note, Piece, Tempo
from recurra.errors import DataError

__all__ = ["Kind", "corpus_folder", "write_tunes"]

Kind = Literal["chorales", "tunes"]

_PARTS = {"train": 8, "valid": 1, "test": 1}
"""How many of ten pieces go to each part."""


def corpus_folder() -> Path | None:
    """The folder of scores in the package music21, which is not imported for that; None if it is not installed."""
    specification = importlib.util.find_spec("music21")
    folders = (specification.submodule_search_locations if specification else None) or []
    return next((Path(folder) / "corpus" for folder in folders if (Path(folder) / "corpus").is_dir()), None)


def write_tunes(folder: Path, kind: Kind = "chorales", count: int = 200) -> str:
    """Writes pieces as MIDI files into train, valid and test below a folder, the same on every machine.

    The chorales are Bach's for four voices, the tunes O'Neill's Irish ones of 1850 numbers; a piece of which there are
    several versions is taken once. Where music21 is not installed, scales in all keys stand for them.

    Args:
        folder: The folder; it is made if need be.
        kind: Chorales or tunes.
        count: How many pieces.

    Returns:
        What was written and where it came from, in a sentence.

    Raises:
        RunError: A file cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = write_tunes(folder, count=10)
        >>> len(list(folder.glob("train/*.mid")))
        8
    """
    corpus = corpus_folder()
    pieces = list(_corpus(corpus, kind, count)) if corpus else []
    source = f"{kind} of the corpus in music21" if pieces else "scales, made up since music21 is not installed"
    order = [part for part, share in _PARTS.items() for _ in range(share)]
    written: Counter[str] = Counter()
    for number, piece in enumerate(pieces or _scales(count)):
        part = order[number * 7 % 10]  # every part gets some of the early ones and some of the late
        (folder / part).mkdir(parents=True, exist_ok=True)
        write_midi(folder / part / f"{number:04}.mid", piece)
        written[part] += 1
    return f"{written['train']} {source}, with {written['valid']} to validate and {written['test']} to test"


def _corpus(corpus: Path, kind: Kind, count: int) -> Iterator[Piece]:
    """Pieces of the corpus, each tune once; those that cannot be read are left out."""
    seen: set[tuple[int, ...]] = set()
    left = count
    for piece in _chorales(corpus) if kind == "chorales" else _tunes(corpus):
        opening = tuple(note.pitch for note in piece.notes[:24])
        if left and len(piece.notes) >= 16 and opening not in seen:
            seen.add(opening)
            left -= 1
            yield piece
        if not left:
            return


def _chorales(corpus: Path) -> Iterator[Piece]:
    for path in sorted(corpus.glob("bach/*.mxl")):
        try:
            piece = read_music_xml(path)
        except DataError:
            continue
        if len(piece.tracks) == 4:  # more are arias with instruments, and chorales with them
            yield piece


def _tunes(corpus: Path) -> Iterator[Piece]:
    for path in sorted(corpus.glob("oneills1850/*.abc")):
        try:
            yield from (tune for tune in read_abc(path) if not tune.lost.get("characters that ABC has not"))
        except DataError:
            continue


def _scales(count: int) -> Iterator[Piece]:
    """Scales up and down in thirds, in every key, with a bass note a bar."""
    major, minor = (0, 2, 4, 5, 7, 9, 11, 12), (0, 2, 3, 5, 7, 8, 11, 12)
    for number in range(count):
        steps = minor if number % 2 else major
        key, rounds = number * 7 % 12, 2 + number % 3
        line = [*steps, *reversed(steps)] * rounds
        notes = [Note(240 * at, 240 * (at + 1), 60 + key + step) for at, step in enumerate(line)]
        notes += [Note(240 * at, 240 * (at + 1), 56 + key + step) for at, step in enumerate(line)]
        notes += [Note(1920 * bar, 1920 * (bar + 1), 36 + key) for bar in range(len(line) // 8)]
        sharps = (key * 7 - (3 if number % 2 else 0) + 5) % 12 - 5
        yield Piece(
            notes,
            tempos=[Tempo(0, 500_000)],
            metres=[Metre(0, 4, 4)],
            keys=[Key(0, sharps, bool(number % 2))],
            title=f"scale {number + 1}",
        )
