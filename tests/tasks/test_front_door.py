"""Recurra from Python: train, load, predict, evaluate, resume."""

import pytest
from torch.utils.data import DataLoader

import recurra
from recurra.errors import RunError, SettingError
from recurra.tasks import TASKS
from recurra.tasks.image_classification import ImageClassifierRun
from recurra.tasks.language_model_run import LanguageModelRun

TAGGER = "named-entity-recognition"


@pytest.fixture
def example(tmp_path):
    return TASKS[TAGGER].example(tmp_path) | {"epochs": 1}


def test_a_use_is_trained_and_its_run_is_used(example, tmp_path, capsys):
    run = recurra.train(TAGGER, **example, out=tmp_path / "run")
    assert "words/s" in capsys.readouterr().out
    one, many = run.predict("Ron met Ron in Paris ."), run.predict(["Ron met Ron in Paris .", ("Ron", "left")])
    assert many[0] == one
    assert len(many) == 2
    report = run.evaluate(example["data"], intervals=True)
    assert report.figures == run.evaluate(str(example["data"])).figures
    assert set(run.evaluate().figures) == set(report.figures)
    again = recurra.load(tmp_path / "run").resume(epochs=2)
    assert again.config.training.epochs == 2
    assert again.folder == run.folder


def test_what_only_other_uses_can_do_is_refused_with_their_names(example, tmp_path):
    run = recurra.train(TAGGER, **example, out=tmp_path / "run", show=False)
    named = "this is a run of named-entity-recognition, and "
    with pytest.raises(RunError, match=rf"^{named}\.score takes a run of language-modelling or machine-translation$"):
        run.score("Ron left")
    with pytest.raises(RunError, match=rf"^{named}\.sample takes a run of language-modelling or music-generation$"):
        run.sample(5)
    assert not hasattr(run, "score")
    with pytest.raises(AttributeError, match="has no attribute 'scores'"):
        _ = run.scores


def test_without_a_folder_the_first_free_one_below_runs_is_taken(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folders = [recurra.train(TAGGER, **example, show=False).folder.as_posix() for _ in range(2)]
    assert folders == [f"runs/{TAGGER}", f"runs/{TAGGER}-2"]
    assert capsys.readouterr().out == ""


def test_a_use_of_ones_own_needs_no_table(example, tmp_path):
    run = recurra.train(TASKS[TAGGER], **example, out=tmp_path / "run", show=False)
    assert run.task is TASKS[TAGGER]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"use": "named-entity-recogniton"}, "there is no use 'named-entity-recogniton'; did you mean named-entity"),
        ({"hiden_size": 3}, "there is no setting 'hiden_size'; did you mean hidden_size"),
        ({"hidden_size": -3}, "hidden-size -3"),
        ({"data": DataLoader([1, 2])}, "data is a DataLoader, and recurra.train reads files"),
    ],
)
def test_a_mistake_is_one_line(example, tmp_path, given, message):
    words = {"use": TAGGER, **example, "out": tmp_path / "run", "show": False} | given
    with pytest.raises(SettingError, match=message):
        recurra.train(**words)
    assert not (tmp_path / "run").exists()


def test_a_run_of_another_kind_is_refused(example, tmp_path):
    recurra.train(TAGGER, **example, out=tmp_path / "run", show=False)
    with pytest.raises(RunError, match="it is a run of named-entity-recognition, a Trained, and a LanguageModelRun"):
        recurra.load(tmp_path / "run", LanguageModelRun)
    assert recurra.load(tmp_path / "run", recurra.tasks.Trained).task.name == TAGGER


def test_what_was_never_kept_cannot_go_on(example, tmp_path):
    run = recurra.train("language-modelling", **TASKS["language-modelling"].example(tmp_path), out=tmp_path / "run")
    run.folder = None
    with pytest.raises(RunError, match="kept in no folder"):
        run.resume(epochs=9)
    assert not isinstance(run, ImageClassifierRun)
    assert run.inspect("the cat sat").values.shape[0] == 3


def test_what_is_no_use_no_folder_and_no_data_is_told_in_one_line(example, tmp_path):
    with pytest.raises(SettingError, match="a use is a name or a Task, and this is a int"):
        recurra.train(5, example["data"])
    with pytest.raises(SettingError, match="out is a int"):
        recurra.train(TAGGER, **example, out=5)
    with pytest.raises(SettingError, match="the folder of a run is a path, and this is a NoneType"):
        recurra.load(None)
    run = recurra.train(TAGGER, **example, out=tmp_path / "run", show=False)
    for data in (5, [("a", "b")]):
        with pytest.raises(SettingError, match=r"there is no data in a (int|list)"):
            run.evaluate(data)
