"""The sound of a piece: by the instruments of a soundfont, or by plain tones where there is none."""

from __future__ import annotations

import importlib.util
import io
import wave
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.data.files import write_atomically
from recurra.data.midi_writing import midi_bytes
from recurra.data.piece import Piece, seconds_at
from recurra.errors import DataError

__all__ = ["Sound", "sound_of", "write_sound"]

RATE = 44_100
"""Samples a second."""

LONGEST = 3600.0
"""Seconds: longer pieces are not made into sound, which would take gigabytes."""

OVERTONES = (1.0, 0.5, 0.25, 0.15, 0.08, 0.05)
"""How loud the multiples of a tone's frequency are beside each other."""

ATTACK, RELEASE, DECAY = 0.008, 0.12, 1.6
"""Seconds in which a plain tone swells, in which it dies away once its note has ended, and in which it fades to 1 / e
while it is held."""


class Sound(NamedTuple):
    """The sound of a piece.

    Args:
        samples: The samples of the left and of the right, from -1 to 1, (2, N).
        rate: Samples a second.
        instruments: What plays: a soundfont, or plain tones.
    """

    samples: NDArray[np.float32]
    rate: int
    instruments: str


def sound_of(piece: Piece, *, soundfont: bool = True) -> Sound:
    """The sound of a piece.

    It is played with the soundfont that comes with pretty_midi where that and symusic are installed (the extra
    `music`) and its synthesiser works, which that of symusic 0.6.0 does not; otherwise with plain tones.

    Args:
        piece: The piece.
        soundfont: Whether to look for a soundfont.

    Raises:
        DataError: The piece lasts over an hour.
    """
    if seconds_at(piece, [piece.end])[0] > LONGEST:
        raise DataError(f"the piece lasts over {LONGEST / 60:.0f} minutes, and no sound is made of it; cut it")
    played = _by_soundfont(piece) if soundfont else None
    return _by_plain_tones(piece) if played is None else played


def write_sound(path: Path, sound: Sound) -> None:
    """Write sound as a WAV file of 16 bits; it is there as a whole or not at all.

    Raises:
        RunError: The file cannot be written.
    """
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(sound.rate)
        file.writeframes((sound.samples.T.clip(-1, 1) * 32767).round().astype("<i2").tobytes())
    write_atomically(path, content.getvalue())


def _by_soundfont(piece: Piece) -> Sound | None:
    """A piece by the instruments of a soundfont; None where there is none, or nothing that plays it."""
    package = importlib.util.find_spec("pretty_midi")
    if package is None or package.origin is None or importlib.util.find_spec("symusic") is None:
        return None
    fonts = sorted(Path(package.origin).parent.glob("*.sf2"))
    if not fonts:
        return None
    symusic = importlib.import_module("symusic")
    try:
        score = symusic.Score.from_midi(midi_bytes(piece))
        samples = symusic.Synthesizer(str(fonts[0]), RATE).render(score, stereo=True)
    except (TypeError, RuntimeError, ValueError):  # as the wheel of 0.6.0 answers to every score
        return None
    return Sound(_at_most_one(np.asarray(samples, np.float32)), RATE, fonts[0].stem)


def _by_plain_tones(piece: Piece) -> Sound:
    """A piece by tones with overtones that fade, each a little to the left or to the right by its height."""
    times = seconds_at(piece, [tick for note in piece.notes for tick in (note.start, note.end)]).reshape(-1, 2)
    end = float(times.max(initial=0.0)) + RELEASE
    mixed = np.zeros((2, int(end * RATE) + 1), np.float64)
    for note, (begin, stop) in zip(piece.notes, times.tolist(), strict=True):
        if piece.tracks[note.track].drums:
            continue
        tone = _tone(440 * 2 ** ((note.pitch - 69) / 12), stop - begin) * note.velocity / 127
        first = int(begin * RATE)
        tone = tone[: mixed.shape[1] - first]
        right = 0.5 + 0.3 * (note.pitch - 64) / 44
        mixed[:, first : first + len(tone)] += np.outer((1 - right, right), tone)
    return Sound(_at_most_one(mixed.astype(np.float32)), RATE, "plain tones")


def _tone(frequency: float, seconds: float) -> NDArray[np.float64]:
    time = np.arange(int((seconds + RELEASE) * RATE)) / RATE
    audible = [(k, loud) for k, loud in enumerate(OVERTONES, 1) if k * frequency < RATE / 2]
    wave_ = sum((loud * np.sin(2 * np.pi * k * frequency * time) for k, loud in audible), np.zeros(len(time)))
    swelling = np.minimum(1, time / ATTACK)
    ending = np.clip(1 - (time - seconds) / RELEASE, 0, 1)
    return np.asarray(wave_ * swelling * ending * np.exp(-time / DECAY))


def _at_most_one(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sound whose loudest sample is 0.9, if it has any."""
    loudest = float(np.abs(samples).max(initial=0.0))
    return samples if loudest == 0 else np.asarray(samples * (0.9 / loudest), np.float32)
