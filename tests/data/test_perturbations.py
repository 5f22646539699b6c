"""Changes of texts: what they change, and that they change nothing else."""

import random
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recurra.data.perturbations import MARKS, MEN, PERTURBATIONS, WOMEN
from recurra.data.tokens import tokenise

SPACE, CAPITALS, LOWER, TYPO, NAMES, MARKLESS, NEGATED = PERTURBATIONS

words = st.sampled_from(
    ["Mary", "is", "Paul", "good", "not", "n't", ".", "!", "a.m.", "3.5", "U.S.", "café", "\u2028", ""]
)
texts = st.lists(words).map(" ".join) | st.text()


def test_only_negation_should_matter():
    assert [perturbation.matters for perturbation in PERTURBATIONS] == [False] * 6 + [True]
    assert len({perturbation.name for perturbation in PERTURBATIONS}) == len(PERTURBATIONS)


@given(texts, st.integers(0, 3))
def test_a_change_follows_from_text_and_seed_and_is_one(text, seed):
    for perturbation in PERTURBATIONS:
        changed = perturbation(text, seed)
        random.random()  # what is drawn elsewhere is nothing to it
        assert perturbation(text, seed) == changed
        assert changed != text


@given(texts)
def test_doubled_space_leaves_the_words_as_they_are(text):
    changed = SPACE(text, 0)
    assert (changed or text).split() == text.split()


@given(texts)
@example("see")
@example("aaaa bbbb")
def test_a_typo_swaps_two_neighbouring_letters_of_one_word(text):
    changed = TYPO(text, 0)
    if changed is None:
        assert all(len(t.text) < 4 or not t.text.isalpha() or len(set(t.text)) == 1 for t in tokenise(text))
        return
    assert len(changed) == len(text)
    assert Counter(changed) == Counter(text)
    differing = [place for place in range(len(text)) if text[place] != changed[place]]
    assert len(differing) == 2
    assert differing[1] == differing[0] + 1
    assert all(text[place].isalpha() for place in differing)


@given(texts)
def test_without_punctuation_all_else_is_there(text):
    changed = MARKLESS(text, 0)
    if changed is not None:
        kept = [token.text for token in tokenise(text) if not MARKS.issuperset(token.text)]
        assert "".join(changed.split()) == "".join("".join(kept).split())


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("So good, really!", "So good really"),
        ("so good , really .", "so good really"),
        ("At 3.5 a.m. in the U.S. it works...", "At 3.5 a.m. in the U.S. it works"),
        ("isn't bad-tempered", None),
        ("?!", None),
    ],
)
def test_punctuation_within_words_stays(text, changed):
    assert MARKLESS(text, 0) == changed


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("The film is good.", "The film is not good."),
        ("THE FILM IS GOOD", "THE FILM IS NOT GOOD"),
        ("It can be seen; it will be.", "It can not be seen; it will be."),
        ("It is n't good but was short", "It is n't good but was not short"),
        ("It isn't good", None),
        ("It is never good", None),
        ("This has no such verb", None),
    ],
)
def test_the_first_verb_is_denied_unless_it_is_already(text, changed):
    assert NEGATED(text, 0) == changed


def test_names_are_exchanged_for_others_of_their_kind_and_spelling():
    text = "Mary told PAUL that Mary and Paul left."
    words = NAMES(text, 0).split()
    woman, man = words[0], words[2]
    assert woman in WOMEN - {"Mary"}
    assert man.title() in MEN - {"Paul"}
    assert words == [woman, "told", man.upper(), "that", woman, "and", man.title(), "left."]
    assert NAMES("a film by paul", 0).split()[-1].title() in MEN - {"Paul"}
    assert NAMES("Even paul liked it", 0) is None, "in a text with capitals a name has one"
    assert not MEN & WOMEN
