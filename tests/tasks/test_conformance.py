"""Every use keeps the contract: one suite over the table of uses, on the tiny example that each use brings."""

import contextlib
import dataclasses
import json
import random
import re
import shutil
import subprocess
import sys
from types import NoneType
from typing import Literal, get_args, get_origin

import pytest
import torch
from safetensors.torch import load_file

from recurra.data.dataset import Examples, Problems
from recurra.data.lines import Source
from recurra.errors import DataError, RecurraError, RunError
from recurra.metrics import add
from recurra.tasks import TASKS, evaluate_run, load
from recurra.tasks.assets import ASSETS
from recurra.tasks.doctor import check_up
from recurra.tasks.overlap import TRAINED_ON
from recurra.tasks.preparation import prepare, read_parts
from recurra.tasks.run import resume_run, train_run
from recurra.tasks.settings_file import is_path, make_config, sections, takes_none
from recurra.tasks.verification import first_difference, verify
from recurra.training import Observer, train
from recurra.training.settings import TrainingSettings

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(params=list(TASKS), scope="module")
def task(request):
    return TASKS[request.param]


@pytest.fixture(scope="module")
def example(task, tmp_path_factory):
    """The settings of a training on the use's own example."""
    return task.example(tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="module")
def run(task, example, tmp_path_factory):
    """A trained run."""
    return train_run(task, make_config(task.config, {}, example), tmp_path_factory.mktemp("runs") / "run")[0]


@pytest.fixture(scope="module")
def inputs(task, run, example):
    """What the use answers of the file that it was trained on."""
    return list(task.stream(run.config, example["data"], Problems()))


def shown(run, inputs, window=2048):
    return [json.loads(json.dumps(run.task.show(*pair))) for pair in run.answered(inputs, window)]


def same(answers, others):
    assert len(answers) == len(others)
    return all(first_difference(*pair) is None for pair in zip(answers, others, strict=True))


# The contract


def test_the_table_says_what_the_use_says(task):
    entry = TASKS.entries[task.name]
    assert entry.config is task.config
    assert len(entry.summary) <= 60


def test_it_reads_and_knows_where_every_example_came_from(task, example):
    config = make_config(task.config, {}, example)
    dataset = task.read(config, example["data"], "train")
    assert len(dataset) == len(dataset.lengths)
    sources = {str(dataset.source(index)) for index in range(len(dataset))}
    assert all(str(example["data"]) in source for source in sources)
    assert dataset.fingerprint() == task.read(config, example["data"], "train").fingerprint()
    for index in range(len(dataset)):
        facts = task.facts(dataset[index])
        hash((facts.input, facts.answer, facts.group))


def test_another_file_has_another_fingerprint(task, example, tmp_path):
    config = make_config(task.config, {}, example)
    shutil.copytree(example["data"].parent, tmp_path / "copy")
    copied = tmp_path / "copy" / example["data"].name
    before = task.read(config, copied, "train").fingerprint()
    assert before == task.read(config, example["data"], "train").fingerprint()
    content = copied.read_bytes()
    copied.write_bytes(content[: len(content) // 2] + content[len(content) // 2 + 1 :] + content[-1:])
    try:
        assert task.read(config, copied, "train").fingerprint() != before
    except DataError:  # damaged like that, it cannot be read at all
        return


def test_what_it_learned_comes_back_in_a_new_process(run, inputs, example):
    assert (run.folder / ASSETS).is_file()
    program = (
        "import json, sys; from pathlib import Path; from recurra.tasks import load; "
        "from recurra.data.dataset import Problems; run = load(sys.argv[1]); "
        "pairs = run.answered(run.task.stream(run.config, Path(sys.argv[2]), Problems())); "
        "print(json.dumps([run.task.show(*pair) for pair in pairs]))"
    )
    words = [sys.executable, "-c", program, str(run.folder), str(example["data"])]
    output = subprocess.run(words, capture_output=True, check=True, text=True).stdout
    assert same(json.loads(output), shown(run, inputs))


def test_an_evaluation_is_the_answers_and_the_metrics(task, run, example):
    dataset = task.read(run.config, example["data"], "evaluate")
    report = run.evaluate(dataset, intervals=True)
    answers = list(run.answers(dataset[index] for index in range(len(dataset))))
    for metric in run.metrics:
        if metric.tally is not None:
            tallies = [metric.tally(dataset[index], answer) for index, answer in enumerate(answers)]
            assert report.figures[metric.name] == pytest.approx(metric.value(add(tallies)), nan_ok=True)
        interval = report.intervals[metric.name]
        assert interval.low <= report.figures[metric.name] + 1e-9 or interval.low != interval.low
    assert report.metrics == evaluate_run(run, example["data"]).metrics
    json.dumps(report.metrics)


def test_answers_keep_the_order_and_depend_on_nothing_beside_them(run, inputs):
    inputs = inputs[:40]
    together = shown(run, inputs)
    assert same(together, [answer for one in inputs for answer in shown(run, [one])])
    assert same(together, shown(run, inputs, window=7))
    order = list(range(len(inputs)))
    random.Random(0).shuffle(order)
    answers = dict(zip(order, shown(run, [inputs[index] for index in order]), strict=True))
    assert same(together, [answers[index] for index in range(len(inputs))])


def test_verify_finds_no_difference(run, example):
    checks = list(verify(dataclasses.replace(run, folder=None), example["data"], limit=12))
    assert len(checks) == 4 + (run.task.live is not None)
    assert not any(check.differences for check in checks)


def test_no_input_is_left_out(task, run, inputs, tmp_path):
    assert shown(run, []) == []
    assert len(shown(run, inputs[:1] * 5)) == 5


def test_sharded_is_whole(task, run, example):
    dataset = task.read(run.config, example["data"], "evaluate")
    batch = next(iter(task.batches(run.config, run.assets, dataset, "validate").epoch(0)))
    rows = len(batch)
    with torch.no_grad():
        whole = task.loss(run.config, run.model, batch, None)
        parts = [task.loss(run.config, run.model, batch.shard(rank, rows + 1), None) for rank in range(rows + 1)]
    assert sum(part.count for part in parts) == whole.count
    assert sum(float(part.total) for part in parts) == pytest.approx(float(whole.total), rel=1e-4)
    assert batch.index.tolist() == [row for rank in range(rows) for row in batch.shard(rank, rows).index.tolist()]


# Training


class Stop(Observer):
    def on_step(self, event):
        if event.step == 3:
            raise KeyboardInterrupt


def test_stopped_and_resumed_is_bit_for_bit_uninterrupted(task, example, tmp_path):
    config = make_config(task.config, {}, {**example, "epochs": 2})
    whole, result = train_run(task, config, tmp_path / "whole")
    stopped = {**example, "epochs": 2, "checkpoint_every": 2}
    with contextlib.suppress(KeyboardInterrupt):
        train_run(task, make_config(task.config, {}, stopped), tmp_path / "run", lambda *_: [Stop()])
    resumed, again = resume_run(tmp_path / "run", {task.name: task})
    assert again.steps == result.steps
    for name, weight in load_file(whole.folder / "model.safetensors").items():
        assert torch.equal(weight, load_file(resumed.folder / "model.safetensors")[name]), name
    assert (whole.folder / ASSETS).read_text() == (resumed.folder / ASSETS).read_text()


def test_data_that_have_changed_are_refused_when_it_goes_on(task, tmp_path):
    (tmp_path / "data").mkdir()
    example = task.example(tmp_path / "data")
    config = make_config(task.config, {}, {**example, "epochs": 1})
    train_run(task, config, tmp_path / "run")
    content = example["data"].read_bytes()
    half = len(content) // 2
    for place in range(half, len(content)):  # a change after which the file can still be read
        example["data"].write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            task.read(config, example["data"], "train")
        except DataError:
            continue
        break
    with pytest.raises(RecurraError):
        resume_run(tmp_path / "run", {task.name: task}, {"epochs": 2})


def alternatives(kind, key, field):
    """Other values that a setting may have."""
    if field.annotation is bool:
        return [not field.default]
    literals = [kind for kind in (field.annotation, *get_args(field.annotation)) if get_origin(kind) is Literal]
    if literals:
        return [value for value in get_args(literals[0]) if value != field.default]
    types = [t for t in get_args(field.annotation) or (field.annotation,) if t is not NoneType]
    values = ["none"] if takes_none(field) and field.default is not None else []
    if types[0] is int:
        return [*values, 1, 2]
    if types[0] is float:
        return [*values, 0.25]
    return values


def settings_of(task):
    return [
        (section, key, value)
        for section, kind in sections(task.config).items()
        if kind is not TrainingSettings
        for key, field in kind.model_fields.items()
        if not is_path(field)
        for value in alternatives(kind, key, field)
    ]


@pytest.mark.parametrize(
    ("name", "section", "key", "value"),
    [(name, *setting) for name in TASKS for setting in settings_of(TASKS[name])],
    ids=lambda part: str(part),
)
def test_every_setting_does_something_or_says_why_not(name, section, key, value, tmp_path):
    task, refusal = TASKS[name], None
    try:
        config = make_config(task.config, {}, {**task.example(tmp_path), f"{section}.{key}": value})
        prepared = prepare(task, config)
    except RecurraError as error:
        refusal = str(error)
    if refusal is not None:
        assert "\n" not in refusal
        assert any(word in refusal for word in key.split("_")), f"{refusal!r} does not say that it is about {key}"
        return
    settings = TrainingSettings(epochs=1, max_steps=1, device="cpu")
    result = train(prepared.run.model, prepared.batches, prepared.loss, settings, evaluate=prepared.validate)
    assert result.steps == 1
    assert result.best_metrics["loss"] == result.best_metrics["loss"]


# Bad input


@pytest.mark.parametrize("content", [None, b"", b"\0" * 64, b"\xff\xfe\x80" * 30, b"\x80\x04K\x01." * 9, b"\n\n\n"])
def test_what_is_no_data_is_one_line_that_names_the_file(task, example, tmp_path, content):
    path = tmp_path / f"bad-{example['data'].name}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        prepare(task, make_config(task.config, {}, {**example, "data": path}))
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_folder_is_no_file(task, example, tmp_path):
    with pytest.raises(DataError, match="folder"):
        prepare(task, make_config(task.config, {}, {**example, "data": tmp_path}))


@pytest.mark.parametrize("damage", ["cut", "empty", "list", "other use", "gone", "version"])
def test_damaged_assets_are_refused(task, run, tmp_path, damage):
    shutil.copytree(run.folder, tmp_path / "run")
    path = tmp_path / "run" / ASSETS
    content = json.loads(path.read_text())
    if damage == "gone":
        path.unlink()
    else:
        damaged = {
            "cut": path.read_text()[:-9],
            "empty": "",
            "list": "[]",
            "other use": json.dumps({**content, "task": "another"}),
            "version": json.dumps({**content, "version": 99}),
        }[damage]
        path.write_text(damaged)
    with pytest.raises(RunError, match=ASSETS) as raised:
        load(tmp_path / "run")
    assert "\n" not in str(raised.value)


# What every use gets from the contract


def test_the_doctor_finds_what_is_in_two_parts(task, example):
    config = make_config(task.config, {}, example)
    parts = read_parts(task, config)
    checkup = check_up(task, config, {"train": parts.train, "again": parts.train})
    assert [part.examples for part in checkup.parts] == [len(parts.train)] * 2
    assert any(re.search(r"of again \(100\.0%\) (is|are) in train, too", warning) for warning in checkup.warnings)
    json.dumps(dataclasses.asdict(checkup), default=str)


def test_examples_trained_on_are_known_again(task, run, example):
    assert (run.folder / TRAINED_ON).stat().st_size % 8 == 0
    report = evaluate_run(run, example["data"], baselines=True)
    assert report.seen is not None
    if task.name != "language-modelling":  # of a stream the one example is the whole text
        assert 0 < report.seen <= report.examples
    assert set(report.baselines) == {rule.name for rule in task.baselines(run.config, run.validated_on)}


def test_a_dataset_in_memory_is_measured(task, run, example):
    dataset = task.read(run.config, example["data"], "evaluate")
    items = [dataset[index] for index in range(min(len(dataset), 5))]
    copied = Examples(items, [Source(example["data"], 1)] * len(items), list(dataset.lengths)[: len(items)])
    assert run.evaluate(copied).examples == len(items)
