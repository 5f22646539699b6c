"""Checks of numbers that a caller gives: whole ones of any type are taken as they are, and nothing is cut to one."""

import operator
from numbers import Real

from recurra.errors import SettingError

__all__ = ["LARGEST_SEED", "as_whole_number", "is_number", "whole_number"]

LARGEST_SEED = 2**32 - 1
"""The largest seed that all generators take: NumPy's takes no larger one."""


def as_whole_number(value: object) -> int | None:
    """A whole number of any type, such as NumPy's or a tensor's, as an int; None for a float, a boolean or a text.

    Example:
        >>> as_whole_number(3), as_whole_number(3.0), as_whole_number(True), as_whole_number("3")
        (3, None, None, None)
    """
    if isinstance(value, bool) or "bool" in str(getattr(value, "dtype", "")):
        return None
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def is_number(value: object) -> bool:
    """Whether this is a real number of any type, such as NumPy's; a boolean or a text is none.

    Example:
        >>> is_number(1), is_number(0.5), is_number(True), is_number("1")
        (True, True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool)


def whole_number(name: str, value: object, minimum: int, maximum: int | None = None) -> int:
    """A setting that is a whole number within its range, as an int.

    Args:
        name: What the setting is called.
        value: What came for it.
        minimum: The smallest that it may be.
        maximum: The largest; None for no limit.

    Raises:
        SettingError: It is no whole number, or is out of range.

    Example:
        >>> whole_number("batch_size", 2.5, 1)
        Traceback (most recent call last):
        recurra.errors.SettingError: batch_size is 2.5; it is a whole number from 1
    """
    number = as_whole_number(value)
    if number is None or number < minimum or (maximum is not None and number > maximum):
        shown = number if number is not None else repr(value)
        raise SettingError(
            f"{name} is {shown}; it is a whole number from {minimum}{'' if maximum is None else f' to {maximum}'}"
        )
    return number
