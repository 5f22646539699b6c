"""Sampling: drawing novel sequences from a model, a token at a time."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.checks import as_whole_number, is_number, whole_number
from recurra.errors import RunError, SettingError, ShapeError

State = TypeVar("State")

Logits = npt.NDArray[Any]
"""Numbers (B, V) or (B, T) as an array."""


@dataclass(frozen=True)
class SamplingSettings:
    """How the next token is drawn from a model's logits.

    Args:
        temperature: The logits are divided by it: below 1 sharpens, above 1 flattens, 0 takes the most probable token.
        top_k: Draw from the k most probable tokens only; None from all.
        top_p: Draw from the nucleus only, the fewest tokens whose probabilities sum to p or more; None or 1 from all.
        banned: The ids of tokens that are never drawn, such as that of <UNK>.

    Raises:
        SettingError: A value is outside its range.

    Example:
        >>> SamplingSettings(top_p=1.5)
        Traceback (most recent call last):
        recurra.errors.SettingError: top_p is 1.5; it must be above 0 and at most 1
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    banned: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not is_number(self.temperature) or not 0 <= self.temperature < math.inf:
            raise SettingError(
                f"temperature is {self.temperature}; it must be 0 (the most probable token) or a number above"
            )
        if self.top_k is not None:
            object.__setattr__(self, "top_k", whole_number("top_k", self.top_k, 1))
        if self.top_p is not None and not (is_number(self.top_p) and 0 < self.top_p <= 1):
            raise SettingError(f"top_p is {self.top_p}; it must be above 0 and at most 1")
        for token in self.banned:
            if (number := as_whole_number(token)) is None or number < 0:
                raise SettingError(f"the banned token {token} is no id; ids are whole numbers, 0 or more")


def filter_logits(logits: Tensor, settings: SamplingSettings) -> Tensor:
    """Turns a model's logits into those that a token is drawn from.

    In this order: banned tokens are left out; the logits are divided by the temperature; all but the k most probable
    tokens are left out (Fan, Lewis and Dauphin, "Hierarchical neural story generation", ACL 2018); of those, all but
    the nucleus, the fewest most probable ones whose probabilities, out of those kept so far, sum to p or more
    (Holtzman et al., "The curious case of neural text degeneration", ICLR 2020). Of equally probable tokens the one
    with the lower id comes first. Temperature 0 leaves the most probable token alone.

    Args:
        logits: The model's logits, (..., V).
        settings: How to draw.

    Returns:
        Logits (..., V), the largest of each row 0, minus infinity for what is left out; their softmax is the
        distribution to draw from.

    Raises:
        SettingError: A banned token is not one of the V, or no token is left to draw.

    Example:
        >>> filter_logits(torch.tensor([2.0, 1.0, 3.0, 0.0]), SamplingSettings(top_k=2)).tolist()
        [-1.0, -inf, 0.0, -inf]
    """
    rows = logits.detach().cpu()
    plain = rows.numpy() if rows.dtype in (torch.float32, torch.float64) else rows.float().numpy()
    return torch.from_numpy(_filtered(plain, settings)).to(logits)


def _filtered(logits: Logits, settings: SamplingSettings) -> Logits:
    """`filter_logits` on an array: a row of a hundred tokens is over before torch would have begun."""
    kept = _without_banned(logits, settings.banned)
    largest = kept.max(axis=-1, keepdims=True)
    if (largest == -math.inf).any():
        banned, size = len(set(settings.banned)), logits.shape[-1]
        others = " and the model rules out the others" if banned < size else ""
        raise SettingError(f"no token is left to draw: {banned} of the {size} are banned{others}; ban fewer")
    # Shifting by the largest first keeps the division from overflowing, however low the temperature.
    shifted: Logits = kept - largest
    if settings.temperature not in (0, 1):
        with np.errstate(over="ignore"):  # to minus infinity, which is what is meant
            shifted = shifted / settings.temperature
    top_k = settings.top_k if settings.temperature else 1
    top_p = settings.top_p if settings.top_p != 1 else None
    if top_k is None and top_p is None:
        return shifted
    order = np.argsort(-shifted, axis=-1, kind="stable")
    keep = np.ones(shifted.shape, dtype=bool)
    if top_k is not None:
        keep[..., top_k:] = False
    if top_p is not None:
        weights = np.exp(np.where(keep, np.take_along_axis(shifted, order, -1), -math.inf), dtype=np.float64)
        probabilities = weights / weights.sum(axis=-1, keepdims=True)
        # A token belongs to the nucleus if those before it do not reach p; so the first always does.
        keep &= probabilities.cumsum(axis=-1) - probabilities < top_p
        keep[..., 0] = True
    chosen = np.zeros(shifted.shape, dtype=bool)
    np.put_along_axis(chosen, order, keep, -1)
    return np.where(chosen, shifted, -math.inf).astype(shifted.dtype)


def _without_banned(logits: Logits, banned: tuple[int, ...]) -> Logits:
    """The logits with minus infinity for the banned tokens."""
    if not banned:
        return logits
    if max(banned) >= logits.shape[-1]:
        raise SettingError(
            f"the banned token {max(banned)} is not one of the {logits.shape[-1]} (0 to {logits.shape[-1] - 1})"
        )
    kept = logits.copy()
    kept[..., list(banned)] = -math.inf
    return kept


@torch.no_grad()
def sample(
    step: Callable[[Tensor, State], tuple[Tensor, State]],
    first: Tensor,
    length: int,
    state: State,
    *,
    settings: SamplingSettings | None = None,
    end: int | None = None,
    generator: torch.Generator | None = None,
) -> list[list[int]]:
    """Draws sequences from an autoregressive model: each token drawn is the next one's input.

        logits<t>, s<t> = step(y<t-1>, s<t-1>),    y<t> ~ softmax(filter(logits<t>))

    The numbers that a row is drawn with depend on the generator and the row's place alone. So row i is the same
    however many rows are drawn at once, and begins the same whatever the length, as long as `step` gives a row the
    same logits beside other rows (products of matrices of another size may differ in the last bit).

    Args:
        step: The model: from the tokens (B,) before and the state, the logits (B, V) and the state after.
        first: The tokens (B,) that the first step reads, such as <EOS> or the last of a primer; they are not returned.
        length: The most tokens that a row is drawn.
        state: The state before the first step; whatever `step` takes.
        settings: How to draw; by default from the model's own distribution.
        end: The token that ends a row, <EOS>; None to draw every row to the full length.
        generator: A generator on the processor; the same seed gives the same sequences. By default torch's own.

    Returns:
        The ids drawn, a list a row; a row that ended has `end` as its last.

    Raises:
        SettingError: The length is negative, the generator is on another device, or no token is left to draw.
        ShapeError: The first tokens or the logits have another shape.
        RunError: A logit is not a number, as after training that diverged.

    Example:
        >>> def count_up(tokens, state):  # the next of 0..9 is all but certain
        ...     return 20.0 * torch.nn.functional.one_hot((tokens + 1) % 10, 10).float(), state
        >>> sample(count_up, torch.tensor([3, 7]), 4, None, generator=torch.Generator().manual_seed(0))
        [[4, 5, 6, 7], [8, 9, 0, 1]]
    """
    if first.ndim != 1:
        raise ShapeError(f"the first tokens are a row of ids, (B,); these are {tuple(first.shape)}")
    state_now = state

    def advance(tokens: Tensor) -> Tensor:
        nonlocal state_now
        logits, state_now = step(tokens, state_now)
        return logits

    rows: list[list[int]] = [[] for _ in range(len(first))]
    running = set(range(len(rows)))
    tokens_drawn = draw_tokens(advance, first, length, settings=settings, generator=generator)
    while running and (drawn := next(tokens_drawn, None)) is not None:
        for row in sorted(running):
            rows[row].append(drawn[row])
            if drawn[row] == end:
                running.discard(row)
    return rows


def draw_tokens(
    step: Callable[[Tensor], Tensor],
    first: Tensor,
    length: int,
    *,
    settings: SamplingSettings | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[list[int]]:
    """Draws sequences from an autoregressive model, and gives each step's tokens as soon as they are drawn.

    What `sample` does, for a model that keeps its own state, such as a stream.

    Args:
        step: The model: from the tokens (B,) before, the logits (B, V).
        first: The tokens (B,) that the first step reads.
        length: How many steps are drawn at most.
        settings: How to draw; by default from the model's own distribution.
        generator: A generator on the processor; the same seed gives the same sequences. By default torch's own.

    Yields:
        The tokens of a step, one a row.

    Raises:
        SettingError: The length is negative, the generator is on another device, or no token is left to draw.
        ShapeError: The logits have another shape.
        RunError: A logit is not a number, as after training that diverged.
    """
    settings = SamplingSettings() if settings is None else settings
    length = whole_number("length", length, 0)
    uniforms = _uniforms(len(first), length, generator)
    tokens = first
    for time in range(length):
        with torch.no_grad():
            logits = step(tokens)
        drawn = _draw(_checked(logits, len(first), time), settings, uniforms[:, time])
        yield drawn.tolist()
        tokens = torch.from_numpy(drawn).to(first.device)


def _uniforms(rows: int, length: int, generator: torch.Generator | None) -> Logits:
    """Numbers (B, T) in [0, 1), each row from a generator of its own, whose seed the given one draws."""
    if generator is not None and generator.device.type != "cpu":
        raise SettingError(f"the generator is on {generator.device}; give one on the processor: torch.Generator()")
    seeds = torch.randint(2**62, (rows,), generator=generator).tolist()
    uniforms = torch.empty(rows, length, dtype=torch.float64)
    for row, seed in enumerate(seeds):
        uniforms[row] = torch.rand(length, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return uniforms.numpy()


def _checked(logits: Tensor, rows: int, time: int) -> Logits:
    """The logits as an array in double precision, known to be ones that can be drawn from."""
    if logits.ndim != 2 or len(logits) != rows:
        raise ShapeError(f"a step gives logits (B, V) with B = {rows}; these are {tuple(logits.shape)}")
    numbers: Logits = logits.detach().to("cpu", torch.float64).numpy()
    if numbers.size and not numbers.max() < math.inf:  # a maximum is NaN where a number is
        raise RunError(
            f"the model's logits at step {time + 1} are not numbers, as after training that diverged; train again with "
            "a lower learning rate or gradients clipped"
        )
    return numbers


def _draw(logits: Logits, settings: SamplingSettings, uniforms: Logits) -> npt.NDArray[np.int64]:
    """Draws a token a row by inverting the cumulative distribution at a number in [0, 1)."""
    cumulative = np.exp(_filtered(logits, settings)).cumsum(axis=-1)
    # A double below 1 times the total stays below the total when rounded, so there is a first place above the product,
    # and that is a token with a probability: where there is none, the cumulative sum does not rise.
    levels = uniforms * cumulative[:, -1] if len(cumulative) else uniforms
    return np.array([row.searchsorted(level, "right") for row, level in zip(cumulative, levels, strict=True)], np.int64)
