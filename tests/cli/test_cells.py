import re

import pytest
import rich.console

from recurra.cells import CATALOGUE


def test_all_cells_are_listed_with_what_they_cost(recurra):
    done = recurra("cells", "--input-size", 10, "--hidden-size", 20)
    assert (done.code, done.err) == (0, "")
    for cell in CATALOGUE.values():
        [line] = [line for line in done.out.splitlines() if line.startswith(f"{cell.name} ")]
        _, parameters, flops, *_ = line.split()
        assert parameters == f"{cell.parameter_count(10, 20):,}"
        assert flops == f"{cell.flops(10, 20):,}"
    assert "I = 10 inputs, H = 20 hidden units" in done.out


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
