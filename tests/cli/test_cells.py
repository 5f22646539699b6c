import io
import re
import sys

import pytest
import rich.console

from recurra.cells import CATALOGUE
from recurra.equations import Cell

LEAKY = "leak = 1 / 20  # slow\nh[t] = (1 - leak) * h[t-1] + leak * tanh(W @ [h[t-1], x[t]] + b)\n"


def test_all_cells_are_listed_with_what_they_cost(recurra):
    done = recurra("cells", "--input-size", 10, "--hidden-size", 20)
    assert (done.code, done.err) == (0, "")
    for cell in CATALOGUE.values():
        [line] = [line for line in done.out.splitlines() if line.startswith(f"{cell.name} ")]
        _, parameters, flops, *_ = line.split()
        assert parameters == f"{cell.parameter_count(10, 20):,}"
        assert flops == f"{cell.flops(10, 20):,}"
    assert "I = 10 inputs, H = 20 hidden units" in done.out


@pytest.mark.parametrize("columns", [30, 40, 52, 60, 80])
def test_a_narrow_window_keeps_what_each_cell_is(recurra, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = recurra("cells").out.splitlines()
    assert max(map(len, lines)) <= columns
    words = " ".join(lines).split()
    for cell in CATALOGUE.values():
        assert set(cell.title.split()) <= set(words) or columns < 40
    assert ("parameters" in lines[0], "flops/step" in lines[0]) == (columns >= 52, columns >= 64)


@pytest.mark.parametrize("name", CATALOGUE)
def test_one_cell_is_shown_with_its_gradient(recurra, name):
    cell = CATALOGUE[name]
    out = recurra("cells", name, "--input-size", 3, "--hidden-size", 5).out
    assert cell.title in out
    for text in (cell.text, str(cell.backward)):
        for line in text.splitlines():
            assert f"  {line.rstrip()}" in [shown.rstrip() for shown in out.splitlines()]  # whole: it can be copied
    for parameter in cell.parameters:
        assert parameter in out
    assert f"{cell.parameter_count(3, 5):,} parameters" in out


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("name", ["gru", "s-lstm"])
def test_on_a_terminal_equations_are_as_wide_as_it(recurra, monkeypatch, name, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(rich.console.Console, "is_terminal", True)
    whole = "".join(str(CATALOGUE[name].backward).split())
    out = re.sub(r"\x1b\[[0-9;]*m", "", recurra("cells", name).out)
    assert whole in "".join(out.split())
    equations = out[out.index("Equations") : out.index("Parameters")].splitlines()
    assert max(map(len, equations)) <= columns
    assert any(line.lstrip().startswith("+ ") for line in equations)


def test_an_unknown_cell_is_one_line(refused):
    assert refused("cells", "lsmt").startswith("there is no cell 'lsmt'; did you mean lstm? The cells are: rnn, ")


def test_a_file_of_equations_is_checked_and_shown(recurra, tmp_path):
    (tmp_path / "mine.txt").write_text(LEAKY, encoding="utf-8")
    done = recurra("cells", tmp_path / "mine.txt", "--input-size", 3, "--hidden-size", 5)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == str(tmp_path / "mine.txt")
    cell = Cell(LEAKY)
    for line in (*cell.text.splitlines(), *str(cell.backward).splitlines()):
        assert f"  {line}" in lines
    assert f"45 parameters = H (H + I + 1), {cell.flops(3, 5)} floating-point operations a step" in lines
    for line in ("  carried  h[t-1]", "  output   h[t]", "  cpu        runs it", "  reference  runs it"):
        assert line in lines
    assert "  learning   every parameter gets a gradient from where it begins" in lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "h[t] = tanh(m * mean(n * h[t-1]) + W @ x[t])",
            "note       m and n begin at 0, where the gradient is exactly 0",
        ),
        ("h[t] = 0.5 * h[t-1] + 1", "cpu        the cpu backend cannot run this cell: the cell has no parameters"),
        ("c[t] = W @ x[t]\nh[t] = c[t-1] + c[t-3]", "  carried  c[t-1] to c[t-3]"),
        ("h[t] = tanh(W @ x[t])", "  carried  nothing: every step stands by itself"),
    ],
)
def test_what_the_checks_say(recurra, tmp_path, text, expected):
    (tmp_path / "mine.txt").write_text(text, encoding="utf-8")
    done = recurra("cells", tmp_path / "mine.txt", "--hidden-size", 5)
    assert (done.code, done.err) == (0, "")
    assert expected in done.out


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_may_come_from_any_editor(recurra, tmp_path, encoding):
    (tmp_path / "mine.txt").write_bytes(LEAKY.replace("\n", "\r\n").encode(encoding))
    assert "45 parameters" in recurra("cells", tmp_path / "mine.txt", "--input-size", 3, "--hidden-size", 5).out


def test_equations_may_come_from_standard_input(recurra, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LEAKY.encode())))
    done = recurra("cells", "-", "--input-size", 3, "--hidden-size", 5)
    assert done.out.startswith("standard input\n\nEquations\n  leak = 1 / 20\n")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the text has no equations"),
        (b"\xff\xfe\x00", "cannot be read: it is not UTF-8 text"),
        (bytes(range(256)), "cannot be read: it is not UTF-8 text"),
        (b"h[t] = W @ x[t]\x00", "this is not an equation (a zero character)"),
        (b"h[t] = b\n" * 100_000, "cannot be read: it is longer than 100,000 characters"),
        (b"h[t] = tahn(W @ x[t])", "line 1: there is no function 'tahn'"),
        (None, "cannot be read: Is a directory"),
    ],
)
def test_a_file_that_is_no_cell_is_refused_by_name(refused, tmp_path, content, expected):
    path = tmp_path / "mine.txt"
    path.mkdir() if content is None else path.write_bytes(content)
    said = refused("cells", path, lines=4 if "line" in expected or "zero" in expected else 1)
    assert said.startswith(str(path))
    assert expected in said


def test_neither_a_cell_nor_a_file(refused):
    said = refused("cells", "no/such.txt")
    assert said.startswith("there is no cell 'no/such.txt'; the cells are: rnn, ")
    assert said.endswith("; nor is there a file 'no/such.txt'")
