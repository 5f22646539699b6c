import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from recurra.data import END, IGNORED, UNKNOWN, SentenceBatches, StreamBatches, Vocabulary
from recurra.errors import DataError, SettingError
from recurra.tasks.language_modelling import loss

TEXT = "the cat sat on the mat\nthe dog sat on the log\na cat and a dog sat\n"


# Scoring


@pytest.mark.parametrize("sentences", [False, True])
def test_the_probabilities_of_all_sentences_and_of_what_is_longer_sum_to_one(random_run, sentences):
    """Over every sentence of up to 4 words of a vocabulary of 3 and <UNK>; the rest is that no <EOS> came by then."""
    run = random_run(Vocabulary("word", ["cat", "mat", "sat"]), sentences=sentences)
    vocabulary = run.vocabulary
    ordinary = [number for number in range(len(vocabulary)) if number != vocabulary.end]
    longest = 4

    def of_prefixes(rows):
        """The probability that a text begins with any of these rows of ids: products of softmaxes, written out."""
        rows = torch.tensor(rows)
        before = torch.cat([torch.full((len(rows), 1), vocabulary.end), rows[:, :-1]], dim=1)
        logits, _ = run.model(before)
        return logits.double().softmax(-1).gather(-1, rows[..., None]).squeeze(-1).prod(dim=1).sum().item()

    total = of_prefixes([[vocabulary.end]])  # the sentence of no words, which a text cannot be
    for length in range(1, longest + 1):
        for sentence in itertools.product(ordinary, repeat=length):
            total += run.score(" ".join(vocabulary.tokens[number] for number in sentence)).probability
    tail = of_prefixes(list(itertools.product(ordinary, repeat=longest + 1)))
    assert 0.01 < tail < 0.99
    assert total + tail == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("level", ["word", "character", "byte"])
def test_the_score_of_a_stream_is_the_loss_on_it(random_run, level):
    run = random_run(Vocabulary.build(TEXT, level))
    ids = run.vocabulary.encode(TEXT)
    [batch] = StreamBatches([run.start, *ids], 1, len(ids)).epoch(0)
    result = loss(run.config, run.model, batch, None)
    score = run.score(TEXT)
    assert -score.log_probability == pytest.approx(result.total.item(), rel=1e-5)
    assert score.count == result.count == len(ids)
    assert score.perplexity == pytest.approx(math.exp(result.total.item() / result.count), rel=1e-5)
    assert score.bits == pytest.approx(result.total.item() / result.count / math.log(2), rel=1e-5)


@pytest.mark.parametrize("level", ["word", "character", "byte"])
def test_the_score_of_sentences_is_the_loss_on_them(random_run, level):
    lines = TEXT.splitlines()
    run = random_run(Vocabulary.build(lines, level, end_of_sentence=True), sentences=True)
    batches = SentenceBatches([run.vocabulary.encode(line) for line in lines], 2, run.vocabulary.end)
    total = sum(loss(run.config, run.model, batch, None).total.item() for batch in batches.epoch(0))
    score = run.score("\n" + TEXT.replace("\n", "\n\n"))  # empty lines are no sentences
    assert -score.log_probability == pytest.approx(total, rel=1e-5)
    assert score.count == batches.count
    assert sum(unit.text == END for unit in score.units) == len(lines)
    assert -run.score(lines[0]).log_probability == pytest.approx(
        F.cross_entropy(
            run.model(torch.tensor([[run.vocabulary.end, *run.vocabulary.encode(lines[0])]]))[0][0],
            torch.tensor([*run.vocabulary.encode(lines[0]), run.vocabulary.end]),
            reduction="sum",
            ignore_index=IGNORED,
        ).item(),
        rel=1e-5,
    )


def test_a_long_text_is_scored_in_chunks_that_know_all_before_them(random_run, monkeypatch):
    run = random_run(Vocabulary.build(TEXT, "character"))
    whole = run.score(TEXT)
    monkeypatch.setattr("recurra.tasks.language_model_run.CHUNK", 7)
    parts = run.score(TEXT)
    assert [u.text for u in parts.units] == [u.text for u in whole.units]
    assert parts.log_probability == pytest.approx(whole.log_probability, rel=1e-6)


def test_a_text_that_has_its_end_gets_no_second_one(random_run, words):
    run = random_run(words)
    assert run.score("the cat\n").log_probability == run.score("the cat").log_probability
    assert [unit.text for unit in run.score("the cat\na dog").units] == ["the", "cat", END, "a", "dog", END]


def test_a_model_that_knows_no_beginning_takes_the_first_unit_as_given(random_run):
    run = random_run(Vocabulary("character", "abc"))
    assert run.start is None
    score = run.score("abca")
    assert score.units[0].log_probability is None
    logits, _ = run.model(torch.tensor([run.vocabulary.encode("abc")]))
    expected = logits[0].log_softmax(-1)[range(3), run.vocabulary.encode("bca")].sum().item()
    assert (score.log_probability, score.count) == (pytest.approx(expected, rel=1e-5), 3)
    with pytest.raises(DataError, match="one unit long, and the model has nothing to read before it"):
        run.score("a")


def test_unknown_words_are_marked_and_shown_as_they_are(random_run, words):
    score = random_run(words).score("the emu sat")
    assert [(unit.text, unit.unknown) for unit in score.units] == [
        ("the", False),
        ("emu", True),
        ("sat", False),
        (END, False),
    ]
    assert score.log_probability == random_run(words).score(f"the {UNKNOWN} sat").log_probability


@pytest.mark.parametrize("text", ["", " ", "\n \n"])
def test_a_text_of_nothing_cannot_be_scored(random_run, words, text):
    for sentences in (False, True):
        with pytest.raises(DataError, match="the text is empty; give at least one word"):
            random_run(Vocabulary("word", ["a"], end_of_sentence=True), sentences).score(text.strip())
    with pytest.raises(DataError, match="the text is empty"):
        random_run(words, sentences=True).score(text)


# Sampling


def test_the_same_seed_draws_the_same_texts(random_run):
    run = random_run(Vocabulary.build(TEXT, "character"))
    texts = run.sample(40, number=3, seed=5)
    assert run.sample(40, number=3, seed=5) == texts
    assert run.sample(40, number=3, seed=6) != texts
    assert len(set(texts)) == 3
    assert all(len(text) == 40 for text in texts)
    assert run.sample(40) != run.sample(40)


def test_a_text_is_the_same_beside_others_and_begins_the_same_whatever_its_length(random_run):
    run = random_run(Vocabulary.build(TEXT, "character"))
    [alone] = run.sample(30, primer="the", seed=2)
    assert run.sample(30, primer="the", number=4, seed=2)[0] == alone
    assert run.sample(50, primer="the", seed=2)[0].startswith(alone)


def test_what_is_drawn_has_the_probabilities_of_the_score(random_run):
    """The share of each second word among many texts, beside its probability: within 4 standard deviations."""
    run = random_run(Vocabulary("word", ["cat", "mat", "sat"]))
    drawn = [text.split("\n")[0].split(" ")[1:2] for text in run.sample(1, primer="cat", number=2000, seed=0)]
    logits, _ = run.model(torch.tensor([[run.vocabulary.end, 0]]))
    banned = torch.tensor([run.vocabulary.unknown])
    probabilities = logits[0, -1].index_fill(0, banned, -math.inf).softmax(-1).tolist()
    for number, word in enumerate(["cat", "mat", "sat"]):
        p = probabilities[number]
        share = sum(word in found for found in drawn) / 2000
        assert abs(share - p) < 4 * math.sqrt(p * (1 - p) / 2000) + 1e-9


def test_temperature_0_takes_the_most_probable_unit_each_time(random_run):
    run = random_run(Vocabulary.build(TEXT, "byte"))
    ids = [run.start, *run.vocabulary.encode("the ")]
    for _ in range(20):
        logits, _ = run.model(torch.tensor([ids]))
        ids.append(int(logits[0, -1].argmax()))
    assert run.sample(20, primer="the ", temperature=0, seed=1) == [run.vocabulary.decode(ids[1:])]
    assert run.sample(20, primer="the ", top_k=1, seed=2) == [run.vocabulary.decode(ids[1:])]


def test_unknown_is_drawn_only_if_asked_for(random_run):
    run = random_run(Vocabulary("word", ["a"]))
    run.model.readout.bias.data[run.vocabulary.unknown] = 20.0
    run.model.readout.bias.data[0] = 10.0  # the next most probable, before <EOS>
    assert set(run.sample(30, seed=0)[0].split()) == {"a"}
    assert UNKNOWN in run.sample(30, seed=0, allow_unknown=True)[0].split()


def test_a_model_of_sentences_stops_at_their_end_and_one_of_a_stream_goes_on(random_run, words):
    texts = random_run(words, sentences=True).sample(200, number=20, seed=3)
    assert all("\n" not in text for text in texts)
    assert len({len(text.split()) for text in texts}) > 5
    [stream] = random_run(words).sample(200, seed=3)
    assert "\n" in stream
    assert len(stream.split()) + stream.count("\n") == 200


@pytest.mark.parametrize(
    ("level", "primer", "begins"),
    [
        ("word", "the cat", "the cat "),
        ("word", "the  emu ", "the  emu "),
        ("word", "the cat\n", "the cat\n"),
        ("character", "the z", "the z"),
        ("byte", "thé ☃", "thé ☃"),
    ],
)
def test_the_primer_is_kept_as_it_was_given(random_run, level, primer, begins):
    run = random_run(Vocabulary.build(TEXT, level))
    run.model.readout.bias.data[run.vocabulary.encode("a")[0]] = 100.0  # what follows is known
    [text] = run.sample(3, primer=primer, seed=0)
    assert text == begins + ("a a a" if level == "word" else "aaa")


def test_the_primers_unknown_units_can_be_named(random_run, words):
    assert random_run(words).unknown_in("the emu and the yak and the emu") == ["emu", "yak"]
    assert random_run(Vocabulary("byte")).unknown_in("☃") == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"number": 0}, "number is 0; it must be 1 or more"),
        ({"length": 0}, "length is 0; it must be 1 or more"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**70}, "seed is 1180591620717411303424"),
    ],
)
def test_a_setting_out_of_range_is_refused(random_run, words, given, message):
    with pytest.raises(SettingError, match=message):
        random_run(words).sample(**{"length": 2} | given)


def test_a_sentence_cannot_begin_with_two_lines(random_run, words):
    with pytest.raises(SettingError, match="the primer has several lines"):
        random_run(words, sentences=True).sample(2, primer="the cat\nthe")


@pytest.mark.parametrize("text", [5, ["a", "b"], None, b"the"])
def test_what_is_no_text_is_refused_in_one_line(random_run, words, text):
    run = random_run(words)
    with pytest.raises(SettingError, match=r"score takes a text; this is a .*: give one text at a time"):
        run.score(text)
    with pytest.raises(SettingError, match="sample: primer takes a text"):
        run.sample(3, primer=text)


@pytest.mark.parametrize("given", [{"length": 1.5}, {"length": "3"}, {"number": 2.0}, {"seed": 0.5}, {"length": True}])
def test_what_is_no_whole_number_is_refused(random_run, words, given):
    with pytest.raises(SettingError, match=f"{next(iter(given))} is .*; it must be a whole number"):
        random_run(words).sample(**{"length": 3, **given})
