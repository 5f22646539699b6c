"""A language model one token a call, as sampling and live prediction use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.errors import ShapeError

if TYPE_CHECKING:
    from recurra.models.language_model import LanguageModel

__all__ = ["LanguageModelStream"]

Logits = npt.NDArray[Any]
"""(B, V), in float32 or float64."""


class LanguageModelStream:
    """The state of a language model between tokens: from each token the logits of the next, without gradients.

    Made by `LanguageModel.stream`. The weights of the recurrent layers are packed when it is made; it runs as the model
    does in eval mode.

    Args:
        model: The model.
        batch_size: B, how many texts advance side by side.

    Example:
        >>> from recurra.models import LanguageModel
        >>> model = LanguageModel(50, "gru", embedding_size=8, hidden_size=16).eval()
        >>> tokens = torch.randint(50, (1, 6))
        >>> stream = model.stream()
        >>> logits = [stream.step(tokens[:, t]) for t in range(6)]
        >>> bool(torch.allclose(torch.stack(logits, 1), model(tokens)[0], atol=1e-5))
        True
    """

    def __init__(self, model: LanguageModel, batch_size: int = 1) -> None:
        self._layers, self.batch_size = model.recurrent.stream(batch_size), batch_size
        self._embedding = model.embedding.weight.detach()
        projection = model.projection
        self._projection = None if projection is None else (projection.weight.detach(), projection.bias.detach())
        if model.readout is not None:
            self._readout = model.readout.weight.detach(), model.readout.bias.detach()
        else:
            assert model.bias is not None
            self._readout = self._embedding, model.bias.detach()

    @torch.no_grad()
    def step(self, tokens: Tensor) -> Tensor:
        """Advance by one token.

        Args:
            tokens: The ids (B,).

        Returns:
            The logits (B, V) of the token after each.

        Raises:
            ShapeError: There are not B tokens.
        """
        hidden = self._layers.step(F.embedding(tokens, self._embedding))
        if self._projection is not None:
            hidden = F.linear(hidden, *self._projection)
        return F.linear(hidden, *self._readout)

    def logits(self, tokens: Sequence[int] | npt.NDArray[np.int64]) -> Logits:
        """Advance by one token, at the least cost a step: what `step` does, from and to numbers in memory.

        At the first call what the first layer makes of each token is worked out; see `Stream.lookup`.

        Args:
            tokens: The ids, B of them, each below V.

        Returns:
            The logits (B, V) of the token after each, which the next call overwrites.

        Raises:
            ShapeError: There are not B tokens.
        """
        if len(tokens) != self.batch_size:
            raise ShapeError(f"there are {len(tokens)} tokens; expected one for each of {self.batch_size} texts")
        self._rows[:] = tokens
        return self._advance()

    @cached_property
    def _rows(self) -> npt.NDArray[np.int64]:
        """Where `_advance` finds the tokens."""
        return np.zeros(self.batch_size, np.int64)

    @cached_property
    def _advance(self) -> Callable[[], Logits]:
        """A step from the tokens in `_rows`; each part of it reads and writes the same memory at every step."""
        embedding, rows = self._embedding.contiguous(), torch.from_numpy(self._rows)
        on_device = rows.to(embedding.device)  # itself on the processor
        hidden = embedding.new_empty(self.batch_size, self._layers.layer.hidden_size)
        parts: list[Callable[[], object]] = [self._layers.lookup(embedding, on_device, hidden)]
        if self._projection is not None:
            add_product, hidden = _product(hidden, *self._projection)
            parts.append(add_product)
        add_product, logits = _product(hidden, *self._readout)
        parts.append(add_product)
        if logits.device.type == "cpu" and logits.dtype in (torch.float32, torch.float64):
            numbers = logits.numpy()

            def advance() -> Logits:
                for part in parts:
                    part()
                return numbers

            return advance

        def advance_elsewhere() -> Logits:
            on_device.copy_(rows)
            for part in parts:
                part()
            found: Logits = logits.double().cpu().numpy()
            return found

        return advance_elsewhere

    @property
    def state(self) -> dict[str, Tensor]:
        """The state now, (L, B, H) by name: a copy."""
        return self._layers.state

    @state.setter
    def state(self, state: Mapping[str, Tensor]) -> None:
        self._layers.state = state


def _product(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Callable[[], object], Tensor]:
    """What computes W x + b from what x (B, H) holds then, and where the result is, (B, ·)."""
    result = x.new_empty(len(x), len(weight))
    if len(x) == 1:  # of a matrix and a vector, which begins sooner
        row, column = x[0], result[0]
        return lambda: torch.addmv(bias, weight, row, out=column), result
    turned = weight.T
    return lambda: torch.addmm(bias, x, turned, out=result), result
