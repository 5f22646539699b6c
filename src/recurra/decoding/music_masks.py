"""What each frame of a piece may be, so that its constraints are kept and no frame is ever left without a chord."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.decoding.chord_drawing import FrameMask
from recurra.decoding.hold_plan import HoldPlan
from recurra.decoding.music_constraints import MusicConstraints, keys_within
from recurra.errors import SettingError

__all__ = ["ConstraintMasks", "sounding_for"]

Bits = NDArray[np.bool_]


class ConstraintMasks:
    """The masks of pieces that are being written side by side, frame after frame.

    Whatever is drawn within a mask, the next mask allows a chord: what cannot be kept to is refused at the beginning,
    and where keys are so few that holding them could leave too few later, some of them are made to rest in time.

    Args:
        constraints: The constraints.
        length: T, how many frames the piece will have.
        lowest: The pitch of the first key.
        keys: K, how many keys there are.
        primer: The frames that it goes on from, or whose bars are kept, (T', K); None for none.
        rows: How many pieces are written.
        begun: Frames that every piece begins with as they are, whatever the constraints say; `next` is of the frame
            after them.

    Raises:
        SettingError: Two constraints cannot both be kept.

    Example:
        >>> masks = ConstraintMasks(MusicConstraints.parse("scale=C:major hold<=1"), length=2, lowest=60, keys=3)
        >>> masks.next().may.int().tolist()
        [[1, 0, 1]]
        >>> masks.advance(np.array([[1, 0, 0]], np.bool_))
        >>> masks.next().may.int().tolist()
        [[0, 0, 1]]
    """

    def __init__(
        self,
        constraints: MusicConstraints,
        length: int,
        lowest: int,
        keys: int,
        primer: Bits | None = None,
        rows: int = 1,
        begun: Bits | None = None,
    ) -> None:
        self._constraints, self._length, self._rows = constraints, length, rows
        self._begin = self._frame = 0 if begun is None else len(begun)
        self._runs = np.zeros((rows, keys), np.int64)
        self._last = np.zeros((rows, keys), np.bool_)
        self._same = np.zeros(rows, np.int64)
        if begun is not None and len(begun):
            self._runs += sounding_for(begun)[-1]
            self._last |= begun[-1]
            # Of equal frames those that it goes on from count as well: they are heard.
            self._same += next((n for n, frame in enumerate(begun[::-1]) if (frame != begun[-1]).any()), len(begun))
        self._lowest, self._keys = lowest, keys
        self._may = np.stack([constraints.may(frame, length, lowest, keys) for frame in range(length)])
        self._must = np.zeros_like(self._may)
        numbers = [constraints.notes(frame, length) for frame in range(length)]
        self._least = np.array([least for least, _ in numbers])
        self._most = np.array([keys if most is None else min(most, keys) for _, most in numbers])
        self._fixed = np.zeros(length, np.bool_)
        self._refuse_impossible_frames()
        self._keep(primer)
        self._ahead = self._sounding_ahead()
        self._refuse_long_holds()
        self._refuse_repeats()
        self._plans = self._planned()

    def next(self) -> FrameMask:
        """What the next frame may be."""
        t = self._frame
        may = np.repeat(self._may[t][None], self._rows, 0)
        hold = self._constraints.hold
        if hold is not None and not self._fixed[t]:
            may &= self._runs + 1 + self._ahead[t] <= hold
        for row, plan in enumerate(self._plans):
            may[row] &= ~plan.resting(t, self._runs[row], may[row])
        must = np.repeat(self._must[t][None], self._rows, 0)
        bars = np.zeros(self._rows, np.bool_)
        least = np.full(self._rows, self._least[t])
        repeat = self._constraints.repeat
        if repeat is not None and not self._fixed[t]:
            bars = self._same >= repeat
            if t == self._length - 2 and not self._most[-1]:
                # The last frame will be silent: so must this one not be, where that would be once too often.
                silent = ~self._last.any(1)
                bars = np.where(silent, self._same + 1 >= repeat, bars)
                least = np.maximum(least, repeat == 1)
            elif self._most[t] == 0:
                bars = np.zeros(self._rows, np.bool_)
        return FrameMask(
            torch.from_numpy(may),
            torch.from_numpy(must),
            torch.from_numpy(least),
            torch.full((self._rows,), int(self._most[t])),
            torch.from_numpy(self._last.copy()),
            torch.from_numpy(bars),
        )

    def advance(self, chords: Bits) -> None:
        """Take what was drawn.

        Args:
            chords: Which keys sound in each row, (N, K).
        """
        self._runs = np.where(chords, self._runs + 1, 0)
        equal = (chords == self._last).all(1) & (self._frame > 0)
        self._same = np.where(equal, self._same + 1, 1)
        self._last = chords.copy()
        self._frame += 1

    def _refuse_impossible_frames(self) -> None:
        """Refuse a frame in which no key, or too few, may sound, and name the constraints that are to blame."""
        for t in range(self._begin, self._length):
            if not self._most[t]:
                continue
            least, there = max(1, int(self._least[t])), int(self._may[t].sum())
            if there >= least:
                continue
            limits = self._constraints.parts(t, self._length)
            within = {name: keys_within(limit, self._lowest, self._keys) for name, limit in limits.items()}
            names = list(within)
            smallest = next(
                (
                    group
                    for size in range(1, len(names) + 1)
                    for group in itertools.combinations(names, size)
                    if np.logical_and.reduce([within[name] for name in group]).sum() < least
                ),
                tuple(names),
            )
            blamed = [self._constraints.written[name] for name in smallest]
            if there and "notes" in self._constraints.written:
                blamed.append(self._constraints.written["notes"])
            raise SettingError(
                f"{_both(blamed)} cannot be kept: {_number(there, 'key')} of the model's {self._keys} may sound in "
                f"frame {t + 1}{self._bar_of(t)}, and {least} or more have to be possible; change one of them"
            )

    def _keep(self, primer: Bits | None) -> None:
        """Put the bars that are kept in their frames."""
        constraints = self._constraints
        for begin, end in constraints.keep:
            keep = constraints.written["keep"]
            if primer is None or len(primer) < end:
                has = "there is no primer" if primer is None else f"the primer has {len(primer)} frames"
                raise SettingError(f"{keep}: {has}, and these bars end with frame {end}; give one that has them")
            if end > self._length:
                raise SettingError(
                    f"{keep}: these bars end with frame {end}, and the piece has {self._length}; keep other bars or "
                    "write a longer piece"
                )
            for t in range(begin, end):
                self._refuse_kept(t, primer[t])
                self._may[t] = self._must[t] = primer[t]
                self._least[t] = self._most[t] = int(primer[t].sum())
                self._fixed[t] = True

    def _refuse_kept(self, t: int, chord: Bits) -> None:
        constraints, count = self._constraints, int(chord.sum())
        broken = [
            constraints.written[name]
            for name, limit in constraints.parts(t, self._length).items()
            if (chord & ~keys_within(limit, self._lowest, self._keys)).any()
        ]
        if not self._least[t] <= count <= self._most[t]:
            at_the_end = t == self._length - 1 and constraints.end is not None
            broken.append(constraints.written["end" if at_the_end else "notes"])
        if broken:
            raise SettingError(
                f"{_both([constraints.written['keep'], broken[0]])} cannot be kept: frame {t + 1} of the primer"
                f"{self._bar_of(t)} breaks the second; keep other bars, or leave it out"
            )

    def _sounding_ahead(self) -> NDArray[np.int64]:
        """In how many kept frames right after each frame a key sounds on, (T, K)."""
        ahead = np.zeros((self._length, self._keys), np.int64)
        for t in range(self._length - 2, -1, -1):
            ahead[t] = np.where(self._must[t + 1], ahead[t + 1] + 1, 0)
        return ahead

    def _refuse_long_holds(self) -> None:
        constraints = self._constraints
        if constraints.hold is None:
            return
        runs = sounding_for(self._must)
        if (runs > constraints.hold).any():
            t = int((runs > constraints.hold).any(1).argmax())
            raise SettingError(
                f"{_both([constraints.written['keep'], constraints.written['hold']])} cannot be kept: a key of the "
                f"primer sounds for longer, in frame {t + 1}{self._bar_of(t)}; keep other bars, or hold longer"
            )

    def _refuse_repeats(self) -> None:
        """Refuse that no frame is to be repeated where a frame has one chord alone that it can be."""
        constraints = self._constraints
        if constraints.repeat is None:
            return
        for t in range(self._begin, self._length):
            if self._fixed[t] or (t == self._length - 1 and not self._most[t]):
                continue
            there = int((self._may[t] & (self._ahead[t] < (constraints.hold or self._length))).sum())
            least, most = int(self._least[t]), min(int(self._most[t]), there)
            if t == self._length - 2 and not self._most[-1]:
                least = max(1, least)
            if there < least or (least == most and least in (0, there)):
                others = [
                    name for name in (*constraints.parts(t, self._length), "notes") if name in constraints.written
                ]
                raise SettingError(
                    f"{_both([constraints.written[name] for name in ('repeat', *others)])} cannot be kept: frame "
                    f"{t + 1}{self._bar_of(t)} can be one chord alone; allow more keys or numbers of notes"
                )

    def _planned(self) -> list[HoldPlan]:
        """A plan of rests for each row, where keys are so few that there has to be one."""
        constraints = self._constraints
        if constraints.hold is None or self._begin >= self._length:
            return []
        sounding = int((self._runs[0] > 0).sum())
        roomy = True
        for t in range(self._begin, self._length):
            there = int(self._may[t].sum())
            # At the worst whatever could sound before did, and none of it may go on.
            held = min(there, sounding) + int((self._ahead[t] >= constraints.hold).sum())
            roomy &= bool(self._fixed[t]) or there - held >= self._least[t]
            sounding = min(int(self._most[t]), there)
        if roomy:
            return []
        names = ["hold", *(name for name in ("notes", "keep") if name in constraints.written)]
        limits = [name for name in constraints.parts(self._begin, self._length) if name != "end"]
        written = [constraints.written[name] for name in (*names, *limits)]
        if constraints.repeat is not None:
            raise SettingError(
                f"{_both([constraints.written['repeat'], *written])} cannot be kept together where so few keys may "
                "sound; leave one of them out, or allow more keys"
            )
        plans = [
            HoldPlan(self._may, self._must, self._least, constraints.hold, self._begin, runs) for runs in self._runs
        ]
        if not plans[0].possible:
            raise SettingError(
                f"{_both(written)} cannot be kept: a time comes when too few keys are left that have rested; hold "
                "longer, or allow fewer notes or more keys"
            )
        return plans

    def _bar_of(self, t: int) -> str:
        return f" (bar {t // self._constraints.frames_a_bar + 1})"


def sounding_for(frames: Bits) -> NDArray[np.int64]:
    """For how many frames each key has sounded without a break.

    Args:
        frames: Which keys sound, (T, K).

    Returns:
        (T, K), 0 where a key does not sound.
    """
    runs = np.zeros(frames.shape, np.int64)
    before = np.zeros(frames.shape[1], np.int64)
    for t, frame in enumerate(frames):
        runs[t] = before = np.where(frame, before + 1, 0)
    return runs


def _both(written: list[str]) -> str:
    if len(written) == 1:
        return f"constraint {written[0]}"
    return f"constraints {', '.join(written[:-1])} and {written[-1]}"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
