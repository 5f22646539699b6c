"""A language model one token a call, as sampling and live prediction use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from recurra.models.language_model import LanguageModel

__all__ = ["LanguageModelStream"]


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
        self._layers = model.recurrent.stream(batch_size)
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

    @property
    def state(self) -> dict[str, Tensor]:
        """The state now, (L, B, H) by name: a copy."""
        return self._layers.state

    @state.setter
    def state(self, state: Mapping[str, Tensor]) -> None:
        self._layers.state = state
