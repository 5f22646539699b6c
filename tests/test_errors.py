"""The exception tree is the one drawn, and an equation's error marks the character it means."""

import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra import errors

BRANCH = re.compile(r"^ {4}(?P<indent>[│ ]*)(?:[├└]── )?(?P<name>\w+)\b.*?(?:\(also an? (?P<also>\w+)\))?$")


def drawn_tree():
    """Read the drawing in the module's docstring: class name → the names of its bases."""
    tree, path = {}, []
    for line in errors.__doc__.splitlines():
        match = BRANCH.match(line)
        if not match:
            continue
        depth = (len(match["indent"]) + 4) // 4 if "──" in line else 0
        path[depth:] = [match["name"]]
        parent = path[depth - 1] if depth else "Exception"
        tree[match["name"]] = [parent, *([match["also"]] if match["also"] else [])]
    return tree


def real_tree():
    return {
        name: [base.__name__ for base in thing.__bases__]
        for name, thing in vars(errors).items()
        if inspect.isclass(thing) and thing.__module__ == errors.__name__
    }


def test_the_tree_is_the_one_drawn():
    assert drawn_tree() == real_tree()
    assert len(real_tree()) > 1


def test_every_error_is_caught_by_the_root():
    for name in real_tree():
        assert issubclass(getattr(errors, name), errors.RecurraError)


# Characters one column wide, and the tab, whose width only the terminal knows.
sources = st.text(st.sampled_from("ht[-1]=W_@xéß* \t"), min_size=1)


@given(sources, st.data(), st.integers(1, 9))
def test_the_caret_stands_under_the_character(source, data, length):
    column = data.draw(st.integers(0, len(source) - 1))
    error = errors.EquationError("wrong", "mend it", line=3, column=column, source=source, length=length)
    problem, quoted, marked, mend = str(error).split("\n")
    assert (problem, mend) == ("line 3: wrong", "mend it")
    for tab in (1, 4, 8):
        before = quoted[: 4 + column].expandtabs(tab)
        assert marked.expandtabs(tab).index("^") == len(before)
    assert quoted[marked.index("^")] == source[column]
    assert marked.count("^") == min(length, len(source) - column)


@given(sources)
def test_a_caret_behind_the_end_of_the_line_is_one_caret(source):
    error = errors.EquationError("the line ends too early", column=len(source), source=source, length=5)
    marked = str(error).split("\n")[2]
    assert marked.count("^") == 1
    assert marked.index("^") == 4 + len(source)


def test_an_error_about_the_text_as_a_whole_quotes_nothing():
    assert str(errors.EquationError("the text is empty")) == "the text is empty"
    assert str(errors.EquationError("the text is empty", "Write a line.")) == "the text is empty; write a line"


def test_the_parts_of_an_equation_error_can_be_read():
    error = errors.EquationError("wrong", "mend it", line=2, column=4, source="h[t] = y[t]")
    assert (error.problem, error.mend, error.line, error.column) == ("wrong", "mend it", 2, 4)
    assert error.source == "h[t] = y[t]"


@pytest.mark.parametrize("name", [name for name, bases in real_tree().items() if "ValueError" in bases])
def test_a_wrong_value_is_a_value_error(name):
    with pytest.raises(ValueError, match="too short"):
        raise getattr(errors, name)("too short")
