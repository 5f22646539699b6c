import pytest

import recurra as library
from recurra.cli import demo as command
from recurra.tasks.language_modelling import LanguageModellingConfig
from recurra.tasks.settings_file import make_config


@pytest.fixture
def quick(monkeypatch):
    """The demo with a text of a few lines and a model that is trained in a moment."""

    def config(data, minutes):
        tiny = {"cell": "rnn", "embedding_size": 4, "hidden_size": 6, "batch_size": 4, "chunk_length": 5}
        return make_config(LanguageModellingConfig, {}, tiny | {"data": data, "max_steps": 12, "validate_every": 4})

    monkeypatch.setattr(command.topics, "topics", {"a": "the cat sat on the mat\n" * 9, "b": "the dog sat\n" * 9})
    monkeypatch.setattr(command, "_config", config)


def test_it_trains_shows_samples_and_says_what_to_try(recurra, quick, here):
    done = recurra("demo")
    assert (done.code, done.err) == (0, "")
    assert done.out.index("a sample before training") < done.out.index("a sample after 4 steps")
    assert done.out.count("a sample after") == 3
    assert "The run is kept in runs/demo. To try next:" in done.out
    assert sorted(path.name for path in (here / "runs").iterdir()) == ["demo", "python-topics.txt"]
    assert recurra("sample", "runs/demo", "--length", 3).code == 0


def test_its_text_can_be_trained_on_again(recurra, quick, tiny):
    assert recurra("demo").code == 0
    assert recurra("demo").code == 0
    assert recurra("train", "language-modelling", "--config", "runs/demo/config.toml", "--out", "again").code == 0
    assert library.load("runs/demo-2").config == library.load("again").config


def test_it_can_go_elsewhere(recurra, quick, here):
    assert recurra("demo", "--out", "a/b").code == 0
    assert sorted(path.name for path in (here / "a").iterdir()) == ["b", "python-topics.txt"]


def test_the_real_one_is_a_model_of_the_size_that_a_minute_teaches():
    config = command._config("python-topics.txt", 1.0)
    assert config.training.max_minutes == 1.0
    assert config.training.validate_minutes == pytest.approx(1 / 6)
    assert config.model.cell == "gru"


def test_another_text_of_that_name_is_not_touched(recurra, quick, here):
    (here / "runs").mkdir()
    (here / "runs" / "python-topics.txt").write_text("mine")
    done = recurra("demo")
    assert done.code == 2
    assert "runs/python-topics.txt: it is not the text that the demo writes there; move it away" in done.err
    assert (here / "runs" / "python-topics.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--minutes", "0"], "invalid value for '--minutes'"),
        (["--minutes", "x"], "invalid value for '--minutes'"),
        (["--out", "file"], "file: there is something here already"),
    ],
)
def test_a_mistake_is_one_line(refused, here, words, line):
    (here / "file").write_text("")
    assert line in refused("demo", *words)
