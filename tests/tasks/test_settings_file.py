import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import SettingError
from recurra.tasks import TASKS
from recurra.tasks.language_modelling import LanguageModellingConfig as Config
from recurra.tasks.settings import Settings, TaskConfig
from recurra.tasks.settings_file import make_config, read_sections, render_config, sections, takes_none, working_folder

EQUATIONS = "h[t] = tanh(W @ [h[t-1], x[t]] + b)\ny[t] = 2 * h[t]"


def made(overrides=None, source="", **content):
    return make_config(Config, {"text": {"data": "a.txt"}} | content, overrides, source)


# There and back


def read_back(config, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(render_config("language-modelling", config), encoding="utf-8")
    return make_config(Config, read_sections(path, "language-modelling"))


def test_a_config_comes_back_from_its_file(tmp_path):
    config = made(
        model={"equations": EQUATIONS, "dropout": 0.25, "tie_weights": True},
        training={"max_minutes": 1.5, "clip_norm": "none", "clip_value": 1e-7, "seed": 2**32 - 1},
    )
    assert config.training.clip_norm is None
    assert read_back(config, tmp_path) == config
    assert EQUATIONS in (tmp_path / "config.toml").read_text()  # as lines that people can read


@given(
    st.builds(
        dict,
        data=st.text(min_size=1).filter(lambda name: "\0" not in name),
        max_vocabulary=st.none() | st.integers(2, 10**9),
        learning_rate=st.floats(1e-300, 1e300),
        clip_norm=st.none() | st.floats(1e-300, 1e300),
        zoneout=st.floats(0, 1, exclude_max=True),
        layer_norm=st.booleans(),
        schedule=st.sampled_from(["constant", "cosine", "step", "plateau"]),
    )
)
def test_any_config_comes_back_from_its_text(settings):
    config = make_config(Config, {}, {k: "none" if v is None and k == "clip_norm" else v for k, v in settings.items()})
    content = tomllib.loads(render_config("language-modelling", config))
    del content["version"]
    assert make_config(Config, content) == config


def test_the_file_of_a_run_has_its_tasks_sections_first():
    text = render_config("language-modelling", made())
    assert [line for line in text.splitlines() if line.startswith("[")] == [
        "[text]",
        "[batches]",
        "[model]",
        "[training]",
    ]
    assert text.startswith('task = "language-modelling"\nversion = 1\n')


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_no_two_sections_have_a_key_of_the_same_name(task):
    keys = [key for settings in sections(task.config).values() for key in settings.model_fields]
    assert len(set(keys)) == len(keys)
    assert not {"config", "out", "samples", "help"} & set(keys)  # flags of the command itself


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_every_setting_says_what_it_is(task):
    for settings in sections(task.config).values():
        for key, field in settings.model_fields.items():
            assert field.description, key
            assert field.description.endswith("."), key


# Flags over files


def test_flags_take_the_place_of_what_the_file_says():
    config = made({"epochs": "7", "tie_weights": True}, training={"epochs": 3, "seed": 5}, model={"tie_weights": False})
    assert (config.training.epochs, config.training.seed, config.model.tie_weights) == (7, 5, True)


@pytest.mark.parametrize("optimiser", ["sgd", "rmsprop", "asgd", "adam"])
def test_a_use_whose_beta2_is_its_own_takes_any_optimiser(optimiser):
    kind = TASKS["named-entity-recognition"].config
    assert make_config(kind, {"sentences": {"data": "a"}}).training.beta2 == 0.98
    config = make_config(kind, {"sentences": {"data": "a"}}, {"optimiser": optimiser})
    assert config.training.beta2 == (0.98 if optimiser == "adam" else 0.999)
    assert config.training.weight_average == (0 if optimiser == "asgd" else 0.998)
    with pytest.raises(SettingError, match=r"beta2 0\.98 has no effect with optimiser 'sgd'"):
        make_config(kind, {"sentences": {"data": "a"}}, {"optimiser": "sgd", "beta2": 0.98})


def test_equations_and_a_cell_take_each_others_place():
    assert made().model.cell == "gru"
    by_equations = made({"equations": EQUATIONS}, model={"cell": "lstm"}).model
    assert (by_equations.cell, by_equations.equations) == (None, EQUATIONS)
    by_name = made({"cell": "lstm"}, model={"equations": EQUATIONS}).model
    assert (by_name.cell, by_name.equations) == ("lstm", None)
    for content, flags in (
        ({"cell": "lstm", "equations": EQUATIONS}, None),
        ({}, {"cell": "lstm", "equations": EQUATIONS}),
    ):
        with pytest.raises(SettingError, match="cell and equations are both given"):
            made(flags, model=content)


def test_a_limit_can_be_switched_off():
    assert made({"clip_norm": "none", "max_steps": "none"}, training={"max_steps": 5}).training.clip_norm is None
    assert made({"max_steps": "none"}, training={"max_steps": 5}).training.max_steps is None
    assert {key for key, field in sections(Config)["training"].model_fields.items() if takes_none(field)} >= {
        "clip_norm",
        "clip_value",
        "max_steps",
        "max_minutes",
    }
    assert not takes_none(sections(Config)["text"].model_fields["valid"])  # a file may be called so


# Mistakes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"modle": {}}, r"there is no section 'modle'; did you mean model\? The sections are: text, batches, model"),
        (
            {"model": {"hiden_size": 3}},
            r"\[model\] there is no key 'hiden_size'; did you mean hidden_size\? The keys are",
        ),
        ({"model": {"epochs": 3}}, r"\[model\] there is no key 'epochs'; it belongs in \[training\]"),
        ({"epochs": 3}, r"epochs is a key of \[training\]: write it below that line"),
        ({"model": 3}, r"model is a section: write \[model\] and its keys below"),
        ({"training": {"epochs": 0}}, r"\[training\] epochs = 0: it must be 1 or more"),
        ({"training": {"epochs": 2.5}}, r"\[training\] epochs = 2.5: it must be a whole number"),
        ({"training": {"epochs": [1]}}, r"\[training\] epochs = \[1\]: it must be a whole number"),
        ({"training": {"learning_rate": "nan"}}, r"\[training\] learning_rate = 'nan': it must be a finite number"),
        (
            {"training": {"optimiser": "adm"}},
            r"\[training\] optimiser = 'adm': did you mean adam\? It must be 'adam', 'adamw', 'sgd', ",
        ),
        ({"training": {"momentum": 0.5}}, r"\[training\] momentum 0.5 has no effect with optimiser 'adamw'"),
        ({"model": {"cell": "gruu"}}, r"\[model\] cell: there is no cell 'gruu'; did you mean gru\?"),
        ({"model": {"equations": "h[t] = tanh(x[t)"}}, r"\[model\] equations: line 1: .*\n.*\n +\^"),
        ({"text": {}}, r"data is not given: give --data, or data below \[text\] in a config file"),
    ],
)
def test_a_mistake_in_a_file_names_file_section_and_key(content, message):
    with pytest.raises(SettingError, match=rf"^my.toml: {message}"):
        made(source="my.toml", **content)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"epochs": "x"}, "^--epochs x: it must be a whole number"),
        ({"learning_rate": "-1"}, "^--learning-rate -1: it must be more than 0"),
        ({"level": "words"}, r"^--level words: did you mean word\? It must be 'word', 'character', 'byte' or 'bpe'"),
        ({"cell": "gruu"}, "^there is no cell 'gruu'; did you mean gru"),
        ({"epochs": "none"}, "^--epochs none: it must be a whole number"),
        ({"hiden_size": 3}, r"^there is no setting 'hiden_size'; did you mean hidden_size\? The settings are: "),
    ],
)
def test_a_mistake_in_a_flag_names_the_flag(flags, message):
    with pytest.raises(SettingError, match=message):
        made(flags, source="my.toml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"epochs = = 3", "this is not TOML: .*line 1"),
        (b"\xff\xfe\x00", r"this is not TOML: byte \d+ is no UTF-16"),
        (b"epochs = '\xe9'", "this is not TOML: byte 10 is no UTF-8"),
        (b"x = " + b"[" * 9000, "this is not TOML: "),
        (b'data = "C:\\Users\\x"', r"within double quotes \\ begins an escape: write a path in single quotes"),
        (b"version = 2", "it is of version 2, and this Recurra reads version 1"),
        (b'version = "1"', "it is of version '1'"),
        (b'task = "translation"', "it is for the task 'translation', not 'language-modelling'"),
        (b"task = 3", "it is for the task 3, not"),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path, content, message):
    path = tmp_path / "my.toml"
    path.write_bytes(content)
    with pytest.raises(SettingError, match=message) as raised:
        read_sections(path, "language-modelling")
    assert str(raised.value).startswith(f"{path}: ")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingError, match=r"my\.toml: cannot be read: No such file or directory; give a config file"):
        read_sections(tmp_path / "my.toml")
    with pytest.raises(SettingError, match="cannot be read: Is a directory"):
        read_sections(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_a_file_as_windows_writes_it_is_read(tmp_path, encoding):
    path = tmp_path / "my.toml"
    path.write_bytes("[text]\r\ndata = 'C:\\texts\\caf\xe9.txt'\r\n".encode(encoding))
    assert read_sections(path) == {"text": {"data": "C:\\texts\\caf\xe9.txt"}}


def test_a_path_whose_bytes_are_no_text_survives(tmp_path):
    for name in ("caf\udce9 %41.txt", "file:x", "plain.txt", "caf\xe9.txt"):
        config = make_config(Config, {}, {"data": name})
        (tmp_path / "my.toml").write_text(render_config("language-modelling", config, tmp_path / name))
        assert make_config(Config, read_sections(tmp_path / "my.toml")).text.data == Path(name)
        assert working_folder(tmp_path / "my.toml") == tmp_path / name


@pytest.mark.parametrize(
    ("section", "name", "message"),
    [
        ("training", "lr", r"\[training\] there is no key 'lr'; did you mean learning_rate\? The keys are"),
        ("model", "lr", r"\[model\] there is no key 'lr'; did you mean learning_rate\? It belongs in \[training\]"),
        ("batches", "bs", "did you mean batch_size"),
        ("model", "layers", "did you mean num_layers"),
        ("training", "optimizer", "did you mean optimiser"),
    ],
)
def test_what_a_setting_is_called_elsewhere_is_understood(section, name, message):
    with pytest.raises(SettingError, match=message):
        made(**{section: {name: 1}})


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("model", {"hidden_size": -3}, r"^model\.hidden_size = -3: it must be 1 or more$"),
        ("text", {"data": 5}, r"^text\.data = 5: it must be the path of a file$"),
        ("text", 5, "^text = 5: it must be a section of settings$"),
        ("model", {"cell": "gruu"}, r"^model\.cell: there is no cell 'gruu'; did you mean gru\? The cells are"),
    ],
)
def test_a_mistake_in_python_is_told_in_the_same_words(section, values, message):
    with pytest.raises(SettingError, match=message):
        Config(**{section: values})


# Several sections with the same key, and settings that are lists


class Layers(Settings):
    sizes: tuple[int, ...] = ()
    hidden_size: int = 3


class TwoNetworks(TaskConfig):
    encoder: Layers = Layers(hidden_size=5)
    decoder: Layers = Layers()


def test_the_same_key_of_two_sections_is_told_apart_by_the_section():
    made = make_config(TwoNetworks, {}, {"encoder.hidden_size": "7", "decoder.sizes": "2, 3", "training.epochs": 4})
    assert (made.encoder.hidden_size, made.decoder.hidden_size, made.decoder.sizes) == (7, 3, (2, 3))
    assert made.training.epochs == 4
    with pytest.raises(SettingError, match=r"say which, as --encoder\.hidden-size or --decoder\.hidden-size"):
        make_config(TwoNetworks, {}, {"hidden_size": 7})
    with pytest.raises(SettingError, match=r"^--decoder\.hidden-size x: "):
        make_config(TwoNetworks, {}, {"decoder.hidden_size": "x"})
    with pytest.raises(SettingError, match=r"no setting 'decoder\.hiden_size'; did you mean decoder\.hidden_size"):
        make_config(TwoNetworks, {}, {"decoder.hiden_size": 7})


def test_a_use_begins_with_defaults_of_its_own():
    assert make_config(TwoNetworks, {}).encoder.hidden_size == 5
    assert make_config(TwoNetworks, {"encoder": {"sizes": [1]}}).encoder == Layers(sizes=(1,), hidden_size=5)


@pytest.mark.parametrize(
    ("optimiser", "beta2", "weight_average"), [("adam", 0.98, 0.998), ("sgd", 0.999, 0.998), ("asgd", 0.999, 0.0)]
)
def test_what_a_use_begins_with_is_left_out_where_the_optimiser_takes_no_such_setting(optimiser, beta2, weight_average):
    config = TASKS["named-entity-recognition"].config
    content = {"sentences": {"data": "a.conll"}}
    for training in (
        make_config(config, content, {"optimiser": optimiser}).training,
        make_config(config, {**content, "training": {"optimiser": optimiser}}).training,
    ):
        assert (training.beta2, training.weight_average) == (beta2, weight_average)
    with pytest.raises(SettingError, match=r"beta2 0\.9 has no effect with optimiser 'sgd'"):
        make_config(config, content, {"optimiser": "sgd", "beta2": "0.9"})


def test_a_list_is_written_and_read_as_it_is(tmp_path):
    made = make_config(TwoNetworks, {}, {"encoder.sizes": "4,5"})
    (tmp_path / "config.toml").write_text(render_config("any", made))
    assert "sizes = [4, 5]" in (tmp_path / "config.toml").read_text()
    assert make_config(TwoNetworks, read_sections(tmp_path / "config.toml")) == made
