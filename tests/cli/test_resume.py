"""`recurra resume`: a run goes on, from wherever it was left, to the weights it would have had."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recurra.errors import RunError, SettingError
from recurra.training import Observer

TRAIN = ["train", "language-modelling"]
RUN = Path("runs/language-modelling")


def train(recurra, pets, *more):
    return recurra(*TRAIN, "--data", pets, "--cell", "gru", "--embedding-size", 3, "--hidden-size", 5, "--dropout", 0.2,
                   "--batch-size", 4, "--chunk-length", 5, "--no-samples", *more)  # fmt: skip


@pytest.fixture
def ctrl_c():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def at(monkeypatch, step, action):
    class At(Observer):
        def on_step(self, event):
            if event.step == step:
                action()

    monkeypatch.setattr("recurra.cli.watching.CurvesWriter", lambda *given, **more: At())


def test_a_run_that_ctrl_c_stopped_goes_on_to_the_weights_of_one_that_was_not(recurra, pets, monkeypatch, ctrl_c):
    assert train(recurra, pets, "--epochs", 3, "--out", "whole").code == 0
    with monkeypatch.context() as patch:
        at(patch, 7, ctrl_c)
        stopped = train(recurra, pets, "--epochs", 3)
    assert stopped.code == 130
    assert f"recurra resume {RUN}  goes on with the training" in stopped.out
    done = recurra("resume", RUN, "--no-samples")
    assert done.code == 0
    assert "parameters on cpu, from step 7 on" in done.out
    assert (RUN / "model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()
    steps = [json.loads(line)["step"] for line in (RUN / "metrics.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


def test_a_run_that_has_ended_can_be_trained_further(recurra, pets):
    train(recurra, pets, "--epochs", 3, "--out", "whole")
    train(recurra, pets, "--epochs", 1)
    assert recurra("resume", RUN, "--epochs", 3, "--no-samples").code == 0
    assert (RUN / "model.safetensors").read_bytes() == Path("whole/model.safetensors").read_bytes()
    assert "epochs = 3" in (RUN / "config.toml").read_text()


def test_of_a_run_that_has_ended_it_is_said(recurra, pets):
    train(recurra, pets, "--epochs", 1)
    weights = (RUN / "model.safetensors").read_bytes()
    done = recurra("resume", RUN, "--no-samples")
    assert done.code == 0
    steps = json.loads((RUN / "metrics.jsonl").read_text().splitlines()[-1])["step"]
    said = f"The run was finished already, after {steps:,} steps: nothing was trained"
    assert f"{said}; to train further raise its limit, such as --epochs 2.\n" in done.out
    assert (RUN / "model.safetensors").read_bytes() == weights
    assert "finished already" not in recurra("resume", RUN, "--no-samples", "--epochs", 2).out


def test_a_damaged_checkpoint_is_told(recurra, pets):
    train(recurra, pets, "--epochs", 2, "--checkpoint-every", 2)
    newest = sorted((RUN / "checkpoints").glob("step-*"))[-1]
    newest.write_bytes(newest.read_bytes()[:100])
    done = recurra("resume", RUN, "--no-samples")
    assert done.code == 0
    assert f"note: {newest}: damaged" in done.out


def test_what_cannot_go_on_is_refused(refused, recurra, pets):
    assert "there is no such folder; give the folder of a run" in refused("resume", "nowhere")
    train(recurra, pets, "--epochs", 1)
    pets.write_text("something else was here\n" * 40)
    assert "the data are not those it was trained on" in refused("resume", RUN, "--epochs", 2, lines=1)
    pets.unlink()
    assert "config.toml: [text] data = " in (message := refused("resume", RUN, "--epochs", 2))
    assert message.endswith("there is no such file; say where it is with --data FILE")
    for path in (RUN / "checkpoints").iterdir():
        path.unlink()
    assert "there is no checkpoint in it to go on from; train again with another --out" in refused("resume", RUN)


def test_two_processes_of_torchrun_train_and_resume(recurra, pets, here):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    flags = ["--data", str(pets), "--hidden-size", "5", "--embedding-size", "3", "--batch-size", "4"]
    flags += ["--chunk-length", "5", "--out", "together", "--max-steps", "6", "--no-samples"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, "-m", "recurra", *TRAIN, *flags], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("parameters on cpu in 2 processes") == 1
    assert done.stdout.count("The run is kept in together") == 1
    assert recurra("sample", "together", "--length", 5).code == 0
    assert "2 processes wrote it, and this is 1" in recurra("resume", "together", "--max-steps", 9).err


def test_the_end_says_how_to_go_further(recurra, pets):
    for flags, further in (
        (["--max-steps", 4], "--max-steps 8"),
        (["--epochs", 1], "--epochs 2"),
        (["--max-minutes", 0.0001], "--max-minutes 0.0002"),
    ):
        done = train(recurra, pets, *flags)
        assert done.out.splitlines()[-1].startswith("  recurra resume runs/language-modelling")
        assert done.out.splitlines()[-1].endswith(further)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_that_asks_for_an_end_leaves_a_checkpoint_and_its_exit_code(recurra, pets, monkeypatch, name, code):
    number = getattr(signal, name)
    usual = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
    before = signal.signal(number, usual)
    try:
        at(monkeypatch, 5, lambda: signal.raise_signal(number))
        stopped = train(recurra, pets, "--epochs", 3)
    finally:
        signal.signal(number, before)
    assert stopped.code == code
    assert f"stopped by {'Ctrl-C' if name == 'SIGINT' else name} after 5 steps" in stopped.out
    assert (RUN / "checkpoints" / "step-000000005.safetensors").is_file()


def test_what_cannot_be_shown_does_not_end_the_training(recurra, pets, monkeypatch):
    def broken(*given, **more):
        raise SettingError("the model's logits are not numbers")

    monkeypatch.setattr("recurra.tasks.language_model_run.LanguageModelRun.sample", broken)
    done = recurra(*TRAIN, "--data", pets, "--hidden-size", 4, "--embedding-size", 3, "--batch-size", 4, "--epochs", 2)
    assert done.code == 0
    assert done.out.count("note: the model's logits are not numbers; this is only shown: training goes on") == 1


def test_a_checkpoint_that_finds_the_disk_full_says_so_alone(recurra, pets, monkeypatch):
    def full(path, content):
        raise RunError(f"{path}: cannot be written (No space left on device); make room on that disk")

    with monkeypatch.context() as patch:
        patch.setattr("recurra.training.checkpoints.write_atomically", full)
        stopped = train(recurra, pets, "--epochs", 1)
    assert stopped.code == 2
    assert stopped.err.count("\n") == 1
    assert "curves" not in stopped.out
    assert not RUN.exists()


def test_the_flow_of_the_gradient_is_offered_where_it_can_be_measured(recurra, refused):
    assert "--gradients" in recurra("train", "language-modelling", "--help").out
    assert "--gradients" not in recurra("train", "image-classification", "--help").out
    assert "there is no option --gradients" in refused("train", "image-classification", "--gradients", 5)


def test_the_start_says_what_is_trained_on_and_the_end_what_was_written(recurra, pets):
    done = train(recurra, pets, "--epochs", 1)
    assert f"run {RUN}\n" in done.out
    assert "characters to train on, " in done.out
    assert "batches an epoch, " in done.out
    assert "a vocabulary of " in done.out
    assert f"Written: {RUN / 'curves.png'}" in done.out
    assert 'score runs/language-modelling "' in done.out
