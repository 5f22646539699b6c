import pytest
import torch

from recurra.errors import SettingError
from recurra.models import Classifier
from recurra.nn import Recurrent

LENGTHS = [6, 1, 4]


def made(**given):
    torch.manual_seed(0)
    return Classifier(2, 5, "gru", hidden_size=4, **given)


def by_hand(model, x):
    """The logits of one sequence (T, I) without padding."""
    outputs = model.encoder.recurrent(x)[0]
    width = model.encoder.recurrent.hidden_size
    summary = (
        outputs.mean(0) if model.pooling.kinds == ["mean"] else torch.cat([outputs[-1, :width], outputs[0, width:]])
    )
    return model.readout(summary)


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_never_changes_an_answer(pooling, bidirectional):
    model = made(pooling=pooling, bidirectional=bidirectional, num_layers=2)
    x = torch.randn(3, 6, 2)
    logits, _ = model(x, lengths=LENGTHS)
    for row, length in enumerate(LENGTHS):
        x[row, length:] = 1e6
        torch.testing.assert_close(logits[row], by_hand(model, x[row, :length]))
    torch.testing.assert_close(model(x, lengths=LENGTHS)[0], logits)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_last_output_is_that_of_the_state(bidirectional):
    model = made(bidirectional=bidirectional)
    x = torch.randn(3, 6, 2)
    _, state = model.encoder.recurrent(x, lengths=LENGTHS)
    expected = model.readout(torch.cat(list(state["h"]), -1))
    torch.testing.assert_close(model(x, lengths=LENGTHS)[0], expected)


def test_every_step_reaches_the_answer():
    model = made(pooling="last").double()
    x = torch.randn(1, 6, 2, dtype=torch.float64, requires_grad=True)
    model(x)[0].sum().backward()
    assert bool((x.grad != 0).all())


def test_what_recurrent_takes_is_handed_on():
    model = made(zoneout=0.5, dropout=0.3)
    assert isinstance(model.encoder.recurrent, Recurrent)
    assert (model.dropout.p, model.encoder.recurrent.dropout.p) == (0.3, 0.3)
    x = torch.randn(2, 6, 2)
    assert not torch.equal(model(x)[0], model(x)[0])
    model.eval()
    assert torch.equal(model(x)[0], model(x)[0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pooling": "first"}, "there is no pooling 'first'; choose one of: last, mean"),
        ({"dropout": 1.5}, "dropout"),
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"classes": 1}, "classes is 1"),
    ],
)
def test_an_impossible_setting_is_refused(given, message):
    with pytest.raises(SettingError, match=message):
        Classifier(**({"input_size": 2, "classes": 5, "cell": "gru", "hidden_size": 4} | given))


def test_a_mean_in_half_precision_is_summed_in_float32():
    model = made(pooling="mean").half()
    outputs = torch.full((2, 3000, 4), 100.0, dtype=torch.float16)  # whose sum is no number of float16
    assert torch.equal(model.pooling(outputs), outputs[:, 0])
