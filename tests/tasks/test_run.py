import json
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import recurra
from recurra.errors import DataError, RunError, SettingError, TrainingError
from recurra.tasks import folder as tasks_folder
from recurra.tasks import run as tasks_run
from recurra.tasks.folder import RunFolder, new_folder
from recurra.tasks.language_modelling import LANGUAGE_MODELLING
from recurra.tasks.run import resume_run, train_run
from recurra.training import Observer
from support.tiny import PETS, tiny_config

FILES = ["assets.json", "checkpoints", "config.toml", "metrics.jsonl", "model.safetensors", "trained-on.bin"]


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
    return lambda prepared, folder: [At(step, action)]


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
    assert loaded.predict("the cat sat") == tuple(unit.log_probability for unit in score.units)


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
        def __init__(self, prepared):
            self.write = prepared.run.writer()

        def on_validation(self, event):
            written.append(self.write())

    written = []
    first = weights(train_tiny(dropout=0.3, validate_every=2)[0])
    watched, _ = train_tiny(dropout=0.3, validate_every=2, observers=lambda prepared, folder: [Sampler(prepared)])
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
            patch.setattr(tasks_folder, "check_free", lambda folder: None)
            with pytest.raises(RunError, match="another process is training in it"):
                train_tiny(folder=folder)
        assert names(folder) == before
        refused.append("begin")

    def both(prepared, folder):
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

    _, result = train_tiny(folder=tmp_path / "new" / "run", observers=lambda prepared, folder: [Impatient()])
    assert (result.interrupted, result.best_step) == (True, None)
    assert not (tmp_path / "new").exists()


# Killed


class Killed(BaseException):
    """Ends a training as SIGKILL does: nothing is tidied up after it."""


def test_a_training_that_is_killed_between_any_two_writes_can_be_begun_anew_or_gone_on_with(
    train_tiny, tmp_path, monkeypatch
):
    """Every file is moved to its place in one step; the process is killed just before each of these steps."""
    tasks = {LANGUAGE_MODELLING.name: LANGUAGE_MODELLING}
    settings = {"data": tmp_path / "pets.txt", "max_steps": 6, "validate_every": 2, "checkpoint_every": 3}
    (tmp_path / "pets.txt").write_text(PETS * 8)
    train_run(LANGUAGE_MODELLING, tiny_config(**settings), tmp_path / "whole")
    replace, moves = Path.replace, 0

    def killed_at(number):
        nonlocal moves
        moves = 0

        def move(self, target):
            nonlocal moves
            moves += 1
            if moves == number:
                raise Killed
            return replace(self, target)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", move)
            patch.setattr(RunFolder, "_take_back", lambda self, before, created: None)
            try:
                train_run(LANGUAGE_MODELLING, tiny_config(**settings), tmp_path / "run")
            except Killed:
                return True
        return False

    number = 1
    while killed_at(number):
        resumable = (tmp_path / "run" / "config.toml").exists()
        if resumable and number % 2:
            resume_run(tmp_path / "run", tasks)
        elif resumable and list((tmp_path / "run" / "checkpoints").glob("step-*")):
            with pytest.raises(RunError, match="or go on with `recurra resume"):
                train_run(LANGUAGE_MODELLING, tiny_config(**settings), tmp_path / "run")
            resume_run(tmp_path / "run", tasks)
        else:
            train_run(LANGUAGE_MODELLING, tiny_config(**settings), tmp_path / "run")
        assert names(tmp_path / "run") == FILES
        assert (tmp_path / "run" / "model.safetensors").read_bytes() == (
            tmp_path / "whole" / "model.safetensors"
        ).read_bytes()
        shutil.rmtree(tmp_path / "run")
        number += 1
    assert number > 8


def test_what_failed_before_the_first_step_leaves_nothing(train_tiny, tmp_path):
    class Deep(Observer):
        def on_start(self, start):
            (tmp_path / "run" / "tensorboard").mkdir()
            (tmp_path / "run" / "tensorboard" / "events").write_text("")
            raise SettingError("not today")

    with pytest.raises(SettingError):
        train_tiny(folder=tmp_path / "run", observers=lambda prepared, folder: [Deep()])
    assert not (tmp_path / "run").exists()


def test_where_any_folder_will_do_the_first_free_one_is_taken(train_tiny, tmp_path):
    def second(prepared, folder):
        def begin():
            run, _ = train_run(LANGUAGE_MODELLING, tiny_config(data=tmp_path / "text-0.txt"), folder, anywhere=True)
            taken.append(run.folder)

        return [At(1, begin)]

    taken = []
    train_tiny(folder=tmp_path / "run", observers=second)
    assert taken == [tmp_path / "run-2"]


def test_a_folder_that_is_removed_while_training_goes_on_is_told(train_tiny, tmp_path):
    for away in (shutil.rmtree, lambda folder: folder.rename(tmp_path / "moved")):
        with pytest.raises(RunError, match="this folder was removed or moved while training went on"):
            train_tiny(folder=tmp_path / "run", observers=at(3, lambda away=away: away(tmp_path / "run")))
        assert not (tmp_path / "run").exists()


def test_without_a_validation_the_way_to_go_on_is_said(train_tiny, tmp_path):
    with pytest.raises(TrainingError):
        train_tiny(folder=tmp_path / "run", checkpoint_every=2, observers=at(5, fail))
    refused(tmp_path / "run", r"training was stopped before its first validation: `recurra resume .*/run` goes on")


@pytest.mark.parametrize("name", ["model.safetensors", "assets.json"])
def test_a_file_that_was_damaged_is_mended_by_resuming(train_tiny, name):
    run, _ = train_tiny()
    content = (run.folder / name).read_bytes()
    for damaged in (b"", content[:-1], content[:-1] + b"x"):
        (run.folder / name).write_bytes(damaged)
        resume_run(run.folder, {LANGUAGE_MODELLING.name: LANGUAGE_MODELLING})
        assert (run.folder / name).read_bytes() == content


# Resumed with other settings


def resumed(folder, **overrides):
    return resume_run(folder, {LANGUAGE_MODELLING.name: LANGUAGE_MODELLING}, overrides)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"max_steps": 3}, "the run has taken 6 steps already, and --max-steps 3 counts them all: give more than that"),
        ({"max_steps": 6}, "the run has taken 6 steps already"),
        ({"epochs": 20}, "ended at its limit max_steps = 6 .* counts beside --epochs: give --max-steps, too"),
        ({"max_minutes": 20}, "give --max-steps, too: more than that, or none"),
        ({"max_steps": "none", "max_minutes": 1e-9}, "minutes already, and --max-minutes 1e-09 counts them all"),
    ],
)
def test_a_limit_that_is_over_is_refused_and_not_stored(train_tiny, overrides, message):
    run, _ = train_tiny(max_steps=6)
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match=message):
        resumed(run.folder, **overrides)
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before


def test_a_limit_may_be_raised_or_switched_off(train_tiny):
    run, _ = train_tiny(max_steps=6, epochs=2)
    assert resumed(run.folder)[1].steps == 6
    assert resumed(run.folder, max_steps=9)[1].steps == 9
    _, result = resumed(run.folder, max_steps="none")
    assert (result.ended, result.epochs) == ("epochs", 2)


def test_a_learning_rate_may_change_and_is_stored(train_tiny):
    run, _ = train_tiny(max_steps=6)
    resumed(run.folder, max_steps=8, learning_rate=0.5)
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["learning_rate"] for line in lines if line["kind"] == "train"] == [0.02, 0.5]
    assert recurra.load(run.folder).config.training.learning_rate == 0.5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"adamw"', '"sgd"', r"\[training\] optimiser is 'sgd' and was 'adamw'; put that back"),
        ('"adamw"', '"adam"', r"\[training\] optimiser is 'adam' and was 'adamw'; put that back"),
        ("seed = 0", "seed = 3", r"\[training\] seed is 3 and was 0"),
        ("batch_size = 4", "batch_size = 5", r"\[batches\] batch_size is 5 and was 4"),
        ("hidden_size = 6", "hidden_size = 7", r"\[model\] hidden_size is 7 and was 6"),
        ("weight_decay = 0.0", "weight_decay = 0.1", r"\[training\] weight_decay is 0.1 and was 0.0"),
    ],
)
def test_a_setting_that_must_not_change_is_named_with_both_values(train_tiny, old, new, message):
    run, _ = train_tiny(max_steps=6)
    edit(run.folder / "config.toml", old, new)
    with pytest.raises(RunError, match=message):
        resumed(run.folder, max_steps=9)


def test_data_are_found_from_another_folder(train_tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pets.txt").write_text(PETS * 8)
    train_run(LANGUAGE_MODELLING, tiny_config(data="pets.txt", max_steps=3), tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert resumed("../run", max_steps=5)[1].steps == 5
    (tmp_path / "pets.txt").rename(tmp_path / "elsewhere" / "moved.txt")
    with pytest.raises(RunError, match=r"config\.toml: \[text\] data = .*there is no such file.* with --data FILE"):
        resumed("../run", max_steps=7)
    assert resumed("../run", max_steps=7, data="moved.txt")[1].steps == 7


def test_data_whose_name_is_no_text_can_be_resumed(train_tiny, tmp_path):
    data = tmp_path / "caf\udce9.txt"
    try:
        data.write_text(PETS * 8)
    except (OSError, UnicodeError):
        pytest.skip("this file system has no such names")
    run, _ = train_run(LANGUAGE_MODELLING, tiny_config(data=data, max_steps=3), tmp_path / "run")
    assert resumed(run.folder, max_steps=5)[1].steps == 5


# Damage


@pytest.fixture
def broken(train_tiny):
    run, _ = train_tiny(level="word")
    return run.folder


@pytest.fixture
def unsealed(broken):
    """A run whose weights say nothing of what they belong to, as those of earlier versions and other tools."""
    save_file(load_file(broken / "model.safetensors"), broken / "model.safetensors")
    recurra.load(broken)
    return broken


def refused(folder, message):
    with pytest.raises(RunError, match=message) as raised:
        recurra.load(folder)
    assert str(raised.value).startswith(str(folder))
    assert "\n" not in str(raised.value)


def test_what_is_no_run_is_refused(tmp_path):
    refused(tmp_path / "nowhere", "there is no such folder; give the folder of a run")
    refused(tmp_path, "there is no config.toml in it; give the folder of a run")


@pytest.mark.parametrize("name", ["config.toml", "model.safetensors", "assets.json"])
def test_a_run_without_one_of_its_files_is_refused(broken, name):
    (broken / name).unlink()
    refused(broken, rf"{name}")


@pytest.mark.parametrize("name", ["config.toml", "model.safetensors", "assets.json"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_file_cut_short_is_refused(broken, name, share):
    content = (broken / name).read_bytes()
    cut = int(len(content) * share)
    while name == "config.toml" and share and content[cut - 1 : cut] != b"=":  # whole lines fewer are the defaults
        cut -= 1
    (broken / name).write_bytes(content[:cut])
    refused(broken, rf"{name}: |it does not belong to this config")


@pytest.mark.parametrize("name", ["config.toml", "model.safetensors", "assets.json"])
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
def test_a_config_that_was_changed_is_refused(unsealed, old, new, message):
    edit(unsealed / "config.toml", old, new)
    refused(unsealed, message)


def test_a_vocabulary_of_another_run_is_refused(unsealed):
    text = (unsealed / "assets.json").read_text()
    (unsealed / "assets.json").write_text(re.sub(r'"cat",\s*', "", text))
    refused(unsealed, r"does not belong to this config: .* is \(\d+, ?\d*\)?")


def test_a_vocabulary_of_another_version_is_refused(unsealed):
    edit(unsealed / "assets.json", '"version": 1', '"version": 2')
    refused(unsealed, "it is of version 2, and this Recurra reads version 1")


def test_a_run_of_version_0_1_0_is_refused_with_what_to_do(broken):
    (broken / "assets.json").rename(broken / "vocabulary.json")
    refused(broken, r"Recurra 0\.1\.0 made this run, .* `recurra train TASK --config .*config\.toml --out FOLDER`")


def test_sentences_need_a_vocabulary_with_an_end(train_tiny):
    run, _ = train_tiny(level="byte")
    weights = run.folder / "model.safetensors"
    save_file(load_file(weights), weights)
    edit(run.folder / "config.toml", "sentences = false", "sentences = true")
    refused(run.folder, "it has no <EOS>, and the config says that the model is one of sentences")


def test_weights_of_other_names_are_refused(unsealed):
    weights = load_file(unsealed / "model.safetensors")
    weights["extra"] = weights.pop("readout.bias")
    save_file(weights, unsealed / "model.safetensors")
    refused(unsealed, "readout.bias is missing")
    weights["readout.bias"] = weights["extra"].clone()
    save_file(weights, unsealed / "model.safetensors")
    refused(unsealed, "extra is .*, and by the config it is not among its weights")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hidden_size = 6", "hidden_size = 7", r"\[model\] hidden_size is 7, and the model was trained with 6; put"),
        ("zoneout = 0.0", "zoneout = 0.5", r"\[model\] zoneout is 0.5, and the model was trained with 0.0"),
        ("strip_lines = false", "strip_lines = true", r"\[text\] strip_lines is True, and the model was trained with"),
    ],
)
def test_a_setting_that_the_model_was_not_trained_with_is_named(broken, old, new, message):
    edit(broken / "config.toml", old, new)
    refused(broken, rf"config\.toml: {message}")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("batch_size = 4", "batch_size = 5"),
        ('backend = "auto"', 'backend = "reference"'),
        ("epochs = 1", "epochs = 9"),
        ("valid_fraction = 0.1", "valid_fraction = 0.2"),
    ],
)
def test_a_setting_that_changes_no_answer_may_be_another_when_a_run_is_used(broken, old, new):
    score = recurra.load(broken).score("the cat").log_probability
    edit(broken / "config.toml", old, new)
    assert recurra.load(broken).score("the cat").log_probability == pytest.approx(score)


@pytest.mark.parametrize("name", ["model.safetensors", "assets.json"])
def test_a_byte_that_has_changed_is_noticed(broken, name):
    content = bytearray((broken / name).read_bytes())
    for place in range(0, len(content), 97):
        content[place] ^= 1
        (broken / name).write_bytes(content)
        refused(broken, rf"{name}: damaged")
        content[place] ^= 1
    (broken / name).write_bytes(content)
    recurra.load(broken)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(unsealed, value):
    weights = load_file(unsealed / "model.safetensors")
    weights["readout.bias"][2] = value
    save_file(weights, unsealed / "model.safetensors")
    refused(unsealed, r"1 of the \d+ numbers of readout\.bias are not finite; copy it again, or train again")


# Which weights are the best


def test_any_metric_may_select_the_weights(train_tiny):
    _, by_default = train_tiny(epochs=2)
    _, by_loss = train_tiny(epochs=2, select_by="loss")
    assert by_loss.best_metrics["loss"] == by_default.best_metrics["loss"]
    with pytest.raises(SettingError, match="--select-by: there is no metric 'perplexty'; did you mean perplexity"):
        train_tiny(select_by="perplexty")
