import json
import math
from pathlib import Path

import pytest

from recurra.errors import RunError
from recurra.training import MetricsWriter, StepEvent, TrainingResult, TrainingSettings, TrainingStart, ValidationEvent

START = TrainingStart(TrainingSettings(log_every=2), parameters=10, device="cpu")
RESULT = TrainingResult("epochs", 5, 1, 1.0, 5, {})


def step(number, loss=2.0):
    return StepEvent(number, 1, loss, 10, 0.5, number % 2, 0.1, 0.5, number * 0.5, 0.1, 5.0)


def read(path):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]


def test_lines_cover_the_steps_between_them(tmp_path):
    writer = MetricsWriter(tmp_path / "metrics.jsonl")
    writer.on_start(START)
    for number in range(1, 6):
        writer.on_step(step(number, loss=number))
        if number == 2:
            writer.on_validation(ValidationEvent(2, 1, {"loss": 3.0, "perplexity": math.inf}, True, 1.5))
    writer.on_end(RESULT)
    records = read(writer.path)
    assert records[0] == {
        "kind": "train",
        "step": 2,
        "epoch": 1,
        "loss": 1.5,
        "gradient_norm": 0.5,
        "clipped": 0.5,
        "skipped": 0,
        "learning_rate": 0.1,
        "items_per_second": 20.0,
        "elapsed": 1.0,
    }
    assert records[1] == {
        "kind": "validation",
        "step": 2,
        "epoch": 1,
        "loss": 3.0,
        "perplexity": None,
        "best": True,
        "elapsed": 1.5,
    }
    assert [(record["step"], record["loss"]) for record in records[2:]] == [(4, 3.5), (5, 5.0)]


def test_every_line_is_on_the_disk_at_once(tmp_path):
    writer = MetricsWriter(tmp_path / "metrics.jsonl")
    writer.on_start(START)
    for number in (1, 2):
        writer.on_step(step(number))
    assert len(read(writer.path)) == 1
    writer.on_end(RESULT)


@pytest.mark.parametrize("torn", ['{"kind": "tra', '{"kind": "train"}\n{"ki', "", '{"kind": "train"}\n'])
def test_a_torn_line_is_cut_and_whole_ones_stay(tmp_path, torn):
    path = tmp_path / "metrics.jsonl"
    path.write_text(torn)
    writer = MetricsWriter(path)
    writer.on_start(START)
    writer.on_step(step(1))
    writer.on_end(RESULT)
    assert [record["kind"] for record in read(path)] == ["train"] * (torn.count("\n") + 1)


def test_a_file_that_cannot_be_written_is_one_clear_error(tmp_path):
    writer = MetricsWriter(tmp_path / "missing" / "metrics.jsonl")
    with pytest.raises(RunError, match=r"metrics\.jsonl: cannot be written \(No such file or directory\)"):
        writer.on_start(START)
    writer.on_end(RESULT)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_clear_error():
    writer = MetricsWriter("/dev/full")
    writer.on_start(START)
    with pytest.raises(RunError, match=r"/dev/full: cannot be written \(No space left on device\)"):
        writer.on_validation(ValidationEvent(1, 1, {"loss": 1.0}, True, 1.0))
    writer.on_end(RESULT)
