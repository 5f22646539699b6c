"""TensorBoard is not needed to test what is handed to it: a stand-in takes it down."""

import sys
import types

import pytest

from recurra.errors import RunError, SettingError
from recurra.training import StepEvent, TrainingResult, TrainingSettings, TrainingStart, ValidationEvent
from recurra.training.tensorboard import TensorBoardWriter

END = TrainingResult("epochs", 40, 1, 3.0, 40, {})


class Summary:
    """What torch's SummaryWriter is, as far as it is used."""

    made: list["Summary"] = []  # noqa: RUF012

    def __init__(self, log_dir, purge_step=None):
        if "forbidden" in log_dir:
            raise PermissionError(13, "Permission denied")
        self.folder, self.purge_step, self.texts, self.scalars, self.closed = log_dir, purge_step, [], [], 0
        Summary.made.append(self)

    def add_text(self, tag, text, global_step=None):
        self.texts.append((tag, text, global_step))

    def add_scalar(self, tag, value, global_step=None):
        self.scalars.append((tag, value, global_step))

    def close(self):
        self.closed += 1


@pytest.fixture
def log(monkeypatch, tmp_path):
    """A writer that is started, and the log it writes to."""
    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Summary
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    monkeypatch.setattr(Summary, "made", [])

    def log(step=0, **given):
        writer = TensorBoardWriter(tmp_path / "board")
        writer.on_start(TrainingStart(TrainingSettings(**given), 10, "cpu", step=step))
        return writer, Summary.made[-1]

    return log


def step(number, loss):
    return StepEvent(number, 1, loss, 10, 2.0, number % 2, 0.1, 0.5, number / 2, 0.25, 1.5)


def test_steps_are_logged_together_and_validations_with_what_came_before(log):
    writer, board = log(log_every=2)
    for number, loss in ((1, 4.0), (2, 2.0), (3, 1.0)):
        writer.on_step(step(number, loss))
    assert [(tag, at) for tag, _, at in board.scalars] == [
        (f"training/{name}", 2) for name in ("loss", "gradient_norm", "clipped", "learning_rate", "items_per_second")
    ]
    assert [value for _, value, _ in board.scalars] == [3.0, 2.0, 0.5, 0.1, 20.0]
    board.scalars.clear()
    writer.on_validation(ValidationEvent(3, 1, {"loss": 2.5, "perplexity": 12.2}, True, 3.0))
    assert ("training/loss", 1.0, 3) in board.scalars
    assert board.scalars[-2:] == [("validation/loss", 2.5, 3), ("validation/perplexity", 12.2, 3)]


def test_the_settings_are_noted_and_the_log_is_closed(log, tmp_path):
    writer, board = log(learning_rate=0.25)
    [(tag, text, at)] = board.texts
    assert (tag, at, board.folder, board.purge_step) == ("settings", 0, str(tmp_path / "board"), None)
    assert "|learning_rate|0.25|" in text.splitlines()
    writer.on_step(step(1, 4.0))
    writer.on_end(END)
    assert board.scalars[0] == ("training/loss", 4.0, 1)
    writer.on_end(END)
    assert board.closed == 1


def test_a_run_that_is_resumed_hides_what_came_after_its_checkpoint(log):
    _, board = log(step=120)
    assert board.purge_step == 121


def test_what_is_not_finite_is_left_out(log):
    writer, board = log()
    writer.on_validation(ValidationEvent(1, 1, {"loss": 2.5, "perplexity": float("inf")}, True, 3.0))
    assert board.scalars == [("validation/loss", 2.5, 1)]


def test_a_folder_that_cannot_be_written_is_named(log, tmp_path):
    log()
    writer = TensorBoardWriter(tmp_path / "forbidden")
    with pytest.raises(RunError, match=r"forbidden: cannot be written \(Permission denied\)"):
        writer.on_start(TrainingStart(TrainingSettings(), 10, "cpu"))
    writer.on_step(step(1, 1.0))
    writer.on_end(END)


def test_without_tensorboard_it_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(SettingError, match=r"which is not installed: .*pip install tensorboard$"):
        TensorBoardWriter(tmp_path)
