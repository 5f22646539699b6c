"""The reading trace of a classifier of texts: it ends in the answer, whatever a text is cut into."""

import pytest

from recurra.tasks.sentiment_classification import SENTIMENT_CLASSIFICATION as TASK
from recurra.tasks.sentiment_reading import reading
from recurra.tasks.settings_file import make_config
from recurra.tasks.trained import Trained
from recurra.training import seed_everything

TEXT = "The plot is so weak."


def untrained(folder, rows=None, **settings):
    config = make_config(TASK.config, {}, {**TASK.example(folder), **settings})
    if rows is not None:
        config.texts.data.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    assets = TASK.fit(config, TASK.read(config, config.texts.data, "train"))
    seed_everything(0)
    return Trained(TASK, config, assets, TASK.build(config, assets).eval())


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("level", "steps"),
    [
        ("word", ["The", "plot", "is", "so", "weak", "."]),
        ("character", list("The▁plot▁is▁so▁weak.")),
        ("bpe", ["The", " plot", " is", " so", " weak", "."]),
    ],
)
def test_the_trace_has_a_step_for_each_unit_and_ends_in_the_answer(tmp_path, level, steps, bidirectional):
    run = untrained(tmp_path, level=level, pieces=600, bidirectional=bidirectional)
    traced = reading(run, TEXT)
    assert list(traced.steps) == steps
    assert traced.so_far[-1] == pytest.approx(run.predict(TEXT).probabilities, abs=1e-6)
    assert traced.one_pass != bidirectional


def test_of_several_classes_each_has_a_probability_of_its_own(tmp_path):
    rows = [("so good", "good|new"), ("so old", "old"), ("so bad", ""), ("good and old", "good|old")]
    run = untrained(tmp_path, rows, label_separator="|")
    traced = reading(run, "so good")
    assert traced.so_far[-1] == pytest.approx(run.predict("so good").probabilities, abs=1e-6)
    assert dict(zip(traced.names, traced.before, strict=True)) == {"good": 0.5, "new": 0.25, "old": 0.5}
