"""`recurra sample RUN` of a model of music: novel pieces, shown, checked, and written in any of several formats."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.text import Text

from recurra.cli.json_lines import write_json_line
from recurra.cli.outputs import check_outputs, write_outputs
from recurra.cli.waiting import Waiting
from recurra.data.dataset import Problems
from recurra.data.files import check_writable, write_atomically
from recurra.data.piece import note_name
from recurra.errors import SettingError

if TYPE_CHECKING:
    from recurra.data.copied_music import CopiedPassage
    from recurra.data.piece import Piece
    from recurra.tasks.music_run import MusicRun, NewMusic

__all__ = ["sample_music"]

KINDS = (".mid", ".midi", ".wav", ".html", ".png", ".pdf", ".svg", ".json")
"""What the name of an output may end in."""

MARKED = 4
"""Changes from which on a passage that stands in a piece trained on is marked."""

HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


def sample_music(
    run: MusicRun,
    output: Path | None,
    *,
    primer: str,
    copies: bool,
    tempo: float,
    as_json: bool,
    options: Mapping[str, Any],
) -> None:
    """Write novel pieces, show them, and say how they keep to what was asked for.

    Args:
        run: The model.
        output: Where the pieces go; None for nowhere.
        primer: The file that they go on from, or keep bars of; empty for none.
        copies: Whether to look for passages that stand in the pieces trained on.
        tempo: Quarters a minute.
        as_json: Whether to print a JSON object a piece.
        options: What `MusicRun.sample` takes besides.
    """
    kind = None if output is None else _kind(output)
    begun = None if not primer else _primer(run, Path(primer))
    index = run.training_index() if copies else None
    with Waiting("writing") as waiting:
        pieces = run.sample(primer=begun, watch=waiting.step, **options)
    shared = [[] if index is None else index.passages(piece.roll, 0) for piece in pieces]
    passages = [[passage for passage in each if passage.changes >= MARKED] for each in shared]
    longest = [None if index is None else index.longest_of(each) for each in shared]
    console = Console(highlight=False)
    for number, (piece, passage) in enumerate(zip(pieces, longest, strict=True), 1):
        if as_json:
            write_json_line(_as_json(piece, passage, copies))
            continue
        if number > 1:
            console.print()
        _show(console, run, piece, number if len(pieces) > 1 else None)
        if index is not None:
            console.print(Text(_copied(run, passage)), soft_wrap=True)
    aside = Console(stderr=True, highlight=False)
    if output is not None and kind is not None:
        bar = run.frames_a_bar(options.get("frames_a_bar"))
        writers = _writers(run, pieces, passages, output, kind, bar=bar, tempo=tempo)
        write_outputs(aside, writers)
    if not as_json:
        seed = pieces[0].seed
        aside.print(Text(f"seed {seed}: --seed {seed} repeats this", style="dim"))


def _kind(output: Path) -> str:
    kind = output.suffix.lower()
    if kind not in KINDS:
        raise SettingError(f"{output}: music is written as {', '.join(KINDS)}; give a name that ends in one of these")
    check_outputs(plot=output if kind in (".png", ".pdf", ".svg") else None)
    check_writable(output)
    return kind


def _primer(run: MusicRun, path: Path) -> Any:  # noqa: ANN401  (a roll)
    """The first piece of a file."""
    problems = Problems()
    roll = next(iter(run.task.stream(run.config, path, problems)), None)
    if roll is None or not len(roll):
        raise SettingError(f"--primer {path}: it holds no piece to go on from; give a score or a roll with a note")
    return roll


def _show(console: Console, run: MusicRun, piece: NewMusic, number: int | None) -> None:
    """The notes as blocks, two keys a line, and a few words on them."""
    frames = piece.roll.frames
    if number is not None:
        console.print(Text(f"# {number}", "dim"))
    for line in _blocks(frames, piece.roll.lowest, piece.primer, max(20, console.width - 6)):
        console.print(line, soft_wrap=True)
    steps = max(len(frames), 1)
    told = (
        f"{len(frames):,} frames, {frames.sum() / steps:.1f} notes a frame, "
        f"{piece.surprise.nats / steps:.2f} nats a frame ({type(run.model.head).name})"
    )
    console.print(Text(told, "dim"), soft_wrap=True)
    for finding in piece.findings:
        console.print(Text(str(finding), "red" if finding.violations else "green"), soft_wrap=True)


def _blocks(frames: np.ndarray, lowest: int, primer: int, width: int) -> list[Text]:
    """A roll in characters, one a frame and half of one a key, the highest keys first, broken to a width."""
    sounding = np.flatnonzero(frames.any(0))
    if not len(sounding):
        return [Text("(silence)", "dim")]
    high, low = int(sounding[-1]), int(sounding[0])
    lines = []
    for begin in range(0, len(frames), width):
        part = frames[begin : begin + width]
        for top in range(high, low - 1, -2):
            upper = part[:, top]
            lower = part[:, top - 1] if top > low else np.zeros(len(part), np.bool_)
            row = "".join(HALVES[bool(a), bool(b)] for a, b in zip(upper, lower, strict=True))
            c = next((key for key in (top, top - 1) if (key + lowest) % 12 == 0), None)
            name = "" if c is None else note_name(c + lowest)
            shown = max(0, primer - begin)
            lines.append(Text.assemble((f"{name:>4} ", "dim"), (row[:shown], "yellow"), row[shown:].rstrip()))
        if begin + width < len(frames):
            lines.append(Text())
    return lines


def _copied(run: MusicRun, passage: CopiedPassage | None) -> str:
    if passage is None:
        return "no passage of it stands in the pieces trained on"
    by = passage.semitones
    moved = "as it is" if not by else f"{abs(by)} semitone{'s' * (abs(by) > 1)} {'higher' if by > 0 else 'lower'}"
    return (
        f"the longest passage that stands in the pieces trained on: frames {passage.begin + 1} to "
        f"{passage.begin + passage.frames}, {passage.changes} changes, of piece {passage.piece + 1} from frame "
        f"{passage.there + 1} on, {moved}"
    )


def _as_json(piece: NewMusic, passage: CopiedPassage | None, copies: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "seed": piece.seed,
        "frames": piece.roll.pitches,
        "primer": piece.primer,
        "log_probability": round(-piece.surprise.nats, 3),
        "surprise": [round(bits, 3) for bits in piece.surprise.bits],
        "constraints": [finding.as_json() for finding in piece.findings],
    }
    return shown | ({"copied": None if passage is None else passage._asdict()} if copies else {})


def _writers(
    run: MusicRun,
    pieces: Sequence[NewMusic],
    passages: Sequence[Sequence[CopiedPassage]],
    output: Path,
    kind: str,
    *,
    bar: int,
    tempo: float,
) -> dict[Path | None, Any]:
    """What writes each file."""
    if kind == ".json":
        return {output: lambda path: write_atomically(path, json.dumps([p.roll.pitches for p in pieces]) + "\n")}
    writers: dict[Path | None, Any] = {}
    for number, (piece, marked) in enumerate(zip(pieces, passages, strict=True), 1):
        path = output.with_stem(f"{output.stem}-{number}") if len(pieces) > 1 else output
        check_writable(path)
        score = _score(run, piece, tempo)
        if kind in (".mid", ".midi"):
            writers[path] = partial(_write_midi, score)
        elif kind == ".wav":
            writers[path] = partial(_write_sound, score)
        elif kind == ".html":
            writers[path] = partial(_write_page, score, piece, marked, steps=run.config.pieces.steps_per_quarter)
        else:
            writers[path] = partial(_draw, piece, marked, bar=bar)
    return writers


def _score(run: MusicRun, new: NewMusic, tempo: float) -> Piece:
    from recurra.data.piano_roll import piece_of

    steps = run.config.pieces.steps_per_quarter
    return piece_of(
        new.roll.frames, steps, lowest=new.roll.lowest, quarters_a_minute=tempo, title=f"Recurra, seed {new.seed}"
    )


def _write_midi(score: Piece, path: Path) -> None:
    from recurra.data.midi_writing import write_midi

    write_midi(path, score)


def _write_sound(score: Piece, path: Path) -> None:
    from recurra.inspection.sound import write_wav

    write_wav(path, score)


def _draw(piece: NewMusic, marked: Sequence[CopiedPassage], path: Path, *, bar: int) -> None:
    from recurra.inspection.roll_picture import draw_roll

    draw_roll(
        piece.roll,
        path,
        bits=piece.surprise.bits,
        copies=marked,
        frames_a_bar=bar,
        primer=piece.primer,
        title=f"seed {piece.seed}",
    )


def _write_page(score: Piece, piece: NewMusic, marked: Sequence[CopiedPassage], path: Path, *, steps: int) -> None:
    from recurra.tasks.music_page import Curve, Passage, music_page

    bits, step = piece.surprise.bits, score.ticks_per_quarter // steps
    roll, told = piece.roll, piece.surprise.note_bits
    of_notes = {
        (frame, pitch): each
        for frame, pitches in enumerate(roll.pitches)
        for pitch, each in zip(pitches, told[frame], strict=True)
    }
    surprises = [of_notes[note.start // step, note.pitch] for note in score.notes]
    passages = [
        Passage(copy.begin * step, (copy.begin + copy.frames) * step, f"piece {copy.piece + 1} of training")
        for copy in marked
    ]
    curves = [Curve("bits a frame", step, bits)]
    write_atomically(
        path,
        music_page(score, title=f"New music, seed {piece.seed}", surprises=surprises, curves=curves, passages=passages),
    )
