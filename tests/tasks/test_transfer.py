"""A model that begins with the weights of another run."""

import pytest
import torch

import recurra
from recurra.errors import SettingError
from recurra.tasks import TASKS

TAGGER = "named-entity-recognition"


def write(path, names):
    path.write_text("".join(f"{name}\tB-{type_}\nleft\tO\n\n" for name, type_ in names * 4), encoding="utf-8")
    return path


@pytest.fixture
def settings(tmp_path):
    example = TASKS[TAGGER].example(tmp_path)
    return {key: value for key, value in example.items() if key != "data"} | {"epochs": 1, "show": False}


def test_rows_are_taken_by_word_and_by_tag(tmp_path, settings):
    first = write(tmp_path / "first.conll", [("Ann", "PER"), ("Bob", "PER"), ("Rome", "LOC")])
    second = write(tmp_path / "second.conll", [("Rome", "LOC"), ("Ann", "PER"), ("Acme", "ORG")])
    source = recurra.train(TAGGER, first, out=tmp_path / "one", **settings)
    run = recurra.train(
        TAGGER, second, out=tmp_path / "two", start_from=tmp_path / "one", **settings | {"learning_rate": 1e-30}
    )
    words, before = (run.assets.words.tokens, source.assets.words.tokens)
    table, old = run.model.encoder.inputs.words.weight, source.model.encoder.inputs.words.weight
    for word in ("rome", "ann", "left"):
        assert torch.equal(table[words.index(word)], old[before.index(word)]), word
    tags, old_tags = run.assets.tags.names, source.assets.tags.names
    row, column = (tags.index("S-PER"), tags.index("O"))
    expected = source.model.crf.transitions[old_tags.index("S-PER"), old_tags.index("O")]
    assert run.model.crf.transitions[row, column] == expected
    for name, weight in source.model.encoder.recurrent.state_dict().items():
        assert torch.equal(run.model.encoder.recurrent.state_dict()[name], weight)


def test_once_begun_the_other_run_is_not_needed(tmp_path, settings):
    data = write(tmp_path / "first.conll", [("Ann", "PER"), ("Bob", "PER")])
    recurra.train(TAGGER, data, out=tmp_path / "one", **settings)
    run = recurra.train(TAGGER, data, out=tmp_path / "two", start_from=tmp_path / "one", **settings)
    (tmp_path / "one").rename(tmp_path / "gone")
    assert run.resume(epochs=2).config.training.epochs == 2


def test_a_run_of_which_nothing_fits_is_refused(tmp_path, settings):
    text = TASKS["language-modelling"].example(tmp_path)
    recurra.train("language-modelling", **text | {"epochs": 1}, out=tmp_path / "lm", show=False)
    data = write(tmp_path / "first.conll", [("Ann", "PER"), ("Bob", "PER")])
    with pytest.raises(SettingError, match=r"no weight of .*lm fits this model"):
        recurra.train(TAGGER, data, out=tmp_path / "two", start_from=tmp_path / "lm", **settings)
    assert not (tmp_path / "two").exists()
