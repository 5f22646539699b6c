import pytest

from recurra.data.units import LEVELS
from recurra.spelling import SYNONYMS, did_you_mean, nearest
from recurra.tasks.settings_file import sections
from recurra.tasks.table import TASKS

SETTINGS = {key for entry in TASKS.entries.values() for s in sections(entry.config).values() for key in s.model_fields}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("lr", "learning_rate"),
        ("--lr", "learning_rate"),
        ("bs", "batch_size"),
        ("hidden", "hidden_size"),
        ("layers", "num_layers"),
        ("batch", "batch_size"),
        ("optimizer", "optimiser"),
        ("epoch", "epochs"),
        ("Learning-Rate", "learning_rate"),
        ("learnig-rate", "learning_rate"),
        ("clip", "clip_norm"),
        ("bptt", "chunk_length"),
        ("out", None),
        ("frobnicate", None),
        ("", None),
        ("-", None),
    ],
)
def test_the_setting_that_was_meant_is_found(written, meant):
    assert nearest(written, SETTINGS) == meant


def test_a_synonym_of_what_is_not_there_is_no_suggestion():
    assert nearest("lr", ["epochs"]) is None


def test_every_synonym_stands_for_something_and_is_no_name_of_ours():
    flags = {key.replace("_", "-") for key in SETTINGS} | {"out", "primer", *LEVELS}
    assert set(SYNONYMS) <= flags
    for names in SYNONYMS.values():
        assert not set(names) & {key.replace("_", "-") for key in SETTINGS}
    every = [name for names in SYNONYMS.values() for name in names]
    assert len(every) == len(set(every))


def test_the_part_of_a_message():
    assert did_you_mean("lr", ["learning_rate"]) == "; did you mean learning_rate?"
    assert did_you_mean("x", ["learning_rate"]) == ""
