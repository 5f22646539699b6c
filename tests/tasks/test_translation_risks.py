"""Risks of translations: each is told by what the pairs trained and validated on are like, and only where it is so."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data import Vocabulary
from recurra.data.lines import Source
from recurra.data.sentence_pair import SentencePair
from recurra.tasks.nearest_pair import NearestPairs, with_neighbour
from recurra.tasks.translation import Alternative, Translation
from recurra.tasks.translation_profile import CopyRate, PairProfile, is_carried, numbers_in, words_in
from recurra.tasks.translation_risk_output import _merged, _parts, sentences_with_risks
from recurra.tasks.translation_risks import with_risks
from recurra.tasks.usual_answers import UsualAnswers, least_covered

NAMES = ["Anna", "Berlin", "Caruso", "Dilara", "Emil", "Fatima", "Goethe", "Hanoi", "Igor", "Jena"]
NOUNS = ["Hund/dog", "Katze/cat", "Baum/tree", "Haus/house", "Auto/car", "Kind/child", "Frau/woman", "Buch/book"]
NUMBERS = ["12", "27", "350", "1.000", "48", "96", "77", "2019"]


@pytest.fixture(scope="module")
def german():
    """Pairs of a language whose nouns have capitals: names are carried over, nouns are not."""
    pairs = []
    for place in range(80):
        noun, dog = NOUNS[place % 8].split("/")
        name, number = NAMES[place % 10], NUMBERS[place % 7]
        pairs.append((f"Ein {noun} von {name}, {number} Jahre alt.", f"A {dog} of {name}, {number} years old."))
    return PairProfile.of(pairs)


@pytest.fixture(scope="module")
def english():
    """The other way round: in English mostly names have capitals, of which each comes once."""
    names = [a + b for a in ("Ka", "Lo", "Mi", "Nu") for b in ("ra", "so", "ti", "vum", "zel")]
    return PairProfile.of([(f"the dog of {name} sleeps", f"der Hund von {name} schläft") for name in names])


def risks(profile, source, text, **changes):
    answer = replace(Translation.of_text(text, source), **changes)
    return [(risk.name, risk.reason) for risk in with_risks(answer, profile, None).risks]


def of_kind(name, *texts):
    """The reasons of one kind."""
    return [reason for kind, reason in risks(*texts) if kind == name]


def test_a_right_translation_has_none(german):
    assert risks(german, "Ein Hund von Anna, 12 Jahre alt.", "A dog of Anna, 12 years old.") == []


def test_names_are_told_by_what_training_copies(german, english):
    told = of_kind("name", german, "Ein Baum von Emil, 12 Jahre alt.", "A tree of a boy, 12 years old.")
    assert told == ["“Emil” is not carried over"]
    # A noun that training never had has a capital as well, and nouns that came once were not copied.
    assert of_kind("name", german, "Ein Tisch von Emil, 12 Jahre alt.", "A table of Emil, 12 years old.") == []
    unseen = of_kind("name", english, "the dog of Tarka sleeps", "der Hund von Karl schläft")
    assert unseen == ["“Tarka” is not carried over"]
    assert (
        of_kind("name", english, "Dogs of Kara", "Hunde von Kara") == []
    )  # what opens a sentence has a capital anyway


def test_forms_of_a_name_are_the_name(english):
    assert of_kind("name", english, "the dog of Tarka sleeps", "der Hund von Tarkas schläft") == []


def test_numbers_are_the_same_however_they_are_written(german):
    assert risks(german, "Ein Hund von Anna, 1.000 Jahre alt.", "A dog of Anna, 1,000 years old.") == []
    assert risks(german, "Ein Hund von Anna, 1.000 Jahre alt.", "A dog of Anna, 1,001 years old.") == [
        ("number", "1.000 is not carried over"),
        ("number", "1,001 is not in the sentence"),
    ]


def test_numbers_that_training_spells_out_are_no_risk():
    profile = PairProfile.of([("Es sind 3.", "There are three.")] * 30 + [("Es sind 12.", "There are 12.")] * 30)
    assert of_kind("number", profile, "Es sind 4.", "There are four.") == []
    assert of_kind("number", profile, "Es sind 14.", "There are four.") == ["14 is not carried over"]


def test_lengths_are_compared_with_pairs_of_like_length(german):
    [risk] = risks(german, "Ein Hund von Anna, 12 Jahre alt.", "Anna, 12.")
    assert risk[0] == "length"
    assert risk[1] == ("it is 0.28 times as long as the sentence; pairs trained on of that length have 0.85 to 0.95")
    long = "A very quiet dog of Anna, who is 12 years old and asleep."
    [reason] = of_kind("length", german, "Ein Hund von Anna, 12 Jahre alt.", long)
    assert reason.startswith("it is 1.78 times as long")


def test_repetition_is_told_where_training_has_none(german):
    [risk] = risks(german, "Ein Hund von Anna, 12 Jahre alt.", "A dog dog of Anna, 12 years.")
    assert risk == ("repetition", "“dog” comes twice")
    often = PairProfile.of([("Ein Mann und ein Hund.", "A man and a dog.")] * 30)
    assert risks(often, "Ein Hund und ein Mann.", "A dog and a man.") == []


def test_what_is_not_translated(german):
    source = "Ein Hund von Anna, 12 Jahre alt."
    assert of_kind("untranslated", german, source, source) == ["it is the sentence itself"]
    told = of_kind("untranslated", german, source, "A dog of Anna, 12 Jahre alt.")
    assert told == ["“Anna, 12 Jahre alt” is as in the sentence"]
    assert of_kind("untranslated", german, "Anna", "Anna") == []


def test_what_was_never_read(german):
    assert ("unknown", "no sentence trained on has the characters “ñ ß”") in risks(german, "Ein ñß.", "A dog.")
    vocabulary = Vocabulary.build(["ein Hund"], "word", end_of_sentence=True)
    ids = (*vocabulary.encode("ein Tisch da"), vocabulary.end)
    answer = Translation(
        (Alternative("a", -1.0, -1.0, finished=False),), ids, (vocabulary, vocabulary), 3, source_text="ein Tisch da"
    )
    reasons = [risk.reason for risk in with_risks(answer, None, None).risks]
    assert reasons == [
        "the last 3 pieces of the sentence were not read",
        "it was cut off at the longest that is allowed",
        "2 of its words are not known",
    ]


def test_a_sentence_without_words_has_no_risk(german):
    assert risks(german, "  ", "") == []
    assert ("empty", "it has no words") in risks(german, "Ein Hund.", "")


def attended(log_probability, attention):
    vocabulary = Vocabulary.build(["a b c d e"], "word", end_of_sentence=True)
    ids = tuple(vocabulary.encode("a b c d e"))
    best = Alternative("a b c d e", 0.0, log_probability, ids, (log_probability / 6,) * 6, torch.tensor(attention))
    return Translation((best,), (*ids, vocabulary.end), (vocabulary, vocabulary), source_text="a b c d e")


def test_coverage_and_confidence_are_compared_with_the_part_validated_on():
    even = (torch.eye(5, 6) * 0.95 + 0.01).tolist()
    unread = torch.full((5, 6), 0.02)
    unread[:, 0] = 0.9
    assert least_covered(attended(-1.0, even)) == (pytest.approx(0.95 * 3 + 0.01 * 15), (0, 5))
    assert least_covered(attended(-1.0, unread.tolist())) == (pytest.approx(0.3), (2, 7))
    usual = UsualAnswers.of([attended(-1.0, even)] * 60)
    assert (usual.lines, usual.log_probability, usual.coverage) == pytest.approx((60, -1 / 6, 3.0))
    assert with_risks(attended(-0.9, even), None, usual).risks == ()
    doubtful = with_risks(attended(-6.0, unread.tolist()), None, usual)
    assert [risk.name for risk in doubtful.risks] == ["coverage", "unsure"]
    assert doubtful.risks[0].source == ((2, 7),)
    assert doubtful.risks[0].reason.startswith("little attention went to “b c d” (0.30; 98% of the lines")
    assert UsualAnswers.of([Translation.of_text("a")]) is None


@given(st.integers(0, 50), st.integers(0, 50))
def test_the_rule_of_succession(carried, lost):
    rate = CopyRate(seen=carried + lost, carried=carried)
    assert rate.expected == (carried + lost > 0 and (carried + 1) / (carried + lost + 2) >= 0.75)


@given(st.text(max_size=30), st.text(max_size=30))
def test_whatever_the_texts_hold_marks_stand_inside_them(source, text):
    profile = PairProfile.of([(source, text), ("Ein Hund, 12.", "A dog, 12.")])
    assert PairProfile.model_validate_json(profile.model_dump_json()) == profile
    for risk in with_risks(Translation.of_text(text, source), profile, None).risks:
        assert all(0 <= begin <= end <= len(source) for begin, end in risk.source)
        assert all(0 <= begin <= end <= len(text) for begin, end in risk.translation)
        assert "\n" not in risk.reason or "\n" in source + text
    for word in (*words_in(source), *numbers_in(source)):
        assert 0 <= word.start < word.end <= len(source)


@given(st.text(alphabet="abc", max_size=8))
def test_a_word_carries_itself(word):
    assert is_carried(word, {word.casefold()})


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=5))
def test_marked_parts_are_the_text(spans):
    text = "0123456789"
    parts = list(_parts(text, spans))
    assert "".join(part for part, _ in parts) == text
    marked = {int(digit) for part, is_marked in parts if is_marked for digit in part}
    assert marked == {place for begin, end in spans for place in range(begin, end)}
    assert all(one[1] < two[0] for one, two in zip(_merged(spans), _merged(spans)[1:], strict=False))


def test_a_page_marks_what_is_doubtful_and_escapes_it(german):
    pair = SentencePair("  Ein <Hund> von Emil, 12 Jahre alt.", None, Source(Path(), 1))
    answer = with_risks(Translation.of_text("A <dog> dog, 12 years old.", pair.source_text.strip()), german, None)
    section = sentences_with_risks(pair, answer)
    assert "von <mark>Emil</mark>, 12" in section
    assert "A &lt;<mark>dog&gt; dog</mark>, 12" in section
    assert "<li>name: “Emil” is not carried over</li>" in section


# The nearest pair


def index(*texts):
    pairs = [SentencePair(text, f"of {text}", Source(Path("train.de"), line)) for line, text in enumerate(texts, 1)]
    return NearestPairs(pairs)


def test_likeness_is_the_cosine_of_sets_of_words_by_rarity():
    nearest = index("a b", "a c", "a d e")
    a, once, never = 1.0, (torch.tensor(4 / 2).log() + 1).item(), (torch.tensor(4.0).log() + 1).item()
    neighbour = nearest.nearest("A b x")
    expected = (a**2 + once**2) / ((a**2 + once**2) * (a**2 + once**2 + never**2)) ** 0.5
    assert (neighbour.source_text, neighbour.where) == ("a b", "train.de:1")
    assert neighbour.similarity == pytest.approx(expected, rel=1e-6)
    assert nearest.nearest("x y") is None
    assert nearest.nearest("d e a").similarity == pytest.approx(1.0)


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=5).map(" ".join), min_size=1, max_size=6))
def test_every_pair_is_nearest_to_itself(texts):
    nearest = index(*texts)
    for text in texts:
        if text:
            assert nearest.nearest(text).similarity == pytest.approx(1.0)


def test_a_sentence_unlike_all_pairs_is_told():
    nearest = index(*[f"a dog runs {place % 3}" for place in range(30)])
    near = with_neighbour(Translation.of_text("x", "a dog runs 2"), nearest)
    assert near.risks == ()
    assert near.neighbour.similarity == pytest.approx(1.0)
    far = with_neighbour(Translation.of_text("x", "a zebra"), nearest)
    assert [risk.name for risk in far.risks] == ["unlike"]
    assert with_neighbour(near, None) is near
