import json
import shutil
import signal

import pytest
import torch
from safetensors.torch import load_file, save_file

import recurra
from recurra.errors import DataError, RunError, SettingError, TrainingError
from recurra.tasks import run as tasks_run
from recurra.tasks.language_modelling import LANGUAGE_MODELLING
from recurra.tasks.run import new_folder, resume_run
from recurra.training import Observer

FILES = ["checkpoints", "config.toml", "metrics.jsonl", "model.safetensors", "vocabulary.json"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class At(Observer):
    """Does something after a step."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_step(self, event):
        if event.step == self.step:
            self.action()


def at(step, action):
    return lambda model, data: [At(step, action)]


def fail():
    raise TrainingError("the loss is nan")


# The folder


def test_a_run_is_a_folder_of_four_files_and_checkpoints(train_tiny):
    run, result = train_tiny()
    assert names(run.folder) == FILES
    assert names(run.folder / "checkpoints")[0] == "best.safetensors"
    assert result.ended == "epochs"
    assert repr(run).startswith(f"<LanguageModelRun {run.folder}: language-modelling, ")
    records = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert {record["kind"] for record in records} == {"train", "validation"}


def test_a_run_can_be_moved_and_loaded(train_tiny, tmp_path):
    run, _ = train_tiny(level="word")
    score, text = run.score("the cat sat"), run.sample(10, seed=1)
    moved = tmp_path / "somewhere" / "else"
    moved.parent.mkdir()
    shutil.move(run.folder, moved)
    (tmp_path / "text-0.txt").unlink()
    loaded = recurra.load(str(moved))
    assert loaded.folder == moved
    assert loaded.config == run.config
    assert not loaded.model.training
    assert loaded.score("the cat sat").units == score.units
    assert loaded.sample(10, seed=1) == text
    assert loaded.predict("the", 5, seed=1).startswith("the ")


@pytest.mark.parametrize(
    "given",
    [
        {"cell": "lstm", "num_layers": 2, "learn_initial_state": True},
        {"tie_weights": True, "layer_norm": True, "zoneout": 0.1, "dropout": 0.1},
        {"equations": "h[t] = tanh(W @ [h[t-1], x[t]] + b)"},
        {"level": "bpe", "max_vocabulary": 270},
        {"level": "byte", "sentences": True},
    ],
    ids=lambda given: " ".join(given),
)
def test_every_kind_of_model_comes_back_as_it_was(train_tiny, given):
    run, _ = train_tiny(**given)
    loaded = recurra.load(run.folder)
    assert loaded.score("the cat").log_probability == run.score("the cat").log_probability


def test_a_folder_that_is_empty_may_be_used(train_tiny, tmp_path):
    (tmp_path / "empty").mkdir()
    run, _ = train_tiny(folder=tmp_path / "empty")
    assert names(run.folder) == FILES


def test_a_new_folder_is_one_that_is_not_there(tmp_path):
    assert new_folder(tmp_path, "run") == tmp_path / "run"
    (tmp_path / "run").mkdir()
    (tmp_path / "run-2").symlink_to(tmp_path / "nowhere")
    assert new_folder(tmp_path, "run") == tmp_path / "run-3"


# Same seed, same weights


def weights(run):
    return torch.cat([tensor.flatten() for tensor in load_file(run.folder / "model.safetensors").values()])


def test_the_same_seed_gives_the_same_weights_bit_for_bit(train_tiny):
    settings = {"dropout": 0.3, "weight_drop": 0.2, "zoneout": 0.1, "epochs": 2}
    first = weights(train_tiny(**settings)[0])
    torch.rand(7)
    assert torch.equal(weights(train_tiny(**settings)[0]), first)
    assert not torch.equal(weights(train_tiny(**settings, seed=1)[0]), first)


def test_watching_changes_no_weight(train_tiny):
    class Sampler(Observer):
        def __init__(self, model, data):
            self.write = LANGUAGE_MODELLING.sample(tiny, model, data)

        def on_validation(self, event):
            written.append(self.write())

    written, tiny = [], LANGUAGE_MODELLING.config(text={"data": "pets.txt"})
    first = weights(train_tiny(dropout=0.3, validate_every=2)[0])
    watched, _ = train_tiny(dropout=0.3, validate_every=2, observers=lambda model, data: [Sampler(model, data)])
    assert torch.equal(weights(watched), first)
    assert len(set(written)) > 1


def test_the_best_weights_are_those_kept(train_tiny):
    """A learning rate that rises until nothing is learned any more: the best validation is not the last."""
    run, result = train_tiny(epochs=6, learning_rate=3.0, warmup_steps=150, clip_norm="none")
    records = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    losses = {record["step"]: record["loss"] for record in records if record["kind"] == "validation"}
    best = min(losses, key=losses.__getitem__)
    assert best != max(losses)
    assert result.best_step == best
    loaded = recurra.load(run.folder)
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, loaded.model.state_dict()[name])


# What comes to nothing leaves nothing


def test_a_folder_that_holds_something_is_refused_and_kept(train_tiny, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    for folder in (tmp_path / "full", tmp_path / "full" / "note.txt"):
        with pytest.raises(RunError, match="there is something here already; give another folder with --out"):
            train_tiny(folder=folder)
    assert names(tmp_path / "full") == ["note.txt"]


def test_two_do_not_train_in_one_folder(train_tiny, tmp_path):
    """Neither one that goes on with a run that is still trained, nor one that begins where another just has."""
    folder, refused = tmp_path / "run", []

    def resume():
        with pytest.raises(RunError, match="another process is training in it"):
            resume_run(folder, {LANGUAGE_MODELLING.name: LANGUAGE_MODELLING})
        refused.append("resume")

    def begin():
        before = names(folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tasks_run, "check_free", lambda folder: None)  # as when both begin at the same time
            with pytest.raises(RunError, match="another process is training in it"):
                train_tiny(folder=folder)
        assert names(folder) == before
        refused.append("begin")

    def both(model, data):
        return [At(3, begin), At(12, resume)]

    train_tiny(folder=folder, observers=both, epochs=2, checkpoint_every=5)
    assert refused == ["begin", "resume"]
    resume_run(folder, {LANGUAGE_MODELLING.name: LANGUAGE_MODELLING}, {"epochs": 3})


def test_a_folder_that_cannot_be_made_is_refused(train_tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file/run: cannot be (read|made): Not a directory; give another folder"):
        train_tiny(folder=tmp_path / "file" / "run")
    with pytest.raises(RunError, match="File name too long"):
        train_tiny(folder=tmp_path / ("n" * 300))


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"text": " \n"}, DataError),
        ({"text": "too short"}, DataError),
        ({"valid": "/no/such/file"}, DataError),
        ({"backend": "abacus"}, SettingError),
        ({"max_vocabulary": 3, "level": "bpe"}, SettingError),
    ],
)
def test_a_mistake_leaves_no_folder(train_tiny, tmp_path, given, error):
    with pytest.raises(error):
        train_tiny(folder=tmp_path / "new" / "run", **given)
    assert not (tmp_path / "new").exists()


def test_an_error_before_the_first_validation_leaves_no_folder(train_tiny, tmp_path):
    with pytest.raises(TrainingError):
        train_tiny(folder=tmp_path / "new" / "run", observers=at(2, fail))
    assert not (tmp_path / "new").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError):
        train_tiny(folder=tmp_path / "empty", observers=at(2, fail))
    assert names(tmp_path / "empty") == []


def test_a_folder_taken_back_takes_nothing_else_with_it(train_tiny, tmp_path):
    (tmp_path / "new").mkdir()
    with pytest.raises(TrainingError):
        train_tiny(folder=tmp_path / "new" / "deep" / "run", observers=at(2, fail))
    assert names(tmp_path / "new") == []


def test_an_error_after_a_validation_keeps_the_best_and_says_so(train_tiny, tmp_path):
    with pytest.raises(TrainingError) as raised:
        train_tiny(folder=tmp_path / "run", validate_every=3, observers=at(4, fail))
    assert raised.value.__notes__ == [
        f"what was learned in 3 steps is kept: go on with `recurra resume {tmp_path / 'run'}`"
    ]
    assert len(recurra.load(tmp_path / "run").sample(5, seed=0)[0]) == 5


@pytest.fixture
def ctrl_c():
    """What Ctrl-C does to a plain Python program, whatever runs the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_keeps_the_best(train_tiny, ctrl_c):
    run, result = train_tiny(validate_every=3, observers=at(5, ctrl_c))
    assert (result.interrupted, result.steps, result.best_step) == (True, 5, 3)
    assert recurra.load(run.folder).score("the cat").log_probability == run.score("the cat").log_probability


def test_ctrl_c_before_a_validation_keeps_what_was_learned_by_then(train_tiny, ctrl_c):
    run, result = train_tiny(observers=at(2, ctrl_c))
    assert (result.interrupted, result.best_step) == (True, 2)
    assert recurra.load(run.folder).score("the cat").log_probability == run.score("the cat").log_probability


def test_ctrl_c_before_the_first_step_leaves_no_folder(train_tiny, tmp_path):
    class Impatient(Observer):
        def on_start(self, start):
            raise KeyboardInterrupt

    _, result = train_tiny(folder=tmp_path / "new" / "run", observers=lambda model, data: [Impatient()])
    assert (result.interrupted, result.best_step) == (True, None)
    assert not (tmp_path / "new").exists()


# Damage


@pytest.fixture
def broken(train_tiny):
    run, _ = train_tiny(level="word")
    return run.folder


def refused(folder, message):
    with pytest.raises(RunError, match=message) as raised:
        recurra.load(folder)
    assert str(raised.value).startswith(str(folder))
    assert "\n" not in str(raised.value)


def test_what_is_no_run_is_refused(tmp_path):
    refused(tmp_path / "nowhere", "there is no such folder; give the folder of a run")
    refused(tmp_path, "there is no config.toml in it; give the folder of a run")


@pytest.mark.parametrize("name", ["config.toml", "model.safetensors", "vocabulary.json"])
def test_a_run_without_one_of_its_files_is_refused(broken, name):
    (broken / name).unlink()
    refused(broken, rf"{name}")


@pytest.mark.parametrize("name", ["config.toml", "model.safetensors", "vocabulary.json"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_file_cut_short_is_refused(broken, name, share):
    content = (broken / name).read_bytes()
    (broken / name).write_bytes(content[: int(len(content) * share)])
    refused(broken, rf"{name}: |it does not belong to this config")


@pytest.mark.parametrize("name", ["config.toml", "model.safetensors", "vocabulary.json"])
def test_a_file_of_something_else_is_refused(broken, name):
    (broken / name).write_bytes(b"\x80\x04K\x01." * 40)  # a pickle, among other things
    refused(broken, rf"{name}: ")


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version = 1", "version = 9", "it is of version 9, and this Recurra reads version 1"),
        (
            '"language-modelling"',
            '"mind-reading"',
            "there is no task 'mind-reading'; the tasks are: language-modelling",
        ),
        ('task = "language-modelling"\n', "", "there is no task None"),
        ("hidden_size", "hiden_size", "there is no key 'hiden_size'; did you mean hidden_size"),
        ('cell = "rnn"', 'cell = "rnnn"', "there is no cell 'rnnn'"),
        ('cell = "rnn"', 'cell = "lstm"', "it does not belong to this config: recurrent.layers.0.W"),
        ("hidden_size = 6", "hidden_size = 7", r"is \(6, 10\), and by the config it is \(7, 11\)"),
        ("num_layers = 1", "num_layers = 2", "is missing, and by the config it is"),
        ('level = "word"', 'level = "character"', "it is of level 'word', and the config says 'character'"),
    ],
)
def test_a_config_that_was_changed_is_refused(broken, old, new, message):
    edit(broken / "config.toml", old, new)
    refused(broken, message)


def test_a_vocabulary_of_another_run_is_refused(broken):
    edit(broken / "vocabulary.json", '"cat",\n', "")
    refused(broken, r"does not belong to this config: .* is \(\d+, ?\d*\)?")


def test_a_vocabulary_of_another_version_is_refused(broken):
    edit(broken / "vocabulary.json", '"version": 1', '"version": 2')
    refused(broken, "a vocabulary of version 2, and this Recurra reads version 1")


def test_sentences_need_a_vocabulary_with_an_end(train_tiny):
    run, _ = train_tiny(level="byte")
    edit(run.folder / "config.toml", "sentences = false", "sentences = true")
    refused(run.folder, "it has no <EOS>, and the config says that the model is one of sentences")


def test_weights_of_other_names_are_refused(broken):
    weights = load_file(broken / "model.safetensors")
    weights["extra"] = weights.pop("readout.bias")
    save_file(weights, broken / "model.safetensors")
    refused(broken, "readout.bias is missing")
    weights["readout.bias"] = weights["extra"].clone()
    save_file(weights, broken / "model.safetensors")
    refused(broken, "extra is .*, and by the config it is not among its weights")
