"""A classifier of texts that begins as a language model of their words."""

import pytest
import torch

import recurra
from recurra.data import Vocabulary
from recurra.errors import SettingError
from recurra.models.token_input import Tokens
from recurra.tasks import TASKS
from recurra.tasks.from_language_model import embedding_of
from recurra.tasks.preparation import prepare
from recurra.tasks.settings_file import make_config

SENTIMENT = "sentiment-classification"
SIZES = {"hidden_size": 12, "num_layers": 2, "cell": "lstm"}
LINES = ["the film is superb .", "so dull a plot , really", "the cast is weak , the music moving", "an awful ending"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Runs of language models by level, and of word level with layers that are normalised."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "lines.txt").write_text("\n".join(LINES * 6) + "\n", encoding="utf-8")
    common = {"embedding_size": 10, "sentences": True, "epochs": 1, "batch_size": 4, "show": False, **SIZES}
    return {
        name: recurra.train(
            "language-modelling", folder / "lines.txt", out=folder / name, **common | {"level": name, **settings}
        )
        for name, settings in (
            ("word", {}),
            ("character", {"sentences": False, "chunk_length": 16}),
            ("byte", {"sentences": False, "chunk_length": 16}),
            ("bpe", {"max_vocabulary": 300}),
        )
    }


def begun(tmp_path, model, **settings):
    """A classifier with what it begins with, before any training."""
    example = TASKS[SENTIMENT].example(tmp_path)
    settings = {
        **example,
        "word_size": 10,
        "start_from": model.folder,
        "level": model.config.text.level,
        **SIZES,
        **settings,
    }
    return prepare(TASKS[SENTIMENT], make_config(TASKS[SENTIMENT].config, {}, settings))


def read_of(run, words):
    """Words as the classifier reads them, with what it knows of each beside its embedding."""
    ids = torch.tensor([[run.assets.words.tokens.index(word) for word in words]])
    return Tokens(
        ids, ids, torch.ones(1, len(words), 4).long(), torch.ones(1, len(words), 3).long(), ids * 0, ids[..., None] % 8
    )


@pytest.mark.parametrize("bidirectional", [False, True])
def test_what_reads_forward_computes_what_the_language_model_did(models, tmp_path, bidirectional):
    run, source = begun(tmp_path, models["word"], bidirectional=bidirectional).run, models["word"]
    words = ["the", "film", "is", "superb", ".", "the", "cast", "is", "weak"]
    ids = torch.tensor([[source.assets.vocabulary.encode(word)[0] for word in words]])
    with torch.no_grad():
        expected = source.model.eval().hidden(ids).outputs
        outputs = run.model.eval().encoder(read_of(run, words)).outputs
    torch.testing.assert_close(outputs[..., : SIZES["hidden_size"]], expected)


def test_rows_are_those_of_the_words_and_unknown_words_begin_at_the_mean(models, tmp_path):
    prepared = begun(tmp_path, models["word"])
    run, source = prepared.run, models["word"]
    table, words = run.model.encoder.inputs.words.weight, run.assets.words.tokens
    old, before = source.model.embedding.weight, source.assets.vocabulary.tokens
    for word in ("the", "film", "superb", "dull", "."):
        assert torch.equal(table[words.index(word)], old[before.index(word)]), word
    mean = old[[number for number, token in enumerate(before) if token not in ("<UNK>", "<EOS>")]].mean(0)
    assert "wonderful" not in before
    assert torch.equal(table[words.index("wonderful")], mean)
    assert torch.equal(table[words.index("<UNK>")], mean)
    shared = len(set(words) & set(before) - {"<UNK>"})
    [said] = [line for line in prepared.describe() if "begun" in line]
    taken = f"{shared} of its {len(words) - 1} words and the layers that read forward"
    assert said == f"begun with {source.folder}: {taken}; what reads backward begins anew"


def test_what_reads_backward_begins_as_it_would_have(models, tmp_path):
    fresh = begun(tmp_path, models["word"], start_from=None).run.model.state_dict()
    taken = begun(tmp_path, models["word"]).run.model.state_dict()
    same = {name for name in fresh if torch.equal(fresh[name], taken[name])}
    assert {name for name in fresh if "reverse_layers" in name or name.startswith("readout")} <= same
    assert not {name for name in fresh if ".layers." in name and "W_" in name} & same


@pytest.mark.parametrize("level", ["character", "bpe"])
def test_characters_and_pieces_are_found_again(models, tmp_path, level):
    run, source = begun(tmp_path, models[level], pieces=600).run, models[level]
    table, units = run.model.encoder.inputs.words.weight, run.assets.words.tokens
    old, before = source.model.embedding.weight, source.assets.vocabulary.tokens
    pairs = {"character": [("▁", " "), ("s", "s")], "bpe": [("ġfilm", "Ġfilm"), ("ġis", "Ġis")]}[level]
    for unit, token in pairs:
        assert torch.equal(table[units.index(unit)], old[before.index(token)]), unit


def test_of_forms_that_are_one_word_the_one_written_alike_is_taken_else_the_most_frequent():
    vocabulary = Vocabulary.build("New New NEW York YORK York york 1999 2024 2024", "word")
    rows = torch.arange(float(len(vocabulary)))[:, None]
    table, shared = embedding_of(rows, vocabulary, ("new", "york", "0000"))
    taken = [vocabulary.tokens[int(row)] for row in table.flatten()]
    assert (taken, shared) == (["New", "york", "2024"], 3)


@pytest.mark.parametrize(
    ("settings", "flags"),
    [
        ({"word_size": 100}, "(word_size); give --word-size 10"),
        ({"hidden_size": 13, "num_layers": 1}, "(hidden_size, num_layers); give --hidden-size 12 --num-layers 2"),
        ({"cell": "gru"}, "(cell); give --cell lstm"),
        ({"layer_norm": True}, "(layer_norm); give --no-layer-norm"),
        ({"level": "character"}, "(level); give --level word"),
    ],
)
def test_settings_that_disagree_are_named_with_what_to_give(models, tmp_path, settings, flags):
    with pytest.raises(SettingError) as raised:
        begun(tmp_path, models["word"], **settings)
    assert str(raised.value) == f"start_from: the network of {models['word'].folder} differs from this one {flags}"


def test_a_model_of_bytes_is_refused(models, tmp_path):
    with pytest.raises(SettingError, match="reads bytes, and a classifier does not; train one with --level word"):
        begun(tmp_path, models["byte"], level="word")


def test_it_trains_let_go_a_part_at_a_time_and_needs_the_language_model_no_more(models, tmp_path):
    frozen = ["encoder.inputs.*", "encoder.recurrent.layers.*"]
    example = TASKS[SENTIMENT].example(tmp_path) | {"word_size": 10, **SIZES, "start_from": models["word"].folder}
    settings = {"freeze": frozen, "unfreeze_every": 1, "rate_divisor": 2.6, "show": False, "weight_average": 0}
    settings |= {"select_by": "loss", "learning_rate": 1e-3}  # so that the last weights are the best
    before = begun(tmp_path, models["word"]).run.model.state_dict()

    def changed(epochs):
        """The parts that have learned after some epochs."""
        folder = tmp_path / f"{epochs}"
        run = recurra.train(SENTIMENT, **example | settings | {"epochs": epochs}, out=folder)
        after = run.model.state_dict()
        names = [
            name for name in before if before[name].is_floating_point() and not torch.equal(before[name], after[name])
        ]
        return {"inputs" if "inputs" in n else "layers" if ".layers." in n else "rest" for n in names}

    assert changed(1) == {"rest"}
    assert changed(2) == {"rest", "layers"}
    assert changed(3) == {"rest", "layers", "inputs"}
