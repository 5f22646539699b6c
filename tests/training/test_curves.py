import json
import math
import sys

import pytest

from recurra.errors import RunError, SettingError
from recurra.training import (
    LOSS,
    MetricsWriter,
    MetricView,
    StepEvent,
    TrainingResult,
    TrainingSettings,
    TrainingStart,
    ValidationEvent,
    curves,
)
from recurra.training.curves import CurvesWriter, draw_curves

PERPLEXITY = MetricView("perplexity", "perplexity", ".2f", math.exp)
ACCURACY = MetricView("accuracy", "accuracy")
START = TrainingStart(TrainingSettings(log_every=1), parameters=10, device="cpu")
END = TrainingResult("epochs", 40, 1, 3.0, 40, {})


def step(number, loss):
    return StepEvent(number, 1, loss, 10, 1.0, 0, 0.1, 0.5, number / 2, 0.25, 1.5)


def validation(number, loss, best=True, elapsed=3.0, **metrics):
    return ValidationEvent(number, 1, {"loss": loss} | metrics, best, elapsed)


@pytest.fixture
def record(tmp_path):
    """A record of events, and the figure that is drawn of it."""

    def record(*events):
        writer = MetricsWriter(tmp_path / "metrics.jsonl")
        writer.on_start(START)
        for event in events:
            (writer.on_step if isinstance(event, StepEvent) else writer.on_validation)(event)
        writer.on_end(END)
        return tmp_path / "metrics.jsonl"

    return record


@pytest.fixture
def drawn(record, tmp_path, monkeypatch):
    """What is drawn of events: the lines of every panel by their labels."""
    from matplotlib.figure import Figure

    def drawn_of_events(*events, views=(LOSS, PERPLEXITY)):
        figures = []
        save = Figure.savefig
        monkeypatch.setattr(
            Figure, "savefig", lambda figure, *given, **named: (figures.append(figure), save(figure, *given, **named))
        )
        draw_curves(record(*events), tmp_path / "curves.png", views)
        assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
        drawn_of_events.figure = figures[0]
        return {
            axes.get_ylabel(): {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
            for axes in figures[0].axes
        }

    return drawn_of_events


def test_each_metric_has_its_course_and_the_best_is_marked(drawn):
    panels = drawn(step(1, 3.0), step(2, 2.0), validation(2, 2.5), step(3, 1.0), validation(3, 2.75, best=False))
    assert list(panels) == ["loss", "learning rate", "gradient norm"]
    assert panels["loss"] == {
        "training": [[1, 3.0], [2, 2.0], [3, 1.0]],
        "validation": [[2, 2.5], [3, 2.75]],
        "best: 2.500": [[2, 2.5]],
    }
    assert [list(line) for line in panels["learning rate"].values()] == [[[1, 0.1], [2, 0.1], [3, 0.1]]]


def test_a_metric_of_validations_alone_is_drawn_for_them(drawn):
    panels = drawn(
        step(1, 3.0), validation(1, 2.5, accuracy=0.5), validation(2, 2.4, accuracy=0.75), views=(LOSS, ACCURACY)
    )
    assert panels["accuracy"] == {"validation": [[1, 0.5], [2, 0.75]], "best: 0.750": [[2, 0.75]]}


def test_the_latest_of_the_best_is_the_best(drawn):
    panels = drawn(validation(1, 2.5), validation(2, 2.25), validation(3, 2.3, best=False))
    assert panels["loss"]["best: 2.250"] == [[2, 2.25]]


def test_what_is_not_finite_leaves_a_gap_and_what_nobody_measures_no_panel(drawn):
    panels = drawn(step(1, 3.0), step(2, math.inf), step(3, 1000.0), step(4, 1.0), views=(LOSS, PERPLEXITY, ACCURACY))
    assert list(panels) == ["loss", "learning rate", "gradient norm"]
    assert [value for _, value in panels["loss"]["training"]] == pytest.approx([3, math.nan, 1000, 1], nan_ok=True)


def test_what_follows_from_the_loss_has_a_panel_where_there_is_no_loss_to_show(drawn):
    panels = drawn(step(1, 3.0), step(2, math.inf), step(3, 1000.0), step(4, 1.0), views=(PERPLEXITY, ACCURACY))
    values = [value for _, value in panels["perplexity"]["training"]]
    assert values == pytest.approx([math.exp(3), math.nan, math.nan, math.e], nan_ok=True)


def test_the_title_says_what_the_best_validation_reached_by_every_metric(drawn, tmp_path):
    drawn(step(1, 3.0), validation(1, 2.5), step(2, 2.0), validation(2, 2.75, best=False))
    title = drawn.figure.get_suptitle().replace("\n", " ")
    name = tmp_path.name.replace("$", r"\$")
    assert title == f"{name}: 2 steps; best validation at step 1: loss 2.500, perplexity 12.18"


def test_validations_alone_have_no_panels_of_training(drawn):
    assert list(drawn(validation(1, 2.5), validation(2, 2.25))) == ["loss"]


def test_a_line_that_was_cut_off_is_left_out_and_a_broken_one_named(record, tmp_path):
    path = record(step(1, 3.0), step(2, 2.0))
    whole = path.read_text()
    path.write_text(whole + '{"kind": "tr')
    draw_curves(path, tmp_path / "curves.png")
    path.write_text('{"kind": "tr\n' + whole)
    with pytest.raises(RunError, match=r"metrics.jsonl, line 1: this is not JSON"):
        draw_curves(path, tmp_path / "curves.png")


def test_a_record_that_is_not_there_or_empty_is_named(tmp_path):
    with pytest.raises(RunError, match=r"none.jsonl: cannot be read"):
        draw_curves(tmp_path / "none.jsonl", tmp_path / "curves.png")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(RunError, match=r"empty.jsonl: there is nothing to draw in it yet"):
        draw_curves(tmp_path / "empty.jsonl", tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_without_matplotlib_it_says_what_is_missing(record, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SettingError, match=r"^a picture of curves needs matplotlib, .* pip install matplotlib$"):
        draw_curves(record(step(1, 3.0)), tmp_path / "curves.png")


# While training goes on


@pytest.fixture
def writer(record, tmp_path):
    """A writer with a clock of its own; what it says, and how long each picture takes."""
    said, now = [], [0.0]

    def clock():
        now[0] += 2.0
        return now[0]

    writer = CurvesWriter(record(step(1, 3.0)), tmp_path / "curves.png", say=said.append, clock=clock)
    writer.said, writer.picture = said, tmp_path / "curves.png"
    return writer


def test_it_draws_at_the_end(writer):
    writer.on_start(START)
    writer.on_validation(validation(1, 2.5))
    assert not writer.picture.exists()  # three seconds of training are too few for a picture
    writer.on_end(END)
    assert writer.picture.exists()
    assert writer.said == []


def test_it_draws_after_a_validation_where_that_takes_a_fiftieth_of_the_time_at_most(writer, monkeypatch):
    drawn = []
    monkeypatch.setattr(curves, "draw_curves", lambda *given: drawn.append(elapsed))
    for elapsed in range(10, 1000, 10):
        writer.on_validation(validation(1, 2.5, elapsed=float(elapsed)))
    # A second is expected of the first, two of each after it.
    assert drawn == [50, 200, 300, 400, 500, 600, 700, 800, 900]


def test_without_matplotlib_it_says_so_once(writer, record, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = []
    writer = CurvesWriter(record(), tmp_path / "curves.png", say=said.append)
    writer.on_start(START)
    writer.on_validation(validation(1, 2.5, elapsed=1e9))
    writer.on_end(END)
    [sentence] = said
    assert "curves.png will not be drawn: that needs matplotlib (" in sentence
    assert sentence.endswith("pip install matplotlib)")
    assert not (tmp_path / "curves.png").exists()


def test_a_picture_that_cannot_be_written_ends_no_run(record, tmp_path):
    said = []
    CurvesWriter(record(step(1, 3.0)), tmp_path / "no" / "curves.png", say=said.append).on_end(END)
    [sentence] = said
    assert sentence.startswith("the curves are not drawn: ")
    assert "cannot be written" in sentence


def test_records_hold_what_the_metrics_writer_writes(record):
    """What is read here is what is written there."""
    kinds = [json.loads(line)["kind"] for line in record(step(1, 3.0), validation(1, 2.5)).read_text().splitlines()]
    assert kinds == ["train", "validation"]
