import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from recurra.errors import DataError
from recurra.tasks import evaluate_run

TEXT = "the dog sat on the mat\na cat and a cat sat\n"


def by_hand(run, text):
    """The sum of -log p over all tokens but the first, the state carried over them all, one step at a time."""
    tokens = torch.tensor(run.vocabulary.encode(text))
    total, state = 0.0, None
    for before, after in itertools.pairwise(tokens):
        logits, state = run.model.step(before[None], state)
        total += float(F.cross_entropy(logits, after[None]))
    return total / (len(tokens) - 1)


@pytest.mark.parametrize("level", ["word", "character"])
def test_a_text_is_read_as_one_from_its_first_token_to_its_last(train_tiny, tmp_path, level):
    run, _ = train_tiny(level=level, valid_batch_size=3)
    path = tmp_path / "other.txt"
    path.write_text(TEXT)
    metrics = evaluate_run(run, path).metrics
    with torch.no_grad():
        assert math.isclose(metrics["loss"], by_hand(run, TEXT), rel_tol=1e-5)
    assert math.isclose(metrics["perplexity"], math.exp(metrics["loss"]))


def test_sentences_are_begun_afresh(train_tiny, tmp_path):
    run, _ = train_tiny(level="word", sentences=True)
    path = tmp_path / "other.txt"
    path.write_text(TEXT)
    assert math.isclose(evaluate_run(run, path).figures["perplexity"], run.score(TEXT).perplexity, rel_tol=1e-5)


def test_lines_are_stripped_as_they_were_in_training(train_tiny, tmp_path):
    run, _ = train_tiny(" the cat \n" * 60, level="character", strip_lines=True)
    found = []
    for name, text in (("spaces", " the cat \n the cat \n"), ("none", "the cat\nthe cat\n")):
        (tmp_path / name).write_text(text)
        found.append(evaluate_run(run, tmp_path / name))
    assert found[0] == found[1]
    assert evaluate_run(train_tiny(" the cat \n" * 60)[0], tmp_path / "spaces") != found[0]


@pytest.mark.parametrize("content", ["", "x", None])
def test_what_cannot_be_measured_is_one_line_that_names_the_file(train_tiny, tmp_path, content):
    run, _ = train_tiny()
    path = tmp_path / "other.txt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError) as caught:
        evaluate_run(run, path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).count(str(path)) == 1
