import pytest
import torch

from recurra import Recurrent
from recurra.errors import SettingError
from recurra.models import LanguageModel
from recurra.models.initial import read_rules


def model(initial, cell="lstm", **given):
    torch.manual_seed(0)
    return LanguageModel(40, cell, embedding_size=16, hidden_size=24, num_layers=2, initial=initial, **given)


@pytest.mark.parametrize("given", [{}, {"tie_weights": True}, {"learn_initial_state": True}])
def test_one_rule_is_for_every_parameter(given):
    for name, parameter in model("uniform(-0.1, 0.1)", **given).named_parameters():
        assert 0.05 < parameter.abs().max() <= 0.1, name
        assert abs(parameter.mean()) < 0.06, name


def test_a_name_goes_before_a_pattern_and_a_later_pattern_before_an_earlier_one():
    begun = model("uniform(-0.1, 0.1); b_forget = 1; embedding.* = 0.5")
    for layer in begun.recurrent.layers:
        assert layer.b_forget.eq(1).all()
        assert 0 < layer.b_input.abs().max() <= 0.1
    assert begun.embedding.weight.eq(0.5).all()
    assert model("b_forget = 1; uniform(-0.1, 0.1)").recurrent.layers[0].b_forget.eq(1).all()
    assert model("b_* = 1; uniform(-0.1, 0.1)").recurrent.layers[0].b_forget.max() <= 0.1
    both = model("recurrent.layers.1.b_forget = 2; b_forget = 1; *.b_forget = 3")
    assert both.recurrent.layers[0].b_forget.eq(1).all()
    assert both.recurrent.layers[1].b_forget.eq(2).all()


@pytest.mark.parametrize(
    "rules",
    [
        {"b_forget": 1.0, "*": "zeros"},
        {"*": "zeros", "b_forget": 1.0},
        {"b_*": 0.5, "b_forget": 1.0, "b_f*": 0.25, "W_*": 2.0},
        {"*t": 0.5, "b_*": 0.25},
    ],
)
def test_the_same_rules_begin_a_model_as_they_begin_a_layer(rules):
    layer = Recurrent("lstm", 16, 24, initial=rules).layers[0]
    begun = model(rules).recurrent.layers[0]
    for name, parameter in layer.named_parameters():
        if name.startswith("b_") or "*" in rules:
            assert torch.equal(getattr(begun, name), parameter), name


def test_what_no_rule_names_begins_by_default():
    torch.manual_seed(0)
    plain = LanguageModel(40, "lstm", embedding_size=16, hidden_size=24, num_layers=2)
    begun = model("b_forget = 3")
    torch.testing.assert_close(begun.readout.weight, plain.readout.weight)
    assert begun.recurrent.layers[1].b_forget.eq(3).all()
    recurrent = begun.recurrent.layers[1].W_forget[:, :24]
    torch.testing.assert_close(recurrent @ recurrent.T, torch.eye(24), atol=1e-5, rtol=0)  # still orthogonal


def test_a_rule_for_hidden_matrices_leaves_the_others():
    for layer in model("W* = identity", cell="rnn").recurrent.layers:
        assert torch.equal(layer.W[:, :24], torch.eye(24))
    torch.testing.assert_close(model("*weight = orthogonal").readout.weight, model(None).readout.weight)


def test_rules_can_be_given_by_name():
    assert model({"b_forget": 2.0}).recurrent.layers[0].b_forget.eq(2).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("uniforn(-1, 1)", r"initial: there is no initialiser 'uniforn\(-1, 1\)'; did you mean uniform\?"),
        ("uniform(1, 2, 3)", r"initial: 'uniform\(1, 2, 3\)' has 3 numbers"),
        ("b_forget =", "initial: 'b_forget =' is no rule; write RULE or NAME = RULE"),
        ("= 1", "is no rule"),
        ("zeros;", "initial: '' is no rule"),
        ("b_forgot = 1", r"initial: 'b_forgot' matches no parameter; did you mean b_forget\? they are: .*b_forget"),
        ("glorot", "initial: .*'glorot' is for matrices"),
        ("readout.bias = glorot", "initial: 'glorot' is not for readout.bias, a vector"),
        ("readout.weight = chrono(9)", "is not for readout.weight, a matrix"),
    ],
)
def test_a_rule_that_will_not_do_is_named(text, message):
    with pytest.raises(SettingError, match=message):
        model(text)


def test_rules_are_read_in_order():
    assert read_rules(" normal ; b_* = 1 ;W_x=uniform(-1, 1)") == {
        "*": "normal",
        "b_*": 1.0,
        "W_x": "uniform(-1, 1)",
    }
    assert list(read_rules("W_* = 1; zeros; W_* = 2")) == ["*", "W_*"]
