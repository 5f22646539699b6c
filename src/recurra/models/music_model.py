"""The music model: what sounds in each frame, given all frames before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.errors import SettingError, ShapeError
from recurra.models.chord_head import ChordHead
from recurra.models.key_head import KeyHead
from recurra.models.music_memory import MusicMemory
from recurra.nn.dropout import Dropout, check_rate
from recurra.nn.recurrent import Recurrent

__all__ = ["MusicContext", "MusicModel"]

FRAMES = "frames"
"""The name of the last frames among the states; with a memory, of all frames."""


class MusicContext(NamedTuple):
    """What is known before each frame.

    Attributes:
        context: What the recurrent layers say, with the frame before, (B, T, H + K), and with a memory what is surely
            recalled, K + S more.
        history: The last P frames, the last one first, (B, T, P, K), and with a memory three planes more.
    """

    context: Tensor
    history: Tensor


class MusicModel(nn.Module):
    """A recurrent model of music: from the frames before, the distribution of each frame.

        h<t> = recurrent network(x<t-1>, h<t-1>)                    x<0> = 0
        c<t> = [dropout(h<t>), x<t-1>]
        p(x<t> | x<1..t-1>) = head(c<t>, the last frames)

    With a memory what it remembers is read beside x<t-1>, stands in c<t>, and is more planes of the last frames.

    Args:
        recurrent: The recurrent layers, of one direction; their input is as wide as `input_width` says.
        head: The distribution of a frame; its context is as wide as `context_width` says, and its history has the
            memory's planes.
        dropout: Rate of dropout on what the recurrent layers say.
        memory: What is remembered of the whole piece; None for nothing.

    Raises:
        SettingError: The layers would read the future.

    Example:
        >>> model = MusicModel(Recurrent("lstm", 6, 8), KeyHead(8 + 6, 6))
        >>> frames = (torch.rand(2, 5, 6) < 0.3).float()
        >>> known, state = model(frames)
        >>> model.log_probability(known, frames).shape
        torch.Size([2, 5])
    """

    def __init__(
        self,
        recurrent: Recurrent,
        head: KeyHead | ChordHead,
        dropout: float = 0.0,
        memory: MusicMemory | None = None,
    ) -> None:
        super().__init__()
        if recurrent.bidirectional:
            raise SettingError("a model of music cannot be bidirectional: it would read the frames it is to predict")
        self.recurrent, self.head, self.memory = recurrent, head, memory
        self.dropout = Dropout(check_rate("dropout", dropout))

    @staticmethod
    def input_width(keys: int, memory: MusicMemory | None) -> int:
        """What the recurrent layers read of so many keys: the frame before, ages, what is recalled, and S numbers."""
        return keys if memory is None else 3 * keys + memory.scalars

    @staticmethod
    def context_width(hidden_size: int, keys: int, memory: MusicMemory | None) -> int:
        """What the head reads of the past."""
        return hidden_size + keys + (0 if memory is None else keys + memory.scalars)

    @property
    def keys(self) -> int:
        """K, how many keys there are."""
        return self.head.keys

    def forward(
        self,
        x: Tensor,
        state: Mapping[str, Tensor] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[MusicContext, dict[str, Tensor]]:
        """What is known before each frame.

        Args:
            x: The frames, (B, T, K), 0 or 1; the one at t is not read before t + 1.
            state: The state before the first frame, (L, B, H) by name, and under "frames" the last frames,
                (P', B, K), the last one first, or with a memory all of them, -1 where a row has fewer; zero if not
                given.
            lengths: How many frames of each row count, (B,); None for all.

        Returns:
            What is known; and the state after each row's last frame, of which the next call goes on.
        """
        rows, steps, keys = x.shape
        if keys != self.keys:
            raise ShapeError(f"a frame has {keys} keys, and the model {self.keys}")
        past = self._nothing(rows, x) if state is None else state[FRAMES]
        # The frames from the first of those that are known on, in the order of time.
        whole = torch.cat([past.flip(0).transpose(0, 1), x], 1)
        known, reach = len(past), self._reach
        shown = whole.clamp(min=0)
        before = shown[:, known - 1 : known - 1 + steps]
        history = torch.stack([shown[:, known - 1 - back : known - 1 - back + steps] for back in range(reach)], 2)
        inputs = context = before
        if self.memory is not None:
            planes, scalars = self.memory.remember(past.flip(0), x)
            inputs = torch.cat([before, planes[:, :, 0], planes[:, :, 2], scalars], 2)
            context = torch.cat([before, planes[:, :, 2], scalars], 2)
            history = torch.cat([history[:, :, : self.head.history - self.memory.planes], planes], 2)
        layers = None if state is None else {name: value for name, value in state.items() if name != FRAMES}
        outputs, after = self.recurrent(inputs, layers, lengths)
        ends = torch.as_tensor(steps if lengths is None else lengths, device=x.device).expand(rows)
        kept = reach if self.memory is None else known + steps
        at = ends[:, None] + known - 1 - torch.arange(kept, device=x.device)
        last = whole[torch.arange(rows, device=x.device)[:, None], at.clamp(min=0)]
        last = last.masked_fill((at < 0)[:, :, None], -1).transpose(0, 1)
        return MusicContext(torch.cat([self.dropout(outputs), context], 2), history), {**after, FRAMES: last}

    def _nothing(self, rows: int, like: Tensor) -> Tensor:
        """The frames before the first of all: as many silent ones as are looked back to."""
        return like.new_full((self._reach, rows, self.keys), 0.0 if self.memory is None else -1.0)

    def begin(self, rows: int) -> dict[str, Tensor]:
        """The state before the first frame of so many pieces.

        Args:
            rows: How many.
        """
        frame = next(self.parameters()).new_zeros(rows, 1, self.keys)
        _, state = self(frame)
        return {**{name: torch.zeros_like(value) for name, value in state.items()}, FRAMES: self._nothing(rows, frame)}

    def step(self, state: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """What is known before the next frame of pieces that are being written.

        Args:
            state: The state after the frames so far.

        Returns:
            The context (N, C), the last frames (N, P, K), and the state in which `written` puts the frame that is
            chosen.
        """
        rows = state[FRAMES].shape[1]
        known, after = self(state[FRAMES].new_zeros(rows, 1, self.keys), state)
        return known.context[:, 0], self.history_of(known.history)[:, 0], after

    @staticmethod
    def written(state: Mapping[str, Tensor], frames: Tensor) -> dict[str, Tensor]:
        """The state once the frame that `step` was asked about is known.

        Args:
            state: What `step` gave.
            frames: The frame of each piece, (N, K), 0 or 1.
        """
        return {**state, FRAMES: torch.cat([frames[None], state[FRAMES][1:]])}

    def log_probability(self, known: MusicContext, frames: Tensor) -> Tensor:
        """The log-probability of each frame.

        Args:
            known: What `forward` gave.
            frames: What sounds, (B, T, K), 0 or 1.

        Returns:
            Natural logarithms, (B, T).
        """
        rows, steps = frames.shape[:2]
        each = self.head.log_probability(
            known.context.flatten(0, 1), self.history_of(known.history).flatten(0, 1), frames.flatten(0, 1)
        )
        return each.view(rows, steps)

    def history_of(self, history: Tensor) -> Tensor:
        """As many of the last frames as the head reads."""
        return history if self.memory is not None else history[..., : self.head.history, :]

    @property
    def _reach(self) -> int:
        """How many of the last frames are kept: as many as the head reads, and the one that is the input."""
        return max(1, self.head.history - (0 if self.memory is None else self.memory.planes))
