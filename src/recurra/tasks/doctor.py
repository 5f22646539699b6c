"""The data doctor: what is in the parts of a dataset, and what would make the figures of a training worthless."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from recurra.data.dataset import Dataset
from recurra.metrics import Metric, add
from recurra.tasks.settings import TaskConfig
from recurra.tasks.task import Facts, Task

__all__ = ["Checkup", "PartSummary", "baseline_figures", "check_up", "warnings_of"]

R = TypeVar("R")
AnyTask = Task[Any, Any, Any, Any, Any, Any]

MAX_LISTED = 3
"""Examples of a finding that are listed."""


@dataclass(frozen=True)
class PartSummary:
    """What is in one part.

    Args:
        name: The part, such as "train".
        examples: How many examples it has.
        steps: The fewest, the median and the most steps of an example, and the sum.
        labels: How many it has of each class.
        words: How many words it has in all.
        unknown: The share of its words that the part to train on does not have; None for that part itself, and where
            there are no words.
        repeated: How many of its examples another example of the part has the same input as.
        baselines: What trivial rules, fitted on the part to train on, score on it.
    """

    name: str
    examples: int
    steps: tuple[int, float, int, int]
    labels: Mapping[str, int]
    words: int
    unknown: float | None
    repeated: int
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkup(Generic[R]):
    """What is in the parts, and what is wrong with them.

    Args:
        parts: A summary of each.
        warnings: What would make figures worthless, each in a sentence with where it is.
        metrics: What the rules are measured by, as people read it.
        problems: What was skipped or changed while they were read, a line a kind, by the names of the parts; those that
            are cut from one file have it together.
    """

    parts: Sequence[PartSummary]
    warnings: Sequence[str]
    metrics: Sequence[Metric[Any, Any]] = ()
    problems: Mapping[str, Sequence[str]] = field(default_factory=dict)


def warnings_of(task: AnyTask, parts: Mapping[str, Dataset[Any]]) -> list[str]:
    """What would make the figures of a training worthless, each in a sentence with where it is.

    Args:
        task: The use the parts are for.
        parts: The parts by name; the one to train on comes first.
    """
    facts = {name: [task.facts(part[index]) for index in range(len(part))] for name, part in parts.items()}
    return _warnings(task, parts, facts)


def _warnings(task: AnyTask, parts: Mapping[str, Dataset[Any]], facts: Mapping[str, Sequence[Facts]]) -> list[str]:
    names = list(parts)
    warnings = [*task.examine(parts), *_contradictions(parts, facts)]
    for first, second in itertools.combinations(names, 2):
        warnings += _leaks(first, second, parts, facts)
    return warnings + _labels(names[0], names[1:], facts)


def check_up(task: AnyTask, config: TaskConfig, parts: Mapping[str, Dataset[Any]]) -> Checkup[Any]:
    """Look through the parts of a dataset.

    Args:
        task: The use they are for.
        config: Its settings.
        parts: The parts by name; the one to train on comes first.
    """
    facts = {name: [task.facts(part[index]) for index in range(len(part))] for name, part in parts.items()}
    train = next(iter(parts))
    known = {word for fact in facts[train] for word in fact.words}
    assets = None
    summaries = []
    for name, part in parts.items():
        figures: Mapping[str, Mapping[str, float]] = {}
        if name != train:
            assets = assets or task.fit(config, parts[train])
            figures = baseline_figures(task, config, assets, parts[train], part)
        summaries.append(_summary(name, part, facts[name], None if name == train else known, figures))
    metrics = () if assets is None else task.metrics(config, assets)
    return Checkup(summaries, _warnings(task, parts, facts), metrics, _problems(parts))


def _problems(parts: Mapping[str, Dataset[Any]]) -> dict[str, list[str]]:
    """What was skipped or changed while parts were read; what stands in one file is counted once."""
    of_file: dict[int, list[str]] = {}
    for name, part in parts.items():
        of_file.setdefault(id(part.problems), []).append(name)
    return {" and ".join(names): parts[names[0]].problems.lines() for names in of_file.values()}


def baseline_figures(
    task: AnyTask,
    config: TaskConfig,
    assets: Any,  # noqa: ANN401  (the use's own)
    train: Dataset[Any],
    measured: Dataset[Any],
) -> dict[str, dict[str, float]]:
    """What trivial rules score, by rule and metric.

    Args:
        task: The use.
        config: Its settings.
        assets: What was fitted.
        train: The part that the rules are made from.
        measured: The part that they answer.
    """
    metrics = [metric for metric in task.metrics(config, assets) if metric.tally is not None]
    figures = {}
    for baseline in task.baselines(config, train):
        pairs = [(example, baseline.answer(example)) for example in (measured[i] for i in range(len(measured)))]
        figures[baseline.name] = {
            metric.name: metric.value(add(metric.tally(*pair) for pair in pairs))
            for metric in metrics
            if metric.tally is not None
        }
    return figures


def _summary(
    name: str,
    part: Dataset[Any],
    facts: Sequence[Facts],
    known: set[str] | None,
    figures: Mapping[str, Mapping[str, float]],
) -> PartSummary:
    lengths = list(part.lengths)
    words = [word for fact in facts for word in fact.words]
    counts = Counter(fact.input for fact in facts)
    return PartSummary(
        name,
        len(part),
        (min(lengths), statistics.median(lengths), max(lengths), sum(lengths)),
        dict(Counter(label for fact in facts for label in fact.labels).most_common()),
        len(words),
        None if known is None or not words else sum(word not in known for word in words) / len(words),
        sum(count for count in counts.values() if count > 1),
        figures,
    )


def _contradictions(parts: Mapping[str, Dataset[Any]], facts: Mapping[str, Sequence[Facts]]) -> list[str]:
    """The same input with several answers."""
    answers: dict[Hashable, dict[Hashable, str]] = {}
    for name, part in parts.items():
        for index, fact in enumerate(facts[name]):
            if fact.answer is not None:
                answers.setdefault(fact.input, {}).setdefault(fact.answer, str(part.source(index)))
    torn = [list(where.values())[:2] for where in answers.values() if len(where) > 1]
    if not torn:
        return []
    listed = "; ".join(" and ".join(pair) for pair in torn[:MAX_LISTED])
    inputs = "1 input has" if len(torn) == 1 else f"{len(torn):,} inputs have"
    return [f"{inputs} more than one answer: {listed}{'; ...' if len(torn) > MAX_LISTED else ''}"]


def _leaks(
    first: str, second: str, parts: Mapping[str, Dataset[Any]], facts: Mapping[str, Sequence[Facts]]
) -> list[str]:
    """The same input, or the same group, in two parts."""
    warnings = []
    where = {fact.input: index for index, fact in enumerate(facts[first])}
    twice = [(where[fact.input], index) for index, fact in enumerate(facts[second]) if fact.input in where]
    if twice:
        listed = "; ".join(f"{parts[second].source(b)} is {parts[first].source(a)}" for a, b in twice[:MAX_LISTED])
        share = len(twice) / len(facts[second])
        more = "; ..." if len(twice) > MAX_LISTED else ""
        count = "1 example of" if len(twice) == 1 else f"{len(twice):,} examples of"
        be = "is" if len(twice) == 1 else "are"
        warnings.append(f"{count} {second} ({share:.1%}) {be} in {first}, too: {listed}{more}")
    groups = [{fact.group for fact in facts[name] if fact.group is not None} for name in (first, second)]
    if both := groups[0] & groups[1]:
        listed = ", ".join(sorted(map(str, both))[:MAX_LISTED])
        more = ", ..." if len(both) > MAX_LISTED else ""
        count = "1 group is" if len(both) == 1 else f"{len(both):,} groups are"
        warnings.append(f"{count} in {first} and in {second}: {listed}{more}")
    return warnings


def _labels(train: str, others: Sequence[str], facts: Mapping[str, Sequence[Facts]]) -> list[str]:
    """Classes that only a part to measure on has."""
    known = {label for fact in facts[train] for label in fact.labels}
    warnings = []
    for name in others:
        counts = Counter(label for fact in facts[name] for label in fact.labels if label not in known)
        if counts:
            listed = ", ".join(f"{label} ({count:,})" for label, count in counts.most_common(MAX_LISTED))
            warnings.append(f"{name} has what {train} has no example of, and no model can answer: {listed}")
    return warnings
