"""A tagger that reads the other occurrences of a word: a name is told by a sentence beside."""

import random

import pytest

from recurra.errors import DataError, SettingError
from recurra.tasks.named_entities import NAMED_ENTITIES as TASK
from recurra.tasks.settings_file import make_config
from recurra.tasks.trained import Trained
from recurra.training import seed_everything, train

CLUES = {"PER": ["Mr", "NAME", "spoke"], "LOC": ["near", "NAME", "today"]}


def write_data(folder, *, documents=150, seed=0):
    """Documents of two sentences in random order: one tells of what type a name is, and the other names it alone."""
    draw, lines = random.Random(seed), []
    for _ in range(documents):
        name = "".join(draw.choices("abcdefgh", k=5)).capitalize()
        type_ = draw.choice(["PER", "LOC"])
        sentences = [CLUES[type_], ["and", "NAME", "again"]]
        draw.shuffle(sentences)
        lines += ["-DOCSTART- O", ""]
        for words in sentences:
            lines += [f"{name} B-{type_}" if word == "NAME" else f"{word} O" for word in words]
            lines.append("")
    (folder / "train.conll").write_text("\n".join(lines))
    rows = [f"{word} {draw.gauss(0, 1):.3f} {draw.gauss(0, 1):.3f}" for word in ("mr", "spoke", "near", "today", "and")]
    (folder / "vectors.txt").write_text("\n".join(rows) + "\n")


def begun(folder, **settings):
    given = {
        "data": folder / "train.conll",
        "vectors": str(folder / "vectors.txt"),
        "occurrences": 3,
        "hidden_size": 16,
        "word_size": 8,
        "character_network": "none",
        "ngrams": 0,
        "dropout": 0.0,
        "state_dropout": 0.0,
        "epochs": 4,
        "learning_rate": 0.02,
        "warmup_steps": 0,
        "weight_average": 0.0,
        **settings,
    }
    config = make_config(TASK.config, {}, given)
    sentences = TASK.read(config, config.sentences.data, "train")
    assets = TASK.fit(config, sentences)
    seed_everything(0)
    return Trained(TASK, config, assets, TASK.build(config, assets)), sentences


def learn(run, sentences):
    batches = TASK.batches(run.config, run.assets, sentences, "train")
    train(run.model, batches, lambda m, b, state: TASK.loss(run.config, m, b, state), run.config.training)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    write_data(folder)
    return folder


@pytest.fixture(scope="module")
def trained(folder):
    run, sentences = begun(folder)
    learn(run, sentences)
    return run


def test_the_document_tells_what_a_sentence_leaves_open(folder, trained, tmp_path):
    write_data(tmp_path, documents=60, seed=1)
    assert trained.evaluate(tmp_path / "train.conll").figures["f1"] > 0.97
    without, sentences = begun(folder, occurrences=0)
    learn(without, sentences)
    assert without.evaluate(tmp_path / "train.conll").figures["f1"] < 0.9


def test_a_sentence_is_answered_as_with_its_document_whatever_it_is_read_beside(trained):
    sentences = list(TASK.stream(trained.config, trained.config.sentences.data, None))[:30]
    together = [answer.spans for answer in trained.answers(sentences)]
    tagged = TASK.read(trained.config, trained.config.sentences.data, "evaluate")
    assert together == [answer.spans for answer in trained.answers(tagged[index] for index in range(30))]
    assert sum(spans == tagged[index].spans for index, spans in enumerate(together)) >= 29
    assert [answer.spans for one in sentences for answer in trained.answers([one])] == together
    assert [answer.spans for answer in trained.answers(sentences[::-1], window=7)] == together[::-1]
    assert trained.predict("near Abcde today").spans  # which is in no document


def test_what_it_cannot_do_without_is_said(folder, tmp_path):
    with pytest.raises(SettingError, match="give --vectors"):
        begun(folder, vectors=None)
    with pytest.raises(SettingError, match="--no-bidirectional"):
        begun(folder, bidirectional=False)
    (tmp_path / "alone.conll").write_text("Ann B-PER\nspoke O\n")
    with pytest.raises(DataError, match=r"alone\.conll: no sentence belongs to a document; begin each with"):
        begun(folder, data=tmp_path / "alone.conll")
