import json

import pytest
import torch

from recurra.errors import RunError, SettingError
from recurra.inspection import GradientFlowLog, gradient_flow
from recurra.nn import Recurrent
from recurra.training import StepEvent, TrainingSettings, TrainingStart

START = TrainingStart(TrainingSettings(), parameters=10, device="cpu")


def step(number):
    return StepEvent(number, 1, 1.0, 1, 1.0, 0, 0.1, 0.1, 0.1, 0.1, 1.0)


def loss(layer, x):
    torch.rand(3)  # what a loss may draw
    return layer(x)[0][:, -1].sum()


@pytest.fixture
def log(tmp_path):
    return GradientFlowLog(Recurrent("gru", 2, 3), torch.randn(2, 6, 2), tmp_path / "gradient_flow.jsonl", 10, loss)


def lines(log):
    return [json.loads(line) for line in log.path.read_text().splitlines()]


def test_it_is_written_before_the_first_step_and_every_so_many(log):
    log.on_start(START)
    for number in range(1, 31):
        log.on_step(step(number))
    assert [line["step"] for line in lines(log)] == [0, 10, 20, 30]
    assert lines(log)[0]["layers"] == gradient_flow(log.model, log.batch, loss).to_json()["layers"]
    assert lines(log)[0]["epoch"] == 1


def test_it_draws_nothing_from_training(log):
    before = torch.get_rng_state()
    log.on_start(START)
    log.on_step(step(10))
    assert torch.equal(torch.get_rng_state(), before)
    assert log.model.training
    assert all(p.grad is None for p in log.model.parameters())


def test_a_run_that_goes_on_adds_to_it_and_a_torn_line_is_cut(log):
    log.on_start(START)
    log.path.write_text(log.path.read_text() + '{"step": 10, "ep')
    log.on_start(START)
    log.on_step(step(20))
    assert [line["step"] for line in lines(log)] == [0, 20]


def test_what_cannot_be_is_said_before_training(tmp_path, log):
    for every in (0, True, 1.5):
        with pytest.raises(SettingError, match="every is"):
            GradientFlowLog(log.model, log.batch, log.path, every)
    with pytest.raises(RunError, match="cannot be written"):
        GradientFlowLog(log.model, log.batch, tmp_path / "no" / "file", 1, loss).on_start(START)
    with pytest.raises(SettingError, match="give loss="):
        GradientFlowLog(log.model, log.batch, log.path, 1).on_start(START)
