import pytest
import torch

from recurra.data.batch import map_tensors
from recurra.errors import SettingError
from recurra.models.attentive_decoder import AttentiveDecoder
from recurra.models.translator import SentencePairs, Translator

KINDS = ["deep", "input-feeding", "conditional"]
SOURCE_LENGTHS, LENGTHS = torch.tensor([6, 2, 5, 1]), torch.tensor([3, 4, 1, 2])


def translator(kind="deep", cell="gru", **settings):
    torch.manual_seed(0)
    return Translator(30, 20, cell, 8, 12, decoder=kind, **settings).double().eval()


def pairs():
    torch.manual_seed(1)
    return SentencePairs(torch.randint(30, (4, 6)), SOURCE_LENGTHS, torch.randint(20, (4, 4)))


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("cell", ["gru", "lstm", "h[t] = tanh(W @ [h[t-1], x[t]] + V @ h[t-2])"])
@pytest.mark.parametrize("kind", KINDS)
def test_step_by_step_is_the_same_as_all_at_once(kind, cell, layers):
    model, given = translator(kind, cell, decoder_layers=layers), pairs()
    with torch.no_grad():
        logits, last = model(given)
        state, steps = model.encode(given.source, given.source_lengths), []
        for t in range(given.previous.shape[1]):
            step, attended, state = model.step(given.previous[:, t], state)
            steps.append(step)
            assert attended.shape == given.source.shape
    torch.testing.assert_close(torch.stack(steps, 1), logits)
    for one, other in zip(tensors_of(last), tensors_of(state), strict=True):
        torch.testing.assert_close(one, other)


def tensors_of(value):
    tensors = []
    map_tensors(value, lambda tensor: tensors.append(tensor) or tensor)
    return tensors


@pytest.mark.parametrize("kind", KINDS)
def test_neither_padding_nor_other_rows_change_an_answer(kind):
    model, given = translator(kind, "lstm"), pairs()
    with torch.no_grad():
        logits, state = model(given, lengths=LENGTHS)
        for row in range(4):
            end, steps = int(SOURCE_LENGTHS[row]), int(LENGTHS[row])
            alone = SentencePairs(
                given.source[row : row + 1, :end], SOURCE_LENGTHS[row : row + 1], given.previous[row : row + 1, :steps]
            )
            expected, after = model(alone)
            torch.testing.assert_close(logits[row, :steps], expected[0])
            for name, rows in state.lower.items():
                torch.testing.assert_close(rows[row], after.lower[name][0])
            for name, rows in state.upper.items():
                torch.testing.assert_close(rows[row], after.upper[name][0])


@pytest.mark.parametrize("kind", KINDS)
def test_no_step_knows_what_comes_after_it_and_each_knows_all_of_the_sentence(kind):
    model, given = translator(kind), pairs()
    with torch.no_grad():
        logits, _ = model(given)
        later = given.previous.clone()
        later[:, 2:] = (later[:, 2:] + 1) % 20
        torch.testing.assert_close(model(given._replace(previous=later))[0][:, :2], logits[:, :2])
        source = given.source.clone()
        source[0, 5] = (source[0, 5] + 1) % 30
        changed = model(given._replace(source=source))[0]
    assert bool((changed[0] != logits[0]).any(1).all())
    assert torch.equal(changed[1:], logits[1:])


def test_the_conditional_decoder_is_two_cells_with_attention_between():
    """The equations of the conditional GRU, a row at a time, from the cells themselves."""
    torch.manual_seed(0)
    decoder = AttentiveDecoder("gru", 3, 5, 1, memory_size=4, output_size=6, kind="conditional").double()
    values, x = torch.randn(1, 7, 4, dtype=torch.float64), torch.randn(1, 4, 3, dtype=torch.float64)
    with torch.no_grad():
        outputs, _, _ = decoder(x, decoder.start(values, torch.tensor([7])))
        s = decoder.bridge(values[0].mean(0)).tanh()
        for t in range(4):
            between = decoder.lower(x[0, t : t + 1], {"h": s[None]})[1]["h"]
            scores = decoder.attention.memory_map(values[0]) @ between[0]
            context = scores.softmax(0) @ values[0]
            s = decoder.upper(context[None], {"h": between})[1]["h"][0]
            expected = decoder.output(torch.cat([s, context, x[0, t]])).tanh()
            torch.testing.assert_close(outputs[0, t], expected)


def test_input_feeding_reads_its_last_output():
    torch.manual_seed(0)
    decoder = AttentiveDecoder("gru", 3, 5, 1, memory_size=4, output_size=6, kind="input-feeding").double()
    values, x = torch.randn(1, 7, 4, dtype=torch.float64), torch.randn(1, 4, 3, dtype=torch.float64)
    with torch.no_grad():
        outputs, _, _ = decoder(x, decoder.start(values, torch.tensor([7])))
        s, fed = decoder.bridge(values[0].mean(0)).tanh(), torch.zeros(6, dtype=torch.float64)
        for t in range(4):
            s = decoder.lower(torch.cat([x[0, t], fed])[None], {"h": s[None]})[1]["h"][0]
            context = (decoder.attention.memory_map(values[0]) @ s).softmax(0) @ values[0]
            fed = decoder.output(torch.cat([s, context, x[0, t]])).tanh()
            torch.testing.assert_close(outputs[0, t], fed)


@pytest.mark.parametrize("tie", [True, False])
def test_the_loss_is_the_cross_entropy_of_the_logits(tie):
    model, given = translator(tie_weights=tie), pairs()
    targets = torch.randint(20, (4, 4))
    targets[1, 2:] = -100
    hidden, _, _ = model.hidden(given)
    for smoothing in (0.0, 0.2):
        plain = torch.nn.functional.cross_entropy(
            model(given)[0].flatten(0, 1), targets.flatten(), reduction="sum", label_smoothing=smoothing
        )
        torch.testing.assert_close(model.loss(hidden, targets, smoothing), plain)


def test_a_joint_vocabulary_has_one_embedding():
    model = Translator(20, 20, "gru", 8, 12, joint=True)
    assert model.source_embedding is model.target_embedding
    assert len({id(p) for p in model.parameters()}) == len(list(model.parameters()))
    with pytest.raises(SettingError, match="source_size is 30 and target_size 20; a joint vocabulary has one size"):
        Translator(30, 20, "gru", joint=True)
    with pytest.raises(SettingError, match="no decoder 'transformer'; choose one of: deep, input-feeding, conditional"):
        Translator(30, 20, "gru", decoder="transformer")


def test_every_dropout_acts_in_training_and_rests_otherwise():
    for name in ("dropout", "context_dropout", "output_dropout", "token_dropout"):
        model, given = translator(**{name: 0.5}), pairs()
        assert torch.equal(model(given)[0], model(given)[0])
        model.train()
        assert not torch.equal(model(given)[0], model(given)[0]), name


@pytest.mark.parametrize("tie", [False, True])
def test_a_step_with_the_transposed_readout_gives_the_same_logits(tie):
    torch.manual_seed(0)
    model = Translator(30, 20, "gru", embedding_size=8, hidden_size=6, tie_weights=tie).eval()
    with torch.no_grad():
        model._readout_parameters()[1].uniform_(-1, 1)
        state = model.encode(torch.randint(30, (3, 5)), torch.tensor([5, 2, 4]))
        plain, transposed = (model.step(torch.tensor([1, 2, 3]), state, r) for r in (None, model.transposed_readout()))
    torch.testing.assert_close(plain[0], transposed[0])
