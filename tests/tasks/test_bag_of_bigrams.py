"""The linear rule on words and pairs: the same as a plain second derivation, and right where it can be worked out."""

import itertools
import math
import random

import pytest
import torch

from recurra.tasks.bag_of_bigrams import DECAY, LARGE, SMOOTHING, bag_of_bigrams

TEXTS = [text.split() for text in ("so good", "good fun film", "good good", "so bad", "bad film", "not good")]
CLASSES = [1, 1, 1, 0, 0, 0]


def features(text):
    return {*text, *(f"{a} {b}" for a, b in itertools.pairwise(text))}


def derived(texts, classes, count):
    """The scores of a text by the equations, feature by feature, from a dense matrix and many small steps."""
    names = sorted(set().union(*map(features, texts)))
    seen = [[SMOOTHING + sum(name in features(t) for t, c in zip(texts, classes, strict=True) if c == k) for name in names] for k in range(count)]  # fmt: skip  # noqa: E501
    ratios = []
    for k in range(count):
        others = [sum(seen[j][f] for j in range(count) if j != k) for f in range(len(names))]
        ratios.append(
            [math.log(seen[k][f] / sum(seen[k])) - math.log(others[f] / sum(others)) for f in range(len(names))]
        )
    ratios = torch.tensor(ratios, dtype=torch.float64)

    def inputs(text):
        present = features(text)
        return torch.tensor([float(name in present) for name in names], dtype=torch.float64)

    matrix = torch.stack([inputs(text) for text in texts])
    weights, bias = torch.ones_like(ratios), torch.zeros(count, dtype=torch.float64)
    targets = torch.nn.functional.one_hot(torch.tensor(classes), count).double()
    for _ in range(3000):
        error = ((matrix @ (ratios * weights).T + bias).softmax(1) - targets) / len(texts)
        weights = weights - 0.5 * (ratios * (error.T @ matrix) + 2 * DECAY * weights)
        bias = bias - 0.5 * error.sum(0)
    return lambda text: ((ratios * weights) @ inputs(text) + bias).tolist()


def test_it_answers_as_the_equations_do():
    scores = derived(TEXTS, CLASSES, 2)
    classify = bag_of_bigrams(TEXTS, CLASSES, 2)
    words = sorted({word for text in TEXTS for word in text})
    compared = 0
    for text in [*TEXTS, *itertools.permutations(words, 2), *itertools.permutations(words, 3)]:
        low, high = sorted(scores(text))
        if high - low > 1.0:  # where neither fit decides by how far it went
            compared += 1
            assert classify(text) == scores(text).index(high), text
    assert compared > 50


def test_what_it_learned_from_is_told_apart_by_pairs_where_words_do_not():
    assert [bag_of_bigrams(TEXTS, CLASSES, 2)(text) for text in TEXTS] == CLASSES  # "not good"
    order = [["a", "b", "c"], ["c", "b", "a"]]
    assert [bag_of_bigrams(order, [0, 1], 2)(text) for text in order] == [0, 1]


def test_several_classes_case_and_words_that_are_met_nowhere():
    texts = [["red", "one"], ["Red", "two"], ["blue", "one"], ["blue", "two"], ["green", "one"], ["GREEN", "two"]]
    classify = bag_of_bigrams(texts, [0, 0, 1, 1, 2, 2], 3)
    assert [classify([word]) for word in ("RED", "Blue", "green")] == [0, 1, 2]
    assert classify(["nothing"]) == classify([])
    most = bag_of_bigrams([["a"], ["b"], ["c"]], [1, 1, 0], 2)
    assert most([]) == 1  # the bias: the class that most texts have


@pytest.mark.parametrize("count", [LARGE, LARGE + 1])
def test_of_many_texts_features_that_only_one_has_say_nothing(count):
    draw = random.Random(0)
    texts = [[draw.choice(["good", "fun"] if number % 2 else ["bad", "dull"])] for number in range(count)]
    texts[0] = ["bad", "unique"]
    classify = bag_of_bigrams(texts, [number % 2 for number in range(count)], 2)
    assert classify(["good"]) == 1
    assert classify(["bad"]) == 0
    votes = [classify(["good", "unique"]), classify(["unique"])]
    assert votes[0] == 1
    assert votes[1] == (0 if count == LARGE else classify([]))


def test_texts_without_a_feature_in_common_still_have_an_answer():
    texts = [[f"word{number}"] for number in range(LARGE + 2)]
    classify = bag_of_bigrams(texts, [0] * LARGE + [1, 1], 2)
    assert classify(["word1"]) == 0
