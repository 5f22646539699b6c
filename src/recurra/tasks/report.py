"""How good a model is on a dataset: tallies as they come in, and the report that follows from them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from recurra.data.batch import Batch
from recurra.metrics import Bootstrap, Chart, Interval, Matrix, Metric, Row, add
from recurra.tasks.mistakes import Mistake
from recurra.training import World

__all__ = ["Measuring", "Report"]

R = TypeVar("R")
P = TypeVar("P")


@dataclass(frozen=True)
class Report:
    """How good a model is on a dataset.

    Args:
        examples: How many there were.
        loss: The mean loss, in nats.
        figures: Each metric by name.
        intervals: The 95% bootstrap interval of each, where it was asked for.
        tables: For metrics that have one, figures by class.
        matrices: For metrics that have one, counts of pairs of classes.
        charts: What the metrics have to draw.
        mistakes: The answers that are wrong, the worst first, where they were asked for and the use lists them.
        baselines: What trivial rules score, by rule and metric, where it was asked for.
        seen: How many of the examples are among those trained on; None where that is not known.
        problems: What was left out or changed while the examples were read, a line each.
    """

    examples: int
    loss: float
    figures: Mapping[str, float]
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    matrices: Mapping[str, Matrix] = field(default_factory=dict)
    charts: Sequence[Chart] = ()
    mistakes: Sequence[Mistake] = ()
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    seen: int | None = None
    problems: Sequence[str] = ()

    @property
    def metrics(self) -> dict[str, float]:
        """Loss and figures, as a validation has them."""
        return {"loss": self.loss, **self.figures}


class Measuring(Generic[R, P]):
    """Tallies as they come in."""

    def __init__(self, metrics: Sequence[Metric[R, P]], intervals: bool) -> None:
        self.metrics = metrics
        self.tallies: dict[str, Counter[Hashable]] = {metric.name: Counter() for metric in metrics}
        self.bootstraps = {metric.name: Bootstrap() for metric in metrics} if intervals else {}
        self.nats = self.items = 0.0

    def add_loss(self, place: int, nats: float, items: int, batch: Batch) -> None:
        """Count the loss of a batch."""
        self.nats, self.items = self.nats + nats, self.items + items
        for metric in self.metrics:
            if metric.tally is None:
                counted = items if metric.items is None else metric.items(batch)
                self._count(metric, ("batch", place), {"nats": nats, "items": counted})

    def add(self, group: Hashable, example: R, answer: P) -> None:
        """Count an example."""
        for metric in self.metrics:
            if metric.tally is not None:
                self._count(metric, group, metric.tally(example, answer))

    def report(self, examples: int) -> Report:
        """What follows from all of it."""
        world = World()
        for name, bootstrap in self.bootstraps.items():
            self.bootstraps[name] = _bootstrap_over_processes(world, bootstrap)
        self.nats, self.items = world.sum([self.nats, self.items])
        totals = {metric.name: _over_processes(world, self.tallies[metric.name]) for metric in self.metrics}
        return Report(
            examples,
            self.nats / self.items if self.items else float("nan"),
            {metric.name: metric.value(totals[metric.name]) for metric in self.metrics},
            {metric.name: self.bootstraps[metric.name].interval(metric.value) for metric in self.metrics}
            if self.bootstraps
            else {},
            {metric.name: metric.table(totals[metric.name]) for metric in self.metrics if metric.table is not None},
            {metric.name: metric.matrix(totals[metric.name]) for metric in self.metrics if metric.matrix is not None},
            [chart for metric in self.metrics if metric.charts for chart in metric.charts(totals[metric.name])],
        )

    def _count(self, metric: Metric[R, P], group: Hashable, tally: Mapping[Hashable, float]) -> None:
        for key, count in tally.items():
            self.tallies[metric.name][key] += count  # type: ignore[assignment]
        if self.bootstraps:
            self.bootstraps[metric.name].add(group, tally if metric.coarsened is None else metric.coarsened(tally))


def _over_processes(world: World, tally: Counter[Hashable]) -> Counter[Hashable]:
    """The sum of a tally over all processes."""
    if world.size == 1:
        return tally
    parts = world.gather(json.dumps([[key, count] for key, count in tally.items()]).encode())
    return add({_hashable(key): count for key, count in json.loads(part)} for part in parts)


def _bootstrap_over_processes(world: World, bootstrap: Bootstrap) -> Bootstrap:
    """What was counted in all processes, which had other examples each."""
    if world.size == 1:
        return bootstrap
    whole = Bootstrap(bootstrap.replicates, bootstrap.seed)
    for part in world.gather(json.dumps(bootstrap.state()).encode()):
        whole.add_state((_hashable(key), totals) for key, totals in json.loads(part))
    return whole


def _hashable(key: Any) -> Hashable:  # noqa: ANN401  (whatever JSON gave)
    return tuple(map(_hashable, key)) if isinstance(key, list) else key
