import math
import re

import pytest
import torch
import torch.nn.functional as F

from recurra.data import END, IGNORED, UNKNOWN, StreamBatches
from recurra.errors import DataError, SettingError
from recurra.models import LanguageModel
from recurra.tasks.language_modelling import (
    LANGUAGE_MODELLING,
    BatchSettings,
    LanguageModellingConfig,
    TextSettings,
)
from recurra.tasks.preparation import prepare
from recurra.tasks.settings_file import make_config
from recurra.training import detach

PETS = "the cat sat on the mat\nthe dog sat on the log\na cat and a dog sat\n"
task = LANGUAGE_MODELLING
CONFIG = LanguageModellingConfig(text={"data": "pets.txt"})


class Parts:
    """What a training reads of its files."""

    def __init__(self, config):
        self.prepared = prepare(task, config)
        self.assets = self.prepared.run.assets
        self.vocabulary = self.assets.vocabulary
        self.batches, self.valid = self.prepared.batches, self.prepared.valid_batches


@pytest.fixture
def read(tmp_path):
    """What the task reads of a text, with any of its settings."""

    def read(text=PETS * 4, valid=None, **given):
        files = {"data": tmp_path / "pets.txt"}
        files["data"].write_text(text, encoding="utf-8")
        if valid is not None:
            files["valid"] = tmp_path / "valid.txt"
            files["valid"].write_text(valid, encoding="utf-8")
        tiny = {"batch_size": 2, "chunk_length": 4, "embedding_size": 3, "hidden_size": 4, "cell": "rnn"}
        config = make_config(LanguageModellingConfig, {}, tiny | files | given)
        return config, Parts(config)

    return read


def text_of(vocabulary, batches):
    """The targets of a single track, and the input before the first, as text."""
    ids = [int(next(iter(batches)).inputs[0, 0])]
    for batch in batches:
        ids += batch.targets[0].tolist()
    return vocabulary.decode(ids)


def measured(data, model):
    """The figures of a model on the part to validate on."""
    data.prepared.run.model = model
    return data.prepared.validate()


# What is read


@pytest.mark.parametrize("level", ["character", "byte"])
def test_both_parts_together_are_the_text(read, level):
    _, data = read(level=level, batch_size=1, chunk_length=1, valid_batch_size=1)
    assert text_of(data.vocabulary, data.batches) + text_of(data.vocabulary, data.valid) == PETS * 4


def test_a_file_to_validate_on_takes_the_place_of_the_last_part(read):
    _, data = read(valid="the mat sat\n", batch_size=1, chunk_length=1, valid_batch_size=1)
    assert text_of(data.vocabulary, data.batches) == PETS * 4
    assert text_of(data.vocabulary, data.valid) == "the mat sat\n"


def test_what_only_the_part_to_validate_on_has_is_unknown(read):
    for level, valid, unknown in (("word", "the emu sat\n", "emu"), ("character", "the emu\n", "u")):
        _, data = read(level=level, valid=valid, batch_size=1, chunk_length=1, valid_batch_size=1)
        assert unknown not in data.vocabulary
        shown = UNKNOWN if level == "word" else "\N{REPLACEMENT CHARACTER}"
        assert text_of(data.vocabulary, data.valid) == valid.replace(unknown, shown)


def test_a_vocabulary_can_be_kept_small(read):
    _, data = read(level="word", max_vocabulary=5)
    assert data.vocabulary.tokens == ("the", "sat", "on", UNKNOWN, END)
    _, data = read(level="word", min_count=1000, text="a " * 1000 + "b c d\n", valid="a b c\n")
    assert data.vocabulary.tokens == ("a", UNKNOWN, END)


@pytest.mark.parametrize("level", ["word", "character", "byte", "bpe"])
def test_sentences_end_and_hold_no_line_end(read, level):
    config, data = read(level=level, sentences=True, max_vocabulary=270 if level == "bpe" else None)
    for batch in data.batches.epoch(0):
        for row, length in zip(batch.targets, batch.lengths, strict=True):
            assert row[length - 1] == data.vocabulary.end
            assert "\n" not in data.vocabulary.decode(row[: length - 1])
    if level == "character":
        assert "\n" not in data.vocabulary
    assert task.unit(config) == {"word": "words", "character": "characters", "byte": "bytes", "bpe": "tokens"}[level]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text": "short"}, r"pets.txt: the text has \d+ tokens, but .*give a longer text"),
        ({"text": "the cat sat on the mat", "valid": "a"}, "valid.txt: the part to validate on: "),
        ({"text": PETS, "min_count": 1000}, "pets.txt: min_count=1000 leaves no character"),
        ({"text": PETS, "level": "word", "min_count": 1000}, "pets.txt: min_count=1000 leaves no word"),
        ({"valid": "\n"}, "valid.txt: the file holds nothing but white space"),
    ],
)
def test_a_text_that_will_not_do_is_named(read, given, message):
    with pytest.raises(DataError, match=message):
        read(**given)


def test_a_vocabulary_needs_room_for_its_specials(read):
    with pytest.raises(SettingError, match="max_vocabulary is 2; a vocabulary at level 'word' needs 3 or more"):
        read(level="word", max_vocabulary=2)


def test_bytes_have_one_vocabulary(read):
    with pytest.raises(SettingError, match="level 'byte' always has its 256 units; give neither max_vocabulary nor"):
        read(level="byte", max_vocabulary=100)


# Loss and validation


def untrained(config, data):
    torch.manual_seed(0)
    model = task.build(config, data.assets).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.8)
    return model


def test_the_loss_is_the_sum_over_steps_of_the_cross_entropy(read):
    config, data = read(level="word", sentences=True)
    model = untrained(config, data)
    for batch in data.batches.epoch(0):
        result = task.loss(CONFIG, model, batch, None)
        logits, state = model(batch.inputs, None, batch.lengths)
        expected = sum(
            F.cross_entropy(logits[row, time], batch.targets[row, time]).item()
            for row, length in enumerate(batch.lengths)
            for time in range(length)
        )
        assert result.total.item() == pytest.approx(expected, rel=1e-5)
        assert result.count == sum(batch.lengths) == (batch.targets != IGNORED).sum()
        assert torch.equal(result.carried["h"], state["h"])


def by_hand(model, inputs, targets, chunk, reach):
    """Truncated backpropagation through time, unrolled a step at a time: of each chunk the loss and its gradients.

    Before every step the state is cut that is older than the reach of the chunk that the step belongs to: the loss of
    the steps in (end - chunk, end] is a function of the state at end - reach, which is a number.
    """
    parameters = list(model.parameters())
    track = inputs.shape[1]
    states = [None]  # after each step, without history
    with torch.no_grad():
        for time in range(track):
            states.append(model(inputs[:, time : time + 1], states[-1])[1])
    for start in range(0, track, chunk):
        end, first = min(start + chunk, track), max(0, start + chunk - reach)
        state, total = states[first], 0.0
        for time in range(first, end):
            logits, state = model(inputs[:, time : time + 1], state)
            if time >= start:
                total = total + F.cross_entropy(logits[:, 0], targets[:, time], reduction="sum")
        yield total, torch.autograd.grad(total, parameters)


@pytest.mark.parametrize(("chunk", "reach"), [(3, 3), (3, 7), (2, 5), (1, 4), (4, 8), (3, 100)])
def test_the_gradient_of_a_chunk_goes_as_far_back_as_it_reaches(chunk, reach):
    torch.manual_seed(0)
    model = LanguageModel(9, "lstm", embedding_size=4, hidden_size=5, num_layers=2).double()
    ids = torch.randint(9, (2 * 13 + 1,))
    inputs, targets = ids[:-1].view(2, 13), ids[1:].view(2, 13)
    expected = list(by_hand(model, inputs, targets, chunk, reach))
    carried, parameters = None, list(model.parameters())
    for batch, (total, gradients) in zip(StreamBatches(ids, 2, chunk, reach=reach), expected, strict=True):
        result = task.loss(CONFIG, model, batch, None if batch.fresh else carried)
        torch.testing.assert_close(result.total, total)
        for own, other in zip(torch.autograd.grad(result.total, parameters), gradients, strict=True):
            torch.testing.assert_close(own, other)
        carried = detach(result.carried)


def test_a_longer_reach_learns_what_a_chunk_alone_cannot(train_tiny):
    """Every fifth letter says what the third after it is; with the state cut every step no gradient joins the two."""
    generator = torch.Generator().manual_seed(0)
    shown = torch.randint(2, (1200,), generator=generator).tolist()
    text = "".join(f"{'ab'[bit]}--{'AB'[bit]}" for bit in shown)
    given = LEARNER | {"chunk_length": 1, "batch_size": 32, "max_steps": 140, "epochs": 10, "learning_rate": 0.03}
    given |= {"validate_every": 140, "clip_norm": 1.0}
    near, far = (train_tiny(text=text, reach=reach, **given)[1].best_metrics["loss"] for reach in (1, 5))
    # A letter of two is known from what came before: log(2) / 4 a unit is the least there is, and twice that a guess.
    assert far < 0.28
    assert near > 0.33


def test_penalties_are_learned_from_and_not_reported(read):
    given = {"activation_penalty": 2.0, "temporal_penalty": 3.0, "dropout": 0.3}
    config, data = read(level="word", sentences=True, **given)
    model = untrained(config, data)
    batch = next(iter(data.batches.epoch(0)))
    rested = task.loss(CONFIG, model, batch, None)
    assert rested.penalty is None
    torch.manual_seed(1)
    result = task.loss(CONFIG, model.train(), batch, None)
    torch.manual_seed(1)
    hidden = model.hidden(batch.inputs, None, batch.lengths)
    counted = batch.targets != IGNORED
    pairs = counted[:, 1:]
    squares = hidden.dropped[counted].square().mean()
    changes = (hidden.outputs[:, 1:] - hidden.outputs[:, :-1])[pairs].square().mean()
    torch.testing.assert_close(result.penalty, 2 * squares + 3 * changes)
    torch.testing.assert_close(result.total, model.loss(hidden.dropped, batch.targets))


def test_settings_of_chunks_reach_the_stream(read):
    _, data = read(chunk_length=3, reach=7, random_lengths=False)
    assert (data.batches.chunk_length, data.batches.reach) == (3, 7)
    _, data = read(random_lengths=True, seed=5)
    assert (data.batches.random_lengths, data.batches.seed) == (True, 5)
    _, data = read(chunk_length="none")
    assert len(data.batches) == 1
    assert sum(batch.count for batch in data.valid) > 0
    for given in ({"reach": 9}, {"random_lengths": True}):
        with pytest.raises(SettingError, match="has no effect with sentences"):
            read(sentences=True, **given)
    with pytest.raises(SettingError, match="reach is 3, below chunk_length 4"):
        read(reach=3)


def test_rules_of_how_parameters_begin_are_checked_with_the_settings(read):
    config, data = read(initial="uniform(-0.1, 0.1); b = 1")
    model = task.build(config, data.assets)
    assert model.recurrent.layers[0].b.eq(1).all()
    assert model.embedding.weight.abs().max() <= 0.1
    with pytest.raises(SettingError, match="there is no initialiser 'uniforn'; did you mean uniform"):
        read(initial="uniforn")


@pytest.mark.parametrize("chunk_length", [3, 4, 1000])
def test_a_validation_of_one_track_is_exact(read, chunk_length):
    """Whatever the chunks: the state is carried, so that it is the loss of the stream read at once."""
    text = PETS * 100
    config, data = read(valid=PETS, text=text, valid_batch_size=1, chunk_length=chunk_length)
    model = untrained(config, data)
    ids = data.vocabulary.encode(PETS)
    [whole] = StreamBatches(ids, 1, len(ids) - 1).epoch(0)
    exact = task.loss(CONFIG, model, whole, None).total.item() / (len(ids) - 1)
    metrics = measured(data, model)
    assert metrics["loss"] == pytest.approx(exact, rel=1e-5)
    assert metrics["perplexity"] == pytest.approx(math.exp(exact), rel=1e-5)
    assert metrics["bits_per_character"] == pytest.approx(exact / math.log(2), rel=1e-5)


def test_tracks_of_a_validation_begin_afresh_each(read):
    config, data = read(valid=PETS, valid_batch_size=3, chunk_length=7)
    model = untrained(config, data)
    ids = data.vocabulary.encode(PETS)
    track = (len(ids) - 1) // 3
    total = sum(
        task.loss(CONFIG, model, batch, None).total.item()
        for start in range(0, 3 * track, track)
        for batch in StreamBatches(ids[start : start + track + 1], 1, track).epoch(0)
    )
    assert measured(data, model)["loss"] == pytest.approx(total / (3 * track), rel=1e-5)


def test_bits_a_character_of_pieces_count_the_characters(read):
    valid = "née the mat ☃\nthe cat\n"
    config, data = read(level="bpe", max_vocabulary=290, valid=valid, batch_size=1, chunk_length=80)
    model = untrained(config, data)
    metrics = measured(data, model)
    [batch] = data.valid.epoch(0)
    predicted = len(valid) - len(data.vocabulary.decode(data.vocabulary.encode(valid)[:1]))
    total = task.loss(CONFIG, model, batch, None).total.item()
    assert metrics["bits_per_character"] == pytest.approx(total / math.log(2) / predicted, rel=1e-5)
    assert [view.of_loss(1.0) for view in data.prepared.run.views] == ["1.000", "2.72", "-"]


def test_words_have_no_bits_a_character(read):
    _, data = read(level="word")
    assert set(data.prepared.validate()) == {"loss", "perplexity"}


# It learns

LEARNER = {"cell": "gru", "hidden_size": 12, "learning_rate": 0.05, "batch_size": 8, "chunk_length": 8}


def test_a_text_that_repeats_is_learned(train_tiny):
    run, result = train_tiny(text="abcd" * 400, **LEARNER, max_steps=60, epochs=10)
    assert result.best_metrics["perplexity"] < 1.1
    assert run.sample(8, primer="ab", temperature=0) == ["abcdabcdab"]
    assert run.score("abcdabcd").probability > 0.1 > 0.001 > run.score("abcdbbcd").probability


def test_what_lies_beyond_a_chunk_is_known_through_the_state(train_tiny):
    """Chunks of one step: without the carried state, what follows an `a` would stay a coin toss, and 1.41 the best."""
    _, result = train_tiny(
        text="abac" * 200,
        **LEARNER | {"chunk_length": 1, "hidden_size": 24, "learning_rate": 0.01},
        max_steps=150,
        epochs=10,
    )
    assert result.best_metrics["perplexity"] < 1.2


def test_sentences_are_learned_with_their_ends(train_tiny):
    run, _ = train_tiny(text="ab\nabb\n" * 100, sentences=True, **LEARNER, max_steps=80, epochs=10)
    assert set(run.sample(20, number=30, seed=0)) == {"ab", "abb"}
    assert run.score("ab").probability == pytest.approx(0.5, abs=0.15)
    assert run.score("ab").probability + run.score("abb").probability == pytest.approx(1, abs=0.1)


def test_rare_words_are_learned_as_unknown(train_tiny):
    text = "the emu sat\nthe cat sat\nthe yak sat\nthe cat sat\n" * 50
    run, _ = train_tiny(text=text, level="word", sentences=True, max_vocabulary=5, **LEARNER, max_steps=80, epochs=10)
    assert run.vocabulary.tokens == ("the", "sat", "cat", UNKNOWN, END)
    [emu] = [unit for unit in run.score("the emu sat").units if unit.unknown]
    assert math.exp(emu.log_probability) == pytest.approx(0.5, abs=0.15)
    assert set(run.sample(9, number=9, seed=0)) == {"the cat sat"}
    assert set(run.sample(9, number=9, seed=0, allow_unknown=True)) == {"the cat sat", f"the {UNKNOWN} sat"}


@pytest.mark.parametrize("size", [60, 400, 1900])
def test_a_short_text_is_refused_with_flags_that_do(tmp_path, size):
    path = tmp_path / "short.txt"
    path.write_text(("the cat sat on the mat\n" * 100)[:size])
    with pytest.raises(DataError) as caught:
        Parts(LanguageModellingConfig(text=TextSettings(data=path)))
    message = str(caught.value)
    assert "\n" not in message
    batch, chunk = (re.search(rf"--{flag} (?:at most )?([0-9]+)", message) for flag in ("batch-size", "chunk-length"))
    settings = {"batch_size": batch and int(batch[1]), "chunk_length": chunk and int(chunk[1])}
    together = "both" in message
    for chosen in [settings] if together else [{name: n} for name, n in settings.items() if n]:
        data = Parts(LanguageModellingConfig(text=TextSettings(data=path), batches=BatchSettings(**chosen)))
        assert len(data.batches) >= 1


def test_a_part_to_validate_on_that_is_too_short_says_how_to_make_it_longer(tmp_path):
    path = tmp_path / "short.txt"
    path.write_text("hello world\n")
    with pytest.raises(DataError, match=r"to validate on: .* or more; give a longer text, a larger --valid-fraction"):
        Parts(
            LanguageModellingConfig(text=TextSettings(data=path), batches=BatchSettings(batch_size=1, chunk_length=2))
        )


def test_a_model_of_bytes_reads_any_file(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(bytes(range(256)) * 20)
    data = Parts(LanguageModellingConfig(text=TextSettings(data=path, level="byte")))
    assert next(iter(data.batches.epoch(0))).inputs[0, :6].tolist() == [0, 1, 2, 3, 4, 5]
