"""Whatever the text, it makes a cell or an EquationError: no other exception, no warning, and nothing is ever run."""

import os
import random
import subprocess
import sys
import unicodedata
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.equations import Cell
from recurra.errors import EquationError
from support.corruptions import CONSTRUCTS, corrupt
from support.random_cells import random_equations


def outcome(text, **more):
    """The cell or the error that a text makes; anything else passes through and fails the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            cell = Cell(text, **more)
        except EquationError as error:
            check_error(text, error)
            return error
    check_cell(cell)
    return cell


def check_error(text, error):
    """It says something, and what it quotes and marks is in the text."""
    assert error.problem
    assert error.mend
    assert error.problem in str(error)
    assert "\n" not in error.problem + error.mend
    assert str(error).count("\n") == (3 if error.line and error.source else 0)
    if error.line:
        lines = [line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
        assert error.source == lines[error.line - 1]
        assert 0 <= error.column <= max(0, len(error.source) - 1)
        assert error.length >= 1


def check_cell(cell):
    """It is whole: it prints, reads back, and has a gradient that prints."""
    assert Cell(str(cell), constants=cell.constants, noise=cell.noise) == cell
    assert isinstance(str(cell.backward), str)
    assert cell.flops(3, 5) >= 0
    for name in (*cell.values, *cell.parameters):
        assert name.isidentifier()
        assert unicodedata.normalize("NFKC", name) == name


def run(seeds):
    valid = 0
    for seed in seeds:
        draw = random.Random(seed)
        written = random_equations(draw, noise=True)
        constants, lines = written.constants, written.text
        if seed % 2:  # the text gives its constants itself
            constants, lines = {}, "".join(f"{n} = {v!r}\n" for n, v in constants.items()) + lines
        text = corrupt(draw, lines)
        try:
            valid += isinstance(outcome(text, constants=constants, noise=written.noise), Cell)
        except Exception as error:
            raise AssertionError(f"seed {seed}, text {text!r}") from error
    return valid


@pytest.mark.parametrize("block", range(8))
def test_random_corruptions_of_random_cells(block):
    valid = run(range(250 * block, 250 * (block + 1)))
    assert 5 < valid < 200  # both outcomes occur


@settings(max_examples=settings().max_examples // 2)
@given(st.text(max_size=60))
def test_any_text(text):
    outcome(text)


@settings(max_examples=settings().max_examples // 2)
@given(st.text(alphabet="hxtWb[]()-+*/@=.,1 \n", max_size=40))
def test_any_text_of_the_characters_of_the_language(text):
    outcome(text)


FRAMES = [
    "{}", "h[t] = {}", "h[t] = tanh({})", "h[t] = {} @ x[t]", "h[t] = W @ {}", "h[t] = W @ [{}, x[t]]", "h[t] = h[{}]",
    "h[{}] = b", "{}[t] = b", "{} = b", "h[t] = {}(b)", "h[t] = b + {}", "h[t] = b ** {}", "h[t] = b\n{}\nc[t] = h[t]",
    "h[t] = transpose({}) @ b", "h[t] = {}[t-1]", "h[t] = x[t].{}", "h[t] = b  # {}", "h[t] = '{}'",
]  # fmt: skip


@pytest.mark.parametrize("construct", CONSTRUCTS)
def test_every_construct_in_every_place(construct):
    for frame in FRAMES:
        outcome(frame.replace("{}", construct))


HOSTILE = {
    "parentheses": "h[t] = " + "(" * 40_000 + "b" + ")" * 40_000,
    "few parentheses": "h[t] = " + "(" * 150 + "b" + ")" * 150,
    "brackets": "h[t] = W @ " + "[" * 99_000,
    "braces": "{" * 99_000,
    "minus signs": "h[t] = " + "-" * 99_000 + "b",
    "not": "h[t] = " + "not " * 20_000 + "b",
    "a long sum": "h[t] = " + "b+" * 49_000 + "b",
    "a long power": "h[t] = " + "b**" * 30_000 + "b",
    "nested functions": "h[t] = " + "tanh(" * 19_000 + "b" + ")" * 4_000,
    "nested lambdas": "h[t] = " + "lambda:" * 14_000 + "b",
    "nested attributes": "h[t] = b" + ".b" * 49_000,
    "nested calls": "h[t] = b" + "()" * 49_000,
    "nested subscripts": "h[t] = b" + "[t]" * 30_000,
    "nested conditions": "h[t] = " + "b if b else " * 8_000 + "b",
    "nested strings": "h[t] = " + "f'{" * 30_000,
    "a wide list": "h[t] = W @ [" + "b," * 4_000 + "b]",
    "a wide call": "h[t] = tanh(" + "b," * 20_000 + "b)",
    "many targets": "h[t] = " * 14_000 + "b",
    "many lines": "h[t] = b\n" * 4_000,
    "many open lines": "h[t] = (\n" * 11_000,
    "blank lines": "\n" * 100_000,
    "a comment": "#" * 100_000,
    "spaces": " " * 100_000,
    "zeros": "\x00" * 100_000,
    "backslashes": "\\\n" * 50_000,
    "semicolons": "h[t] = b;" * 4_000,
    "a long name": "h[t] = " + "n" * 99_000 + "[t-1]",
    "two long names": "n" * 49_000 + "a[t] = b\nh[t] = " + "n" * 49_000 + "b[t]",
    "a long number": "h[t] = " + "9" * 99_000,
    "a long fraction": "h[t] = b * 0." + "3" * 99_000,
    "a long hexadecimal": "h[t] = 0x" + "f" * 99_000,
    "a long lag": "h[t] = h[t-0x" + "f" * 99_000 + "]",
    "a long lag on the left": "h[t-0x" + "f" * 90_000 + "] = b",
    "a huge exponent": "h[t] = b * 10 ** 10 ** 10 ** 10",
    "huge integers": "h[t] = b * 9 ** (9 ** 9)",
    "a long name in a line that is none": "h[t] = )" + "n" * 99_000,
    "words in a line that is none": "h[t] = )" + "n[n " * 24_000,
    "spaces in a line that is none": "h[t] = n(" + " " * 99_000,
    "constants": "\n".join(f"constant{k} = {k}" for k in range(4_000)) + "\nh[t] = W @ x[t]",
    "constants of constants": "c0 = 1\n" + "\n".join(f"c{k + 1} = c{k} + 1" for k in range(3_000)) + "\nh[t] = c3000",
    "vectors alike": "h[t] = W @ x[t]\n" + "\n".join(f"vector{k}a[t] = vectors{k} + vector{k}s" for k in range(600)),
    "surrogates": "h[t] = '" + "\ud800" * 10_000 + "'",
    "emoji": "🙂" * 50_000,
    "combining marks": "e" + "\u0301" * 99_000 + "[t] = b",
    "too long": "h[t] = b  #" + " " * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_is_too_much(name):
    outcome(HOSTILE[name])


def test_too_much_nesting_is_called_so():
    """Python itself gives up on it without a word."""
    error = outcome(HOSTILE["minus signs"])
    assert "nests deeper than 80 levels" in str(error)


def test_names_long_and_alike_are_not_compared_for_ever():
    names = "\n".join(f"{'n' * 400}{k}[t] = b" for k in range(200))
    assert isinstance(outcome(names + f"\nh[t] = {'n' * 401}[t]"), EquationError)


WITNESSED = """
import gc, random, sys
from recurra.equations import Cell
from recurra.errors import EquationError
from support.corruptions import CONSTRUCTS, corrupt
from support.random_cells import random_equations

seen, watching = [], False

def witness(event, arguments):
    # Reading a text is the event "compile"; where it fails, Python looks for a file to quote from.
    reading = event == "compile" or (event == "open" and arguments[0] == "<unknown>")
    if watching and not reading:
        seen.append((event, arguments))

def read(text):
    global watching
    watching = True
    try:
        str(Cell(text).backward)
    except EquationError:
        pass
    watching = False

texts = [corrupt(random.Random(k), random_equations(k).text) for k in range(300)]
for construct in CONSTRUCTS:
    texts += [construct, f"h[t] = {construct}", f"h[t] = tanh({construct})", f"h[{construct}] = b"]
read("h[t] = tanh(W @ [h[t-1], x[t]] + q[t])")  # whatever is imported once is imported now
read("h[t] = tanh(W @ [h[t-1], x[t]] + tahn(b))")
read("h[t] = tanh(")
gc.disable()  # or the end of something else might be witnessed
sys.addaudithook(witness)
for text in texts:
    read(text)
assert len(texts) > 500
print(seen or "nothing")
"""


def test_nothing_is_ever_run():
    """In a process of its own, with Python's audit events as witness: no import, no code, no file, no command."""
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", WITNESSED],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert (done.stdout, done.stderr) == ("nothing\n", "")
