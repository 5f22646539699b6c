"""Shades that say how large a value is, in as many colours as the terminal has, and text that is readable on each.

Ground and text are chosen together: of black and white the text has the one that contrasts more, by the measure of the
Web Content Accessibility Guidelines 2.1, which is then at least 4.5 : 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.color import Color

__all__ = ["luminance", "shade"]

DARK, GOLD, RED, BLUE = (24, 24, 32), (250, 190, 90), (210, 70, 55), (60, 120, 220)
"""True colour: what nothing, and the furthest of a gate and of a state above and below zero, are shown on."""

GOLDS, REDS, BLUES = (
    (233, 236, 58, 94, 136, 178, 221),
    (233, 52, 88, 124, 160, 196, 203),
    (233, 17, 18, 19, 25, 32, 75),
)
"""The same in the fixed part of the 256 colours: each ramp is of one hue and grows lighter step by step."""

FEW_GOLDS, FEW_REDS, FEW_BLUES = (
    ("black", "white", "bright_yellow"),
    ("black", "red", "bright_red"),
    ("black", "blue", "bright_cyan"),
)
"""The same in the 16 colours of the terminal's own theme, by brightness."""

WHITE_TEXT = {"black", "red", "blue"}
"""Those of the 16 on which text is white."""


def shade(value: float, ends: tuple[float, float], color_system: str | None) -> str:
    """The style in which rich shows a value on a shade that says how large it is.

    Args:
        value: The value, finite.
        ends: The lowest and the highest it may be; if the lowest is below 0, values below 0 have a hue of their own.
        color_system: What the console can show, as rich calls it; None for no colours.

    Example:
        >>> shade(0.0, (0, 1), "256"), shade(1.0, (0, 1), "256"), shade(-1.0, (-1, 1), "standard")
        ('color(231) on color(233)', 'color(16) on color(221)', 'black on bright_cyan')
    """
    low, high = ends
    if low < 0:
        strength, hue = min(abs(value) / high, 1.0), 1 if value > 0 else 2
    else:
        strength, hue = min(max((value - low) / (high - low), 0.0), 1.0), 0
    if color_system == "truecolor":
        far = (GOLD, RED, BLUE)[hue]
        ground = "#{:02x}{:02x}{:02x}".format(
            *(round(dark + strength * (bright - dark)) for dark, bright in zip(DARK, far, strict=True))
        )
        return f"{'#ffffff' if _is_dark(ground) else '#000000'} on {ground}"
    if color_system == "256":
        ground = f"color({_step(strength, (GOLDS, REDS, BLUES)[hue])})"
        return f"{'color(231)' if _is_dark(ground) else 'color(16)'} on {ground}"
    if color_system is None:
        return ""
    ground = str(_step(strength, (FEW_GOLDS, FEW_REDS, FEW_BLUES)[hue]))
    return f"{'bright_white' if ground in WHITE_TEXT else 'black'} on {ground}"


def _step(strength: float, ramp: Sequence[int | str]) -> int | str:
    """The step of a ramp for a strength from 0 to 1."""
    return ramp[round(strength * (len(ramp) - 1))]


def luminance(color: Color) -> float:
    """The relative luminance of a colour, from 0 for black to 1 for white (WCAG 2.1).

    Example:
        >>> luminance(Color.parse("#ffffff")), round(luminance(Color.parse("color(58)")), 3)
        (1.0, 0.106)
    """
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in color.get_truecolor())
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _is_dark(ground: str) -> bool:
    """Whether white text contrasts more with a ground than black text: (1.05) / (L + 0.05) > (L + 0.05) / 0.05."""
    return (luminance(Color.parse(ground)) + 0.05) ** 2 < 1.05 * 0.05
