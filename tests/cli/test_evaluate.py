import json

import pytest

from recurra.tasks import evaluate_run, load
from support.images import write_images


@pytest.mark.parametrize("name", ["stream", "words", "lines"])
def test_a_run_is_measured_on_another_text(recurra, trained, here, name):
    (here / "other.txt").write_text("the dog sat on the mat\n")
    done = recurra("evaluate", trained / name, "--data", "other.txt")
    metrics = evaluate_run(load(trained / name), here / "other.txt").metrics
    assert (done.code, done.err) == (0, "")
    rows = dict(line.rsplit(maxsplit=1) for line in done.out.splitlines())
    assert rows["loss"] == f"{metrics['loss']:.3f}"
    assert rows["perplexity"] == f"{metrics['perplexity']:.2f}"
    assert ("bits/character" in rows) == (name != "words")


@pytest.mark.parametrize("name", ["stream", "words", "lines"])
def test_without_a_file_it_is_measured_on_what_the_training_validated_on(recurra, trained, name):
    lines = (trained / name / "metrics.jsonl").read_text().splitlines()
    [validation] = [record for record in map(json.loads, lines) if record["kind"] == "validation"]
    measured = json.loads(recurra("evaluate", trained / name, "--json").out)
    assert measured["data"] is None
    assert measured["loss"] == pytest.approx(validation["loss"], rel=1e-5)
    assert recurra("evaluate", trained / name).out.startswith("on what its training validated on:\n")


def test_data_that_have_changed_since_are_refused(recurra, refused, pets, tiny):
    words = ["train", "language-modelling", "--data", pets, "--out", "run", *tiny]
    assert recurra(*words).code == 0
    pets.write_text(pets.read_text() + "ZEBRA" * 40)
    assert "the data that its config.toml names are not those it was trained on" in refused("evaluate", "run")
    pets.unlink()
    assert "if the data are elsewhere now, name the file to measure on (--data FILE)" in refused("evaluate", "run")


def test_json_has_every_digit(recurra, trained, here):
    (here / "other.txt").write_text("the dog sat on the mat\n")
    done = recurra("evaluate", trained / "stream", "--data", "other.txt", "--json")
    assert done.code == 0
    expected = {"run": str(trained / "stream"), "data": "other.txt"}
    assert json.loads(done.out) == expected | evaluate_run(load(trained / "stream"), here / "other.txt").metrics


def test_an_image_classifier_is_measured(recurra, here):
    data = write_images(here / "data")
    flags = ["--hidden-size", 4, "--pixels-per-step", 8, "--epochs", 1, "--out", "run"]
    assert recurra("train", "image-classification", "--data", data, *flags).code == 0
    done = recurra("evaluate", "run", "--data", data)
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()] == ["loss", "accuracy"]
    assert done.out.rstrip().endswith("%")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "--data", "x"], "nowhere: there is no such folder"),
        (["RUN", "--data", "x"], "x: there is no such file"),
        (["RUN", "--data", "x", "--device", "abacus"], "'abacus' is not one of"),
    ],
)
def test_a_mistake_is_one_line(refused, trained, words, message):
    words = [trained / "stream" if word == "RUN" else word for word in words]
    assert message in refused("evaluate", *words)
