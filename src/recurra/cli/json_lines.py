"""Answers for programs: a JSON object a line."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping

__all__ = ["write_json_line"]


def write_json_line(values: Mapping[str, object]) -> None:
    """Print an object on a line of its own, whole and at once; a number that JSON has not, such as NaN, is null.

    Characters stand as they are where the output is in UTF-8, and as escapes elsewhere.

    Args:
        values: What JSON can hold.

    Example:
        >>> write_json_line({"text": "to be", "log_probability": -math.inf})
        {"text": "to be", "log_probability": null}
    """
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(_finite(values), ensure_ascii=not unicode, allow_nan=False), flush=True)


def _finite(value: object) -> object:
    """A value in which null stands for what JSON cannot write."""
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
