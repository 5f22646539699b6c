"""Copying: an unknown word in a translation becomes the word of the source that it was read from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from recurra.errors import ShapeError

__all__ = ["replace_unknown"]


def replace_unknown(
    words: Sequence[str],
    attention: Tensor,
    source: Sequence[str],
    unknown: str = "<UNK>",
    dictionary: Mapping[str, str] | None = None,
) -> list[str]:
    """Replaces unknown words by those of the source with the largest attention.

    Luong, Sutskever, Le, Vinyals and Zaremba, "Addressing the rare word problem in neural machine translation", 2015,
    with attention (Jean, Cho, Memisevic and Bengio, "On using very large target vocabulary for neural machine
    translation", 2015) in the place of positions.

    Args:
        words: The T words of the translation.
        attention: Where each was read from: T rows or more, and as many columns as the source has words or more; what
            is more, such as those of the tokens that end them, is not looked at.
        source: The S words of the source.
        unknown: How an unknown word is written.
        dictionary: What the translation of a word is, if it is not the word itself.

    Returns:
        The words; without a source, as they were. Of equal attention the first word of the source counts.

    Raises:
        ShapeError: The attention has too few rows or columns.

    Example:
        >>> import torch
        >>> attention = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
        >>> replace_unknown(["Mr", "<UNK>"], attention, ["Herr", "Schmidt"])
        ['Mr', 'Schmidt']
    """
    if attention.ndim != 2 or attention.shape[0] < len(words) or attention.shape[1] < len(source):
        raise ShapeError(
            f"the attention over {len(source)} words of a source from {len(words)} of a translation must be at least "
            f"({len(words)}, {len(source)}); this is {tuple(attention.shape)}"
        )
    if not source or unknown not in words:
        return list(words)
    origins = [source[index] for index in attention[:, : len(source)].cpu().numpy().argmax(axis=1)]
    known = dictionary or {}
    return [
        known.get(origin, origin) if word == unknown else word for word, origin in zip(words, origins, strict=False)
    ]
