"""The values are those of the model, and a selective unit is one that says something about the tokens."""

import json
import sys

import pytest
import torch
import torch.nn.functional as F

from recurra.cells import GRU, LSTM, RNN
from recurra.data import SentenceBatches, Vocabulary
from recurra.errors import DataError, SettingError
from recurra.inspection import Activations, activations
from recurra.inspection.activations import CHUNK, default_value
from recurra.models import LanguageModel

NUMBERS = torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0])


def of_values(values, value="h", cell=GRU, lengths=None):
    tokens = tuple("abcdefghijklmnop"[: len(values)])
    return Activations(value, 1, cell, tokens, lengths or (len(values),), values)


@pytest.fixture
def model():
    return LanguageModel(9, "lstm", embedding_size=3, hidden_size=4, num_layers=2).eval()


# What is read --------------------------------------------------------------------------------------------------------


def test_the_values_are_those_of_the_network(model):
    ids = [3, 1, 4, 1, 5]
    found = activations(model, [ids], [list("abcde")], "memory", layer=2, start=8)
    trace = model.recurrent.trace(model.embedding(torch.tensor([[8, *ids]])))
    assert torch.allclose(found.values, trace.layers[1]["memory"][0, 1:], atol=1e-6)
    assert found.tokens == tuple("abcde")
    assert not found.values.requires_grad


def test_a_long_text_is_read_in_chunks_and_each_text_begins_afresh(model):
    ids = torch.randint(9, (2 * CHUNK + 7,)).tolist()
    names = [str(number) for number in ids]
    long = activations(model, [ids, ids[:5]], [names, names[:5]], "h")
    trace = model.recurrent.trace(model.embedding(torch.tensor([ids])))
    assert torch.allclose(long.values[: len(ids)], trace.layers[0]["h"][0], atol=1e-5)
    assert torch.equal(long.values[len(ids) :], long.values[:5])
    assert long.lengths == (len(ids), 5)


def test_what_there_is_not_is_refused_with_what_there_is(model):
    with pytest.raises(SettingError, match="its values are: input, forget, candidate, output, memory, h"):
        activations(model, [[1]], [["a"]], "update")
    with pytest.raises(SettingError, match="no layer 3; the model has 2"):
        activations(model, [[1]], [["a"]], layer=3)
    with pytest.raises(DataError, match="empty"):
        activations(model, [[]], [[]])


def test_the_value_that_is_shown_unless_told():
    assert [default_value(cell) for cell in (GRU, LSTM, RNN)] == ["update", "forget", "h"]


# Which units are selective -------------------------------------------------------------------------------------------


def test_a_state_that_changes_once_and_holds_comes_before_one_that_flickers():
    flickering, steady = torch.tensor([0.0, 1.0] * 4), torch.full((8,), 0.7)
    found = of_values(torch.stack([flickering, steady, NUMBERS, 0.5 * NUMBERS], 1))
    assert found.deviation.tolist() == pytest.approx([0.5, 0, 0.5, 0.25])
    # Of the step, 1 - 1 / (2 * 8 * 0.25); of what alternates 1 - 7 / 4, which is below 0.
    assert found.persistence.tolist() == pytest.approx([0, 0, 0.75, 0.75])
    assert found.selectivity.tolist() == pytest.approx([0, 0, 0.375, 0.1875])
    assert found.ranking()[:2] == [2, 3]


def test_a_gate_is_selective_if_it_opens_at_some_tokens():
    spike = F.one_hot(torch.tensor(2), 8).float()
    found = of_values(torch.stack([0.1 * NUMBERS, spike], 1), "update")
    assert not found.is_state
    assert torch.equal(found.selectivity, found.deviation)
    assert found.ranking() == [1, 0]


def test_independent_values_have_no_persistence():
    """Von Neumann's ratio is 2 for them, on average."""
    found = of_values(torch.randn(4000, 6))
    assert float(found.persistence.max()) < 0.05


def test_a_text_is_not_compared_with_the_one_before():
    values = torch.cat([NUMBERS, NUMBERS])[:, None]
    whole, two = of_values(values, lengths=(16,)), of_values(values, lengths=(8, 8))
    assert float(whole.persistence) == pytest.approx(1 - 3 / (2 * 16 * 0.25))
    assert float(two.persistence) == pytest.approx(1 - 2 / (2 * 16 * 0.25))


def test_the_range_is_that_of_the_squashing():
    values = torch.tensor([[0.5, -7.0]])
    assert of_values(values, "update").ends == (0.0, 1.0)
    assert of_values(values, "candidate").ends == (-1.0, 1.0)
    assert of_values(values, "memory", LSTM).ends == (-7.0, 7.0)
    assert of_values(torch.zeros(1, 2), "memory", LSTM).ends == (-1.0, 1.0)


def test_json_has_every_number_or_none():
    values = torch.stack([NUMBERS, torch.full((8,), torch.inf)], 1)
    content = json.loads(json.dumps(of_values(values).to_json(), allow_nan=False))
    assert [unit["unit"] for unit in content["units"]] == [0, 1]
    assert content["units"][0]["values"] == NUMBERS.tolist()
    assert content["units"][1]["values"] == [None] * 8
    assert len(of_values(values).to_json(units=1)["units"]) == 1


# Pictures ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_heat_map_is_drawn(tmp_path, kind):
    of_values(torch.randn(16, 20), lengths=(10, 6)).plot(tmp_path / f"map.{kind}")
    content = (tmp_path / f"map.{kind}").read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n" if kind == "png" else len(content) > 1000


def test_tokens_are_drawn_as_they_are(tmp_path):
    """A dollar sign begins no formula, and a line's end breaks no line."""
    found = Activations("h", 1, GRU, ("$x$", "\n", " ", "_^{"), (4,), torch.randn(4, 3))
    found.plot(tmp_path / "map.png")


def test_a_picture_that_cannot_be_made_is_refused(tmp_path, monkeypatch):
    found = of_values(torch.randn(4, 3))
    with pytest.raises(SettingError, match=r"ends in one of \.png"):
        found.plot(tmp_path / "map.gif")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingError, match=r"pip install matplotlib$"):
        found.plot(tmp_path / "map.png")
    assert not list(tmp_path.iterdir())


# Agreement -----------------------------------------------------------------------------------------------------------


def trained_on(sentences, vocabulary, cell, hidden_size, epochs):
    """A language model that is asked for the verb alone, and so learns little but the subject's number."""
    model = LanguageModel(len(vocabulary), cell, 8, hidden_size)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    batches = SentenceBatches([vocabulary.encode(s) for s in sentences], 32, vocabulary.end)
    verbs = torch.tensor(vocabulary.encode("was were"))
    for epoch in range(epochs):
        for batch in batches.epoch(epoch):
            logits, _ = model(batch.inputs, None, batch.lengths)
            asked = torch.isin(batch.targets, verbs)
            optimiser.zero_grad()
            F.cross_entropy(logits[asked], batch.targets[asked]).backward()
            optimiser.step()
    return model.eval()


@pytest.mark.parametrize(("cell", "state"), [("gru", "h"), ("lstm", "memory")])
def test_units_that_hold_the_number_of_the_subject_until_the_verb_rank_high(agreement_of, cell, state):
    """They are found by their selectivity in two sentences, and prove themselves in others: between subject and verb
    such a unit is higher in every sentence of one number than in any of the other."""
    sentences = agreement_of(800)
    vocabulary = Vocabulary.build(sentences, "word")
    model = trained_on(sentences, vocabulary, cell, hidden_size=12, epochs=8)

    def read(texts):
        return activations(
            model, [vocabulary.encode(t) for t in texts], [t.split() for t in texts], state, start=vocabulary.end
        )

    middle = "which already ate fish which often liked bread"
    found = read([f"the cat {middle} was full", f"the cats {middle} were full"])
    best = found.ranking()[:3]

    # The mean of the unit over the tokens between subject and verb, for sentences of either number.
    others = [agreement_of(60, seed=9, plural=plural) for plural in (False, True)]
    held = [torch.stack([own[2:-2].mean(0) for own in parts(read(texts), texts)]) for texts in others]
    separated = (held[0].amin(0) > held[1].amax(0)) | (held[0].amax(0) < held[1].amin(0))
    assert sum(bool(separated[unit]) for unit in best) >= 2, (best, separated.nonzero()[:, 0].tolist())


def parts(found, texts):
    """The values of each text that has words between its subject and its verb."""
    whole = torch.split(found.values, list(found.lengths))
    return [own for own, text in zip(whole, texts, strict=True) if len(text.split()) > 4]
