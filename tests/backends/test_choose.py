"""A backend that is asked for runs or says why not; left to choose, the first that can; never another in silence."""

import re

import pytest
import torch

from recurra import Cell, Recurrent, cells
from recurra.backends import choose as choices
from recurra.backends import reference
from recurra.backends.choose import BACKENDS, Backend, choose
from recurra.cells import CATALOGUE
from recurra.errors import BackendError, SettingError

TANH = Cell("h[t] = tanh(W @ [h[t-1], x[t]])")


def backend(name, refusal):
    return Backend(name, "for the tests", reference.run, refusal)


@pytest.fixture
def table(monkeypatch):
    """From the most particular to the one that always can."""
    backends = [
        backend("narrow", lambda cell, device, dtype: None if cell == TANH else "it knows one cell alone"),
        backend("double", lambda cell, device, dtype: None if dtype == torch.float64 else f"it computes no {dtype}"),
        backend("near", lambda cell, device, dtype: None if device.type == "cpu" else f"it does not reach {device}"),
    ]
    table = {made.name: made for made in backends}
    monkeypatch.setattr(choices, "BACKENDS", table)
    return table


@pytest.mark.parametrize("name", ["narrow", "double", "near"])
def test_the_one_that_is_asked_for_runs(name, table):
    choice = choose(name, TANH, "cpu", torch.float64)
    assert choice.backend is table[name]
    assert choice.reason == "it was asked for"


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("name", "device", "dtype", "reason"),
    [
        ("narrow", "cpu", torch.float64, "it knows one cell alone"),
        ("double", "cpu", torch.float32, "it computes no torch.float32"),
        ("near", "meta", torch.float64, "it does not reach meta"),
        ("near", torch.device("cuda", 1), torch.float64, "it does not reach cuda:1"),
    ],
)
def test_the_one_that_is_asked_for_and_cannot_says_why(name, device, dtype, reason):
    """Though another one could."""
    message = f"the {name} backend cannot run this cell: {reason}; backend='auto' takes one that can"
    with pytest.raises(BackendError, match=f"^{re.escape(message)}$"):
        choose(name, cells.GRU, device, dtype)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("name", ["fast", "", "NEAR", "Auto", "cuda"])
def test_an_unknown_name_lists_those_there_are(name):
    message = f"there is no backend {name!r}; choose one of: auto, narrow, double, near"
    with pytest.raises(SettingError, match=f"^{re.escape(message)}$"):
        choose(name, TANH)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("cell", "device", "dtype", "name", "passed"),
    [
        (TANH, "cpu", torch.float32, "narrow", []),
        (TANH, "meta", torch.float32, "narrow", []),
        (cells.GRU, "cpu", torch.float64, "double", ["narrow: it knows one cell alone"]),
        (cells.GRU, "meta", torch.float64, "double", ["narrow: it knows one cell alone"]),
        (
            cells.GRU,
            "cpu",
            torch.float16,
            "near",
            ["narrow: it knows one cell alone", "double: it computes no torch.float16"],
        ),
    ],
)
def test_left_to_choose_it_takes_the_first_that_can_and_says_why_not_those_before(cell, device, dtype, name, passed):
    choice = choose("auto", cell, device, dtype)
    assert choice.backend.name == name
    assert choice.reason == "; ".join([*passed, f"{name}: the first that can run this cell"])


@pytest.mark.usefixtures("table")
def test_where_none_can_each_says_why():
    message = (
        "no backend can run this cell: narrow: it knows one cell alone; double: it computes no torch.float32; "
        "near: it does not reach meta"
    )
    with pytest.raises(BackendError, match=f"^{re.escape(message)}$"):
        choose("auto", cells.GRU, "meta", torch.float32)


@pytest.mark.usefixtures("table")
def test_a_layer_runs_on_what_was_chosen_and_nothing_else(monkeypatch):
    ran = []

    def watched(name):
        def run(*given, **options):
            ran.append(name)
            return reference.run(*given, **options)

        return Backend(name, "for the tests", run, choices.BACKENDS[name].refusal)

    monkeypatch.setattr(choices, "BACKENDS", {name: watched(name) for name in choices.BACKENDS})
    x = torch.randn(2, 3, 4)
    Recurrent("gru", 4, 5)(x)
    Recurrent("gru", 4, 5, num_layers=2).double()(x.double())
    Recurrent(TANH, 4, 5, backend="near")(x)
    assert ran == ["near", "double", "double", "near"]
    with pytest.raises(BackendError, match="the double backend cannot run this cell"):
        Recurrent("gru", 4, 5, backend="double")(x)
    assert len(ran) == 4


# The table itself ----------------------------------------------------------------------------------------------------


def test_the_table_is_by_name_and_ends_with_the_one_that_always_can():
    assert all(name == made.name and made.summary for name, made in BACKENDS.items())
    assert "auto" not in BACKENDS
    assert list(BACKENDS)[-1] == "reference"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("device", ["cpu", "cuda", "meta"])
def test_every_cell_has_a_backend_on_every_device(device, dtype):
    for cell in CATALOGUE.values():
        assert BACKENDS["reference"].refusal(cell, torch.device(device), dtype) is None
        choice = choose("auto", cell, device, dtype)
        assert choice.reason.endswith(f"{choice.backend.name}: the first that can run this cell")


def test_no_backend_computes_with_whole_numbers():
    with pytest.raises(BackendError, match=r"reference: it computes with floating-point numbers, not torch\.int64"):
        choose("auto", cells.GRU, "cpu", torch.int64)
