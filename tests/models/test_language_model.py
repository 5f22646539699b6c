import math

import pytest
import torch
import torch.nn.functional as F

from recurra.cells import CATALOGUE
from recurra.errors import SettingError, ShapeError
from recurra.models import LanguageModel


def tokens(*shape, vocabulary=7):
    return torch.randint(vocabulary, shape, generator=torch.Generator().manual_seed(1))


def same(state, other):
    return state.keys() == other.keys() and all(torch.allclose(state[name], other[name], atol=1e-6) for name in state)


# What it computes


def test_the_logits_are_those_of_the_equations():
    """e<t> = E x<t>, h<t> = tanh(W [h<t-1>, e<t>] + b), logits = V h<t> + c, written out for one sequence."""
    model = LanguageModel(5, "rnn", embedding_size=3, hidden_size=4)
    read = tokens(1, 6, vocabulary=5)
    weights = {name.rpartition(".")[2]: value for name, value in model.recurrent.layers[0].named_parameters()}
    [matrix] = [value for value in weights.values() if value.ndim == 2]
    [bias] = [value for value in weights.values() if value.ndim == 1]
    h = torch.zeros(4)
    expected = []
    for token in read[0]:
        h = torch.tanh(matrix @ torch.cat([h, model.embedding.weight[token]]) + bias)
        expected.append(model.readout.weight @ h + model.readout.bias)
    logits, state = model(read)
    torch.testing.assert_close(logits[0], torch.stack(expected))
    torch.testing.assert_close(state["h"][0, 0], h)


@pytest.mark.parametrize("cell", CATALOGUE)
def test_a_step_at_a_time_is_the_whole(cell):
    model = LanguageModel(7, cell, embedding_size=4, hidden_size=6, num_layers=2).eval()
    read = tokens(3, 5)
    whole, last = model(read)
    state, steps = None, []
    for time in range(read.shape[1]):
        logits, state = model.step(read[:, time], state)
        steps.append(logits)
    torch.testing.assert_close(torch.stack(steps, dim=1), whole, atol=1e-5, rtol=1e-5)
    assert same(state, last)


@pytest.mark.parametrize("length", [1, 3, 4, 11])
def test_a_state_carried_from_chunk_to_chunk_gives_one_long_pass(length):
    model = LanguageModel(7, "lstm", embedding_size=4, hidden_size=6, num_layers=2).eval()
    read = tokens(2, 11)
    whole, last = model(read)
    state, parts = None, []
    for chunk in torch.split(read, length, dim=1):
        logits, state = model(chunk, state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), whole)
    assert same(state, last)


def test_padding_changes_nothing():
    model = LanguageModel(7, "gru", embedding_size=4, hidden_size=6).eval()
    read, lengths = tokens(3, 5), [5, 2, 4]
    logits, state = model(read, lengths=lengths)
    for row, length in enumerate(lengths):
        alone, last = model(read[row : row + 1, :length])
        torch.testing.assert_close(logits[row : row + 1, :length], alone)
        torch.testing.assert_close(state["h"][:, row], last["h"][:, 0])


def test_no_logit_knows_what_comes_after_it():
    model = LanguageModel(7, "gru", embedding_size=4, hidden_size=6).eval()
    read = tokens(1, 6)
    other = read.clone()
    other[0, 4:] = (other[0, 4:] + 1) % 7
    torch.testing.assert_close(model(read)[0][:, :4], model(other)[0][:, :4], rtol=0, atol=0)


# Tied weights


@pytest.mark.parametrize(("hidden", "projected"), [(6, False), (9, True)])
def test_tied_weights_answer_with_the_embedding(hidden, projected):
    model = LanguageModel(7, "gru", embedding_size=6, hidden_size=hidden, tie_weights=True).eval()
    read = tokens(2, 4)
    outputs, _ = model.recurrent(model.embedding(read))
    if projected:
        outputs = model.projection(outputs)
    else:
        assert model.projection is None
    torch.testing.assert_close(model(read)[0], outputs @ model.embedding.weight.T + model.bias)
    free = LanguageModel(7, "gru", embedding_size=6, hidden_size=hidden)
    fewer = sum(p.numel() for p in free.parameters()) - sum(p.numel() for p in model.parameters())
    assert fewer == 7 * hidden - (6 * hidden + 6 if projected else 0)


def test_a_tied_embedding_learns_from_both_of_its_ends():
    model = LanguageModel(7, "gru", embedding_size=6, hidden_size=6, tie_weights=True)
    logits, _ = model(torch.tensor([[1, 2]]))
    F.cross_entropy(logits.flatten(0, 1), torch.tensor([2, 3])).backward()
    read, answered = torch.tensor([1, 2]), torch.tensor([0, 3, 4, 5, 6])
    assert (model.embedding.weight.grad[read].abs().sum(dim=1) > 0).all()
    assert (model.embedding.weight.grad[answered].abs().sum(dim=1) > 0).all()  # not read, and still part of the softmax


@pytest.mark.parametrize("tie_weights", [False, True])
def test_a_new_model_finds_all_tokens_about_equally_probable(tie_weights):
    model = LanguageModel(50, "lstm", embedding_size=32, hidden_size=32, tie_weights=tie_weights).eval()
    read = tokens(8, 20, vocabulary=50)
    logits, _ = model(read)
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), read[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(50), abs=0.15)


# Dropout

KINDS = {
    "dropout": 0.5,
    "embedding_dropout": 0.5,
    "input_dropout": 0.5,
    "state_dropout": 0.5,
    "zoneout": 0.5,
    "weight_drop": 0.5,
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_dropout_acts_in_training_alone(kind):
    torch.manual_seed(0)
    model = LanguageModel(7, "lstm", embedding_size=16, hidden_size=16, **{kind: KINDS[kind]})
    torch.manual_seed(0)
    plain = LanguageModel(7, "lstm", embedding_size=16, hidden_size=16)
    read = tokens(4, 6)
    assert not torch.equal(model(read)[0], model(read)[0])
    model.eval(), plain.eval()
    assert torch.equal(model(read)[0], model(read)[0])
    if kind != "zoneout":  # whose answer at rest is the mean of the two states
        torch.testing.assert_close(model(read)[0], plain(read)[0])


def between(model, read):
    """What the recurrent layers are given, and what the readout is given."""
    seen = []
    hooks = [
        module.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        for module in (model.recurrent, model.readout)
    ]
    model(read)
    for hook in hooks:
        hook.remove()
    return seen


def test_embedding_dropout_drops_a_token_wherever_it_stands():
    model = LanguageModel(40, "rnn", embedding_size=4, hidden_size=4, embedding_dropout=0.5)
    read = tokens(6, 30, vocabulary=40)
    given, _ = between(model, read)
    factors = given / model.embedding(read)
    dropped = {}
    for token, factor in zip(read.flatten().tolist(), factors.flatten(0, 1), strict=True):
        assert torch.allclose(factor, torch.zeros(4)) or torch.allclose(factor, torch.full((4,), 2.0))
        dropped.setdefault(token, factor[0].item())
        assert factor[0].item() == pytest.approx(dropped[token])
    assert 0.2 < sum(factor == 0 for factor in dropped.values()) / len(dropped) < 0.8


@pytest.mark.parametrize("locked", [False, True])
def test_dropout_is_on_embedding_and_output_and_locked_is_one_mask_a_sequence(locked):
    model = LanguageModel(7, "rnn", embedding_size=32, hidden_size=32, dropout=0.5, locked_dropout=locked)
    for values in between(model, tokens(3, 8)):
        masks = values == 0
        assert torch.equal(masks.all(dim=1), masks.any(dim=1)) == locked
        assert not torch.equal(masks[0, 0], masks[1, 0])
        assert 0.3 < masks.float().mean() < 0.7


def test_dropout_between_layers_and_on_the_output_can_have_rates_of_their_own():
    rates = {"dropout": 0.2, "between_dropout": 0.5, "output_dropout": 0.8}
    for locked in (False, True):
        model = LanguageModel(
            7,
            "rnn",
            embedding_size=64,
            hidden_size=64,
            num_layers=2,
            locked_dropout=locked,
            initial="W = 0; b = 1",
            **rates,
        )
        given, read = between(model, tokens(64, 6))  # every output of a layer is tanh(1)
        assert (given == 0).float().mean() == pytest.approx(0.2, abs=0.03)
        assert (read == 0).float().mean() == pytest.approx(0.8, abs=0.03)
        halves = model.recurrent.dropout(torch.ones(6, 64, 64))
        assert (halves == 0).float().mean() == pytest.approx(0.5, abs=0.05)
        assert torch.equal((halves == 0).all(dim=0), (halves == 0).any(dim=0)) == locked
        assert halves.max() == 2
        assert torch.equal(model.recurrent.eval().dropout(torch.ones(6, 64, 64)), torch.ones(6, 64, 64))
    plain = LanguageModel(7, "rnn", embedding_size=4, hidden_size=4, dropout=0.2)
    assert (plain.recurrent.dropout.p, plain.output_dropout.p) == (0.2, 0.2)


# The loss


@pytest.mark.parametrize(("hidden", "given"), [(6, {}), (6, {"tie_weights": True}), (9, {"tie_weights": True})])
def test_the_loss_is_the_cross_entropy_of_the_logits_with_its_gradients(hidden, given):
    model = LanguageModel(7, "gru", embedding_size=6, hidden_size=hidden, **given).double()
    read, targets = tokens(3, 5), tokens(3, 5)
    targets[1, 2:] = -100
    logits, _ = model(read)
    expected = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
    loss = model.loss(model.hidden(read).dropped, targets)
    torch.testing.assert_close(loss, expected)
    parameters = list(model.parameters())
    for own, other in zip(
        torch.autograd.grad(loss, parameters), torch.autograd.grad(expected, parameters), strict=True
    ):
        torch.testing.assert_close(own, other)


def test_a_state_that_is_kept_half_way_changes_no_output():
    model = LanguageModel(7, "lstm", embedding_size=4, hidden_size=6, num_layers=2).double()
    read = tokens(3, 8)
    whole, kept = model.hidden(read), model.hidden(read, keep=3)
    torch.testing.assert_close(kept.outputs, whole.outputs)
    assert same(kept.state, model.hidden(read[:, :3]).state)
    assert all(value.requires_grad for value in kept.state.values())


@pytest.mark.parametrize(("keep", "lengths"), [(0, None), (5, None), (9, None), (2, [5, 4])])
def test_a_state_can_be_kept_within_tokens_without_padding_alone(keep, lengths):
    model = LanguageModel(7, "gru", embedding_size=4, hidden_size=6)
    with pytest.raises(ShapeError, match=f"keep is {keep}, for tokens of shape .*2, 5.*; expected 1 to T - 1, and no"):
        model.hidden(tokens(2, 5), lengths=lengths, keep=keep)


# Half the bits


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_under_autocast_it_learns_what_it_learns_without(backend):
    read, targets = tokens(4, 9, vocabulary=30), tokens(4, 9, vocabulary=30)

    def learn(half):
        torch.manual_seed(0)
        model = LanguageModel(30, "lstm", embedding_size=16, hidden_size=24, num_layers=2, backend=backend)
        optimiser, losses, gradients = torch.optim.SGD(model.parameters(), lr=0.1), [], []
        for _ in range(5):
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                hidden = model.hidden(read)
                loss = model.loss(hidden.dropped, targets) / targets.numel()
            assert hidden.outputs.dtype == loss.dtype == torch.float32
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            gradients.append([parameter.grad.clone() for parameter in model.parameters()])
        return losses, gradients

    (exact, whole), (near, halved) = learn(False), learn(True)
    assert near == pytest.approx(exact, rel=1e-3)
    assert near != exact
    assert exact[-1] < exact[0]
    for gradient, other in zip(whole[0], halved[0], strict=True):
        assert (gradient - other).norm() < 0.02 * gradient.norm()


# Refusals


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"vocabulary_size": 0}, "vocabulary_size is 0"),
        ({"embedding_size": 0}, "embedding_size is 0"),
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"dropout": 1.0}, "dropout is 1.0; it is a probability"),
        ({"embedding_dropout": -0.1}, "embedding_dropout is -0.1"),
        ({"bidirectional": True}, "cannot be bidirectional: it would read the tokens it is to predict"),
        ({"cell": "gruu"}, "there is no cell 'gruu'; did you mean gru"),
    ],
)
def test_what_cannot_be_is_refused(given, message):
    with pytest.raises(SettingError, match=message):
        LanguageModel(**{"vocabulary_size": 7, "cell": "rnn", "embedding_size": 4, "hidden_size": 4} | given)


OPTIONS = {
    "plain": {},
    "tied": {"tie_weights": True, "embedding_size": 16},
    "tied and projected": {"tie_weights": True},
    "deep": {"num_layers": 3},
    "reference": {"backend": "reference"},
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_logits_of_a_stream_are_those_of_its_steps_and_of_the_whole(options, batch, dtype):
    torch.manual_seed(0)
    model = LanguageModel(9, "lstm", **{"embedding_size": 6, "hidden_size": 16} | options).eval().to(dtype)
    tokens = torch.randint(9, (batch, 7))
    stream, steps = model.stream(batch), model.stream(batch)
    found = torch.stack([torch.from_numpy(stream.logits(tokens[:, t].tolist()).copy()) for t in range(7)], 1)
    whole = model(tokens)[0]
    tolerance = 0.1 if dtype is torch.bfloat16 else 1e-5
    torch.testing.assert_close(found.to(dtype), whole, rtol=0, atol=tolerance)
    each = torch.stack([steps.step(tokens[:, t]) for t in range(7)], 1)
    torch.testing.assert_close(found.to(dtype), each, rtol=0, atol=tolerance)
    for key, value in stream.state.items():
        torch.testing.assert_close(value, steps.state[key], rtol=0, atol=tolerance)


def test_a_stream_takes_a_token_for_each_text():
    model = LanguageModel(9, "gru", embedding_size=4, hidden_size=5).eval()
    with pytest.raises(ShapeError, match="there are 2 tokens; expected one for each of 3 texts"):
        model.stream(3).logits([1, 2])
