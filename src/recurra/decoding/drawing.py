"""Drawing: from the logits of a step to a token of each row."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recurra.checks import as_whole_number, is_number, whole_number
from recurra.errors import RunError, SettingError

__all__ = ["Drawer", "Logits", "SamplingSettings", "filter_logits"]

Logits = npt.NDArray[Any]
"""Numbers (B, V) or (B, T) as an array."""

BLOCK = 1 << 10
"""For how many steps numbers are drawn at once; it does not change them."""

LEAST_TEMPERATURE = 1e-100
"""Below it a quotient may overflow."""


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
    wide: Logits = logits.detach().double().cpu().numpy().copy()
    _ban(wide, settings.banned)
    largest = wide.max(axis=-1, keepdims=True)
    if (largest == -math.inf).any():
        raise _nothing_left(settings, wide.shape[-1])
    wide -= largest
    _divide(wide, settings.temperature)
    _leave_out(wide.reshape(-1, wide.shape[-1]), 1 if settings.temperature == 0 else settings.top_k, settings.top_p)
    return torch.from_numpy(wide).to(logits)


def _nothing_left(settings: SamplingSettings, size: int) -> SettingError:
    banned = len(set(settings.banned))
    others = " and the model rules out the others" if banned < size else ""
    return SettingError(f"no token is left to draw: {banned} of the {size} are banned{others}; ban fewer")


def _ban(logits: Logits, banned: tuple[int, ...]) -> None:
    """Leaves the banned tokens out."""
    if banned and max(banned) >= logits.shape[-1]:
        raise SettingError(
            f"the banned token {max(banned)} is not one of the {logits.shape[-1]} (0 to {logits.shape[-1] - 1})"
        )
    for token in banned:
        logits[..., token] = -math.inf


def _divide(shifted: Logits, temperature: float) -> None:
    """Divides logits by the temperature, the largest of which is 0: however low it is, nothing overflows upwards."""
    if temperature not in (0, 1):
        if temperature > LEAST_TEMPERATURE:
            np.divide(shifted, temperature, shifted)
            return
        with np.errstate(over="ignore"):  # to minus infinity, which is what is meant
            np.divide(shifted, temperature, shifted)


def _leave_out(logits: Logits, top_k: int | None, top_p: float | None) -> None:
    """Leaves all but the k most probable tokens of each row (B, V) out, and of those all but the nucleus."""
    size = logits.shape[1]
    if top_k is not None and top_k < size:
        least = np.partition(logits, size - top_k, axis=1)[:, size - top_k, None]
        logits[logits < least] = -math.inf
        for row in np.flatnonzero((logits > -math.inf).sum(axis=1) > top_k):  # of equals the lower ids stay
            equal = np.flatnonzero(logits[row] == least[row])
            logits[row, equal[top_k - np.count_nonzero(logits[row] > least[row]) :]] = -math.inf
    if top_p is not None and top_p != 1:
        rows, order = np.arange(len(logits))[:, None], np.argsort(-logits, axis=1, kind="stable")
        ranked = logits[rows, order]
        cumulative = np.exp(ranked).cumsum(axis=1)
        # A token belongs to the nucleus if those before it do not reach p; so the first always does.
        ranked[:, 1:][cumulative[:, :-1] >= top_p * cumulative[:, -1:]] = -math.inf
        logits[rows, order] = ranked


class Drawer:
    """Draws a token a row from the logits of a step, by inverting the cumulative distribution.

        y<t> = the first v with  u<t> · total < sum over w ≤ v of exp(filter(logits<t>)[w]),    u<t> uniform in [0, 1)

    Each row has numbers u<t> of its own, which depend on the generator and the row's place alone.

    Args:
        rows: B.
        settings: How to draw; by default from the model's own distribution.
        generator: A generator on the processor; the same seed gives the same tokens. By default torch's own.
        score: Whether to keep the probabilities of what is drawn.
        seeds: A seed for each row, in the place of a generator: a row's tokens then depend on its seed alone.

    Attributes:
        log_probabilities: Of the tokens drawn last, the natural logarithms of their probabilities in the model's own
            distribution, before anything of the settings; none unless asked for.

    Raises:
        SettingError: The generator is on another device, or there is not one seed a row.

    Example:
        >>> draw = Drawer(2, SamplingSettings(temperature=0))
        >>> draw(np.array([[0.0, 2.0, 1.0], [3.0, 0.0, 1.0]]))
        [1, 0]
    """

    def __init__(
        self,
        rows: int,
        settings: SamplingSettings | None = None,
        generator: torch.Generator | None = None,
        *,
        score: bool = False,
        seeds: Sequence[int] | None = None,
    ) -> None:
        if generator is not None and generator.device.type != "cpu":
            raise SettingError(f"the generator is on {generator.device}; give one on the processor: torch.Generator()")
        self.settings = settings = SamplingSettings() if settings is None else settings
        self.rows, self.score, self.log_probabilities = rows, score, [0.0] * rows
        if seeds is None:
            seeds = torch.randint(2**62, (rows,), generator=generator).tolist()
        elif len(seeds) != rows:
            raise SettingError(f"there are {len(seeds)} seeds for {rows} rows; give one for each")
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._greedy = settings.temperature == 0 or settings.top_k == 1
        self._filters = settings.top_k is not None or settings.top_p not in (None, 1)
        self._banned = settings.banned
        self._step, self._steps = 0, 0
        self._numbers = np.empty((0, 0))

    def __call__(self, logits: Logits) -> list[int]:
        """The tokens of a step, one a row.

        Args:
            logits: (B, V); left as they are.

        Raises:
            RunError: A logit is not a number, as after training that diverged.
            SettingError: A banned token is not one of the V, or no token is left to draw.
        """
        if self._step >= len(self._numbers):
            self._more(logits)
        levels = self._numbers[self._step]
        self._step += 1
        tokens = [self._one(logits[0], levels.item(0))] if self.rows == 1 else self._several(logits, levels)
        if self.score:
            self.log_probabilities = _log_probabilities(logits, tokens)
        return tokens

    def keep(self, rows: Sequence[int]) -> None:
        """Leaves some rows, in order; what they are drawn does not change.

        Args:
            rows: Which of the rows that there are now.
        """
        self.rows, self.log_probabilities = len(rows), [self.log_probabilities[row] for row in rows]
        self._generators = [self._generators[row] for row in rows]
        self._numbers = self._numbers[:, np.array(rows, dtype=np.int64)]
        if len(self._numbers):
            self._set_memory(self._wide[: self.rows])

    def _more(self, logits: Logits) -> None:
        """Numbers in [0, 1) for the next steps, (T, B), and at first the memory that all steps work in."""
        columns = [torch.rand(BLOCK, dtype=torch.float64, generator=each) for each in self._generators]
        self._steps += len(self._numbers)
        self._numbers = torch.stack(columns, 1).numpy() if columns else np.empty((BLOCK, 0))
        self._step = 0
        if self._steps:
            return
        self._set_memory(np.zeros((self.rows, logits.shape[-1])))
        _ban(self._wide, self.settings.banned)  # refuses what is not there

    def _set_memory(self, wide: Logits) -> None:
        """The memory that all steps work in, (B, V)."""
        self._wide = wide
        self._row = self._wide[0] if self.rows else self._wide
        self._each = list(self._wide)

    def _one(self, logits: Logits, level: float) -> int:
        """The token of a single row: an array's method each, since here a microsecond counts."""
        wide = self._row
        wide[...] = logits
        best = wide.argmax()  # of a NaN if there is one
        largest = wide.item(best)
        if not largest < math.inf:
            raise self._no_numbers()
        for token in self._banned:
            wide[token] = -math.inf
        if best in self._banned:
            best = wide.argmax()
            largest = wide.item(best)
        if largest == -math.inf:
            raise _nothing_left(self.settings, len(wide))
        if self._greedy:
            return int(best)
        np.subtract(wide, largest, wide)
        _divide(wide, self.settings.temperature)
        if self._filters:
            _leave_out(self._wide, self.settings.top_k, self.settings.top_p)
        np.exp(wide, wide)
        np.add.accumulate(wide, out=wide)
        # A double below 1 times the total stays below the total when rounded, so there is a first place above the
        # product, and that is a token with a probability: where there is none, the cumulative sum does not rise.
        return int(wide.searchsorted(level * wide.item(-1), "right"))

    def _several(self, logits: Logits, levels: Logits) -> list[int]:
        """The same for rows side by side."""
        wide = self._wide
        wide[...] = logits
        largest = wide.max(axis=1, keepdims=True, initial=-math.inf)
        if not (largest < math.inf).all():
            raise self._no_numbers()
        if self._banned:
            _ban(wide, self._banned)
            largest = wide.max(axis=1, keepdims=True, initial=-math.inf)
        if (largest == -math.inf).any():
            raise _nothing_left(self.settings, wide.shape[1])
        if self._greedy:
            return wide.argmax(axis=1).tolist()  # type: ignore[no-any-return]
        np.subtract(wide, largest, wide)
        _divide(wide, self.settings.temperature)
        if self._filters:
            _leave_out(wide, self.settings.top_k, self.settings.top_p)
        np.exp(wide, wide)
        np.add.accumulate(wide, axis=1, out=wide)
        products = (levels * wide[:, -1]).tolist()
        return [int(row.searchsorted(level, "right")) for row, level in zip(self._each, products, strict=True)]

    def _no_numbers(self) -> RunError:
        return RunError(
            f"the model's logits at step {self._steps + self._step} are not numbers, as after training that diverged; "
            "train again with a lower learning rate or gradients clipped"
        )


def _log_probabilities(logits: Logits, tokens: Sequence[int]) -> list[float]:
    """The natural logarithm of the probability of one token of each row."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    chosen = wide[np.arange(len(wide)), tokens]
    return (chosen - np.log(np.exp(wide, wide).sum(axis=1))).tolist()  # type: ignore[no-any-return]
