"""A piece of music as sound: by a soundfont where there is one, or by a simple synthesiser."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recurra.data.audio import write_16_bits
from recurra.data.midi_writing import midi_bytes
from recurra.data.piece import Note, Piece, Track, seconds_at
from recurra.errors import DataError, SettingError
from recurra.extras import is_there

__all__ = ["Synthesiser", "synthesise", "write_wav"]

Synthesiser = Literal["auto", "soundfont", "simple"]

LONGEST = 3600.0
"""How many seconds of sound are made at most."""

_RELEASE = 0.12
_HARMONICS = (1.0, 0.45, 0.25, 0.12, 0.06)


def write_wav(path: Path, piece: Piece, *, synthesiser: Synthesiser = "auto", rate: int = 44_100) -> str:
    """Writes a piece as a WAV file of 16 bits.

    Args:
        path: The file; it is there whole or not at all.
        piece: The piece.
        synthesiser: "soundfont" for the instruments of the soundfont in the package pretty_midi, played by symusic;
            "simple" for a tone of five harmonics, which needs nothing; "auto" for the first where it plays every note
            in tune, which symusic does not with every instrument.
        rate: Samples a second.

    Returns:
        Which of the two it was: "soundfont" or "simple".

    Raises:
        DataError: The piece is longer than an hour.
        SettingError: A soundfont was asked for, and there is none that works.
        RunError: The file cannot be written.
    """
    end = float(seconds_at(piece, [piece.end])[0])
    if end > LONGEST:
        raise DataError(f"the piece lasts {end:,.0f} seconds; a WAV has {LONGEST:,.0f} at most")
    sound = None if synthesiser == "simple" else _by_soundfont(piece, rate)
    if sound is None and synthesiser == "soundfont":
        raise SettingError("no soundfont can be played here; install symusic 0.5.8 and pretty_midi, or choose simple")
    by = "simple" if sound is None else "soundfont"
    sound = synthesise(piece, rate) if sound is None else sound
    peak = float(np.abs(sound).max(initial=0.0))
    samples = np.round(sound * (0.9 * 32767 / peak if peak > 0 else 0.0)).astype(np.int16)
    write_16_bits(path, samples, rate)
    return by


def synthesise(piece: Piece, rate: int = 44_100) -> NDArray[np.float32]:
    """The sound of a piece by a simple synthesiser: a tone that fades, or a burst of noise for a drum.

    Args:
        piece: The piece.
        rate: Samples a second.

    Returns:
        The samples, of no particular loudness. (N, 1)

    Example:
        >>> from recurra.data.piece import Note
        >>> synthesise(Piece([Note(0, 480, 69)]), 8000).shape
        (4960, 1)
    """
    times = seconds_at(piece, [tick for note in piece.notes for tick in note[:2]]).reshape(-1, 2)
    length = float(times[:, 1].max(initial=0.0))
    sound = np.zeros(round((length + _RELEASE) * rate), dtype=np.float32)
    noise = np.random.default_rng(0).standard_normal(round(0.12 * rate)).astype(np.float32)
    for note, (start, end) in zip(piece.notes, times.tolist(), strict=True):
        first = round(start * rate)
        if piece.tracks[note.track].drums:
            tone = 0.5 * noise * np.exp(-np.arange(len(noise), dtype=np.float32) / (0.03 * rate))
        else:
            tone = _tone(note.pitch, end - start, rate)
        tone = tone[: len(sound) - first]
        sound[first : first + len(tone)] += tone * (note.velocity / 127) ** 1.5
    return sound[:, None]


def _tone(pitch: int, length: float, rate: int) -> NDArray[np.float32]:
    """A tone that rises in 8 milliseconds, fades, and dies away after its end."""
    time = np.arange(round((length + _RELEASE) * rate), dtype=np.float32) / rate
    frequency = 440.0 * 2.0 ** ((pitch - 69) / 12)
    tone = np.zeros_like(time)
    for number, strength in enumerate(_HARMONICS, start=1):
        if number * frequency < rate / 2:  # above half of the rate it would sound as another tone
            tone += strength * np.sin(np.float32(2 * np.pi * number * frequency) * time)
    envelope = np.minimum(time / 0.008, 1.0) * np.exp(-1.2 * time)
    envelope *= np.clip((length + _RELEASE - time) / _RELEASE, 0.0, 1.0)
    return np.asarray(tone * envelope, dtype=np.float32)


def _by_soundfont(piece: Piece, rate: int) -> NDArray[np.float32] | None:
    """The sound by the soundfont in pretty_midi's package; None where it is missing or symusic's player is broken."""
    specification = importlib.util.find_spec("pretty_midi") if is_there("symusic") else None
    fonts = [
        Path(folder) / "TimGM6mb.sf2" for folder in (specification and specification.submodule_search_locations) or []
    ]
    font = next((font for font in fonts if font.is_file()), None)
    if font is None:
        return None
    import symusic

    try:
        player = symusic.Synthesizer(str(font), rate)

        def render(piece: Piece) -> NDArray[np.float32]:
            sound = player.render(symusic.Score.from_midi(midi_bytes(piece)), stereo=True)
            return np.asarray(sound, dtype=np.float32).T

        sounds = {(piece.tracks[note.track]._replace(name=""), note.pitch) for note in piece.notes}
        if not all(_in_tune(render, track, pitch, rate) for track, pitch in sounds if not track.drums):
            return None
        return render(piece)
    except (TypeError, RuntimeError, ValueError):  # 0.6.0's player refuses whatever it is given
        return None


def _in_tune(render: Callable[[Piece], NDArray[np.float32]], track: Track, pitch: int, rate: int) -> bool:
    """Whether a sound has its pitch: 0.5.8's player takes some samples of a soundfont, a piano's too, for others."""
    tone = render(Piece([Note(0, 480, pitch, 100)], tracks=[track]))[: rate // 2, 0]
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)), 1 << 17))
    harmonic = spectrum.argmax() * rate / (1 << 17) / (440.0 * 2.0 ** ((pitch - 69) / 12))
    return bool(harmonic > 0.5 and abs(harmonic - round(harmonic)) < 0.012 * harmonic)
