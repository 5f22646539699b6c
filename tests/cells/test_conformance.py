"""What every cell of the catalogue must do, plain and under every modifier. A new cell needs no line here."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
import torch

from recurra import cells
from recurra.cells import CATALOGUE, modifiers
from recurra.equations import Cell, read_cell
from recurra.errors import SettingError
from support import differences
from support.problems import worst_error

FOLDER = Path(inspect.getfile(cells)).parent


def drop(cell):
    """The cell with variational dropout; as it is where no product reads a state."""
    return modifiers.state_dropout(cell, 0.3) if any(any(p.recurrent) for p in cell.parameters.values()) else cell


MODIFIED = {
    "plain": lambda cell: cell,
    "zoneout": lambda cell: modifiers.zoneout(cell, 0.3),
    "state-dropout": drop,
    "layer-norm": modifiers.layer_norm,
    "all-three": lambda cell: modifiers.zoneout(drop(modifiers.layer_norm(cell)), 0.2),
}
FORMS = {f"{cell.name}-{how}": modify(cell) for cell in CATALOGUE.values() for how, modify in MODIFIED.items()}
FORMS = {name: cell for name, cell in FORMS.items() if name.endswith("-plain") or cell not in CATALOGUE.values()}
EVERY_CELL = pytest.mark.parametrize("cell", CATALOGUE.values(), ids=CATALOGUE)
EVERY_FORM = pytest.mark.parametrize("cell", FORMS.values(), ids=FORMS)


# The catalogue -------------------------------------------------------------------------------------------------------


def test_the_catalogue_holds_every_file_under_its_own_name():
    files = {path.stem.replace("_", "-") for path in FOLDER.glob("*.py") if not path.stem.startswith("_")}
    assert set(CATALOGUE) == files - {"modifiers"}


def test_every_cell_is_a_public_name():
    assert [value for value in vars(cells).values() if isinstance(value, Cell)] == list(CATALOGUE.values())


@EVERY_CELL
def test_a_cell_is_found_by_its_name_and_says_what_it_is(cell):
    assert cells.get(cell.name) is cell
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", cell.name)
    for about in (cell.title, cell.purpose, cell.paper, cell.variant):
        assert about
        assert about == " ".join(about.split())
    assert re.search(r"\b(19|20)\d\d\b", cell.paper), "the paper has no year"
    assert re.search(r'".+"', cell.paper), "the paper has no title"


@EVERY_CELL
def test_the_file_of_a_cell_explains_it_and_holds_no_other(cell):
    module = importlib.import_module(f"recurra.cells.{cell.name.replace('-', '_')}")
    assert [value for value in vars(module).values() if isinstance(value, Cell)] == [cell]
    explanation = " ".join(module.__doc__.split()).lower()
    assert re.search(r'"(.+)"', cell.paper)[1].lower() in explanation
    assert cell.paper[-4:] in explanation


@EVERY_CELL
def test_values_and_parameters_are_called_by_words(cell):
    parameters = {re.sub("^(W|U|b|w|gain_W)(_|$)", "", name) for name in cell.parameters}
    assert {name for name in {*cell.values, *parameters, *cell.constants} if len(name) < 4} <= {"", "h", "nu"}


@pytest.mark.parametrize(("given", "nearest"), [("lstn", "lstm"), ("LSTM", "lstm"), ("coupled_lstm", "coupled-lstm")])
def test_an_unknown_name_lists_the_names_and_the_nearest(given, nearest):
    with pytest.raises(SettingError, match=rf"did you mean {nearest}\?") as error:
        cells.get(given)
    assert all(name in str(error.value) for name in CATALOGUE)
    assert "\n" not in str(error.value)


def test_a_name_that_is_near_nothing_gets_no_suggestion():
    with pytest.raises(SettingError) as error:
        cells.get("zzzzzz")
    assert "did you mean" not in str(error.value)


# Text and counts -----------------------------------------------------------------------------------------------------


@EVERY_FORM
def test_what_is_printed_reads_back_as_the_same_cell(cell, tmp_path):
    again = Cell(str(cell), constants=cell.constants, noise=cell.noise)
    assert again == cell
    assert str(again) == str(cell)
    assert str(cell.backward)
    if not cell.constants and not cell.noise:
        path = tmp_path / "cell.txt"
        path.write_text(str(cell), encoding="utf-8")
        assert read_cell(path) == cell


@EVERY_FORM
def test_counts_are_those_of_what_runs(cell, problem_of):
    problem = problem_of(cell)
    problem.run()
    assert cell.parameter_count(3, 5) == sum(p.numel() for p in problem.parameters.values()) > 0
    assert cell.flops(3, 5) > 2 * sum(p.numel() for p in problem.parameters.values() if p.dim() == 2)
    assert set(cell.initial) <= set(cell.parameters)


@EVERY_FORM
def test_at_rest_nothing_is_drawn_and_nothing_is_lost(cell):
    rest = cell.at_rest
    assert rest.noise == {}
    assert not any(name in str(rest) for name in cell.noise)
    assert rest.states == cell.states
    assert set(rest.parameters) == set(cell.parameters)


# Gradients -----------------------------------------------------------------------------------------------------------


def each(plain, modified):
    """Every form with some settings: plain cells with each of a few, modified ones with those of their modifier."""
    pairs = [(n, s) for n in FORMS for s in (plain if n.endswith("-plain") else modified(n))]
    return [pytest.param(FORMS[name], setting, id=f"{name}-{setting}") for name, setting in pairs]


@pytest.mark.parametrize(
    ("cell", "reverse"), each([False, True], lambda name: [name.endswith(("state-dropout", "all-three"))])
)
def test_three_gradients_agree(cell, reverse, problem_of, monkeypatch):
    """Autograd, backpropagation by the derived equations, and finite differences: ragged, from a given state."""
    # Small steps, so that none crosses the kink of a relu.
    monkeypatch.setattr(differences, "STEP", 1e-5)
    problem = problem_of(cell, reverse=reverse)
    gradients = problem.autograd()
    derived = worst_error(problem.backpropagate(), gradients)
    numeric = worst_error(differences.differences(problem), gradients)
    print(f"{cell.name}: backpropagation {derived:.1e}, finite differences {numeric:.1e} from autograd")
    assert derived < 1e-13
    assert numeric < 1e-6
    assert [name for name, gradient in gradients.items() if float(gradient.abs().max()) < 1e-9] == [], "idle"


# Numbers at the edge -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "size"), each([1e3, 1e6], lambda _: [1e6]))
def test_extreme_inputs_stay_finite(cell, size, problem_of):
    """From the zero state, in float32, with every gate driven into saturation: no infinity, no NaN, either way."""
    problem = problem_of(cell, dtype=torch.float32, ragged=False)
    zero = {key: torch.zeros_like(value) for key, value in problem.state.items()}
    problem = problem.replace(x=problem.x * size, state=zero)
    outputs, last = problem.run()
    derived = {f"derived {name}": gradient for name, gradient in problem.backpropagate().items()}
    for name, value in {"outputs": outputs, **last, **problem.autograd(), **derived}.items():
        assert bool(value.isfinite().all()), name


@EVERY_CELL
def test_one_unit_one_input_and_one_step_are_enough(cell, problem_of):
    outputs, last = problem_of(cell, steps=1, batch=1, input_size=1, hidden_size=1).run()
    assert outputs.shape == (1, 1, 1)
    assert torch.equal(outputs[0], last[cell.output])
