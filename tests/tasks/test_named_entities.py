"""Named entity recognition on the contract of a use: read, fit, train, keep, answer, measure."""

import random
from collections import Counter

import pytest
import torch

from recurra.data.lines import Source
from recurra.data.tagged import plain_sentence
from recurra.data.tagged_sentence import TaggedSentence
from recurra.data.tags import Scheme, write_tags
from recurra.errors import RunError, SettingError
from recurra.metrics import add
from recurra.tasks.named_entities import NAMED_ENTITIES as TASK
from recurra.tasks.named_entities import NamedEntityAssets, at_precision
from recurra.tasks.settings_file import make_config
from recurra.tasks.trained import Trained
from recurra.training import seed_everything, train


def begun(folder, **settings):
    """An untrained tagger, and the sentences of its use's own example."""
    given = {**TASK.example(folder), **settings}
    config = make_config(TASK.config, {}, given)
    sentences = TASK.read(config, config.sentences.data, "train")
    assets = TASK.fit(config, sentences)
    seed_everything(0)
    return Trained(TASK, config, assets, TASK.build(config, assets)), sentences


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run, sentences = begun(tmp_path_factory.mktemp("names"))
    batches = TASK.batches(run.config, run.assets, sentences, "train")
    train(
        run.model, batches, lambda model, batch, state: TASK.loss(run.config, model, batch, state), run.config.training
    )
    return run, sentences


def plain(*words):
    return TaggedSentence(tuple(words), Source("typed", 1))


def test_it_learns_its_example_and_says_so(trained):
    run, sentences = trained
    report = run.evaluate(sentences, intervals=True)
    assert 0.97 < report.intervals["f1"].low <= report.figures["f1"] <= report.intervals["f1"].high <= 1
    assert {row.name for row in report.tables["f1"]} == {"LOC", "ORG", "PER"}


def test_the_names_of_a_sentence_it_has_not_seen_are_told(trained):
    run, sentences = trained
    sentence = plain_sentence("Harry Potter and Hermione Granger invented a new spell.", Source("typed", 1))
    seen = {word for other in sentences for word in other.words}
    assert {"invented", "new", "spell"}.isdisjoint(seen)
    assert all(other.words != sentence.words for other in sentences)
    [answer] = run.answers([sentence])
    assert answer.spans == ((0, 2, "PER"), (3, 5, "PER"))
    assert [int(tag != "O") for tag in write_tags(answer.spans, 9, Scheme.IOB2)] == [1, 1, 0, 1, 1, 0, 0, 0, 0]
    assert min(answer.confidences) > 0.8


def test_what_is_measured_is_what_is_answered(tmp_path):
    run, sentences = begun(tmp_path)  # untrained, so that the figure is none of the extremes
    report = run.evaluate(sentences)
    metric, *_ = TASK.metrics(run.config, run.assets)
    answers = run.answers(sentences)
    total = add(metric.tally(sentence, answer) for sentence, answer in zip(sentences, answers, strict=True))
    assert 0 < report.figures["f1"] < 1
    assert report.figures["f1"] == metric.value(total)


def test_answers_keep_the_order_and_depend_on_nothing_beside_them(trained):
    run, sentences = trained
    inputs = [*sentences.items[:60], plain(), plain("Paris"), plain(*["in"] * 300), plain("Ünknown", "𝕎ord")]
    random.Random(0).shuffle(inputs)
    together = list(run.answers(inputs))
    assert [answer.spans for answer in together] == [next(run.answers([one])).spans for one in inputs]
    for answer in together:
        assert all(0 <= confidence <= 1 for confidence in answer.confidences)


def test_assets_are_read_back_as_they_were_and_damaged_ones_refused(trained, tmp_path):
    run, _ = trained
    run.assets.save(tmp_path, TASK.name)
    assert NamedEntityAssets.load(tmp_path, TASK.name) == run.assets
    with pytest.raises(RunError, match="it is of the use 'named-entity-recognition', not 'other'"):
        NamedEntityAssets.load(tmp_path, "other")
    path = tmp_path / "assets.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"frequent"', '"frequnt"'), encoding="utf-8")
    with pytest.raises(RunError, match=r"assets.json: damaged, frequent"):
        NamedEntityAssets.load(tmp_path, TASK.name)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match="it is not JSON"):
        NamedEntityAssets.load(tmp_path, TASK.name)
    path.unlink()
    with pytest.raises(RunError, match="cannot be read"):
        NamedEntityAssets.load(tmp_path, TASK.name)


def test_the_loss_of_shards_is_that_of_the_whole(trained):
    run, sentences = trained
    batch = next(iter(TASK.batches(run.config, run.assets, sentences, "evaluate").epoch(0)))
    with torch.no_grad():
        whole = TASK.loss(run.config, run.model, batch, None)
        parts = [TASK.loss(run.config, run.model, batch.shard(rank, 70), None) for rank in range(70)]
    assert len(batch) < 70  # so that some process has no row
    assert sum(part.count for part in parts) == whole.count
    assert sum(float(part.total) for part in parts) == pytest.approx(float(whole.total), rel=1e-4)


def test_a_softmax_with_constraints_and_a_label_for_the_sentence(tmp_path):
    rows = [
        ("who is Ann", "O O S-PER", "ask"),
        ("find Rome", "O S-LOC", "find"),
        ("find Ann Lee", "O B-PER E-PER", "find"),
    ]
    for ending, column in ((".seq.in", 0), (".seq.out", 1), (".label", 2)):
        (tmp_path / f"train{ending}").write_text("\n".join(row[column] for row in rows * 6) + "\n", encoding="utf-8")
    run, sentences = begun(
        tmp_path,
        data=tmp_path / "train.seq.in",
        head="softmax",
        dropout=0,
        word_dropout=0,
        once_dropout=0,
        sentence_label=True,
        epochs=30,
        learning_rate=0.03,
        batch_size=4,
    )
    batches = TASK.batches(run.config, run.assets, sentences, "train")
    train(
        run.model, batches, lambda model, batch, state: TASK.loss(run.config, model, batch, state), run.config.training
    )
    report = run.evaluate(sentences)
    assert report.figures["f1"] == report.figures["label_accuracy"] == 1.0
    shown = TASK.show(sentences[0], next(run.answers([sentences[0]])))
    assert shown["label"] == "ask"
    assert [entity["text"] for entity in shown["entities"]] == ["Ann"]


def test_confidences_are_calibrated_on_the_part_validated_on_and_a_precision_can_be_asked_for(trained):
    run, sentences = trained
    with pytest.raises(SettingError, match="nothing was held out when it was trained; train it again with a part"):
        at_precision(run.assets, 0.9)
    part = sentences.subset(range(0, len(sentences), 2), "half")
    assets = TASK.calibrate(run, part)
    assert assets.dial.gold == Counter(type_ for sentence in part for _, _, type_ in sentence.spans)
    calibrated = Trained(TASK, run.config, assets, run.model)
    for before, after in zip(run.answers(part), calibrated.answers(part), strict=True):
        assert after.spans == before.spans
        expected = [assets.dial.calibrated(s[2], c) for s, c in zip(before.spans, before.confidences, strict=True)]
        assert list(after.confidences) == pytest.approx(expected)
    assert TASK.calibrate(calibrated, part) == assets  # of the model's own confidences, not of calibrated ones
    setting = at_precision(assets, 0.8)
    assert setting.notes == ["a precision of 0.8 costs no recall on the part validated on: 100.0%"]
    assert all(setting.apply(answer) == answer for answer in calibrated.answers(part))
    assert any("too few to be sure of a precision of 0.99" in note for note in at_precision(assets, 0.99).notes)


def test_entities_seen_in_training_are_told_from_others(trained):
    run, sentences = trained
    metrics = {metric.name: metric for metric in TASK.metrics(run.config, run.assets)}
    total = add(
        metrics["f1_seen"].tally(sentence, answer)
        for sentence, answer in zip(sentences, run.answers(sentences), strict=True)
    )
    assert metrics["f1_seen"].value(total) > 0.97
    new = TaggedSentence(("Zacharias", "met", "Ron", "."), Source("typed", 1), ((0, 1, "PER"), (2, 3, "PER")))
    answer = next(run.answers([new]))
    assert metrics["f1_seen"].tally(new, answer)["gold", "PER"] == 1
    assert metrics["f1_unseen"].tally(new, answer)["gold", "PER"] == 1
    assert metrics["f1_unknown_words"].tally(new, answer)["gold", "PER"] == 1
    assert run.assets.scheme is Scheme.IOB2
