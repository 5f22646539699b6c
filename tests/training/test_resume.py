"""A run that was stopped, in whatever way, and goes on gives the weights that it would have given."""

import math
import os
import random
import signal
import time

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from recurra.data import StreamBatches
from recurra.errors import RunError, SettingError
from recurra.nn import Recurrent
from recurra.training import Checkpoints, MetricsWriter, Observer, StepLoss, TrainingSettings, seed_everything, train
from recurra.training.checkpoints import read_checkpoint, write_checkpoint
from support.processes import copied

STREAM = torch.randint(7, (241,), generator=torch.Generator().manual_seed(0))


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 4)
        self.recurrent = Recurrent("lstm", 4, 5, zoneout=0.1)  # zoneout and dropout draw from torch's generator
        self.dropout, self.readout = nn.Dropout(0.3), nn.Linear(5, 7)

    def forward(self, tokens, state):
        outputs, state = self.recurrent(self.embedding(tokens), state)
        return self.readout(self.dropout(outputs)), state


def loss(model, batch, carried):
    random.random()  # whatever else draws
    logits, state = model(batch.inputs, carried)
    return StepLoss(F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="sum"), batch.count, state)


def settings(**given):
    return TrainingSettings(**{"device": "cpu", "epochs": 3, "learning_rate": 0.02, "checkpoint_every": 1} | given)


class Stop(Observer):
    """Leaves in the middle of things."""

    def __init__(self, at):
        self.at = at

    def on_step(self, event):
        if event.step == self.at:
            raise Stopped


class Stopped(BaseException):
    pass


class Notices(Observer):
    def __init__(self):
        self.starts, self.notices = [], []

    def on_start(self, start):
        self.starts.append(start.step)

    def on_notice(self, notice):
        self.notices.append(notice)


def run(folder=None, stop=None, resume=False, observers=(), keep=3, fingerprint="", batches=None, **given):
    """Train, and give every weight as bytes."""
    seed_everything(0)
    model = Reader()
    train(
        model,
        batches or StreamBatches(STREAM, 4, 7),
        loss,
        settings(**given),
        evaluate=lambda: {"loss": sum(float(p.detach().abs().sum()) for p in model.parameters())},
        observers=[*observers, *([Stop(stop)] if stop else [])],
        checkpoints=None if folder is None else Checkpoints(folder, keep),
        resume=resume,
        fingerprint=fingerprint,
    )
    return b"".join(tensor.numpy().tobytes() for tensor in model.state_dict().values())


GIVEN = [
    {"optimiser": "adamw", "schedule": "cosine"},
    {"optimiser": "sgd", "momentum": 0.9, "schedule": "plateau", "decay_after": 1, "validate_every": 4},
    {"optimiser": "asgd", "average_after": 1, "validate_every": 3},
    {"optimiser": "rmsprop", "schedule": "one-cycle", "weight_average": 0.9},
    {"accumulate": 2, "checkpoint_every": 2, "warmup_steps": 9, "max_steps": 14},
    {"checkpoint_every": 5, "patience": 2, "validate_every": 2},
]


@pytest.mark.parametrize("given", GIVEN, ids=lambda given: given.get("optimiser", "other"))
def test_resumed_at_any_step_the_weights_are_the_same_bit_for_bit(tmp_path, given):
    expected = run(**given)
    assert expected == run(tmp_path / "whole", **given)  # and checkpoints change nothing
    for stop in (1, 4, 9, 10, 13):
        folder = tmp_path / str(stop)
        try:
            run(folder, stop, **given)
        except Stopped:
            assert run(folder, resume=True, **given) == expected, stop


def test_a_random_number_that_is_not_restored_would_be_seen(tmp_path, monkeypatch):
    with pytest.raises(Stopped):
        run(tmp_path, stop=5)
    monkeypatch.setattr("recurra.training.resumption.restore_random_state", lambda state: None)
    assert run(tmp_path, resume=True) != run()


def test_a_run_that_is_finished_can_be_trained_further(tmp_path):
    run(tmp_path, epochs=2)
    watch = Notices()
    assert run(tmp_path, resume=True, epochs=3, observers=[watch]) == run(epochs=3)
    assert watch.starts == [18]


def test_a_damaged_checkpoint_is_told_and_the_one_before_does_as_well(tmp_path):
    with pytest.raises(Stopped):
        run(tmp_path, stop=8)
    newest = Checkpoints(tmp_path).paths()[-1]
    newest.write_bytes(newest.read_bytes()[:-7])
    watch = Notices()
    assert run(tmp_path, resume=True, observers=[watch]) == run()
    assert len(watch.notices) == 1
    assert watch.notices[0].endswith(
        "step-000000007.safetensors: damaged: its checksum is not that of its content; "
        "going on from step-000000006.safetensors instead"
    )


def test_other_threads_are_told(tmp_path):
    with pytest.raises(Stopped):
        run(tmp_path, stop=3)
    before, watch = torch.get_num_threads(), Notices()
    torch.set_num_threads(before + 1)
    try:
        run(tmp_path, resume=True, observers=[watch])
    finally:
        torch.set_num_threads(before)
    assert watch.notices == [
        f"step-000000002.safetensors was written with threads {before}, and this is {before + 1}: "
        "the weights may differ in their last digits from those of a run that was never stopped"
    ]


def test_there_must_be_a_checkpoint_and_it_must_be_of_these_data(tmp_path):
    with pytest.raises(RunError, match="there is no checkpoint to go on from; train again"):
        run(tmp_path, resume=True)
    with pytest.raises(SettingError, match="to resume takes checkpoints"):
        run(resume=True)
    with pytest.raises(Stopped):
        run(tmp_path, stop=3, fingerprint="these")
    with pytest.raises(RunError, match="the data are not those it was trained on"):
        run(tmp_path, resume=True, fingerprint="those")


def test_an_unwritable_folder_ends_the_run_and_the_best_weights_are_kept(tmp_path):
    class Break(Observer):
        def on_step(self, event):
            if event.step == 6:
                folder.rename(tmp_path / "moved")
                folder.write_text("a file now")

    folder = tmp_path / "checkpoints"
    with pytest.raises(RunError, match="cannot be made"):
        run(folder, observers=[Break()])
    assert Checkpoints(tmp_path / "moved").newest().state["place"]["steps"] == 5


def test_lines_of_steps_that_are_taken_again_are_cut(tmp_path):
    import json

    record = tmp_path / "metrics.jsonl"
    with pytest.raises(Stopped):
        run(
            tmp_path / "c", stop=8, observers=[MetricsWriter(record)], log_every=1, checkpoint_every=3, validate_every=4
        )
    run(
        tmp_path / "c",
        resume=True,
        observers=[MetricsWriter(record)],
        log_every=1,
        checkpoint_every=3,
        validate_every=4,
    )
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "train"] == list(range(1, 28))
    assert [line["step"] for line in lines if line["kind"] == "validation"] == [4, 8, 12, 16, 20, 24, 27]


def child(folder, resume, given):
    """Train in a process of its own, which may be killed; its weights go into a file."""
    return copied(lambda: (folder / "weights").write_bytes(run(folder, resume=resume, **given)))


def test_killed_at_random_moments_the_weights_are_the_same_bit_for_bit(tmp_path):
    """SIGKILL, at least 20 times in one run: each time the run has moved on by a few steps, or by none."""
    given = {"epochs": 40, "keep": 2, "validate_every": 7, "patience": 99}
    expected, draw, kills, began = run(**given), random.Random(0), 0, math.inf
    folder, resume, limit = tmp_path / "run", False, time.monotonic() + 120
    folder.mkdir()
    while not (folder / "weights").exists():
        pid, until = child(folder, resume, given), None
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            assert time.monotonic() < limit, "a copy of this process hangs"
            newest = len(Checkpoints(folder).paths()) and Checkpoints(folder).paths()[-1].name
            if until is None and newest:
                began, until = newest, time.monotonic() + draw.uniform(0, 0.03)
            if until is not None and kills < 22 and time.monotonic() >= until and (kills == 0 or newest != began):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                kills, resume = kills + 1, True
                break
            time.sleep(0.001)
    assert kills >= 20
    assert (folder / "weights").read_bytes() == expected


def test_a_checkpoint_of_an_earlier_version_knows_its_optimiser_all_the_same(tmp_path):
    """It does not hold the settings, and another rule would read what this one has never written."""
    run(tmp_path / "c", epochs=1)
    [*_, newest] = Checkpoints(tmp_path / "c").paths()
    state = read_checkpoint(newest)
    del state["fixed"]
    write_checkpoint(newest, state)
    for name in ("adam", "sgd", "rmsprop", "asgd"):
        with pytest.raises(RunError, match="another optimiser wrote it, or for other parameters; put the setting"):
            run(tmp_path / "c", resume=True, optimiser=name)
    assert run(tmp_path / "c", resume=True, epochs=2) == run(epochs=2)
