"""The doctor of pairs: exchanged, shuffled, shifted and lost lines are told, each in a sentence with where it is."""

import random
from pathlib import Path

import pytest

from recurra.data.dataset import Examples
from recurra.data.lines import Source
from recurra.data.sentence_pair import SentencePair
from recurra.tasks.translation_checks import pair_warnings, words_of

WORDS = 60


def translated(word):
    """The other language: w7 is v7, and sentences run the other way."""
    return f"v{word}"


@pytest.fixture
def texts():
    draw = random.Random(0)

    def texts(lines):
        sentences = [draw.sample(range(WORDS), draw.randint(3, 8)) for _ in range(lines)]
        source = [" ".join(f"w{word}" for word in sentence) for sentence in sentences]
        return source, [" ".join(map(translated, reversed(sentence))) for sentence in sentences]

    return texts


def part(name, sources, targets):
    pairs = [
        SentencePair(*both, Source(Path(name), line)) for line, both in enumerate(zip(sources, targets, strict=True), 1)
    ]
    return Examples(pairs, [pair.source for pair in pairs], [len(pair) for pair in pairs])


def warnings(train, valid):
    return pair_warnings({"train": part("train.x", *train), "valid": part("valid.x", *valid)})


def test_pairs_that_belong_together_have_no_warning(texts):
    assert warnings(texts(400), texts(100)) == []


def test_too_few_pairs_tell_nothing(texts):
    sources, targets = texts(40)
    assert warnings((sources, targets[::-1]), texts(10)) == []


def test_exchanged_texts(texts):
    [warning] = warnings(texts(400), texts(100)[::-1])
    assert warning.startswith("valid: its languages are exchanged: 100% of its lines fit the pairs trained on only the")


def test_exchanged_lines(texts):
    sources, targets = texts(400)
    for line in range(10, 16):  # every other line of those trained on is held out, and looked at
        sources[line], targets[line] = targets[line], sources[line]
    [warning] = warnings((sources, targets), texts(100))
    assert warning == (
        "train: 3 lines of 200 looked at have the languages exchanged: train.x:12; train.x:14; train.x:16"
    )


@pytest.mark.parametrize("name", ["train", "valid"])
def test_shuffled_lines(texts, name):
    parts = {"train": texts(400), "valid": texts(100)}
    random.Random(1).shuffle(parts[name][1])
    [warning] = warnings(parts["train"], parts["valid"])
    assert warning.startswith(f"{name}: its lines do not belong to their translations: ")


@pytest.mark.parametrize("name", ["train", "valid"])
@pytest.mark.parametrize("lost", [25, 60, 170])
def test_a_lost_line_shifts_those_after_it(texts, name, lost):
    parts = {"train": texts(400), "valid": texts(200)}
    sources, targets = parts[name]
    parts[name] = sources[:-1], targets[:lost] + targets[lost + 1 :]
    [warning] = warnings(parts["train"], parts["valid"])
    said, _, _ = warning.partition(" on the translation of a line stands 1 line further up; ")
    start, _, line = said.rpartition(":")
    assert start == f"{name}: from about {name}.x"
    assert abs(int(line) - (lost + 1)) <= 3


def test_a_line_too_many_and_lines_that_are_lost_for_good(texts):
    sources, targets = texts(300)
    tail = targets[200:]
    random.Random(1).shuffle(tail)
    [shifted, lost] = warnings(texts(400), (sources, [*targets[:80], "v1 v2", *targets[80:199], *tail]))
    assert "the translation of a line stands 1 line further down" in shifted
    assert shifted.startswith("valid: from about valid.x:8")
    assert lost.startswith("valid: from about valid.x:20")
    assert "lines do not belong to their translations" in lost


def test_copies_are_told_where_they_are_many(texts):
    sources, targets = texts(400)
    few = list(targets)
    few[7] = sources[7]
    assert warnings((sources, few), texts(100)) == []
    for line in range(300, 306):
        targets[line] = sources[line]
    warning = warnings((sources, targets), texts(100))[0]
    assert warning == (
        "train: 6 lines (1.5%) are their own translations, which teaches a model to copy: train.x:301; train.x:302; "
        "train.x:303; ..."
    )


def test_lengths_far_from_the_others_are_listed(texts):
    sources, targets = texts(400)
    targets[4] = targets[4] + " " + targets[5] + " " + " ".join(targets[6:30])
    assert warnings((sources, targets), texts(100))[0].startswith(
        "train: 1 line has a translation of a length far from the others': train.x:5 ("
    )


def test_words_have_no_case():
    assert words_of("Zwei STRASSEN, straßen") == ["zwei", "strassen", ",", "strassen"]
