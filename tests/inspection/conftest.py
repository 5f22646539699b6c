"""Sentences in which the verb agrees with a subject far before it."""

import random

import pytest

NOUNS, VERBS, FOODS, ENDS = ["cat", "dog", "bird"], ["ate", "liked"], ["fish", "bread"], ["full", "tired"]


def agreement(number, seed=0, plural=None):
    """`the cat(s) (which already ate fish){1..2} was|were full`, the subject's number drawn or given."""
    draw = random.Random(seed)
    sentences = []
    for _ in range(number):
        many = draw.random() < 0.5 if plural is None else plural
        words = ["the", draw.choice(NOUNS) + "s" * many]
        for _ in range(draw.randint(1, 2)):
            words += ["which", draw.choice(["already", "often"]), draw.choice(VERBS), draw.choice(FOODS)]
        sentences.append(" ".join([*words, "were" if many else "was", draw.choice(ENDS)]))
    return sentences


@pytest.fixture(scope="session")
def agreement_of():
    return agreement
