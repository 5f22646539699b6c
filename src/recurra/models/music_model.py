"""The music model: what sounds in each frame, given all frames before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.errors import SettingError, ShapeError
from recurra.models.chord_head import ChordHead
from recurra.models.key_head import KeyHead
from recurra.nn.dropout import Dropout, check_rate
from recurra.nn.recurrent import Recurrent

__all__ = ["MusicContext", "MusicModel"]

FRAMES = "frames"
"""The name of the last frames among the states."""


class MusicContext(NamedTuple):
    """What is known before each frame.

    Attributes:
        context: What the recurrent layers say, with the frame before, (B, T, H + K).
        history: The last P frames, the last one first, (B, T, P, K).
    """

    context: Tensor
    history: Tensor


class MusicModel(nn.Module):
    """A recurrent model of music: from the frames before, the distribution of each frame.

        h<t> = recurrent network(x<t-1>, h<t-1>)                    x<0> = 0
        c<t> = [dropout(h<t>), x<t-1>]
        p(x<t> | x<1..t-1>) = head(c<t>, the last frames)

    Args:
        recurrent: The recurrent layers, of one direction; their input is a frame of K keys.
        head: The distribution of a frame.
        dropout: Rate of dropout on what the recurrent layers say.

    Raises:
        SettingError: The layers would read the future.

    Example:
        >>> model = MusicModel(Recurrent("lstm", 6, 8), KeyHead(8 + 6, 6))
        >>> frames = (torch.rand(2, 5, 6) < 0.3).float()
        >>> known, state = model(frames)
        >>> model.log_probability(known, frames).shape
        torch.Size([2, 5])
    """

    def __init__(self, recurrent: Recurrent, head: KeyHead | ChordHead, dropout: float = 0.0) -> None:
        super().__init__()
        if recurrent.bidirectional:
            raise SettingError("a model of music cannot be bidirectional: it would read the frames it is to predict")
        self.recurrent, self.head = recurrent, head
        self.dropout = Dropout(check_rate("dropout", dropout))

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
                (P', B, K), the last one first; zero if not given.
            lengths: How many frames of each row count, (B,); None for all.

        Returns:
            What is known; and the state after each row's last frame, of which the next call goes on.
        """
        rows, steps, keys = x.shape
        if keys != self.keys:
            raise ShapeError(f"a frame has {keys} keys, and the model {self.keys}")
        reach = self._reach
        last = x.new_zeros(reach, rows, keys) if state is None else state[FRAMES]
        # The frames from the first of the last ones on, in the order of time.
        whole = torch.cat([last.flip(0).transpose(0, 1), x], 1)
        before = whole[:, reach - 1 : reach - 1 + steps]
        layers = None if state is None else {name: value for name, value in state.items() if name != FRAMES}
        outputs, after = self.recurrent(before, layers, lengths)
        history = torch.stack([whole[:, reach - 1 - back : reach - 1 - back + steps] for back in range(reach)], 2)
        ends = torch.as_tensor(steps if lengths is None else lengths, device=x.device).expand(rows)
        at = ends[:, None] + torch.arange(reach - 1, -1, -1, device=x.device)
        kept = whole[torch.arange(rows, device=x.device)[:, None], at].transpose(0, 1)
        return MusicContext(torch.cat([self.dropout(outputs), before], 2), history), {**after, FRAMES: kept}

    def begin(self, rows: int) -> dict[str, Tensor]:
        """The state before the first frame of so many pieces.

        Args:
            rows: How many.
        """
        frame = next(self.parameters()).new_zeros(rows, 1, self.keys)
        _, state = self(frame)
        return {name: torch.zeros_like(value) for name, value in state.items()}

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
        return history[..., : self.head.history, :]

    @property
    def _reach(self) -> int:
        """How many of the last frames are kept: as many as the head reads, and the one that is the input."""
        return max(1, self.head.history)
