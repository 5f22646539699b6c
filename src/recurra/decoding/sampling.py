"""Sampling: drawing novel sequences from a model, a token at a time."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from recurra.checks import whole_number
from recurra.decoding.drawing import Drawer, Logits, SamplingSettings
from recurra.errors import ShapeError

State = TypeVar("State")


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
    length = whole_number("length", length, 0)
    draw = Drawer(len(first), settings, generator)
    tokens = first
    for time in range(length):
        with torch.no_grad():
            logits = step(tokens)
        drawn = draw(as_array(logits, len(first)))
        yield drawn
        if time + 1 < length:
            tokens = torch.tensor(drawn, dtype=torch.int64, device=first.device)


def as_array(logits: Tensor, rows: int) -> Logits:
    """The logits as an array."""
    if logits.ndim != 2 or len(logits) != rows:
        raise ShapeError(f"a step gives logits (B, V) with B = {rows}; these are {tuple(logits.shape)}")
    plain = logits.detach()
    numbers: Logits = (plain if plain.dtype in (torch.float32, torch.float64) else plain.float()).cpu().numpy()
    return numbers
