"""Settings that are checked when they are made, and what is said of those that are wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from recurra.errors import SettingError
from recurra.spelling import nearest, unknown

__all__ = ["CheckedSettings", "describe_problem", "first_problem"]

if TYPE_CHECKING:
    _PydanticClass = type
else:
    _PydanticClass = type(BaseModel)


class _SettingsClass(_PydanticClass):
    """The class of settings classes: their mistakes are SettingErrors of one line."""

    def __call__(self, *values: Any, **fields: Any) -> Any:  # noqa: ANN401
        try:
            return super().__call__(*values, **fields)
        except ValidationError as error:
            problem = first_problem(error)
            name = ".".join(str(part) for part in problem["loc"])
            known = _fields_at(self, problem["loc"][:-1])
            message = describe_problem(problem, known)
            if problem["type"] in {"value_error", "missing", "extra_forbidden"}:
                raise SettingError(f"{name}: {message}" if name else message) from None
            raise SettingError(f"{name} = {problem['input']!r}: {message}") from None


class CheckedSettings(BaseModel, metaclass=_SettingsClass):  # type: ignore[metaclass]
    """Settings that are checked when made and never changed after; what is wrong is a `SettingError` that names it.

    Example:
        >>> class Example(CheckedSettings):
        ...     size: int = 3
        >>> Example(size="x")
        Traceback (most recent call last):
        recurra.errors.SettingError: size = 'x': it must be a whole number
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def first_problem(error: ValidationError) -> Mapping[str, Any]:
    """The first thing that a validation found wrong; what was given goes before what was not."""
    problems = error.errors(include_url=False)
    return next((problem for problem in problems if problem["type"] != "missing"), problems[0])


def _fields_at(cls: Any, location: Iterable[str | int]) -> list[str]:  # noqa: ANN401
    """The names of the fields where a problem is."""
    for part in location:
        fields = getattr(cls, "model_fields", {})
        if part not in fields:
            return []
        cls = fields[part].annotation
    return list(getattr(cls, "model_fields", {}))


def describe_problem(problem: Mapping[str, Any], known: Iterable[str] = ()) -> str:
    """What a value must be, in words for whoever typed it.

    Args:
        problem: One of a ValidationError's `errors()`.
        known: The names that are known where the problem is, for one that is not.

    Example:
        >>> describe_problem({"type": "greater_than_equal", "ctx": {"ge": 1}, "input": 0})
        'it must be 1 or more'
        >>> describe_problem({"type": "literal_error", "ctx": {"expected": "'word' or 'bpe'"}, "input": "words"})
        "did you mean word? It must be 'word' or 'bpe'"
    """
    context, kind = problem.get("ctx") or {}, problem["type"]
    match kind:
        case "greater_than_equal":
            return f"it must be {context['ge']:g} or more"
        case "greater_than":
            return f"it must be more than {context['gt']:g}"
        case "less_than_equal":
            return f"it must be {context['le']:,} or less"
        case "less_than":
            return f"it must be less than {context['lt']:,}"
        case "literal_error":
            expected = str(context["expected"])
            choices = [part.strip("'") for part in expected.replace(" or ", ", ").split(", ")]
            meant = nearest(str(problem["input"]), choices)
            return f"it must be {expected}" if meant is None else f"did you mean {meant}? It must be {expected}"
        case "extra_forbidden":
            return unknown("setting", str(problem["loc"][-1]), known)
        case "value_error":  # one of ours, which says what came
            return str(context["error"])
        case "missing":
            return "it is not given, and has no default"
    kinds = {
        "int_": "a whole number",
        "float_": "a number",
        "finite_": "a finite number",
        "bool_": "true or false",
        "string_": "text",
        "path_": "the path of a file",
        "model_": "a section of settings",
    }
    for start, noun in kinds.items():
        if kind.startswith(start):
            return f"it must be {noun}"
    message = str(problem["msg"])
    return message[:1].lower() + message[1:]
