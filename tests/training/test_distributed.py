"""Two processes on gloo: they train as one does, resume exactly, and say so when one of them is lost."""

import os

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from recurra.data import SentenceBatches, StreamBatches
from recurra.errors import RunError, TrainingError
from recurra.nn import Recurrent
from recurra.training import Checkpoints, Observer, StepLoss, TrainingSettings, World, seed_everything, train
from support.processes import together

STREAM = torch.randint(7, (201,), generator=torch.Generator().manual_seed(0))
SENTENCES = [STREAM[start : start + 1 + start % 5].tolist() for start in range(0, 150, 3)]


class Reader(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.embedding = nn.Embedding(8, 4)
        self.recurrent = Recurrent("gru", 4, 5, learn_initial_state=True)  # which has no gradient where one is carried
        self.dropout, self.readout = nn.Dropout(dropout), nn.Linear(5, 8)

    def forward(self, tokens, state, lengths):
        outputs, state = self.recurrent(self.embedding(tokens), state, lengths)
        return self.readout(self.dropout(outputs)), state


def loss(model, batch, carried):
    logits, state = model(batch.inputs, carried, batch.lengths)
    total = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), reduction="sum", ignore_index=-100)
    return StepLoss(total, batch.count, state)


class Die(Observer):
    def __init__(self, at):
        self.at = at

    def on_step(self, event):
        if event.step == self.at:
            os._exit(7)


class Losses(Observer):
    def __init__(self):
        self.losses = []

    def on_step(self, event):
        self.losses.append((event.loss, event.count))


def run(folder=None, resume=False, batches=None, dropout=0.0, observers=(), dtype=torch.float32, **given):
    """Train in this process, which may be one of several; give the weights."""
    seed_everything(0)
    model = Reader(dropout).to(dtype)
    given = {"device": "cpu", "epochs": 2, "optimiser": "sgd", "learning_rate": 0.5, "checkpoint_every": 1} | given
    with World.joined():
        result = train(
            model,
            batches or StreamBatches(STREAM, 5, 8),
            loss,
            TrainingSettings(**given),
            observers=observers,
            checkpoints=None if folder is None else Checkpoints(folder),
            resume=resume,
        )
    assert result.ended in {"epochs", "steps"}
    return {name: value.clone() for name, value in model.state_dict().items()}


def trained_together(tmp_path, **given):
    """The weights of a run in two processes, which both must have."""
    files = [tmp_path / f"weights-{rank}" for rank in range(2)]
    codes = together(lambda rank: torch.save(run(**given), files[rank]))
    assert codes == [0, 0]
    weights = [torch.load(file, weights_only=True) for file in files]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    return weights[0]


SOURCES = [
    StreamBatches(STREAM, 5, 8),  # three rows for one process, two for the other
    SentenceBatches(SENTENCES, 7, 7),  # the last batch has one row, so that one process has none
]


@pytest.mark.parametrize("parallel", ["replicated", "sharded"])
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: type(source).__name__)
def test_the_gradient_is_that_of_one_process_on_the_joined_batch(tmp_path, source, parallel):
    given = {"batches": source, "dtype": torch.float64, "parallel": parallel, "clip_norm": 0.5}
    alone, two = run(**given), trained_together(tmp_path, **given)
    for name, value in alone.items():
        torch.testing.assert_close(two[name], value, rtol=1e-11, atol=1e-12)


def test_accumulated_gradients_are_exchanged_once_and_are_the_same(tmp_path):
    given = {"accumulate": 3, "dtype": torch.float64}
    alone, two = run(**given), trained_together(tmp_path, **given)
    for name, value in alone.items():
        torch.testing.assert_close(two[name], value, rtol=1e-11, atol=1e-12)


def test_the_loss_that_is_told_is_that_of_all(tmp_path):
    alone = Losses()
    run(observers=[alone])

    def work(rank):
        own = Losses()
        run(observers=[own])
        torch.save(own.losses, tmp_path / str(rank))

    assert together(work) == [0, 0]
    told = torch.load(tmp_path / "0")
    assert [count for _, count in told] == [count for _, count in alone.losses]
    assert [value for value, _ in told] == pytest.approx([value for value, _ in alone.losses], rel=1e-5)
    assert torch.load(tmp_path / "1") == []  # the others are silent


@pytest.mark.parametrize("parallel", ["replicated", "sharded"])
def test_resume_is_exact(tmp_path, parallel):
    given = {"dropout": 0.4, "learning_rate": 0.01, "weight_average": 0.9, "parallel": parallel, "optimiser": "adamw"}
    expected = trained_together(tmp_path, **given)
    trained_together(tmp_path, folder=tmp_path / "c", max_steps=4, **given)
    resumed = trained_together(tmp_path, folder=tmp_path / "c", resume=True, **given)
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)


def test_a_process_that_dies_ends_the_others_with_a_message_and_a_checkpoint_that_resumes(tmp_path):
    given = {"dropout": 0.4, "folder": tmp_path / "c"}

    def work(rank):
        try:
            run(observers=[Die(5)] if rank == 0 else [], **given)
        except TrainingError as error:
            (tmp_path / "message").write_text(str(error))
            raise SystemExit(2) from None

    codes = together(work)
    assert codes[0] == 7
    message = (tmp_path / "message").read_text()
    assert message.startswith("another process of this training has ended (")
    assert message.endswith("with `recurra resume RUN` under torchrun, with as many processes")
    assert len(message.splitlines()) == 1
    resumed = trained_together(tmp_path, resume=True, **given)
    expected = trained_together(tmp_path, dropout=0.4)
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)


def test_as_many_processes_must_resume_as_there_were(tmp_path):
    trained_together(tmp_path, folder=tmp_path / "c", max_steps=2)
    with pytest.raises(RunError, match=r"2 processes wrote it, and this is 1: resume with as many, by torchrun"):
        run(tmp_path / "c", resume=True)


def test_a_sharded_model_is_whole_where_it_is_watched_and_kept(tmp_path):
    class Watch(Observer):
        def __init__(self, model):
            self.model = model

        def on_validation(self, event):
            with torch.no_grad():
                (tmp_path / "seen").write_text(
                    str(self.model(torch.zeros(1, 2, dtype=torch.long), None, None)[0].shape)
                )

    def work(rank):
        seed_everything(0)
        model, kept = Reader(), []
        settings = TrainingSettings(device="cpu", epochs=1, parallel="sharded")
        with World.joined():
            train(
                model,
                StreamBatches(STREAM, 5, 8),
                loss,
                settings,
                evaluate=lambda: {"loss": float(model.readout.weight.norm())},
                observers=[Watch(model)],
                save_best=kept.append,
            )
        assert all(type(value) is nn.Parameter for value in model.parameters())
        if rank == 0:
            assert all(torch.equal(kept[-1][name], value) for name, value in model.state_dict().items())

    assert together(work) == [0, 0]
    assert (tmp_path / "seen").read_text() == "torch.Size([1, 2, 8])"
