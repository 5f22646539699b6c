import hashlib
import math
import re
from pathlib import Path

import pytest

from recurra import recipes
from recurra.errors import DataError, SettingError
from recurra.recipes import read_recipe
from recurra.tasks import TASKS
from recurra.tasks.settings_file import make_config, render_config

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text()

OWN = {
    "title": '"words"',
    "source": '"Somebody 2020"',
    "paper": '"Somebody, A paper, 2020"',
    "task": '"language-modelling"',
    "corpus": '"Pets"',
    "test": '"test.txt"',
    "metric": '"perplexity"',
    "target": "10.0",
    "direction": '"lower"',
    "minutes": "1",
    "machine": '"two cores"',
    "status": '"unrun"',
}


@pytest.fixture
def written(tmp_path):
    """Writes a recipe: fields of [recipe] by name, None to leave one out; and the rest of the file."""

    def written(rest='[files]\n"test.txt" = "00"\n', **given):
        fields = {key: value for key, value in (OWN | given).items() if value is not None}
        path = tmp_path / "mine.toml"
        path.write_text("[recipe]\n" + "".join(f"{key} = {value}\n" for key, value in fields.items()) + rest)
        return path

    return written


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_is_complete(name, tmp_path):
    recipe = recipes.get(name)
    assert f"\n### {name}\n" in PAGE
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in recipe.files.values())
    if recipe.task is not None:
        assert f"\n### {recipe.corpus}\n" in PAGE
        assert all(digest in PAGE for digest in recipe.files.values())
        task = TASKS[recipe.task]
        config = recipe.config(task.config, Path("/data"))
        small = make_config(task.config, {}, task.example(tmp_path))
        assets = task.fit(small, task.read(small, small.files.data, "train"))
        assert recipe.metric in {"loss", *(metric.name for metric in task.metrics(config, assets))}
        # every path of the settings is one of the files, below the folder of data
        paths = set(re.findall(r'"/data/([^"]*)"', render_config(task.name, config)))
        assert paths <= set(recipe.files)
        assert paths


def test_those_that_must_be_there_are():
    assert {
        "ptb-word-small",
        "ptb-word-medium",
        "ptb-word-awd",
        "ptb-character",
        "tiny-shakespeare",
        "sequential-mnist",
    } <= set(recipes.names())


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(
        SettingError, match=r"no recipe 'ptb-word-smal'; did you mean ptb-word-small\? The recipes are: "
    ):
        recipes.get("ptb-word-smal")


def test_a_target_has_a_direction_and_a_tolerance(written):
    lower = read_recipe(written(tolerance="0.5"))
    assert lower.wanted == "at most 10, 0.5 away still counts"
    assert [lower.is_reached_by(figure) for figure in (9.0, 10.0, 10.5, 10.6, math.nan, math.inf)] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    higher = read_recipe(written(direction='"higher"'))
    assert higher.wanted == "at least 10"
    assert [higher.is_reached_by(figure) for figure in (9.9, 10.0, 11.0, math.nan)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"status": '"reached"'}, "a recipe that was run has a figure and its date"),
        ({"figure": "9.0"}, "one that is unrun has neither"),
        ({"status": '"reached"', "figure": "9.0"}, "has a figure and its date"),
        ({"status": '"reached"', "figure": "11.0", "date": "2026-01-01"}, "'reached': 11 is compared with at most 10"),
        ({"status": '"missed"', "figure": "9.0", "date": "2026-01-01"}, "'missed': 9 is compared with at most 10"),
        ({"task": None}, "one of a task or of an experiment"),
        ({"experiment": '"adding-problem"'}, "one of a task or of an experiment"),
        ({"task": None, "experiment": '"adding-problem"'}, "has no data and no settings"),
        ({"corpus": None}, "names its corpus"),
        ({"rest": ""}, r"its files below \[files\]"),
        ({"test": '"other.txt"'}, r"the test data other.txt are not among \[files\]"),
        ({"target": None}, "target: Field required"),
        ({"direction": '"up"'}, "direction: Input should be 'lower' or 'higher'"),
        ({"hue": "1"}, "hue: Extra inputs"),
        ({"title": "["}, "this is not TOML"),
    ],
)
def test_a_recipe_whose_parts_do_not_belong_together_is_refused(written, given, message):
    path = written(**given)
    with pytest.raises(SettingError, match=message) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_recipe_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingError, match="cannot be read"):
        read_recipe(tmp_path / "gone.toml")


def test_settings_are_checked_as_those_of_a_config_file_are(written):
    rest = '[files]\n"test.txt" = "00"\n[text]\ndata = "a.txt"\n[model]\nhiden_size = 3\n'
    recipe = read_recipe(written(rest))
    with pytest.raises(
        SettingError, match=r"the recipe mine: \[model\] there is no key 'hiden_size'; did you mean hidden"
    ):
        recipe.config(TASKS["language-modelling"].config, Path())


def test_settings_that_are_given_take_the_place_of_the_recipes(written):
    recipe = read_recipe(written('[files]\n"test.txt" = "00"\n[text]\ndata = "a.txt"\n[training]\nepochs = 3\n'))
    config = recipe.config(TASKS["language-modelling"].config, Path("/data"), {"epochs": 4})
    assert (config.training.epochs, config.text.data) == (4, Path("/data/a.txt"))


def test_files_are_looked_for_and_compared(written, tmp_path):
    digest = hashlib.sha256(b"meow").hexdigest()
    recipe = read_recipe(written(f'[files]\n"test.txt" = "{digest}"\n"more/b.txt" = "{digest}"\n'))
    with pytest.raises(DataError) as caught:
        recipe.check_files(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'test.txt'}: this file is not there (nor are more/b.txt); ")
    assert str(caught.value).endswith("`recurra reproduce mine --check` lists the files with their SHA-256")
    (tmp_path / "more").mkdir()
    (tmp_path / "test.txt").write_bytes(b"meow")
    (tmp_path / "more" / "b.txt").write_bytes(b"woof")
    assert recipe.check_files(tmp_path) == ["more/b.txt"]


def test_of_compressed_files_the_content_is_compared(written, tmp_path):
    import gzip

    digest = hashlib.sha256(b"meow").hexdigest()
    recipe = read_recipe(written(f'[files]\n"test.txt" = "{digest}"\n'))
    for level in (1, 9):
        (tmp_path / "test.txt").write_bytes(gzip.compress(b"meow", level))
        assert recipe.check_files(tmp_path) == []
    (tmp_path / "test.txt").write_bytes(gzip.compress(b"meow")[:-6])
    with pytest.raises(DataError, match="gzip archive is damaged"):
        recipe.check_files(tmp_path)
