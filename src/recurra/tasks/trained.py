"""A trained model with all that it takes to use it, wherever it came from: answers, and how good they are."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from recurra.data.batch import Batch
from recurra.data.dataset import Dataset, Examples, Role
from recurra.data.lines import Source
from recurra.metrics import Bootstrap, Interval, Metric, Row, add
from recurra.tasks.assets import Assets
from recurra.tasks.contract import Task
from recurra.tasks.task import TaskConfig
from recurra.training import World

__all__ = ["Report", "Trained"]

C = TypeVar("C", bound=TaskConfig)
R = TypeVar("R")
A = TypeVar("A", bound=Assets)
M = TypeVar("M", bound=nn.Module)
B = TypeVar("B", bound=Batch)
P = TypeVar("P")

_NOWHERE = Source(Path(), 0)

WINDOW = 2048
"""Examples that are predicted together: memory holds so many, and those of like length share batches."""


@dataclass(frozen=True)
class Report:
    """How good a model is on a dataset.

    Args:
        examples: How many there were.
        loss: The mean loss, in nats.
        figures: Each metric by name.
        intervals: The 95% bootstrap interval of each, where it was asked for.
        tables: For metrics that have one, figures by class.
    """

    examples: int
    loss: float
    figures: Mapping[str, float]
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, float]:
        """Loss and figures, as a validation has them."""
        return {"loss": self.loss, **self.figures}


@dataclass
class Trained(Generic[C, R, A, M, B, P]):
    """A trained model: its use, settings, assets and weights. It needs no folder.

    Args:
        task: What it is for.
        config: Its settings.
        assets: What was fitted on the part it was trained on.
        model: The network.
    """

    task: Task[C, R, A, M, B, P]
    config: C
    assets: A
    model: M

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def answers(self, inputs: Iterable[R]) -> Iterator[P]:
        """The answer to each input, in the order of the inputs and in memory that does not grow with them.

        Args:
            inputs: Examples, with or without answers of their own.
        """
        for window in _batched(inputs, WINDOW):
            dataset = Examples(window, [_NOWHERE] * len(window), [len(example) for example in window])  # type: ignore[arg-type]
            found: dict[int, P] = {}
            for indices, answers in self._predicted(dataset):
                found.update(zip(indices, answers, strict=True))
            yield from (found[index] for index in range(len(window)))

    def evaluate(self, dataset: Dataset[R], *, intervals: bool = False) -> Report:
        """Measure the model on a dataset.

        Several processes share the batches, and each gets the whole report.

        Args:
            dataset: The examples, with their answers.
            intervals: Whether to draw the interval of each figure, from the groups that examples belong to.
        """
        metrics = list(self.task.metrics(self.config))
        measuring = _Measuring(metrics, intervals)
        was_training = self.model.training
        self.model.eval()
        try:
            for place, (batch, result) in enumerate(self._losses(dataset)):
                measuring.add_loss(place, float(result.total), result.count)
                del batch
            if any(metric.tally is not None for metric in metrics):
                for indices, answers in self._predicted(dataset, "evaluate", share=True):
                    for index, answer in zip(indices, answers, strict=True):
                        example = dataset[index]
                        group = self.task.facts(example).group if intervals else None
                        measuring.add(index if group is None else ("group", group), example, answer)
        finally:
            self.model.train(was_training)
        return measuring.report(len(dataset))

    @torch.no_grad()
    def _losses(self, dataset: Dataset[R]) -> Iterator[tuple[B, Any]]:
        """Each batch of a dataset and its loss, the state carried where a batch goes on."""
        world, carried = World(), None
        for whole in self.task.batches(self.config, self.assets, dataset, "evaluate").epoch(0):
            batch = world.part(whole).to(self.device)
            result = self.task.loss(self.config, self.model, batch, None if batch.fresh else carried)
            carried = result.carried
            yield batch, result

    @torch.no_grad()
    def _predicted(
        self, dataset: Dataset[R], role: Role = "predict", *, share: bool = False
    ) -> Iterator[tuple[list[int], Sequence[P]]]:
        """The indices and the answers of each batch of a dataset; each process takes its share of them if asked."""
        world = World()
        was_training = self.model.training
        self.model.eval()
        try:
            for place, batch in enumerate(self.task.batches(self.config, self.assets, dataset, role).epoch(0)):
                if share and place % world.size != world.rank:
                    continue
                on_device = batch.to(self.device)
                yield batch.index.tolist(), self.task.predict(self.config, self.assets, self.model, on_device)
        finally:
            self.model.train(was_training)


class _Measuring(Generic[R, P]):
    """Tallies as they come in."""

    def __init__(self, metrics: Sequence[Metric[R, P]], intervals: bool) -> None:
        self.metrics = metrics
        self.tallies: dict[str, Counter[Hashable]] = {metric.name: Counter() for metric in metrics}
        self.bootstraps = {metric.name: Bootstrap() for metric in metrics} if intervals else {}
        self.nats = self.items = 0.0

    def add_loss(self, place: int, nats: float, items: int) -> None:
        """Count the loss of a batch."""
        self.nats, self.items = self.nats + nats, self.items + items
        for metric in self.metrics:
            if metric.tally is None:
                self._count(metric, ("batch", place), {"nats": nats, "items": items})

    def add(self, group: Hashable, example: R, answer: P) -> None:
        """Count an example."""
        for metric in self.metrics:
            if metric.tally is not None:
                self._count(metric, group, metric.tally(example, answer))

    def report(self, examples: int) -> Report:
        """What follows from all of it."""
        world = World()
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
        )

    def _count(self, metric: Metric[R, P], group: Hashable, tally: Mapping[Hashable, float]) -> None:
        for key, count in tally.items():
            self.tallies[metric.name][key] += count  # type: ignore[assignment]
        if self.bootstraps:
            self.bootstraps[metric.name].add(group, tally)


def _over_processes(world: World, tally: Counter[Hashable]) -> Counter[Hashable]:
    """The sum of a tally over all processes."""
    if world.size == 1:
        return tally
    parts = world.gather(json.dumps([[key, count] for key, count in tally.items()]).encode())
    return add({_hashable(key): count for key, count in json.loads(part)} for part in parts)


def _hashable(key: Any) -> Hashable:  # noqa: ANN401  (whatever JSON gave)
    return tuple(map(_hashable, key)) if isinstance(key, list) else key


def _batched(items: Iterable[R], size: int) -> Iterator[tuple[R, ...]]:
    """Tuples of so many items, the last of fewer: `itertools.batched`, which Python has from 3.12 on."""
    iterator = iter(items)
    while window := tuple(itertools.islice(iterator, size)):
        yield window
