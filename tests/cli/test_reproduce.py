import hashlib
import json

import pytest

from recurra import lab, recipes
from recurra.cli import reproduce

PETS = "the cat sat on the mat\nthe dog sat on the log\na cat and a dog sat\n" * 8
DIGEST = hashlib.sha256(PETS.encode()).hexdigest()

RECIPE = """
[recipe]
title = "pets, RNN 6"
source = "Somebody 2020"
paper = "Somebody, A paper, 2020"
task = "language-modelling"
corpus = "Pets"
{test}
metric = "perplexity"
published = 9.5
target = {target}
direction = "lower"
minutes = 1
machine = "two cores"
status = "unrun"

[files]
"pets/train.txt" = "{digest}"
"pets/test.txt" = "{digest}"

[text]
data = "pets/train.txt"

[batches]
batch_size = 4
chunk_length = 5

[model]
cell = "rnn"
embedding_size = 4
hidden_size = 6

[training]
epochs = 2
"""


@pytest.fixture
def pets_recipe(here, tmp_path_factory, monkeypatch):
    """Writes a recipe called pets and its data."""
    folder = tmp_path_factory.mktemp("recipes")
    monkeypatch.setattr(recipes, "FOLDER", folder)
    (here / "data" / "pets").mkdir(parents=True)
    for name in ("train", "test"):
        (here / "data" / "pets" / f"{name}.txt").write_text(PETS)

    def pets_recipe(target=1e9, test='test = "pets/test.txt"', digest=DIGEST):
        (folder / "pets.toml").write_text(RECIPE.format(target=target, test=test, digest=digest))

    return pets_recipe


def kept(here, folder="runs/pets"):
    return json.loads((here / folder / "recipe.json").read_text())


@pytest.mark.parametrize(("target", "code", "verdict"), [(1e9, 0, "reached"), (1.0, 1, "missed")])
def test_a_recipe_is_trained_measured_and_compared(recurra, here, pets_recipe, target, code, verdict):
    pets_recipe(target)
    done = recurra("reproduce", "pets", "--data", "data")
    assert done.code == code, done.err
    rows = {line.split("  ")[0].strip(): line.rstrip() for line in done.out.splitlines()}
    assert rows["this run"].endswith(verdict)
    assert "9.5  Somebody 2020" in rows["published"]
    assert "perplexity on pets/test.txt" in rows["measured"]
    found = kept(here)
    assert found["reached"] is (code == 0)
    measured = json.loads(recurra("evaluate", "runs/pets", "--data", "data/pets/test.txt", "--json").out)
    assert measured["perplexity"] == found["figure"]


def test_without_test_data_the_best_validation_counts(recurra, here, pets_recipe):
    pets_recipe(test="")
    assert recurra("reproduce", "pets", "--data", "data", "--out", "mine").code == 0
    lines = [json.loads(line) for line in (here / "mine" / "metrics.jsonl").read_text().splitlines()]
    best = min(line["perplexity"] for line in lines if line["kind"] == "validation")
    assert kept(here, "mine")["figure"] == best


def test_a_run_that_was_stopped_goes_on(recurra, here, pets_recipe, monkeypatch):
    pets_recipe()
    assert recurra("reproduce", "pets", "--data", "data", "--out", "whole").code == 0
    train, stopped = reproduce.show_training, []

    def stop(task, config, folder, *given):
        stopped.append(folder)
        short = config.model_copy(update={"training": config.training.model_copy(update={"max_steps": 7})})
        run, result = train(task, short, folder, *given)
        text = (folder / "config.toml").read_text()
        (folder / "config.toml").write_text(text.replace("max_steps = 7\n", ""))
        object.__setattr__(result, "ended", "interruption")
        return run, result

    monkeypatch.setattr(reproduce, "show_training", stop)
    assert recurra("reproduce", "pets", "--data", "data").code == 130
    assert not (here / "runs" / "pets" / "recipe.json").exists()
    assert recurra("reproduce", "pets", "--data", "data").code == 0
    assert len(stopped) == 1
    assert kept(here)["figure"] == kept(here, "whole")["figure"]
    # and once it has ended it is measured again, not trained
    assert recurra("reproduce", "pets", "--data", here / "data").code == 0
    assert len(stopped) == 1


def test_a_recipe_may_be_an_experiment_of_the_laboratory(recurra, here, monkeypatch):
    run = lab.run
    monkeypatch.setattr(lab, "run", lambda experiment, **given: run(experiment, **{**given, "quick": True}))
    done = recurra("reproduce", "adding-problem")
    assert done.code == 1  # a rehearsal is too short to reach the target
    record = json.loads((here / "runs" / "adding-problem" / "adding-problem-quick.json").read_text())
    found = kept(here, "runs/adding-problem")
    assert found["figure"] == record["measured"]["error"]["gru"][-1]
    assert "5.3e-05  Bai et al. 2018" in done.out
    assert recurra("reproduce", "adding-problem", "--check").code == 0


@pytest.mark.parametrize("name", [name for name in recipes.names() if recipes.get(name).experiment is not None])
def test_the_figures_of_experiments_are_among_what_they_measure(name):
    recipe = recipes.get(name)
    record = lab.run(lab.get(recipe.experiment), quick=True)
    assert recipes.figure_at(record.measured, recipe.metric) > 0


def test_a_run_of_other_settings_is_left_alone(recurra, here, pets_recipe):
    pets_recipe()
    assert recurra("reproduce", "pets", "--data", "data").code == 0
    config = here / "runs" / "pets" / "config.toml"
    config.write_text(config.read_text().replace("epochs = 2", "epochs = 3"))
    done = recurra("reproduce", "pets", "--data", "data")
    assert done.code == 2
    assert "the run there has other settings than the recipe, or other data; give another --out" in done.err


def test_data_that_are_not_the_papers_are_said_to_be_others(recurra, here, pets_recipe):
    pets_recipe(digest="00")
    done = recurra("reproduce", "pets", "--data", "data", "--check")
    assert (done.code, done.out.count("not the file that the published figure was measured on")) == (0, 2)
    assert not (here / "runs").exists()
    assert recurra("reproduce", "pets", "--data", "data").code == 0
    assert kept(here)["other_files"] == ["pets/train.txt", "pets/test.txt"]


def test_a_check_trains_nothing(recurra, here, pets_recipe):
    pets_recipe()
    done = recurra("reproduce", "pets", "--data", "data", "--check")
    assert (done.code, done.err) == (0, "")
    assert "are those of the recipe" in done.out
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pet"], "there is no recipe 'pet'; did you mean pets? The recipes are: pets"),
        (["pets"], "the recipe pets reads data: give --data FOLDER, which holds pets/train.txt, pets/test.txt"),
        (["pets", "--data", "nowhere"], "nowhere/pets/train.txt: this file is not there (nor are pets/test.txt)"),
    ],
)
def test_a_mistake_is_one_line(refused, pets_recipe, words, message):
    pets_recipe()
    assert message in refused("reproduce", *words)


def test_the_recipes_are_listed(recurra):
    for width in (60, 80, 200):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", str(width))
            done = recurra("reproduce")
        assert (done.code, done.err) == (0, "")
        for name in recipes.names():
            recipe = recipes.get(name)
            assert name in done.out
            if width == 200:
                assert recipe.source in done.out
                assert f"{recipe.target:g}" in done.out


def test_a_check_without_a_folder_lists_the_files_and_their_digests(recurra, here, pets_recipe):
    pets_recipe()
    done = recurra("reproduce", "pets", "--check")
    assert (done.code, done.err) == (0, "")
    assert f"pets/train.txt  SHA-256 {DIGEST}" in done.out
    assert f"pets/test.txt  SHA-256 {DIGEST}" in done.out


def test_the_list_shows_ones_own_last_run(recurra, here, pets_recipe):
    pets_recipe()
    assert "yours" not in recurra("reproduce").out
    (here / "runs" / "pets").mkdir(parents=True)
    file = here / "runs" / "pets" / "recipe.json"
    file.write_text(json.dumps({"recipe": "pets", "metric": "perplexity", "figure": 8.25}))
    assert "yours: 8.25 reached" in " ".join(recurra("reproduce").out.split()).replace("8.2500", "8.25")
    for damaged in ("", "[]", "{}", json.dumps({"recipe": "other", "metric": "perplexity", "figure": 8.25})):
        file.write_text(damaged)
        done = recurra("reproduce")
        assert (done.code, "yours" in done.out) == (0, False)
