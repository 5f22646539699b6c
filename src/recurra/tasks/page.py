"""What every page of HTML begins with, which needs nothing beside itself: no network, no script, no font."""

from __future__ import annotations

import html
import re

__all__ = ["escaped", "page_head"]


def page_head(title: str, style: str) -> str:
    """The head of a page and its heading; nothing on the page may be fetched or run.

    Args:
        title: What the page is called.
        style: Its style sheet.
    """
    return (
        '<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n<h1>{escaped(title)}</h1>\n"
    )


def escaped(text: str) -> str:
    """A text as HTML, within an element or an attribute; characters that HTML does not have are U+FFFD."""
    return html.escape(re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]", "\ufffd", text))
