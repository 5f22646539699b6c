"""Named entity recognition on the contract of a use: read, fit, train, keep, answer, measure."""

import random
from collections import Counter

import pytest
import torch

from recurra.data.lines import Source
from recurra.data.tagged import plain_sentence
from recurra.data.tagged_sentence import TaggedSentence
from recurra.data.tags import Scheme, write_tags
from recurra.errors import DataError, RunError, SettingError
from recurra.metrics import add
from recurra.tasks.named_entities import NAMED_ENTITIES as TASK
from recurra.tasks.named_entities import NamedEntityAssets, at_precision
from recurra.tasks.settings_file import make_config
from recurra.tasks.trained import Trained
from recurra.training import seed_everything, train


def begun(folder, **settings):
    """An untrained tagger, and the sentences of its use's own example."""
    config = make_config(TASK.config, {}, {**TASK.example(folder), **settings})
    sentences = TASK.read(config, config.sentences.data, "train")
    assets = TASK.fit(config, sentences)
    seed_everything(0)
    return Trained(TASK, config, assets, TASK.build(config, assets)), sentences


def learn(run, sentences):
    batches = TASK.batches(run.config, run.assets, sentences, "train")
    train(
        run.model, batches, lambda model, batch, state: TASK.loss(run.config, model, batch, state), run.config.training
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run, sentences = begun(tmp_path_factory.mktemp("names"))
    learn(run, sentences)
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


def write_vectors(folder):
    """Vectors that tell people from places, and punctuation from both; of words that are met in training and others."""
    kinds = {"1 0 0": "Harry Hermione Ron Potter Granger Zelda", "0 1 0": "Paris York New Oslo", "0 0 1": "met in ."}
    lines = [f"{word.lower()} {numbers}" for numbers, words in kinds.items() for word in words.split()]
    (folder / "vectors.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "vectors.txt"


ALONE = {"word_size": 0, "character_network": "none", "ngrams": 0}
"""Settings that leave only what is read besides words and their spellings."""

BRIEFLY = {"epochs": 40, "batch_size": 6, "learning_rate": 0.05, "warmup_steps": 0, "weight_average": 0}
"""Settings by which a few sentences are learned in a second."""


def write_meetings(folder):
    """Sentences such as "Ron met Harry Potter in New York ." """
    rows = []
    for first in (["Harry", "Potter"], ["Hermione", "Granger"], ["Ron"]):
        for second in (["Harry", "Potter"], ["Hermione", "Granger"], ["Ron"]):
            for place in (["Paris"], ["New", "York"]):
                names = {0: (first, "PER"), 2: (second, "PER"), 4: (place, "LOC")}
                for step, word in enumerate(["", "met", "", "in", "", "."]):
                    words, type_ = names.get(step, ([word], None))
                    rows += [f"{one}\t{f'I-{type_}' if type_ else 'O'}" for one in words]
                rows.append("")
    path = folder / "meetings.conll"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_word_first_met_after_training_has_its_pretrained_vector_also_where_the_file_is_gone(tmp_path):
    path = write_vectors(tmp_path)
    run, sentences = begun(tmp_path, data=write_meetings(tmp_path), vectors=str(path), **ALONE, **BRIEFLY)
    assert run.assets.vectors.share == 1.0
    learn(run, sentences)
    unseen = [plain("Zelda", "met", "Ron", "in", "Oslo", ".")]
    [answer] = run.answers(unseen)
    assert answer.spans == ((0, 1, "PER"), (2, 3, "PER"), (4, 5, "LOC"))
    run.assets.save(tmp_path, TASK.name)
    path.unlink()
    assets = NamedEntityAssets.load(tmp_path, TASK.name)
    assert assets == run.assets
    model = TASK.build(run.config, assets)
    model.load_state_dict(run.model.state_dict())
    assert list(Trained(TASK, run.config, assets, model).answers(unseen)) == [answer]


def test_without_more_vectors_than_those_of_the_words_trained_on_others_have_none(tmp_path):
    run, _ = begun(tmp_path, vectors=str(write_vectors(tmp_path)), max_vectors=0)
    assert "zelda" not in run.assets.vectors.words
    assert run.assets.vectors.row("Zelda") == 0
    assert run.model.encoder.inputs.vectors[run.assets.vectors.row("Ron")].tolist() == [1.0, 0.0, 0.0]


def test_vectors_of_other_words_are_refused(tmp_path):
    (tmp_path / "vectors.txt").write_text("ombre 1 2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"vectors.txt: none of the words trained on has a vector there"):
        begun(tmp_path, vectors=str(tmp_path / "vectors.txt"))


def test_a_feature_column_is_read_by_its_embedding_and_an_unknown_value_as_none(tmp_path):
    rows = "kim N O\nsaw V O\nkim P I-PER\n\nsaw V O\nsaw P I-PER\n\nkim P I-PER\nkim V O\n\n" * 4
    (tmp_path / "columns.conll").write_text(rows, encoding="utf-8")
    settings = {"data": tmp_path / "columns.conll", "feature_columns": (2,)}
    run, sentences = begun(tmp_path, **ALONE, **BRIEFLY, **settings)
    assert run.assets.features == (("N", "P", "V"),)
    learn(run, sentences)
    assert run.evaluate(sentences).figures["f1"] == 1.0
    (tmp_path / "other.conll").write_text("kim X\nkim P\n", encoding="utf-8")
    [sentence] = TASK.read(run.config, tmp_path / "other.conll", "predict")
    [answer] = run.answers([sentence])
    assert (1, 2, "PER") in answer.spans
    assert next(run.answers([plain("kim")])).spans is not None  # text without columns is answered, too


def test_of_a_word_that_is_read_as_unknown_the_spelling_as_a_whole_is_not_read_either(tmp_path):
    run, sentences = begun(tmp_path, word_dropout=0.5, once_dropout=0.5, ngram_dropout=0, ngrams=10_000)

    def read(role):
        batches = TASK.batches(run.config, run.assets, sentences, role)
        return {
            int(index): (words, grams)
            for batch in batches.epoch(0)
            for index, words, grams in zip(batch.index, batch.tokens.words, batch.tokens.ngrams, strict=True)
        }

    whole, dropped = read("evaluate"), read("train")
    unknown = run.assets.words.unknown
    counts = {True: 0, False: 0}
    for index, (words, grams) in dropped.items():
        for word, all_of_it, left in zip(words, whole[index][1], grams, strict=False):
            if not int(all_of_it[0]):  # past the end of the sentence
                continue
            spelled = all_of_it[all_of_it != 0].tolist()
            is_unknown = int(word) == unknown
            counts[is_unknown] += 1
            assert left[left != 0].tolist() == (spelled[:-1] if is_unknown else spelled)
    assert min(counts.values()) > 20


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
    learn(run, sentences)
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
    only_sure, notes = at_precision(assets, 0.8)
    assert notes == ["a precision of 0.8 costs no recall on the part validated on: 100.0%"]
    assert all(only_sure(answer) == answer for answer in calibrated.answers(part))
    assert any("too few to be sure of a precision of 0.99" in note for note in at_precision(assets, 0.99)[1])


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
