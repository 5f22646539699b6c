"""A trained network inside a wider one."""

import pytest
import torch

from recurra.cells import CATALOGUE
from recurra.errors import ShapeError
from recurra.nn import Recurrent
from recurra.nn.widening import widened_weights

INPUTS, FURTHER, HIDDEN = 3, 2, 5


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", CATALOGUE)
def test_the_wider_network_computes_what_the_narrow_one_does(name, bidirectional):
    torch.manual_seed(0)
    narrow = Recurrent(name, INPUTS, HIDDEN, 2)
    wide = Recurrent(name, INPUTS + FURTHER, HIDDEN, 2, bidirectional)
    missing = wide.load_state_dict(widened_weights(narrow, wide), strict=False)
    assert not missing.unexpected_keys
    assert all(key.startswith("reverse_layers.") for key in missing.missing_keys)
    assert bool(missing.missing_keys) == bidirectional
    x = torch.randn(2, 6, INPUTS + FURTHER)
    expected, _ = narrow.eval()(x[..., :INPUTS])
    outputs, _ = wide.eval()(x)
    torch.testing.assert_close(outputs[..., :HIDDEN], expected, rtol=1e-4, atol=1e-5)


def test_options_of_the_cell_are_taken_too():
    options = {"layer_norm": True, "learn_initial_state": True, "weight_drop": 0.2}
    narrow, wide = Recurrent("lstm", INPUTS, HIDDEN, **options), Recurrent("lstm", 7, HIDDEN, zoneout=0.0, **options)
    with torch.no_grad():
        for parameter in narrow.parameters():
            parameter.normal_()
    wide.load_state_dict(widened_weights(narrow, wide))
    x = torch.randn(2, 4, 7)
    torch.testing.assert_close(wide.eval()(x)[0], narrow.eval()(x[..., :INPUTS])[0])


@pytest.mark.parametrize(
    "wide",
    [
        Recurrent("gru", 4, HIDDEN),
        Recurrent("lstm", 4, HIDDEN + 1),
        Recurrent("lstm", 4, HIDDEN, 2),
        Recurrent("lstm", INPUTS - 1, HIDDEN),
        Recurrent("lstm", 4, HIDDEN, layer_norm=True),
    ],
    ids=["cell", "width", "layers", "inputs", "normalised"],
)
def test_a_network_that_does_not_fit_is_refused(wide):
    with pytest.raises(ShapeError, match="do not fit into"):
        widened_weights(Recurrent("lstm", INPUTS, HIDDEN), wide)


def test_the_narrow_one_reads_in_one_direction():
    with pytest.raises(ShapeError, match="do not fit into"):
        widened_weights(Recurrent("lstm", INPUTS, HIDDEN, bidirectional=True), Recurrent("lstm", 4, HIDDEN))
