"""What pages of HTML share that need nothing beside themselves: no network, no script, no font."""

from __future__ import annotations

import html
import re

__all__ = ["escaped", "page_head"]

COLOURS = """
:root { color-scheme: light dark; --background: hsl(0 0% 100%); --text: hsl(220 15% 15%); --faint: hsl(220 8% 42%) }
@media (prefers-color-scheme: dark) { :root { --background: hsl(220 12% 10%); --text: hsl(220 10% 90%);
  --faint: hsl(220 8% 62%) } }
body { margin: 0 auto; max-width: 52rem; padding: 1.5rem; background: var(--background); color: var(--text) }
"""


def page_head(title: str, style: str, *, script: bool = False) -> str:
    """The beginning of a page, its heading included; it follows the reader's choice of light or dark.

    Args:
        title: What the page is called.
        style: Its style sheet, in which --background, --text and --faint are the colours of the reader's choice.
        script: Whether the page has a script, which is within it.
    """
    scripts = "; script-src 'unsafe-inline'" if script else ""
    return (
        '<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        f"content=\"default-src 'none'; style-src 'unsafe-inline'{scripts}\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{COLOURS}{style}</style>\n</head>\n<body>\n"
        f"<h1>{escaped(title)}</h1>\n"
    )


def escaped(text: str) -> str:
    r"""A text as HTML, within an element or an attribute; characters that HTML does not have are U+FFFD.

    Example:
        >>> escaped("a < b & \x00")
        'a &lt; b &amp; \ufffd'
    """
    return html.escape(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]", "\ufffd", text))
