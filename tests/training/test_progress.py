import io
import math
import re
import threading

import pytest
from rich.console import Console

from recurra.training import (
    MetricView,
    Progress,
    StepEvent,
    TrainingResult,
    TrainingSettings,
    TrainingStart,
    ValidationEvent,
)
from recurra.training.figures import LOSS, describe_seconds, printable

VIEWS = [LOSS, MetricView("perplexity", "perplexity", ".2f", math.exp), MetricView("accuracy", "accuracy", ".1%")]
START = TrainingStart(TrainingSettings(epochs=3), parameters=12345, device="cpu")
RESULT = TrainingResult("epochs", 1200, 3, 62.0, 800, {"loss": 1.5})


def step(number, elapsed, loss=2.0, left=30.0):
    return StepEvent(number, 1, loss, 1000, 0.5, 0, 0.002, 0.5, elapsed, 0.25, left)


def run(progress):
    """A short run: three steps, two validations, a sample."""
    progress.on_start(START)
    progress.on_step(step(1, 0.5, loss=3.0))
    progress.on_step(step(2, 1.0, loss=1.0))
    progress.on_validation(ValidationEvent(2, 1, {"loss": 1.5, "accuracy": 0.5}, True, 1.2))
    progress.show_sample("sample 1", "To be,\nor not [bold]to be[/bold]")
    progress.on_step(step(3, 6.0, loss=2.0))
    progress.on_validation(ValidationEvent(3, 2, {"loss": 1.75, "perplexity": 5.75}, False, 6.5))
    progress.on_end(RESULT)


def test_plain_lines(capsys):
    run(Progress(VIEWS, unit="characters"))
    common = "characters/s  learning rate 0.002  gradient norm 0.5  clipped 0%"
    assert capsys.readouterr().out.splitlines() == [
        "training 12,345 parameters on cpu",
        f"step 1  epoch 1  25%  0:30 left  loss 3.000  perplexity 20.09  2,000 {common}",
        "validation  step 2  epoch 1  loss 1.500  perplexity 4.48  accuracy 50.0%  best",
        "sample 1:",
        "  To be,",
        "  or not [bold]to be[/bold]",
        f"step 3  epoch 1  25%  0:30 left  loss 1.500  perplexity 4.48  2,000 {common}",
        "validation  step 3  epoch 2  loss 1.750  perplexity 5.75  accuracy -",
        "finished after 1,200 steps in 1:02; kept are the weights of step 800, loss 1.500, perplexity 4.48",
    ]


def test_plain_lines_are_few(capsys):
    progress = Progress()
    progress.on_start(START)
    for number in range(1, 101):
        progress.on_step(step(number, elapsed=number * 0.1))
    progress.on_end(RESULT)
    steps = [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("step")]
    assert steps == ["1", "51", "100"]


def test_the_end_of_a_run_is_unknown_at_first(capsys):
    Progress().on_step(step(1, 0.5, left=None))
    assert capsys.readouterr().out.startswith("step 1  epoch 1  loss 2.000")


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": "unknown"}])
def test_a_dumb_terminal_gets_plain_lines(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    file = Terminal()
    run(Progress(VIEWS, console=Console(file=file)))
    assert "\x1b" not in file.getvalue()
    assert "validation  step 2" in file.getvalue()


def test_forced_colour_does_not_fill_a_log_with_redrawing(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    file = io.StringIO()
    run(Progress(VIEWS, console=Console(file=file)))
    assert "validation  step 2" in file.getvalue()
    assert "\x1b[2K" not in file.getvalue()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def last_screen(file):
    """What the last redraw wrote, without its colours."""
    drawn = re.split(r"\x1b\[2K|\x1b\[1A", file.getvalue())[-1]
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", drawn).replace("\r", "").splitlines()


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")

    def make(width, height=24, **options):
        file = Terminal()
        return file, Console(file=file, force_terminal=True, width=width, height=height, **options)

    return make


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_display_shows_the_run_and_keeps_within_the_terminal(terminal, width):
    file, console = terminal(width)
    run(Progress(VIEWS, unit="characters", console=console))
    screen = last_screen(file)
    assert max(map(len, screen)) <= width
    text = "\n".join(screen)
    assert ("25%  epoch 1/3  took 1:02" if width == 40 else "25%  epoch 1/3  step 3  took 1:02") in text
    assert re.search(r"loss +perplexity +characters/s", text)
    assert re.search(r"^ +1 +2 +1\.500" + (" +4.48" if width > 40 else ""), text, re.MULTILINE)
    assert text.count("best") == 1
    assert "finished after 1,200 steps" in " ".join(text.split())
    everything = file.getvalue()
    assert "or not [bold]to be[/bold]" in everything
    assert everything.count("\x1b[?25l") == everything.count("\x1b[?25h") == 1  # the cursor is back


def test_epochs_are_counted_to_the_last_only_if_they_end_the_run(terminal):
    for limit, shown in (({}, "epoch 1/3  "), ({"max_minutes": 5}, "epoch 1  "), ({"max_steps": 5}, "epoch 1  ")):
        file, console = terminal(80)
        progress = Progress(VIEWS, console=console)
        progress.on_start(TrainingStart(TrainingSettings(epochs=3, **limit), 10, "cpu"))
        progress.on_step(step(1, 0.5))
        progress.on_end(RESULT)
        assert shown in "\n".join(last_screen(file))


def test_the_display_is_never_higher_than_the_terminal(terminal):
    _, console = terminal(60, height=9)
    progress = Progress(VIEWS, console=console)
    progress.on_start(START)
    progress.on_step(step(1, 0.5))
    for number in range(20):
        progress.on_validation(ValidationEvent(number, 1, {"loss": 20.0 - number}, True, 1.0))
    drawn = console.render_lines(progress._display, console.options)
    progress.on_end(RESULT)
    assert len(drawn) < 9
    assert any("best" in "".join(segment.text for segment in line) for line in drawn)


def test_the_best_validation_stays_in_sight(terminal):
    file, console = terminal(80)
    progress = Progress(VIEWS, console=console)
    progress.on_start(START)
    progress.on_step(step(1, 0.5))
    for number in range(1, 30):
        progress.on_validation(ValidationEvent(number * 10, number, {"loss": 1.0 + number}, number == 1, 1.0))
    progress.on_end(RESULT)
    rows = [line.split() for line in last_screen(file) if re.match(r" +\d+ +\d+ +\d+\.\d{3}", line)]
    assert [row[0] for row in rows] == ["1", "25", "26", "27", "28", "29"]
    assert rows[0][-1] == "best"


def test_no_color_is_respected(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    file, console = terminal(80)
    run(Progress(VIEWS, console=console))
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", file.getvalue())


def test_an_ended_run_leaves_no_thread_behind(terminal):
    before = set(threading.enumerate())
    _, console = terminal(80)
    run(Progress(VIEWS, console=console))
    for thread in set(threading.enumerate()) - before:  # The one that redraws has been told to stop.
        thread.join(timeout=30)
        assert not thread.is_alive()


@pytest.mark.parametrize("plain", [True, False])
def test_a_sample_cannot_command_the_terminal(terminal, plain):
    file, console = terminal(80)
    progress = Progress(console=console, plain=plain)
    progress.show_sample("title\x1b[2J", "a\x1b[2J\x07b\x9b1mc\ud800d\u202ee\tf\r\ng")
    assert "\x1b[2J" not in file.getvalue()
    assert not set("\x07\x9b\ud800\u202e\r") & set(file.getvalue())
    assert "a␛[2J␇b�1mc�d�e" in file.getvalue()


def test_a_sample_is_written_in_what_the_terminal_can_encode():
    assert printable("naïve \N{SNOWMAN}", "ascii") == "na?ve ?"
    assert printable("naïve \N{SNOWMAN}", "utf-8") == "naïve \N{SNOWMAN}"


@pytest.mark.parametrize("plain", [True, False])
def test_an_ascii_terminal_is_enough(monkeypatch, plain):
    monkeypatch.setenv("TERM", "xterm")
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    run(Progress(VIEWS, console=Console(file=file, force_terminal=not plain, width=80), plain=plain))
    file.flush()
    assert b"best" in raw.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (3600, "1:00:00")]
)
def test_durations(seconds, text):
    assert describe_seconds(seconds) == text


def test_a_perplexity_beyond_all_numbers_is_infinite():
    assert VIEWS[1].of_loss(1e6) == "inf"
    assert VIEWS[2].of_loss(1.0) == "-"
    assert VIEWS[2].of_metrics({"loss": 1.0}) == "-"


def test_an_error_before_the_first_step_is_left_to_speak_for_itself(capsys):
    Progress().on_end(TrainingResult("error", 0, 0, 0.1, None, {}))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ("steps", "limit of steps"),
        ("minutes", "limit of time"),
        ("interruption", "stopped by Ctrl-C"),
        ("error", "ended by an error"),
    ],
)
def test_the_last_line_says_how_it_ended(capsys, ended, words):
    Progress().on_end(TrainingResult(ended, 7, 0, 3.0, None, {}))
    line = capsys.readouterr().out
    assert words in line
    assert "after 7 steps in 0:03" in line
    assert "kept" not in line


@pytest.mark.parametrize(("width", "height"), [(40, 12), (30, 9), (60, 8), (100, 30)])
def test_a_small_window_keeps_the_bar_and_the_loss_of_the_validations(terminal, width, height):
    file, console = terminal(width, height)
    run(Progress(VIEWS, unit="characters", console=console))
    screen = last_screen(file)
    assert max(map(len, screen)) <= width
    assert max(sum(sign in "━╸╺" for sign in line) for line in screen) >= 8
    assert any(re.search(r"^ *1 +2 +1\.500 " + (".*best" if width > 30 else ""), line) for line in screen)
