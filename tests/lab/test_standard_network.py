"""The standard network of the experiment: what it can read, what it learns, and how large it is."""

import pytest
import torch

from recurra.errors import ShapeError
from recurra.lab.bench import summed_loss
from recurra.lab.examples import Examples
from recurra.lab.experiments.standard_network import LOOKS, Sizes, StandardNetwork, build, f1, parameter_count
from recurra.lab.problems.mentions import WORDS, mentions


def test_it_is_one_matrix_on_all_words_side_by_side():
    torch.manual_seed(0)
    model, ids = StandardNetwork(5, 7, 4, 2), torch.tensor([[3, 0, 6]])
    columns = model.hidden.weight.view(4, 5, 7)
    h = (columns[:, 0, 3] + columns[:, 1, 0] + columns[:, 2, 6] + model.hidden.bias).tanh()
    expected = (model.readout.weight @ h + model.readout.bias).view(5, 2)[:3]
    torch.testing.assert_close(model(ids)[0][0], expected)


def test_it_refuses_longer_sentences():
    with pytest.raises(ShapeError, match="the sentences have 6 words; this network reads 5 at most"):
        StandardNetwork(5, 7, 4, 2)(torch.zeros(1, 6, dtype=torch.int64))


def test_a_word_has_no_gradient_where_it_does_not_stand():
    """Why nothing is known of a name at another position: the recurrent network has one column a word, this has T_x."""
    drawn = mentions(50, 12, torch.Generator().manual_seed(0))
    gradients = {}
    for network in ("standard network", "recurrent network"):
        torch.manual_seed(0)
        model = build(network, Sizes())
        summed_loss(model, drawn, None).total.backward()
        gradients[network] = dict(model.named_parameters())
    columns = gradients["standard network"]["hidden.weight"].grad.view(-1, 12, len(WORDS)).abs().sum(0)
    stands = torch.zeros(12, len(WORDS), dtype=torch.bool)
    stands[torch.arange(12).expand(50, 12), drawn.inputs] = True
    assert torch.equal(columns > 0, stands)
    shared = gradients["recurrent network"]["recurrent.layers.0.W"].grad[:, -len(WORDS) :].abs().sum(0)
    assert torch.equal(shared > 0, stands.any(0))


@pytest.mark.parametrize("network", [name for name in LOOKS if name != "word by word"])
def test_the_formula_counts_the_parameters(network):
    sizes = Sizes()
    length = max(sizes.lengths) if network.startswith("wide") else sizes.length
    count = sum(parameter.numel() for parameter in build(network, sizes).parameters())
    assert parameter_count(network, length, len(WORDS), sizes) == count


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    class Fixed(torch.nn.Module):
        def forward(self, inputs):
            return torch.nn.functional.one_hot(inputs, 2).float(), None

    answered, right = torch.tensor([[1, 1, 1, 0, 0]]), torch.tensor([[1, 0, 0, 1, 0]])
    precision, recall = 1 / 3, 1 / 2
    assert f1(Fixed(), Examples(answered, right)) == pytest.approx(2 * precision * recall / (precision + recall))
    assert f1(Fixed(), Examples(answered * 0, right * 0)) == 0
