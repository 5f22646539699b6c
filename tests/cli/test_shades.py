import itertools

import pytest
from rich.color import Color
from rich.color_triplet import ColorTriplet
from rich.style import Style
from rich.terminal_theme import TerminalTheme

from recurra.cli.shades import luminance, shade

READABLE = 4.5
"""The contrast that WCAG 2.1 asks of text (level AA)."""

VGA = [(0, 0, 0), (170, 0, 0), (0, 170, 0), (170, 85, 0), (0, 0, 170), (170, 0, 170), (0, 170, 170), (170, 170, 170)]
VGA += [(85, 85, 85), (255, 85, 85), (85, 255, 85), (255, 255, 85), (85, 85, 255), (255, 85, 255), (85, 255, 255)]
XTERM = [(0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229)]
XTERM += [(127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255), (255, 0, 255), (0, 255, 255)]
THEMES = {
    name: TerminalTheme((0, 0, 0), (255, 255, 255), colours[:8], [*colours[8:], (255, 255, 255)])
    for name, colours in {"vga": VGA, "xterm": XTERM}.items()
}


def colours(value, ends, system, theme=None):
    """Text and ground of a value as luminances."""
    style = Style.parse(shade(value, ends, system))
    return [luminance(Color.from_triplet(ColorTriplet(*c.get_truecolor(theme)))) for c in (style.color, style.bgcolor)]


def contrast(one, other):
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


SYSTEMS = [("truecolor", None), ("256", None), ("standard", THEMES["vga"]), ("standard", THEMES["xterm"])]


@pytest.mark.parametrize(("system", "theme"), SYSTEMS)
@pytest.mark.parametrize("ends", [(0.0, 1.0), (-1.0, 1.0)])
def test_text_is_readable_on_every_shade(system, theme, ends):
    for step in range(-100 if ends[0] < 0 else 0, 101):
        text, ground = colours(step / 100, ends, system, theme)
        assert contrast(text, ground) >= READABLE, step / 100


@pytest.mark.parametrize(("system", "theme"), SYSTEMS)
@pytest.mark.parametrize(("ends", "sign"), [((0.0, 1.0), 1), ((-1.0, 1.0), 1), ((-1.0, 1.0), -1)])
def test_what_is_larger_is_lighter(system, theme, ends, sign):
    grounds = [colours(sign * step / 100, ends, system, theme)[1] for step in range(101)]
    assert all(one <= other for one, other in itertools.pairwise(grounds))
    assert len(set(grounds)) >= 3


@pytest.mark.parametrize("system", ["truecolor", "256", "standard"])
def test_values_below_and_above_zero_have_hues_of_their_own(system):
    assert shade(-0.9, (-1, 1), system) != shade(0.9, (-1, 1), system)
    assert shade(2.0, (-1, 1), system) == shade(1.0, (-1, 1), system)


def test_the_256_colours_are_those_that_no_theme_changes():
    for step in range(-10, 11):
        style = Style.parse(shade(step / 10, (-1, 1), "256"))
        assert style.color.number >= 16
        assert style.bgcolor.number >= 16


def test_without_colours_there_is_no_style():
    assert shade(0.5, (0, 1), None) == ""
