"""A trained model of music: it says how probable pieces are, and writes new ones."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.checks import LARGEST_SEED, whole_number
from recurra.data.copied_music import MusicIndex
from recurra.data.rolls import Roll
from recurra.decoding import SamplingSettings
from recurra.decoding.chord_drawing import FrameMask, draw_chords, draw_keys
from recurra.decoding.music_constraints import MusicConstraints
from recurra.decoding.music_masks import ConstraintMasks
from recurra.decoding.music_report import Finding, check_constraints
from recurra.errors import SettingError
from recurra.metrics.music_statistics import music_statistics
from recurra.models.chord_head import ChordHead, PartialChords
from recurra.models.key_head import KeyHead
from recurra.models.music_model import MusicModel
from recurra.nn.evaluating import evaluating
from recurra.tasks.music_generation_batches import FrameBatch, MusicAssets
from recurra.tasks.music_surprise import Surprise
from recurra.tasks.trained import Trained

__all__ = ["MusicRun", "NewMusic"]

LENGTH = 128
"""Frames of a piece where nothing says how long it is to be."""


@dataclass(frozen=True)
class NewMusic:
    """A piece that a model wrote.

    Args:
        roll: The piece, what it goes on from included.
        primer: How many frames at its beginning it goes on from.
        surprise: How probable the model finds each frame, those it goes on from included.
        findings: What a check of the finished piece says of each constraint.
        seed: What repeats it.
    """

    roll: Roll
    primer: int
    surprise: Surprise
    findings: tuple[Finding, ...]
    seed: int


class MusicRun(Trained[Any, Roll, MusicAssets, MusicModel, FrameBatch, Surprise]):
    """A trained model of music: it says how probable pieces are, and writes new ones."""

    def score(self, piece: Any) -> Surprise:  # noqa: ANN401  (what the use takes)
        """How probable a piece is, frame by frame.

        Args:
            piece: A piece, as `predict` takes it.
        """
        answer: Surprise = self.predict(piece)
        return answer

    def sample(
        self,
        length: int | None = None,
        *,
        number: int = 1,
        primer: Any = None,  # noqa: ANN401  (what the use takes)
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        constraints: str = "",
        frames_a_bar: int | None = None,
        seed: int | None = None,
        watch: Callable[[int, int], None] | None = None,
    ) -> list[NewMusic]:
        """Novel pieces, written side by side a frame at a time.

        Args:
            length: How many frames a piece has, those it goes on from included; by default as the constraints say, or
                128.
            number: How many pieces to write; each depends on its own seed alone, the first's and those after it.
            primer: The piece that they go on from, or whose bars they keep; None for none.
            temperature: Below 1 is safer, above 1 bolder; 0 takes the most probable note each time.
            top_k: Choose each note among the k most probable only; of a model of whole chords.
            top_p: Choose each note among the fewest whose probabilities sum to p; of a model of whole chords.
            constraints: What the pieces keep to, such as "scale=C:major bars=16": see `MusicConstraints`.
            frames_a_bar: How many frames a bar has; by default four quarters.
            seed: Repeats the output; without it every call differs.
            watch: Is told after each frame how many there are, and of how many.

        Raises:
            SettingError: A value is outside its range, or the constraints cannot all be kept.
        """
        number = whole_number("number", number, 1)
        seed = secrets.randbelow(2**31) if seed is None else whole_number("seed", seed, 0)
        if seed + number - 1 > LARGEST_SEED:
            raise SettingError(f"seed is {seed}; it must be from 0 to {LARGEST_SEED}")
        rules = MusicConstraints.parse(constraints, self.frames_a_bar(frames_a_bar))
        begun = None if primer is None else self.task.parse(self.config, primer)
        steps = self._steps(length, rules)
        goes_on = 0 if begun is None or rules.kept is not None else len(begun)
        if goes_on >= steps:
            raise SettingError(
                f"the piece is to have {steps} frames, and what it goes on from has {goes_on}: give a larger length"
            )
        settings = SamplingSettings(temperature, top_k, top_p)
        frames = None if begun is None else begun.frames
        written = _Writing(self, rules, settings, number, seed, steps, frames, goes_on).write(watch)
        return [self._new(written[row], goes_on, rules, frames, seed + row) for row in range(number)]

    def frames_a_bar(self, wanted: int | None = None) -> int:
        """How many frames a bar has: four quarters, unless another number is wanted.

        Raises:
            SettingError: The number is not positive.
        """
        bar = 4 * self.config.pieces.steps_per_quarter if wanted is None else wanted
        return whole_number("frames_a_bar", bar, 1)

    def training_index(self) -> MusicIndex:
        """The pieces that the model was trained on, in which copied passages are looked for.

        Raises:
            DataError: Their file is not there any more.
        """
        pieces = self.task.read(self.config, self.config.pieces.data, "train")
        return MusicIndex([pieces[index] for index in range(len(pieces))])

    def statistics(
        self, pieces: Iterable[Roll | NewMusic], frames_a_bar: int | None = None
    ) -> dict[str, dict[str, float]]:
        """Figures of pieces beside those of the pieces that the model was trained on.

        Args:
            pieces: The pieces.
            frames_a_bar: How many frames a bar has; by default four quarters.

        Returns:
            Under "pieces" and "trained on" what `music_statistics` says; `statistics_table` lays it out.

        Raises:
            DataError: The file of the pieces trained on is not there any more.
        """
        figures = partial(music_statistics, bar=self.frames_a_bar(frames_a_bar), lowest=self.assets.lowest)
        trained_on = self.task.read(self.config, self.config.pieces.data, "train")
        rolls = [piece.roll if isinstance(piece, NewMusic) else piece for piece in pieces]
        return {
            "pieces": figures(roll.frames for roll in rolls),
            "trained on": figures(trained_on[index].frames for index in range(len(trained_on))),
        }

    def suggestions(self) -> list[tuple[str, str]]:
        """What to try on the command line."""
        return [
            ("evaluate", ""),
            ("sample", " --output new.mid"),
            ("sample", ' --constraints "scale=C:major bars=8" --number 3 --output new.html'),
        ]

    def _steps(self, length: int | None, rules: MusicConstraints) -> int:
        if length is not None and rules.length not in (None, length):
            raise SettingError(f"length is {length}, and the constraints say {rules.length} frames: leave one out")
        steps = length if length is not None else rules.length if rules.length is not None else LENGTH
        return whole_number("length", steps, 1)

    def _new(
        self, frames: np.ndarray, primer: int, rules: MusicConstraints, kept: np.ndarray | None, seed: int
    ) -> NewMusic:
        lowest = self.assets.lowest
        roll = Roll(frames, lowest, self.task.parse(self.config, frames).source)
        findings = check_constraints(rules, frames, lowest, kept, primer)
        return NewMusic(roll, primer, self.score(roll), tuple(findings), seed)


class _Writing:
    """Pieces that are being written side by side.

    Args:
        run: The model.
        rules: What they keep to.
        settings: How notes are drawn.
        number: How many pieces.
        seed: The seed of the first; each has one of its own.
        steps: How many frames they have.
        primer: What they go on from or keep bars of, (T, K); None for none.
        goes_on: How many of its frames they begin with.
    """

    def __init__(
        self,
        run: MusicRun,
        rules: MusicConstraints,
        settings: SamplingSettings,
        number: int,
        seed: int,
        steps: int,
        primer: np.ndarray | None,
        goes_on: int,
    ) -> None:
        self._run, self._settings, self._number, self._goes_on = run, settings, number, goes_on
        self._primer = primer
        self._draws = [torch.Generator().manual_seed(seed + row) for row in range(number)]
        keys = run.assets.keys
        self._frames = np.zeros((number, steps, keys), np.bool_)
        # What it goes on from is as it is: the constraints are of what is written.
        self._masks = ConstraintMasks(
            rules, steps, run.assets.lowest, keys, primer, number, begun=None if primer is None else primer[:goes_on]
        )

    @torch.no_grad()
    def write(self, watch: Callable[[int, int], None] | None) -> np.ndarray:
        """Write them: which keys sound, (N, T, K)."""
        model = self._run.model
        steps = self._frames.shape[1]
        with evaluating(model):
            state = model.begin(self._number)
            for frame in range(steps):
                context, history, state = model.step(state)
                if frame < self._goes_on:
                    assert self._primer is not None
                    chords = torch.from_numpy(self._primer[frame].astype(np.float32)).expand(self._number, -1)
                else:
                    chords = self._drawn(context, history, self._masks.next())
                    self._masks.advance(chords.bool().numpy())
                self._frames[:, frame] = chords.bool().numpy()
                state = model.written(state, chords.to(context))
                if watch is not None:
                    watch(frame + 1, steps)
        return self._frames

    def _drawn(self, context: Tensor, history: Tensor, mask: FrameMask) -> Tensor:
        head = self._run.model.head
        if isinstance(head, KeyHead):
            return draw_keys(head.logits(context, history).cpu(), mask, self._settings, self._draws)[0]
        next_note = partial(_next_note, head, context, history)
        return draw_chords(next_note, mask, self._settings, self._draws)[0]


def _next_note(head: ChordHead, context: Tensor, history: Tensor, notes: Tensor, last: Tensor) -> Tensor:
    partial_chords = PartialChords(
        torch.arange(len(notes), device=context.device), notes.to(context), last.to(context.device)
    )
    return head.next_logits(context, history, partial_chords).cpu()
