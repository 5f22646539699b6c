import json
import math

import pytest
import torch

from recurra.data.images import labels_beside
from recurra.errors import DataError, RunError, SettingError
from recurra.tasks import evaluate_run, load, train_run
from recurra.tasks.assets import ASSETS
from recurra.tasks.image_classification import (
    IMAGE_CLASSIFICATION,
    ImageClassificationConfig,
    build,
)
from recurra.tasks.preparation import prepare, read_parts
from recurra.tasks.settings_file import make_config
from support.images import bars, idx, write_images

TINY = {"cell": "gru", "hidden_size": 8, "batch_size": 12, "pixels_per_step": 8, "epochs": 1, "learning_rate": 0.02}


def config(data, **given):
    return make_config(ImageClassificationConfig, {}, TINY | {"data": data} | given)


class Parts:
    """What a training reads of its files."""

    def __init__(self, config):
        prepared = prepare(IMAGE_CLASSIFICATION, config)
        self.assets = prepared.run.assets
        self.batches, self.valid = prepared.batches, prepared.valid_batches


read = Parts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A trained run, and the files it was trained on."""
    folder = tmp_path_factory.mktemp("images")
    data = write_images(folder)
    write_images(folder, "test-images", number=30, seed=1)
    train_run(IMAGE_CLASSIFICATION, config(data, epochs=8), folder / "run")
    return folder


def test_it_learns_and_is_loaded_as_it_was(folder):
    run = load(folder / "run")
    metrics = evaluate_run(run, folder / "test-images").metrics
    assert metrics["accuracy"] == 1
    images, labels = bars(30, seed=1)
    assert [answer.label for answer in run.predict(list(images))] == labels.tolist()
    likely = run.probabilities(images)
    torch.testing.assert_close(likely.sum(1), torch.ones(30))
    expected = -likely.log()[torch.arange(30), labels.long()].mean()
    assert math.isclose(metrics["loss"], float(expected), rel_tol=1e-5)


def test_the_figures_do_not_depend_on_the_batches(folder):
    run = load(folder / "run")
    whole = evaluate_run(run, folder / "test-images").metrics
    run.config = config(folder / "gone-images", valid_batch_size=7)
    parts = evaluate_run(run, folder / "test-images").metrics
    assert math.isclose(parts["loss"], whole["loss"], rel_tol=1e-5)
    assert parts["accuracy"] == whole["accuracy"]


def test_a_part_is_kept_for_validation_and_scaled_as_the_rest(tmp_path):
    path = write_images(tmp_path, number=40)
    data = read(config(path, valid_fraction=0.25, valid_batch_size=40))
    assert (data.batches.count, data.valid.count, data.assets.classes) == (30, 10, 3)
    seen = torch.cat([batch.inputs for batch in data.batches.epoch(0)])
    assert abs(float(seen.mean())) < 1e-5
    assert abs(float(seen.std()) - 1) < 1e-5
    images, labels = bars(40)
    batch = next(data.valid.epoch(0))
    assert batch.targets.tolist() == labels[30:].tolist()
    pixels = batch.inputs.flatten(1) * data.assets.deviation + data.assets.mean
    torch.testing.assert_close(pixels, images[30:].flatten(1).float(), atol=1e-3, rtol=0)


def test_the_order_is_another_in_every_epoch_and_with_every_seed(tmp_path):
    path = write_images(tmp_path)
    orders = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0)):
        batches = read(config(path, seed=seed)).batches
        orders.append(torch.cat([batch.targets for batch in batches.epoch(epoch)]).tolist())
    assert len({tuple(order) for order in orders}) == 3


def test_images_trained_on_are_distorted_and_no_others(tmp_path):
    path = write_images(tmp_path, number=40)
    plain = read(config(path))
    moved = read(config(path, shift=1, rotation=10, scaling=0.1))
    assert not torch.equal(next(moved.batches.epoch(0)).inputs, next(plain.batches.epoch(0)).inputs)
    assert torch.equal(next(moved.valid.epoch(0)).inputs, next(plain.valid.epoch(0)).inputs)


def test_a_file_to_validate_on_leaves_all_to_train_on(tmp_path):
    path, valid = write_images(tmp_path), write_images(tmp_path, "valid-images", number=6)
    data = read(config(path, valid=valid))
    assert (data.batches.count, data.valid.count) == (60, 6)


def test_permuted_pixels_are_read_in_one_order_that_the_run_keeps(tmp_path):
    path = write_images(tmp_path)
    orders = [read(config(path, permuted=True, seed=seed)).assets.order for seed in (0, 0, 1)]
    assert sorted(orders[0]) == list(range(64))
    assert orders[0] == orders[1] != orders[2]
    made = config(path, permuted=True, pixels_per_step=16)
    run, _ = train_run(IMAGE_CLASSIFICATION, made, tmp_path / "run")
    expected = evaluate_run(run, path)
    assert json.loads((tmp_path / "run" / ASSETS).read_text())["assets"]["order"] == run.assets.order
    assert evaluate_run(load(tmp_path / "run"), path) == expected


@pytest.mark.parametrize(
    ("cell", "keeps"),
    [("lstm", ("b_forget", 1)), ("gru", ("b_update", -1)), ("gru-reset-after", ("b_update", 1))],
)
def test_gates_begin_by_keeping(tmp_path, cell, keeps):
    made = config(write_images(tmp_path), cell=cell, longest_memory=64)
    layer = build(made, read(made).assets).encoder.recurrent.layers[0]
    name, sign = keeps
    spans = torch.exp(sign * getattr(layer, name).detach())
    assert bool((spans >= 1).all())
    assert bool((spans <= 63.001).all())
    assert float(spans.std()) > 1


def test_a_cell_of_ones_own_has_no_known_memory(tmp_path):
    own = {"cell": None, "equations": "h[t] = tanh(W @ [h[t-1], x[t]])"}
    path = write_images(tmp_path)
    made = config(path, **own)
    assert build(made, read(made).assets).encoder.recurrent.cell.output == "h"
    with pytest.raises(SettingError, match=r"^longest_memory: no gate of the cell own scales what a state carries on"):
        build(config(path, **own, longest_memory=64), read(made).assets)


def test_labels_that_cannot_be_learned_are_refused(tmp_path):
    path = write_images(tmp_path, "images")
    labels_beside(path).write_bytes(idx(torch.zeros(60)))
    with pytest.raises(DataError, match="all images have the label 0"):
        read(config(path))


def test_images_in_the_order_of_their_labels_are_cut_within_each(tmp_path):
    path = write_images(tmp_path, "images")
    labels_beside(path).write_bytes(idx(torch.arange(60) // 20))
    parts = read_parts(IMAGE_CLASSIFICATION, config(path))
    assert [torch.bincount(part.labels.long()).tolist() for part in (parts.train, parts.valid)] == [[18] * 3, [2] * 3]


def test_too_few_images_are_refused(tmp_path):
    with pytest.raises(DataError, match="there is only one example, which cannot be cut in two"):
        read(config(write_images(tmp_path, number=1)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"size": 9}, "its images are 9 x 9 pixels, and the model reads 8 x 8"),
        ({"classes": 4}, "an image with the label 3, and the model knows the labels 0 to 2"),
    ],
)
def test_images_unlike_those_trained_on_are_refused(folder, tmp_path, given, message):
    with pytest.raises(DataError, match=message):
        evaluate_run(load(folder / "run"), write_images(tmp_path, **given))


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"height": 8}', "\xff"])
def test_a_run_whose_images_are_damaged_is_refused(folder, tmp_path, content):
    for file in (folder / "run").iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / ASSETS).unlink()
    if content is not None:
        (tmp_path / ASSETS).write_bytes(content.encode("latin-1"))
    with pytest.raises(RunError, match=ASSETS):
        load(tmp_path)
