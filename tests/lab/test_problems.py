"""The problems are what their papers say: distributions, labels, and the figures of those who know nothing."""

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data import IGNORED
from recurra.errors import SettingError
from recurra.lab.problems import mentions as mention_words
from recurra.lab.problems import names as name_words
from recurra.lab.problems.adding import BASELINE, adding
from recurra.lab.problems.agreement import SUBJECTS, WORDS, agreement, words_of
from recurra.lab.problems.copying import BLANK, KINDS, START, SYMBOLS, baseline, copying
from recurra.lab.problems.help_text import help_text, windows, words
from recurra.lab.problems.latch import latch
from recurra.lab.problems.mentions import mentions
from recurra.lab.problems.names import FIRST, NAME, PLACE, ids_of, names

SEEDS = st.integers(0, 2**32 - 1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@given(SEEDS, st.integers(2, 40), st.integers(1, 6))
def test_adding_asks_for_the_sum_of_one_number_of_each_half(seed, length, count):
    drawn = adding(count, length, seeded(seed))
    numbers, marks = drawn.inputs.unbind(-1)
    assert drawn.inputs.shape == (count, length, 2)
    assert set(marks.unique().tolist()) <= {0.0, 1.0}
    assert (marks[:, : length // 2].sum(1) == 1).all()
    assert (marks[:, length // 2 :].sum(1) == 1).all()
    for row in range(count):
        assert drawn.targets[row] == pytest.approx(float(numbers[row][marks[row] == 1].sum()))


def test_always_answering_1_has_the_error_of_the_baseline_in_adding():
    targets = adding(20000, 20, seeded()).targets
    assert float(((targets - 1) ** 2).mean()) == pytest.approx(BASELINE, rel=0.03)
    assert float(targets.mean()) == pytest.approx(1, abs=0.01)


def test_every_step_of_its_half_is_marked_equally_often_in_adding():
    shares = adding(20000, 10, seeded()).inputs[..., 1].mean(0)
    assert torch.allclose(shares, torch.full((10,), 0.2), atol=0.02)


@given(SEEDS, st.integers(1, 60))
def test_copying_asks_for_the_symbols_after_the_wait(seed, wait):
    drawn = copying(2, wait, seeded(seed))
    assert drawn.inputs.shape == drawn.targets.shape == (2, wait + 2 * SYMBOLS)
    symbols = drawn.inputs[:, :SYMBOLS]
    assert (symbols < KINDS).all()
    assert (drawn.inputs[:, SYMBOLS:] == START).nonzero()[:, 1].tolist() == [wait - 1] * 2
    assert int((drawn.inputs == BLANK).sum()) == 2 * (wait - 1 + SYMBOLS)
    assert torch.equal(drawn.targets[:, -SYMBOLS:], symbols)
    assert (drawn.targets[:, :-SYMBOLS] == BLANK).all()


@pytest.mark.parametrize("wait", [1, 100])
def test_the_baseline_of_copying_is_that_of_a_model_without_memory(wait):
    targets = copying(50, wait, seeded()).targets
    logits = torch.full((*targets.shape, KINDS + 1), -math.inf)
    logits[:, :-SYMBOLS, BLANK] = 0.0
    logits[:, -SYMBOLS:, :KINDS] = 0.0
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).double(), targets.flatten())
    assert float(loss) == pytest.approx(baseline(wait))


@given(SEEDS, st.integers(1, 60))
def test_the_verb_agrees_with_the_subject_at_its_distance(seed, distance):
    drawn = agreement(3, distance, seeded(seed))
    assert drawn.inputs.shape == (3, distance + 1)
    assert (drawn.targets[:, :-1] == IGNORED).all()
    for ids, target in zip(drawn.inputs, drawn.targets[:, -1], strict=True):
        sentence = words_of(ids).split()
        assert sentence[0] == "the"
        assert sentence[1] in SUBJECTS[int(target)]


def test_nothing_but_the_subject_tells_the_verb():
    """The nouns of the clause agree with the verb half of the time."""
    drawn = agreement(4000, 20, seeded())
    plural = torch.tensor([word in SUBJECTS[1] for word in WORDS])
    noun = torch.tensor([word in (*SUBJECTS[0], *SUBJECTS[1]) for word in WORDS])
    answers = drawn.targets[:, -1].bool()
    assert float(answers.double().mean()) == pytest.approx(0.5, abs=0.03)
    places = [place for place in range(2, 21) if bool(noun[drawn.inputs[0, place]])]
    assert len(places) >= 3
    for place in places:
        same = plural[drawn.inputs[:, place]] == answers
        assert float(same.double().mean()) == pytest.approx(0.5, abs=0.03)


def test_a_clause_is_one_of_english():
    sentences = {words_of(ids) for ids in agreement(20, 11, seeded()).inputs}
    pattern = r"the \w+ , which \w+ the \w+ and \w+ the \w+ ,"
    assert all(re.fullmatch(pattern, sentence) for sentence in sentences)
    assert len(sentences) == 20


@given(SEEDS, st.integers(1, 30))
def test_the_latch_asks_for_the_bit_at_the_mark(seed, distance):
    drawn = latch(3, 90, distance, seeded(seed))
    bits, marks, questions = drawn.inputs.unbind(-1)
    assert ((drawn.targets != IGNORED) == (questions == 1)).all()
    assert set(bits.unique().tolist()) <= {-1.0, 1.0}
    for row in range(3):
        places, asked = marks[row].nonzero()[:, 0], questions[row].nonzero()[:, 0]
        assert (asked - places[: len(asked)] == distance).all()
        assert (places[1 : len(asked) + 1] > asked[: len(places) - 1]).all()
        assert torch.equal(drawn.targets[row, asked], (bits[row, places[: len(asked)]] > 0).long())


def test_a_question_is_in_the_chunk_of_its_mark_as_often_as_theory_says():
    reach, distance = 20, 7
    drawn = latch(200, 1000, distance, seeded())
    asked = (drawn.inputs[..., 2] == 1).nonzero()[:, 1]
    within = ((asked // reach) == ((asked - distance) // reach)).double().mean()
    assert float(within) == pytest.approx((reach - distance) / reach, abs=0.03)


def test_only_the_word_after_teddy_tells():
    drawn = names(2000, seeded())
    person = drawn.targets[:, PLACE] == NAME
    assert float(person.double().mean()) == pytest.approx(0.5, abs=0.05)
    followers = {pair[1] for pair in FIRST.values()}
    told = torch.tensor([word in followers for word in name_words.WORDS])
    assert torch.equal(told[drawn.inputs[:, PLACE + 1]], person)
    for place in range(PLACE + 1):
        for word in drawn.inputs[:, place].unique():
            share = person[drawn.inputs[:, place] == word].double().mean()
            assert float(share) == pytest.approx(0.5, abs=0.1)


def test_tags_end_where_the_sentence_does():
    drawn = names(50, seeded())
    assert torch.equal(drawn.inputs == 0, drawn.targets == IGNORED)
    assert len(ids_of("He said , Teddy Roosevelt was a great president")) == name_words.LONGEST


@given(SEEDS, st.integers(2, 40), st.sampled_from(["halves", "swapped", "anywhere"]))
def test_a_name_is_told_by_the_word_and_the_one_before(seed, length, where):
    """A first name always is one; a family name is one after a first name or a title, and else a noun."""
    firsts, families = (sum(halves, ()) for halves in (mention_words.FIRSTS, mention_words.FAMILIES))
    drawn = mentions(3, length, seeded(seed), where)
    assert drawn.inputs.shape == drawn.targets.shape == (3, length)
    for ids, tags in zip(drawn.inputs, drawn.targets, strict=True):
        words = [mention_words.WORDS[word] for word in ids]
        for word, before, tag in zip(words, ["", *words], tags.tolist(), strict=False):
            named = word in families and before in (*firsts, *mention_words.TITLES)
            assert tag == int(word in firsts or named)


def mentioned(where, length=12):
    """The names of 3,000 sentences, each with its position."""
    drawn = mentions(3000, length, seeded(), where)
    rows, positions = (drawn.targets == mention_words.NAME).nonzero().unbind(1)
    return set(zip(drawn.inputs[rows, positions].tolist(), positions.tolist(), strict=True))


def test_no_name_stands_where_it_stood_in_training_once_the_halves_are_swapped():
    seen, unseen = mentioned("halves"), mentioned("swapped")
    assert not seen & unseen
    assert seen | unseen == mentioned("anywhere")
    for half, names_of_half in enumerate(zip(mention_words.FIRSTS, mention_words.FAMILIES, strict=True)):
        words = {int(mention_words.ids_of(word)) for names_ in names_of_half for word in names_}
        positions = {position for word, position in seen if word in words}
        assert positions == (set(range(7)) if half == 0 else set(range(6, 12)))  # one that begins at 5 ends at 6


def test_ordinary_words_stand_anywhere_whatever_the_names_do():
    for where in ("halves", "swapped"):
        drawn = mentions(3000, 12, seeded(), where)
        for noun in ("king", "baker", "spell"):
            ordinary = (drawn.inputs == mention_words.ids_of(noun)) & (drawn.targets == mention_words.NO_NAME)
            assert ordinary.any(0).tolist() == [False] + [True] * 11


@given(st.text())
def test_words_lose_nothing(text):
    assert "".join(words(text)) == text


def test_windows_are_answered_by_what_comes_next():
    drawn = windows(torch.arange(100), 8, 5, seeded())
    assert torch.equal(drawn.targets, drawn.inputs + 1)
    assert drawn.inputs.shape == (8, 5)


def test_the_help_text_is_cut_in_two():
    first, second = help_text(5000)
    assert len(first) + len(second) == 5000
    assert 300 < len(second) < 800


def test_a_generator_gives_the_same_again():
    for draw in (
        lambda g: adding(3, 9, g),
        lambda g: copying(3, 9, g),
        lambda g: agreement(3, 9, g),
        lambda g: latch(3, 40, 9, g),
        lambda g: names(3, g),
        lambda g: mentions(3, 9, g),
    ):
        one, other, another = draw(seeded(1)), draw(seeded(1)), draw(seeded(2))
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)
        assert not torch.equal(one.inputs, another.inputs)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: adding(1, 1, seeded()), "length is 1; two marked numbers need 2 steps or more"),
        (lambda: copying(1, 0, seeded()), "wait is 0; it is a number of steps from 1"),
        (lambda: agreement(1, 0, seeded()), "distance is 0; the verb stands 1 step or more"),
        (lambda: mentions(1, 1, seeded()), "length is 1; a sentence of two halves has 2 words or more"),
        (lambda: latch(1, 9, 0, seeded()), "distance is 0; a question stands 1 step or more"),
    ],
)
def test_impossible_sizes_are_refused(draw, message):
    with pytest.raises(SettingError, match=message):
        draw()
