"""The pictures of the architectures: up to date, described in words, and readable on white and on black."""

import runpy
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
SCRIPT = PROJECT / "scripts" / "architectures.py"
PICTURES = PROJECT / "docs" / "pictures"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The folder that the script has drawn into."""
    folder = tmp_path_factory.mktemp("pictures")
    subprocess.run([sys.executable, SCRIPT, folder], check=True)
    return folder


def test_the_pictures_are_those_that_the_script_draws(drawn):
    for folder, other in ((drawn, PICTURES), (PICTURES, drawn)):
        for path in folder.glob("architecture-*.svg"):
            again = other / path.name
            assert again.exists(), f"{path.name}: run python scripts/architectures.py docs/pictures, or remove it"
            assert path.read_bytes() == again.read_bytes(), f"{path.name}: run python scripts/architectures.py again"


def test_each_is_on_the_page_and_says_in_words_what_it_shows(drawn):
    page = (PROJECT / "docs" / "architectures.md").read_text(encoding="utf-8")
    names = sorted(path.name for path in drawn.iterdir())
    assert len(names) == 7
    for name in names:
        assert f"](pictures/{name})" in page
        root = ElementTree.parse(drawn / name).getroot()
        assert len(root.findtext(f"{SVG}title").split()) > 8
        assert root.get("role") == "img"


def test_nothing_is_drawn_beyond_the_edge(drawn):
    for path in drawn.iterdir():
        root = ElementTree.parse(path).getroot()
        width, height = float(root.get("width")), float(root.get("height"))
        for box in root.iter(f"{SVG}rect"):
            x, y, w, h = (float(box.get(key)) for key in ("x", "y", "width", "height"))
            assert x >= 1, path.name
            assert y >= 1, path.name
            assert x + w <= width - 1, path.name
            assert y + h <= height - 1, path.name
        for text in root.iter(f"{SVG}text"):
            assert 12 <= float(text.get("y")) <= height - 4, path.name


def luminance(colour):
    """The relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_what_is_written_can_be_read_on_white_and_on_black():
    names = runpy.run_path(str(SCRIPT))
    for kind in names["KINDS"].values():
        assert contrast(kind.text, kind.fill) >= 7
        for ground in ("#ffffff", "#0d1117"):  # the second is that of the forge in the dark
            assert contrast(kind.line, ground) >= 3
    for ground in ("#ffffff", "#0d1117"):
        assert contrast(names["GREY"], ground) >= 4.2  # 4.35 is the most that one grey has on both
