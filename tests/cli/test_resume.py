"""`recurra resume`: a run goes on, from wherever it was left, to the weights it would have had."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
    assert "there is no such file" in refused("resume", RUN, "--epochs", 2)
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
