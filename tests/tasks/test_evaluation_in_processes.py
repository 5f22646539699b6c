"""Several processes measure a model together, each on rows of its own, and all know the result."""

import json

import pytest

from recurra.tasks import TASKS
from recurra.tasks.preparation import prepare
from recurra.tasks.settings_file import make_config
from recurra.training import World
from support.images import write_images
from support.processes import together


def measured(task, given):
    """The metrics of a model that was not trained, on the part to validate on."""
    config = make_config(TASKS[task].config, {}, given)
    with World.joined():
        prepared = prepare(TASKS[task], config)
        report = prepared.run.evaluate(prepared.parts.valid, "validate", intervals=True)
        ends = {f"{name} {end}": getattr(i, end) for name, i in report.intervals.items() for end in ("low", "high")}
        return report.metrics | (ends if task == "image-classification" else {})


@pytest.fixture(params=["stream", "sentences", "images"])
def given(request, tmp_path):
    if request.param == "images":
        data = write_images(tmp_path, number=30)
        return "image-classification", {"data": data, "batch_size": 4, "hidden_size": 4}
    (tmp_path / "text").write_text("the cat sat on the mat\na dog\n" * 40)
    sizes = {"batch_size": 3, "chunk_length": 7, "hidden_size": 4, "embedding_size": 3, "valid_batch_size": 3}
    return "language-modelling", {"data": tmp_path / "text", "sentences": request.param == "sentences"} | sizes


def test_the_metrics_are_those_of_one_process(given, tmp_path):
    codes = together(lambda rank: (tmp_path / f"{rank}").write_text(json.dumps(measured(*given))))
    assert codes == [0, 0]
    first, second = (json.loads((tmp_path / f"{rank}").read_text()) for rank in range(2))
    assert first == second
    assert first == pytest.approx(measured(*given), rel=1e-5)
