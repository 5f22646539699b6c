"""Sampling: drawing novel sequences from a model, a token at a time."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from recurra.checks import as_whole_number, is_number, whole_number
from recurra.errors import RunError, SettingError, ShapeError

State = TypeVar("State")


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
    kept = _without_banned(logits, settings.banned)
    largest = kept.amax(dim=-1, keepdim=True)
    if bool((largest == -math.inf).any()):
        banned, size = len(set(settings.banned)), logits.shape[-1]
        others = " and the model rules out the others" if banned < size else ""
        raise SettingError(f"no token is left to draw: {banned} of the {size} are banned{others}; ban fewer")
    # Shifting by the largest first keeps the division from overflowing, however low the temperature.
    shifted = kept - largest
    scaled = shifted / settings.temperature if settings.temperature else shifted
    top_k = settings.top_k if settings.temperature else 1
    top_p = settings.top_p if settings.top_p != 1 else None
    if top_k is None and top_p is None:
        return scaled
    ordered, order = torch.sort(scaled, dim=-1, descending=True, stable=True)
    keep = torch.ones_like(ordered, dtype=torch.bool)
    if top_k is not None:
        keep[..., top_k:] = False
    if top_p is not None:
        probabilities = ordered.masked_fill(~keep, -math.inf).softmax(dim=-1, dtype=torch.float64)
        # A token belongs to the nucleus if those before it do not reach p; so the first always does.
        before = probabilities.cumsum(dim=-1) - probabilities
        keep &= before < top_p
        keep[..., 0] = True
    return scaled.masked_fill(~torch.zeros_like(keep).scatter(-1, order, keep), -math.inf)


def _without_banned(logits: Tensor, banned: tuple[int, ...]) -> Tensor:
    """The logits with minus infinity for the banned tokens."""
    if not banned:
        return logits
    if max(banned) >= logits.shape[-1]:
        raise SettingError(
            f"the banned token {max(banned)} is not one of the {logits.shape[-1]} (0 to {logits.shape[-1] - 1})"
        )
    index = torch.tensor(banned, dtype=torch.int64, device=logits.device)
    return logits.index_fill(-1, index, -math.inf)


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
    settings = SamplingSettings() if settings is None else settings
    if first.ndim != 1:
        raise ShapeError(f"the first tokens are a row of ids, (B,); these are {tuple(first.shape)}")
    length = whole_number("length", length, 0)
    rows: list[list[int]] = [[] for _ in range(len(first))]
    uniforms = _uniforms(len(rows), length, generator)
    running = torch.ones(len(rows), dtype=torch.bool)
    tokens = first
    for time in range(length):
        if not running.any():
            break
        logits, state = step(tokens, state)
        drawn = _draw(_checked(logits, len(rows), time), settings, uniforms[:, time])
        for row, token in enumerate(drawn.tolist()):
            if running[row]:
                rows[row].append(token)
        if end is not None:
            running &= drawn != end
        tokens = drawn.to(first.device)
    return rows


def _uniforms(rows: int, length: int, generator: torch.Generator | None) -> Tensor:
    """Numbers (B, T) in [0, 1), each row from a generator of its own, whose seed the given one draws."""
    if generator is not None and generator.device.type != "cpu":
        raise SettingError(f"the generator is on {generator.device}; give one on the processor: torch.Generator()")
    seeds = torch.randint(2**62, (rows,), generator=generator).tolist()
    uniforms = torch.empty(rows, length, dtype=torch.float64)
    for row, seed in enumerate(seeds):
        uniforms[row] = torch.rand(length, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return uniforms


def _checked(logits: Tensor, rows: int, time: int) -> Tensor:
    """The logits on the processor in double precision, known to be ones that can be drawn from."""
    if logits.ndim != 2 or len(logits) != rows:
        raise ShapeError(f"a step gives logits (B, V) with B = {rows}; these are {tuple(logits.shape)}")
    logits = logits.to("cpu", torch.float64)
    if bool((logits.isnan() | (logits == math.inf)).any()):
        raise RunError(
            f"the model's logits at step {time + 1} are not numbers, as after training that diverged; train again with "
            "a lower learning rate or gradients clipped"
        )
    return logits


def _draw(logits: Tensor, settings: SamplingSettings, uniforms: Tensor) -> Tensor:
    """Draws a token a row by inverting the cumulative distribution at a number in [0, 1)."""
    cumulative = filter_logits(logits, settings).softmax(dim=-1).cumsum(dim=-1)
    # A double below 1 times the total stays below the total when rounded, so there is a first place above the product,
    # and that is a token with a probability: where there is none, the cumulative sum does not rise.
    return torch.searchsorted(cumulative, uniforms[:, None] * cumulative[:, -1:], right=True).squeeze(-1)
