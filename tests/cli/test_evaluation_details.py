"""What an evaluation shows and writes beside its figures: a matrix, the worst errors with their places, pictures."""

import io
import json

import pytest
from rich.cells import cell_len
from rich.console import Console

from recurra.cli.evaluation_details import matrix_table, print_mistakes
from recurra.metrics import Matrix
from recurra.tasks import TASKS, load
from recurra.tasks.mistakes import Mistake

MISTAKES = [
    Mistake(3.0, "negative", "positive 95.0%", "so good\nthat it is bad \x1b[2J" + " word" * 40, "a/b.tsv", 12),
    Mistake(2.0, "positive", "negative 86.5%", "素晴らしい" * 30, "a/b.tsv", 3),
    Mistake(1.0, "positive", "negative 63.2%", "", "a/b.tsv", 1),
]


def printed(mistakes, most, width=None):
    console = Console(file=io.StringIO(), width=width or 80, force_terminal=width is not None, no_color=True)
    print_mistakes(mistakes, most, console)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """A run of sentiment classification, and its data."""
    folder = tmp_path_factory.mktemp("reviews")
    from recurra import train

    settings = TASKS["sentiment-classification"].example(folder)
    train("sentiment-classification", **settings, out=folder / "run", show=False)
    return folder


# The matrix


def rendered(matrix, width=80):
    table = matrix_table(matrix, width)
    if table is None:
        return None
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_row_is_what_was_expected_and_a_column_what_was_answered():
    assert rendered(Matrix("confusion", ["bad", "good"], [[1234, 5], [0, 67]])) == [
        "expected \\ answered    bad  good",
        "bad                  1,234     5",
        "good                     0    67",
    ]


def test_a_matrix_that_is_wider_than_the_window_and_one_of_one_class_are_left_out():
    names = [f"class {number}" for number in range(9)]
    matrix = Matrix("confusion", names, [[1] * 9] * 9)
    assert rendered(matrix, 80) is None
    assert len(rendered(matrix, 120)) == 10
    assert rendered(Matrix("confusion", ["bad"], [[3]])) is None
    assert rendered(Matrix("confusion", [], [])) is None


def test_long_names_of_classes_are_cut_and_steer_nothing():
    lines = rendered(Matrix("confusion", ["a\x1b[2J" * 20, "b"], [[1, 2], [3, 4]]))
    assert all("\x1b" not in line and len(line) <= 80 for line in lines)


# The worst errors


def test_each_stands_with_its_file_and_line_on_one_line():
    lines = printed(MISTAKES, 2).splitlines()
    assert lines[1] == "wrong answers (the worst 2 of 3)"
    assert lines[2].startswith("a/b.tsv:12  negative → positive 95.0%  so good that it is bad ␛[2J word")
    assert lines[2].endswith("word")  # in a file it is whole
    assert lines[3].startswith("a/b.tsv:3   positive → negative 86.5%  素晴らしい")
    assert len(lines) == 4
    assert printed(MISTAKES, 5).splitlines()[1] == "wrong answers (all, the worst first)"
    assert printed(MISTAKES, 0) == printed([], 5) == ""


@pytest.mark.parametrize("width", [30, 60, 80, 120])
def test_on_a_terminal_no_line_is_wider_than_the_window(width):
    plain = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=True)
    print_mistakes(MISTAKES, 3, plain)
    assert all(cell_len(line) <= width for line in plain.file.getvalue().splitlines())


# The command


def test_an_evaluation_lists_what_is_wrong_and_where_it_stands(recurra, reviews, here):
    rows = ["text\tlabel", "The plot is dull.\tpositive", "So superb.\tpositive", "Really awful, weak.\tpositive"]
    (here / "a.tsv").write_text("\n".join(rows) + "\n")
    run = load(reviews / "run")
    answers = run.predict([row.split("\t")[0] for row in rows[1:]])
    wrong = [number for number, answer in enumerate(answers, 2) if answer.label != "positive"]
    done = recurra("evaluate", reviews / "run", "--data", "a.tsv", "--no-intervals", "--out", "measured")
    assert done.code == 0
    listed = [json.loads(line) for line in (here / "measured" / "mistakes.jsonl").read_text().splitlines()]
    assert sorted(mistake["line"] for mistake in listed) == wrong
    for mistake in listed:
        assert rows[mistake["line"] - 1].split("\t")[0] == mistake["input"]
        assert f"a.tsv:{mistake['line']}" in done.out
    assert [mistake["cost"] for mistake in listed] == sorted((m["cost"] for m in listed), reverse=True)
    assert "expected \\ answered" in done.out


def test_the_folder_has_figures_pictures_and_what_is_drawn(recurra, reviews, here):
    done = recurra("evaluate", reviews / "run", "--data", reviews / "reviews.tsv", "--out", "measured", "--json")
    assert done.code == 0
    names = ["confusion.png", "precision-recall.png", "reliability.png", "roc.png"]
    there = sorted(path.name for path in (here / "measured").iterdir())
    assert there == sorted(["evaluation.json", "mistakes.jsonl", *names])
    for name in names:
        assert (here / "measured" / name).read_bytes()[1:4] == b"PNG"
    printed_figures = json.loads(done.out)
    written = json.loads((here / "measured" / "evaluation.json").read_text())
    assert {key: written[key] for key in printed_figures} == printed_figures
    assert {"auroc", "average_precision", "calibration_error"} <= set(written)
    assert [chart["name"] for chart in written["charts"]] == ["roc", "precision-recall", "reliability"]
    counts = written["matrices"]["confusion"]["counts"]
    assert sum(map(sum, counts)) == 120


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(refused, reviews, here):
    (here / "file").write_text("")
    message = refused("evaluate", reviews / "run", "--data", reviews / "reviews.tsv", "--out", "file")
    assert "file" in message


def test_a_use_without_pictures_writes_its_figures(recurra, trained, here):
    (here / "other.txt").write_text("the dog sat on the mat\n")
    done = recurra("evaluate", trained / "words", "--data", "other.txt", "--out", "measured")
    assert done.code == 0
    assert sorted(path.name for path in (here / "measured").iterdir()) == ["evaluation.json"]
