"""Sentiment classification on the contract of a use: what users of other classifiers complain about does not happen."""

import json
import math
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import recurra as library
from recurra.data.dataset import Problems
from recurra.data.padded import PaddedBatches
from recurra.decoding.calibration import fit_temperature
from recurra.errors import DataError, SettingError
from recurra.tasks.doctor import check_up
from recurra.tasks.sentiment_classification import SENTIMENT_CLASSIFICATION as TASK
from recurra.tasks.sentiment_classification import words_of
from recurra.tasks.settings_file import make_config
from recurra.tasks.trained import Trained
from support.untrained import untrained

UNSURE = "zzxqv wwkjh"
"""Words that are met nowhere."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run in a folder."""
    folder = tmp_path_factory.mktemp("reviews")
    return library.train(
        TASK.name, **TASK.example(folder) | {"epochs": 10, "weight_average": 0.9}, out=folder / "run", show=False
    )


def begun(folder, rows=None, **settings):
    """An untrained classifier of weights that are large enough to make a difference, and what it is to learn."""
    config = make_config(TASK.config, {}, {**TASK.example(folder), **settings})
    if rows is not None:
        config.texts.data.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    texts = TASK.read(config, config.texts.data, "train")
    return untrained(TASK, config, texts), texts


def whole_batch(run, texts, role):
    [batch] = TASK.batches(run.config, run.assets, texts, role).epoch(0)
    return batch


# It learns


def test_it_learns_its_example_and_says_so(run):
    report = run.evaluate(run.config.texts.data, intervals=True)
    assert report.figures["accuracy"] > 0.95
    assert report.figures["macro_f1"] > 0.95
    assert [answer.label for answer in run.predict(["A superb, moving film.", "So dull."])] == ["positive", "negative"]


# What users of other classifiers complain about


def test_answers_are_in_the_order_of_the_texts_however_long_they_are(run):
    degrees = ["", "so ", "really "]
    texts = [f"The film is {degrees[7 * n % 5 % 3]}{'superb' if n % 3 else 'dull'}." for n in range(50)]
    together = run.predict(texts)
    assert [answer.label for answer in together] == ["positive" if n % 3 else "negative" for n in range(50)]
    texts += [f"{'so ' * (37 * n % 50)}dull{' superb' * (n % 7)}" for n in range(50)]
    for text, answer in zip(texts, run.predict(texts), strict=True):
        alone = run.predict(text)
        assert alone.label == answer.label
        assert alone.probabilities == pytest.approx(answer.probabilities, abs=1e-6)


def test_a_row_keeps_its_id(run, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,text\n" + "".join(f"{number},{'so ' * (7 - number)}dull\n" for number in range(8)))
    pairs = run.answered(TASK.stream(run.config, path, Problems()))
    assert [TASK.show(*pair)["id"] for pair in pairs] == list("01234567")


def test_padding_changes_nothing_whatever_stands_in_it(tmp_path):
    for pooling in ("last", "mean", "max", "attention", "last+mean+max"):
        run, _ = begun(tmp_path, pooling=pooling)
        texts = TASK.read(run.config, run.config.texts.data, "predict")
        few = type(texts)(texts.items[:3], texts.sources[:3], texts.lengths[:3], Problems(), lambda: "")
        batch = whole_batch(run, few, "predict")
        long = batch.tokens._replace(
            **{
                name: torch.cat([tensor, tensor[:, :1].expand(-1, 9, *tensor.shape[2:]).flip(0)], 1)
                for name, tensor in batch.tokens._asdict().items()
                if tensor is not None
            }
        )
        before = run.model(batch.tokens, None, batch.lengths)[0]
        after = run.model(long, None, batch.lengths)[0]
        assert torch.allclose(before, after, atol=1e-5), pooling
        assert not torch.allclose(before[0], before[1], atol=1e-3), pooling


def test_probabilities_sum_to_one_and_the_answer_is_the_most_probable(run):
    for answer in run.predict(["superb", UNSURE, "", "superb dull", "dull " * 500]):
        assert sum(answer.probabilities) == pytest.approx(1, abs=1e-12)
        assert min(answer.probabilities) >= 0
        assert answer.probability == max(answer.probabilities)
        assert answer.probability == answer.probabilities[answer.names.index(answer.label)]


def test_text_of_words_that_are_met_nowhere_says_so(run):
    known = [answer.known for answer in run.predict([UNSURE, "", f"superb {UNSURE}", "superb film"])]
    assert known == [0, 0, pytest.approx(1 / 3), 1]
    shown = [TASK.show(TASK.parse(run.config, text), run.predict(text)) for text in (UNSURE, "superb")]
    assert ["unknown" in one for one in shown] == [True, False]


@pytest.mark.parametrize("end", ["", "\r\n"])
def test_the_command_answers_as_python_does_bit_for_bit(run, tmp_path, end):
    texts = ["A superb, moving film.", UNSURE, "so  dull", "superb"]
    expected = [
        TASK.show(TASK.parse(run.config, text), answer) for text, answer in zip(texts, run.predict(texts), strict=True)
    ]
    for other in ("\n", "\r\n", "\r"):
        assert run.predict([text + other for text in texts]) == run.predict(texts)
    path = tmp_path / "a.txt"
    path.write_bytes(((end or "\n").join(texts) + end).encode())
    words = [sys.executable, "-m", "recurra", "predict", str(run.folder), str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert [json.loads(line) for line in done.stdout.splitlines()] == expected


def test_the_answer_is_never_empty(run, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("\n \n\u2028\n\t\n.\n")
    answers = list(run.answers(TASK.stream(run.config, path, Problems())))
    assert len(answers) == 5
    assert {answer.label for answer in answers} <= {"positive", "negative"}
    assert all(math.isfinite(p) for answer in answers for p in answer.probabilities)


def test_what_cannot_be_learned_from_is_refused(tmp_path):
    for rows, message in (
        (
            [("good", "a"), ("bad", "a")],
            r"reviews.tsv: all texts to train on are of the class 'a'; .* takes two classes",
        ),
        ([("good", ""), ("bad", "")], r"reviews.tsv: 0 labelled texts in it, and 2 without a label"),
        ([("", "a"), (" ", "b")], r"reviews.tsv: 0 labelled texts in it, and 2 without a label or a word"),
    ):
        with pytest.raises(DataError, match=message):
            begun(tmp_path, rows)
    with pytest.raises(SettingError, match="a text is a str, and this is a int"):
        TASK.parse(None, 3)


def test_one_class_a_text_is_expected(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("__label__a one\n__label__a __label__b two\n")
    config = make_config(TASK.config, {}, {"data": path, "labels": "one"})
    message = r"a.txt:2: this text has several classes \(a, b\), and one is expected; .* train with --labels several"
    with pytest.raises(DataError, match=message):
        TASK.fit(config, TASK.read(config, path, "train"))
    (tmp_path / "reviews").mkdir()
    run, _ = begun(tmp_path / "reviews")
    with pytest.raises(DataError, match=message):
        run.evaluate(path)


# Long texts


@given(st.integers(0, 12), st.integers(2, 9))
def test_of_a_long_text_head_and_tail_are_read(count, longest):
    words = [f"w{number}" for number in range(count)]
    kept = words_of(" ".join(words), longest)
    assert len(kept) == min(count, longest)
    head = kept[: len(kept) - longest // 2] if count > longest else kept
    assert kept == head + words[count - (len(kept) - len(head)) :]
    assert head == words[: len(head)]


def test_cut_texts_are_counted_and_read_as_their_head_and_tail(tmp_path):
    rows = [("superb " + "so " * 20 + "dull", "a"), ("superb so so dull", "a"), ("dull so so", "b")]
    run, texts = begun(tmp_path, rows, longest=4)
    assert [line.split(" (")[0] for line in texts.problems.lines()] == [
        "of a text of more than 4 words, --longest of the training, the middle is not read: 1"
    ]
    first, second, _ = run.answers(texts)
    assert first.probabilities == pytest.approx(second.probabilities, abs=1e-6)


def test_batches_hold_no_more_words_than_they_may(tmp_path):
    rows = [("so " * (1 + 13 * number % 60), "ab"[number % 2]) for number in range(60)]
    for settings, most in ({"max_words": 100}, 100), ({"max_words": 100, "longest": 20}, 100):
        run, texts = begun(tmp_path, rows, batch_size=50, **settings)
        for role in ("train", "validate", "predict"):
            batches = TASK.batches(run.config, run.assets, texts, role)
            assert isinstance(batches, PaddedBatches)
            sizes = [batch.tokens.words.shape for batch in batches.epoch(0)]
            assert sum(rows for rows, _ in sizes) == 60
            assert max(rows * steps for rows, steps in sizes) <= most
            assert max(steps for _, steps in sizes) == (20 if "longest" in settings else 60)
    run, texts = begun(tmp_path, [("extraordinarily", "a"), ("disappointing", "b")] * 5, batch_size=50, max_words=10)
    assert len(whole_batch(run, texts, "train")) == 10  # words are counted, not characters


def test_a_text_longer_than_a_batch_may_be_is_one_of_its_own(tmp_path):
    run, _ = begun(tmp_path, max_words=50)
    answers = run.predict(["so " * 2000 + "dull", "dull", "superb"])
    assert answers[1:] == run.predict(["dull", "superb"])


# The loss


def test_the_loss_is_the_cross_entropy_of_the_answers(tmp_path):
    run, texts = begun(tmp_path, [("so good", "a"), ("good", "a"), ("bad", "b"), ("weak", "c")])
    batch = whole_batch(run, texts, "validate")
    measured = TASK.loss(run.config, run.model, batch, None)
    answers = [*run.answers(texts)]
    expected = -sum(
        math.log(answer.probabilities[answer.names.index(text.labels[0])])
        for text, answer in zip(texts, answers, strict=True)
    )
    assert measured.count == 4
    assert float(measured.total.detach()) == pytest.approx(expected, rel=1e-5)


def test_balance_has_every_class_count_the_same(tmp_path):
    rows = [("good", "a")] * 6 + [("bad", "b")] * 2 + [("weak", "c")]
    losses = {}
    for balance in (False, True):
        run, texts = begun(tmp_path, rows, balance=balance, dropout=0, word_dropout=0, ngram_dropout=0, once_dropout=0)
        batch = whole_batch(run, texts, "train")
        each = F.cross_entropy(
            run.model(batch.tokens, None, batch.lengths)[0].detach(), batch.targets, reduction="none"
        )
        # So that it is the mean over classes of the mean over their texts, times the number of texts.
        means = [each[batch.targets == target].mean() for target in range(3)]
        losses[balance] = float(9 * sum(means) / 3), float(each.sum())
        measured = float(TASK.loss(run.config, run.model, batch, None).total.detach())
        assert measured == pytest.approx(losses[balance][1], rel=1e-5)  # what is measured is never weighed
        run.model.train()
        assert float(TASK.loss(run.config, run.model, batch, None).total.detach()) == pytest.approx(
            losses[balance][0 if balance else 1], rel=1e-5
        )
    assert losses[True][0] != pytest.approx(losses[True][1], rel=1e-2)


def test_label_smoothing_spreads_a_share_evenly_while_it_learns(tmp_path):
    no_dropout = {"dropout": 0, "word_dropout": 0, "ngram_dropout": 0, "once_dropout": 0}
    run, texts = begun(tmp_path, [("good", "a"), ("bad", "b"), ("weak", "c")], label_smoothing=0.3, **no_dropout)
    batch = whole_batch(run, texts, "train")
    logs = run.model(batch.tokens, None, batch.lengths)[0].detach().log_softmax(1)
    plain = -logs[torch.arange(3), batch.targets]
    assert float(TASK.loss(run.config, run.model, batch, None).total.detach()) == pytest.approx(
        float(plain.sum()), rel=1e-5
    )
    run.model.train()
    smoothed = 0.7 * plain - 0.3 * logs.mean(1)
    assert float(TASK.loss(run.config, run.model, batch, None).total.detach()) == pytest.approx(
        float(smoothed.sum()), rel=1e-5
    )


# Classes that training has not


def test_a_class_that_training_has_not_is_answered_wrongly_and_said(run, tmp_path):
    path = tmp_path / "test.tsv"
    path.write_text(
        "text\tlabel\nThe film is superb.\tpositive\nThe plot is dull.\tnegative\nso so\tmixed\nmoving\tmixed\n"
    )
    report = run.evaluate(path)
    assert report.figures["accuracy"] == 0.5
    assert math.isfinite(report.loss)
    assert {row.name: row.figures["recall"] for row in report.tables["macro_f1"]}["mixed"] == 0
    parts = {
        "train": TASK.read(run.config, run.config.texts.data, "train"),
        "test": TASK.read(run.config, path, "evaluate"),
    }
    *_, warning = check_up(TASK, run.config, parts).warnings
    assert warning == "test has what train has no example of, and no model can answer: mixed (2)"


# Calibration


def nll(logits, classes, temperature):
    logs = torch.tensor(logits, dtype=torch.float64).div(temperature).log_softmax(1)
    return float(-logs[torch.arange(len(classes)), torch.tensor(classes)].mean())


def drawn(temperature, count=4000):
    """Logits, and classes that come true at a temperature."""
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(count, 3)) * 2
    chances = torch.tensor(logits).div(temperature).softmax(1).numpy()
    return logits.tolist(), [int(draw.choice(3, p=row)) for row in chances]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_temperature_is_found_again_and_none_fits_better(temperature):
    logits, classes = drawn(temperature)
    fitted = fit_temperature(logits, classes)
    assert fitted == pytest.approx(temperature, rel=0.1)
    assert nll(logits, classes, fitted) <= min(nll(logits, classes, fitted * factor) for factor in (0.98, 1, 1.02))
    assert nll(logits, classes, fitted) <= nll(logits, classes, 1.0)


def test_temperatures_have_bounds():
    assert fit_temperature([], []) == 1.0
    assert fit_temperature([[9.0, 0.0]] * 5, [0] * 5) == pytest.approx(0.05, rel=0.01)
    assert fit_temperature([[9.0, 0.0]] * 5, [1] * 5) == pytest.approx(20, rel=0.01)


def test_calibration_lowers_the_loss_on_the_part_validated_on_and_changes_no_answer(tmp_path):
    run, texts = begun(tmp_path)
    with torch.no_grad():
        run.model.readout.weight.mul_(5)  # far too sure of itself: as labelled here it is right three times in four
    others = {"positive": "negative", "negative": "positive"}
    answered = [answer.label for answer in run.answers(texts)]
    labels = [label if number % 4 else others[label] for number, label in enumerate(answered)]
    texts.items = [replace(text, labels=(label,)) for text, label in zip(texts, labels, strict=True)]

    def cost(run):
        pairs = zip(texts, run.answers(texts), strict=True)
        return -sum(math.log(max(a.probabilities[a.names.index(t.labels[0])], 1e-300)) for t, a in pairs)

    calibrated = Trained(TASK, run.config, TASK.calibrate(run, texts), run.model)
    assert 2 < calibrated.assets.temperature < 15
    assert cost(calibrated) < cost(run) - 1
    labels = [[answer.label for answer in one.answers(texts)] for one in (run, calibrated)]
    assert labels[0] == labels[1]
    again = TASK.calibrate(calibrated, texts)
    assert again.temperature == pytest.approx(calibrated.assets.temperature, rel=1e-2)


# Beside it


def test_the_most_frequent_class_and_the_linear_rule_stand_beside_it(tmp_path):
    run, texts = begun(tmp_path, [("good", "a"), ("fun", "a"), ("good fun", "a"), ("bad", "b"), ("weak", "b")])
    rules = {rule.name: rule.answer for rule in TASK.baselines(run.config, texts)}
    answers = {name: [answer(text).label for text in texts] for name, answer in rules.items()}
    assert answers == {"always the most frequent class": ["a"] * 5, "words and pairs, linear": list("aaabb")}
    assert Counter(run.assets.counts) == {3: 1, 2: 1}
