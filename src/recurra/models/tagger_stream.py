"""A tagger one word a call, as live text is tagged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.errors import SettingError

if TYPE_CHECKING:
    from recurra.models.tagger import Tagger

__all__ = ["TaggerStream"]


class TaggerStream:
    """A sentence that is tagged while it comes in: the same tags as those of the whole, each as soon as it is decided.

    Made by `Tagger.stream`. A tagger that decides online gives the tag of a word when as many words after it have come
    as its encoder looks ahead. Any other gives it when no later word can change it, which is mostly soon. Tags that
    only later words tell apart are given as their representative.

    The weights of the recurrent layers are packed when it is made; it runs as the model does in eval mode.

    Args:
        model: The tagger; its network has one direction.

    Raises:
        SettingError: The network reads each sentence from its end, too.

    Example:
        >>> from torch import nn
        >>> from recurra.models.encoder import Encoder
        >>> from recurra.models.tagger import Tagger
        >>> from recurra.nn import Recurrent
        >>> from recurra.nn.crf import CRF
        >>> tagger = Tagger(Encoder(nn.Embedding(20, 4), Recurrent("gru", 4, 6)), CRF(3)).eval()
        >>> words = torch.randint(20, (1, 5))
        >>> stream = tagger.stream()
        >>> tags = [tag for t in range(5) for tag in stream.push(words[:, t : t + 1])] + stream.close()
        >>> [tags] == tagger.decode(tagger(words)[0].tags)
        True
    """

    def __init__(self, model: Tagger) -> None:
        if model.encoder.recurrent.bidirectional:
            raise SettingError(
                "this tagger reads each sentence from its end, too, so it can tag no word before the last has come; "
                "train one with --no-bidirectional"
            )
        self._model = model
        self._layers = model.encoder.recurrent.stream()
        self._readout = model.readout.weight.detach(), model.readout.bias.detach()
        self._viterbi = model.crf.stream(model.representatives)
        self._steps = 0

    @torch.no_grad()
    def push(self, x: Any) -> list[int]:  # noqa: ANN401  (whatever the encoder's inputs read)
        """Take the next word.

        Args:
            x: What the encoder's inputs read, with (1, 1, ...) first.

        Returns:
            The tags that it decides, from the first word without one.
        """
        inputs = self._model.encoder.inputs
        if not inputs.training:
            return self._step(inputs(x)[:, 0], decide=self._model.online)
        inputs.eval()
        try:
            return self.push(x)
        finally:
            inputs.train()

    @torch.no_grad()
    def close(self) -> list[int]:
        """End the sentence; the next word begins another.

        Returns:
            The tags of the words that have none.
        """
        tags: list[int] = []
        if self._steps:
            nothing = self._readout[0].new_zeros(1, self._model.encoder.recurrent.input_size)
            for _ in range(self._model.encoder.lookahead):
                tags += self._step(nothing, decide=False)
        tags += self._viterbi.close()
        self._layers.reset()
        self._steps = 0
        return tags

    def _step(self, vector: Tensor, *, decide: bool) -> list[int]:
        """Advance by a word, or past the end, and take the scores of the word that they are of."""
        hidden = self._layers.step(vector)
        self._steps += 1
        if self._steps <= self._model.encoder.lookahead:
            return []
        return self._viterbi.push(F.linear(hidden, *self._readout)[0], decide=decide)
