"""The figures of a run as people read them: which are shown, under which names, in how many digits."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the settings it brings along take pydantic, and the commands that print figures do not
    from recurra.training.events import StepEvent

UNKNOWN = "-"
"""Shown for a figure that is not there."""

SIGNS = str.maketrans({" ": "␣", "\n": "\\n", "\t": "\\t"})
"""How white space is shown that is a unit of its own."""

TAB = 4
"""Columns from one tab stop to the next."""


@dataclass(frozen=True)
class MetricView:
    """How one metric is shown.

    Attributes:
        name: Its key among the metrics of a validation.
        label: What it is called on the screen.
        format: Format specification of the number.
        from_loss: Gives it from the loss in nats, so that it can be shown for training, too, and for validations that
            do not name it; None for a metric that only a validation has.

    Example:
        >>> import math
        >>> perplexity = MetricView("perplexity", "perplexity", ".1f", math.exp)
        >>> perplexity.of_loss(2.0), perplexity.of_metrics({"loss": 2.0}), perplexity.of_metrics({"perplexity": 5.0})
        ('7.4', '7.4', '5.0')
    """

    name: str
    label: str
    format: str = ".3f"
    from_loss: Callable[[float], float] | None = None

    def of_loss(self, loss: float) -> str:
        """The metric of a loss in nats, as text."""
        if self.from_loss is None:
            return UNKNOWN
        try:
            return format(self.from_loss(loss), self.format)
        except OverflowError:
            return "inf"

    def of_metrics(self, metrics: Mapping[str, float]) -> str:
        """The metric among those of a validation, as text; a dash where it is neither named nor known from the loss."""
        if self.name in metrics:
            value = metrics[self.name]
            return format(value, self.format) if value == value else UNKNOWN
        return self.of_loss(metrics["loss"]) if "loss" in metrics else UNKNOWN


LOSS = MetricView("loss", "loss", from_loss=lambda loss: loss)


def describe_span(span: StepEvent, views: tuple[MetricView, ...], unit: str) -> list[tuple[str, str]]:
    """Give the labels and figures of a span of steps, in the order they are shown."""
    return [
        *((view.label, view.of_loss(span.loss)) for view in views if view.from_loss is not None),
        (f"{unit}/s", f"{span.items_per_second:,.0f}"),
        ("learning rate", f"{span.learning_rate:.3g}"),
        ("gradient norm", f"{span.gradient_norm:.3g}"),
        ("clipped", f"{span.clipped_share:.0%}"),
    ]


def describe_seconds(seconds: float) -> str:
    """Give a duration as minutes:seconds, or hours:minutes:seconds.

    Example:
        >>> describe_seconds(62.4), describe_seconds(3723)
        ('1:02', '1:02:03')
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def printable(text: str, encoding: str) -> str:
    """Give a text that any terminal shows as text: no control characters but the new line, none it cannot encode.

    A model of bytes or characters may well write an escape sequence that would clear the screen.

    Example:
        >>> printable("a" + chr(27) + "[2J b", "utf-8")
        'a␛[2J b'
    """
    shown = "".join(_visible(character) for character in text.expandtabs(TAB))
    return shown.encode(encoding, "replace").decode(encoding)


def one_line(text: str, longest: int | None = None) -> str:
    r"""Give a text on one line, in which nothing steers the terminal.

    Args:
        text: The text.
        longest: The most characters to show of it; None for all.

    Example:
        >>> one_line(" So\n good ", 5)
        'So g…'
    """
    plain = printable(" ".join(text.split()), "utf-8")
    return plain if longest is None or len(plain) <= longest else f"{plain[: longest - 1]}…"


def _visible(character: str) -> str:
    if character == "\n" or unicodedata.category(character) not in {"Cc", "Cf", "Cs"}:
        return character
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else "\N{REPLACEMENT CHARACTER}"
