"""What an evaluation tells of a classifier of whole sequences: its metrics, and which answers are wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from recurra.metrics import Metric
from recurra.metrics.classes import class_accuracy, macro_f1
from recurra.metrics.ranking import area_under_roc, average_precision
from recurra.metrics.reliability import calibration_error
from recurra.tasks.classified import Classified
from recurra.tasks.mistakes import Mistake
from recurra.training.figures import one_line

__all__ = ["class_metrics", "class_mistake", "classes_mistake", "uncalibrated"]

R = TypeVar("R")

NEVER = 1e-300
"""A probability of 0 is read as this, so that its logarithm is a number."""


def class_metrics(
    expected: Callable[[R], str], names: Sequence[str], temperature: float = 1.0
) -> list[Metric[R, Classified]]:
    """Accuracy, which selects the weights, and macro F1; of two classes AUROC and average precision; calibration.

    Of two classes the last in the alphabet is the one that is looked for: positive, spam, yes, 1. Examples of a class
    that is neither count for neither of these two figures.

    Args:
        expected: The class of an example.
        names: The classes that the model knows.
        temperature: What the logits were divided by, so that probabilities come true.
    """
    metrics: list[Metric[R, Classified]] = [
        class_accuracy(expected, lambda answer: answer.label),
        macro_f1(expected, lambda answer: answer.label),
    ]
    if len(names) == 2:
        wanted = max(names)

        def positive(example: R) -> bool | None:
            return expected(example) == wanted if expected(example) in names else None

        def score(answer: Classified) -> float | None:
            return answer.probability_of(wanted)

        metrics.append(area_under_roc(positive, score))
        metrics.append(average_precision(positive, score, f"AP of {one_line(wanted)}"))
    metrics.append(
        calibration_error(
            lambda example, answer: expected(example) == answer.label,
            lambda answer: answer.probability_of(answer.label),
            lambda answer: uncalibrated(answer, temperature),
        )
    )
    return metrics


def uncalibrated(answer: Classified, temperature: float) -> float | None:
    """The probability of an answer before its logits were divided by a temperature; None for an answer without.

        softmax(z) follows from p = softmax(z / temperature), since temperature · log p is z up to a constant

    Example:
        >>> answer = Classified("yes", (1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))), ("yes", "no"), 1.0)
        >>> round(uncalibrated(answer, 3.0), 6), round(1 / (1 + math.exp(-3)), 6)
        (0.952574, 0.952574)
    """
    if not answer.probabilities:
        return None
    logits = [temperature * math.log(max(probability, NEVER)) for probability in answer.probabilities]
    highest = max(logits)
    return 1 / sum(math.exp(logit - highest) for logit in logits)


def classes_mistake(expected: Sequence[str], text: str, answer: Classified) -> Mistake | None:
    """What is wrong with an answer of several classes, by -Σ log p of what is so of each class; None for a right one.

    Args:
        expected: The right classes.
        text: What was asked.
        answer: The answer.

    Example:
        >>> answer = Classified("new", (0.75, 0.75), ("new", "good"), 1.0, several=("new", "good"))
        >>> mistake = classes_mistake(["new"], "So new.", answer)
        >>> mistake.expected, mistake.answered, round(mistake.cost, 3)
        ('new', 'new, good', 1.674)
    """
    if set(expected) == set(answer.labels):
        return None
    held = zip(answer.names, answer.probabilities, strict=True)
    right = [probability if name in expected else 1 - probability for name, probability in held]
    unknown = len(set(expected) - set(answer.names))
    cost = -sum(math.log(max(share, NEVER)) for share in [*right, *[0.0] * unknown])
    return Mistake(cost, ", ".join(expected), ", ".join(answer.labels), text)


def class_mistake(expected: str, text: str, answer: Classified) -> Mistake | None:
    """What is wrong with an answer, by how improbable the right class was to it; None for one that is right.

    Args:
        expected: The right class.
        text: What was asked.
        answer: The answer.

    Example:
        >>> mistake = class_mistake("no", "So good.", Classified("yes", (0.75, 0.25), ("yes", "no"), 1.0))
        >>> mistake.answered, round(mistake.cost, 3)
        ('yes 75.0%', 1.386)
    """
    if answer.label == expected:
        return None
    right = answer.probability_of(expected) or 0.0  # of a class that the model does not know, too
    return Mistake(-math.log(max(right, NEVER)), expected, f"{answer.label} {answer.probability:.1%}", text)
