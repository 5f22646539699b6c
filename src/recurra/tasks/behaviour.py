"""The behaviour report: how often a classifier's answer changes with a change of the text that should not matter.

Ribeiro, Wu, Guestrin and Singh, "Beyond accuracy: behavioral testing of NLP models with CheckList", ACL 2020.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, TypeVar

from recurra.data.dataset import Dataset
from recurra.data.lines import Source, name_of
from recurra.data.perturbations import PERTURBATIONS, Perturbation
from recurra.decoding.calibration import wilson_interval
from recurra.errors import SettingError
from recurra.tasks.classified import Classified
from recurra.tasks.task import Rewriting
from recurra.tasks.trained import Trained

__all__ = ["Behaviour", "Change", "behaviour_of"]

R = TypeVar("R")

LIMIT = 1000
"""The most texts that are changed unless told."""


@dataclass(frozen=True)
class Change:
    """A text before and after a change, with the answers.

    Args:
        text: The text.
        changed: The same after the change.
        before: The answer to the text.
        after: The answer to the changed text.
        file: Where the text stands.
        line: The line there, from 1.
    """

    text: str
    changed: str
    before: Classified
    after: Classified
    file: str
    line: int

    @property
    def answers_differ(self) -> bool:
        """Whether the classes are others, in whatever order."""
        return set(self.before.labels) != set(self.after.labels)

    @property
    def moved(self) -> float:
        """The largest change of the probability of a class, max over c of |p(c | changed) - p(c | text)|."""
        pairs = zip(self.before.probabilities, self.after.probabilities, strict=True)
        return max(abs(after - before) for before, after in pairs)


@dataclass(frozen=True)
class Behaviour:
    """What one kind of change does to the answers.

    Args:
        name: The change.
        matters: Whether the answer should be another one after it.
        texts: How many texts there is something to change in.
        changed: To how many of them the answer is another one.
        interval: The 95% interval of the share of such texts (Wilson 1927); (0, 1) without any.
        moved: The mean of `Change.moved`; 0 without any text.
        worst: What is furthest from what it should be, the worst first: where the change should not matter, other
            answers, else answers that stayed as they were.
    """

    name: str
    matters: bool
    texts: int
    changed: int
    interval: tuple[float, float]
    moved: float
    worst: Sequence[Change]

    @property
    def share(self) -> float | None:
        """The share of texts to which the answer is another one; None where there are none."""
        return self.changed / self.texts if self.texts else None

    def as_json(self) -> dict[str, Any]:
        """All figures and the worst changes, as JSON can hold them."""
        return {
            "change": self.name,
            "should_matter": self.matters,
            "texts": self.texts,
            "other_answers": self.changed,
            "share": self.share,
            "interval": list(self.interval) if self.texts else None,
            "moved": self.moved if self.texts else None,
            "worst": [
                {
                    "file": change.file,
                    "line": change.line,
                    "text": change.text,
                    "changed": change.changed,
                    "before": _shown(change.before),
                    "after": _shown(change.after),
                }
                for change in self.worst
            ],
        }


def _shown(answer: Classified) -> dict[str, Any]:
    probabilities = dict(zip(answer.names, answer.probabilities, strict=True))
    return {"predicted": list(answer.labels) if answer.several is not None else answer.label, **probabilities}


def behaviour_of(
    run: Trained[Any, R, Any, Any, Any, Classified],
    texts: Dataset[R],
    *,
    limit: int = LIMIT,
    seed: int = 0,
    worst: int = 3,
    perturbations: Sequence[Perturbation] = PERTURBATIONS,
    watch: Callable[[str], None] = lambda name: None,
) -> list[Behaviour]:
    """Change texts in ways that should not matter, and in one that should, and count other answers.

    Args:
        run: The classifier.
        texts: Texts, whose classes need not be known.
        limit: How many of them are changed at most; of more, as many are drawn.
        seed: What is drawn follows from it: the same seed, texts and run give the same report.
        worst: How many of the worst changes of each kind are kept.
        perturbations: The changes.
        watch: Is told of each change before it is made.

    Raises:
        SettingError: The use cannot change what it reads.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import recurra
        >>> from recurra.tasks import TASKS
        >>> settings = TASKS["sentiment-classification"].example(folder := Path(tempfile.mkdtemp()))
        >>> run = recurra.train("sentiment-classification", **settings, out=folder / "run", show=False)
        >>> space, *_ = behaviour_of(run, run.task.read(run.config, settings["data"], "predict"))
        >>> space.name, space.texts, space.changed
        ('white space doubled, a line end added', 120, 0)
    """
    rewriting = run.task.rewriting
    if rewriting is None:
        raise SettingError(f"{run.task.name} has no behaviour report: its inputs are no texts with classes")
    drawn = sorted(random.Random(seed).sample(range(len(texts)), min(limit, len(texts))))
    examples, sources = [texts[index] for index in drawn], [texts.source(index) for index in drawn]
    answers = list(run.answers(examples))
    report = []
    for perturbation in perturbations:
        watch(perturbation.name)
        changed = [perturbation(rewriting.text(example), seed) for example in examples]
        pairs = [(index, text) for index, text in enumerate(changed) if text is not None]
        after = run.answers(rewriting.rewrite(examples[index], text) for index, text in pairs)
        changes = [
            _change(rewriting, examples[index], text, answers[index], answer, sources[index])
            for (index, text), answer in zip(pairs, after, strict=True)
        ]
        report.append(_behaviour(perturbation, changes, worst))
    return report


def _change(
    rewriting: Rewriting[R], example: R, changed: str, before: Classified, after: Classified, source: Source
) -> Change:
    return Change(rewriting.text(example), changed, before, after, name_of(source.path), source.line)


def _behaviour(perturbation: Perturbation, changes: Sequence[Change], worst: int) -> Behaviour:
    other = sum(change.answers_differ for change in changes)
    wrong = [change for change in changes if change.answers_differ != perturbation.matters]
    wrong.sort(key=lambda change: change.moved, reverse=not perturbation.matters)
    return Behaviour(
        perturbation.name,
        perturbation.matters,
        len(changes),
        other,
        wilson_interval(other, len(changes)),
        fmean(change.moved for change in changes) if changes else 0.0,
        wrong[:worst],
    )
