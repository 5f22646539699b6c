"""What the verdict advises can be done as it says."""

import shlex

import pytest

from recurra.cells import CATALOGUE
from recurra.equations.gates import gates, keeping_gate
from recurra.inspection.saturation import Saturation
from recurra.inspection.verdict import advise
from recurra.models import LanguageModel

FADING = [0.5**k for k in range(30)]
GATED = [cell for cell in CATALOGUE.values() if (gate := keeping_gate(cell)) is not None and gate.bias is not None]


@pytest.mark.parametrize("cell", GATED, ids=lambda cell: cell.name)
def test_the_flag_that_is_advised_begins_the_model_with_gates_that_keep(cell):
    advice = advise(cell, FADING, {name: Saturation(0.0, 0.0) for name in gates(cell)})
    [line] = [way for way in advice if way.startswith("gates that begin by keeping")]
    words = shlex.split(line.partition(": ")[2].partition(",")[0])
    assert words[0] == "--initial"
    model = LanguageModel(7, cell, embedding_size=3, hidden_size=4, initial=words[1])
    gate = keeping_gate(cell)
    biases = [parameter for name, parameter in model.named_parameters() if name.endswith(gate.bias)]
    assert biases
    for bias in biases:
        assert ((bias.sigmoid() > 0.9) if gate.keeps_at else (bias.sigmoid() < 0.1)).all()
