"""The contract of a use: what turns files into a model and a model into answers. All that is generic stands over it.

files ─read→ dataset ─fit→ assets ─batches→ batches ─build, loss→ weights ─predict→ answers ─metrics→ report
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rich.text import Text
from torch import Tensor, nn

from recurra.data.batch import Batch
from recurra.data.batching import Batches
from recurra.data.dataset import Dataset, Problems, Role
from recurra.metrics import Metric
from recurra.tasks.assets import Assets
from recurra.tasks.drift import Drift
from recurra.tasks.mistakes import Mistake
from recurra.tasks.settings import TaskConfig
from recurra.training import StepLoss

if TYPE_CHECKING:
    from recurra.tasks.streaming import Streaming
    from recurra.tasks.trained import Trained

__all__ = ["Baseline", "Demo", "Facts", "Format", "Inherited", "Rewriting", "Task"]

C = TypeVar("C", bound=TaskConfig)
R = TypeVar("R")
A = TypeVar("A", bound=Assets)
M = TypeVar("M", bound=nn.Module)
B = TypeVar("B", bound=Batch)
P = TypeVar("P")


@dataclass(frozen=True)
class Facts:
    """What is known of an example without a model: by it duplicates, contradictions and leaks are found.

    Args:
        input: What the model reads of it, equal for equal inputs.
        answer: What it should answer; None where that is not known.
        group: What it belongs to, such as a document or a speaker; None if to nothing.
        labels: The classes that it has examples of, such as the types of its entities, each as often as it has it.
        words: The units of an open vocabulary that it is made of, of which some may be unknown in other parts.
    """

    input: Hashable
    answer: Hashable = None
    group: Hashable = None
    labels: Sequence[str] = ()
    words: Sequence[str] = ()


@dataclass(frozen=True)
class Baseline(Generic[R, P]):
    """What a trivial rule answers.

    Args:
        name: The rule, in a few words.
        answer: Its answer to an example.
    """

    name: str
    answer: Callable[[R], P]


@dataclass(frozen=True)
class Demo:
    """A training that shows in a minute or two what a use can do.

    Args:
        about: What is learned, and where the data are from: real, or made for the purpose.
        settings: The settings of the training, by key.
        inputs: What the model answers at the end, as `Task.parse` takes it; empty for the first of those validated on.
    """

    about: str
    settings: Mapping[str, Any]
    inputs: Sequence[Any] = ()


@dataclass(frozen=True)
class Inherited:
    """What a model begins with of a model of another use.

    Args:
        weights: The weights, under the names and in the shapes of the model that begins with them.
        note: What they are, in a few words.
    """

    weights: Mapping[str, Tensor]
    note: str


@dataclass(frozen=True)
class Rewriting(Generic[R]):
    """How the text of an example is changed; the answers are those of a classifier, `Classified`.

    Args:
        text: The text of an example.
        rewrite: From an example and another text, the example with that text.
    """

    text: Callable[[R], str]
    rewrite: Callable[[R, str], R]


Format = Callable[["Trained[Any, R, Any, Any, Any, P]", Iterable[tuple[R, P]]], Iterator[str | Text | bytes]]
"""Writes answers."""


def _describe(config: Any, assets: Any, train: Any, valid: Any) -> list[str]:  # noqa: ANN401
    return [f"{len(train.dataset):,} examples to train on", f"{len(valid.dataset):,} to validate on"]


def _trained() -> type[Any]:
    from recurra.tasks.trained import Trained

    return Trained


@dataclass(frozen=True)
class Task(Generic[C, R, A, M, B, P]):
    """A use of sequence models.

    C are its settings, R an example, A what is fitted, M the model, B a batch, P an answer.

    Args:
        name: What the command line calls it.
        unit: From the settings, what the loss counts, in the plural.
        config: Its settings.
        assets: What is fitted on the part to train on.
        read: Reads a file: to train, to validate, to evaluate, or to predict.
        stream: The examples to predict of a file or of standard input, one at a time, in memory that does not grow.
        parse: The example that a value given in Python stands for, such as a text.
        fit: From the settings and the part to train on, the assets.
        batches: From the settings, the assets, a dataset and what it is for, its batches.
        build: From the settings and the assets, the model, untrained.
        loss: The loss of a batch, from the settings, the model, the batch and the state carried.
        predict: An answer for each row of a batch, from the settings, the assets, the model and the batch.
        metrics: From the settings and the assets, what measures answers; the first selects the weights, unless
            `select_by` names another.
        show: From an example and its answer, the answer as JSON can hold it.
        facts: What is known of an example without a model.
        example: Writes tiny files into a folder; returns the settings of a training on them, by key. Tests and
            documents run on them.
        measure: The loss and the answers of a batch by one run of the model, from the settings, the assets, the model
            and the batch; None where `loss` and `predict` have to run it twice.
        describe: What is trained and validated on, a few words each, from the settings, the assets and both parts in
            batches.
        baselines: From the settings and the part to train on, trivial rules to stand beside the model.
        examine: From the parts by name, the one to train on first, what is wrong with them that only the use can tell,
            a sentence each with where it is; it takes seconds.
        mistake: From an example and its answer, what is wrong with the answer; None if nothing is. The field is None
            where a use does not list what is wrong.
        calibrate: After training, from what was trained and the part to validate on, the assets with what only a
            trained model can tell, such as thresholds; None for none.
        at_precision: From the assets and a precision that is wanted, what leaves out of an answer whatever is less
            precise, or abstains from it, and what that costs, a line each; None where answers can do neither.
        drift: From the settings and the assets, what watches answers and tells how far their inputs are from those
            validated on; None where that is not known.
        demo: Writes the data of a demonstration into a folder; None for that of `example`.
        rows: From the assets, the names of the rows of parameters that have any, such as words: by them another run's
            weights are taken where a model starts from it.
        inherits: By the name of another use, from the model to begin and a run of that use, which of its weights
            correspond to parameters of the model.
        rewriting: What changes the text of an example, for the behaviour report; None where inputs are no texts with
            classes.
        formats: Ways to write answers beside JSON lines, by name: each gives pieces of text or bytes, one after
            another, of what was trained and of examples with their answers as they come. The first is for people.
        live: How it reads live input; None where it reads whole inputs.
        stratified: Whether the part kept for validation has its share of every class of `Facts.labels`, so that a file
            in the order of its classes can be cut in two as well as any.
        trained: From nothing, the class of a trained model, with methods of its own if the use has any.
    """

    name: str
    unit: Callable[[C], str]
    config: type[C]
    assets: type[A]
    read: Callable[[C, Path, Role], Dataset[R]]
    stream: Callable[[C, Path, Problems], Iterator[R]]
    parse: Callable[[C, Any], R]
    fit: Callable[[C, Dataset[R]], A]
    batches: Callable[[C, A, Dataset[R], Role], Batches[B]]
    build: Callable[[C, A], M]
    loss: Callable[[C, M, B, Any], StepLoss]
    predict: Callable[[C, A, M, B], Sequence[P]]
    metrics: Callable[[C, A], Sequence[Metric[R, P]]]
    show: Callable[[R, P], Any]
    facts: Callable[[R], Facts]
    example: Callable[[Path], dict[str, Any]]
    measure: Callable[[C, A, M, B], tuple[StepLoss, Sequence[P]]] | None = None
    describe: Callable[[C, A, Batches[B], Batches[B]], Sequence[str]] = _describe
    baselines: Callable[[C, Dataset[R]], Sequence[Baseline[R, P]]] = lambda config, dataset: ()
    examine: Callable[[Mapping[str, Dataset[R]]], Sequence[str]] = lambda parts: ()
    mistake: Callable[[R, P], Mistake | None] | None = None
    calibrate: Callable[[Trained[C, R, A, M, B, P], Dataset[R]], A] | None = None
    at_precision: Callable[[A, float], tuple[Callable[[P], P], Sequence[str]]] | None = None
    drift: Callable[[C, A], Drift[P] | None] = lambda config, assets: None
    demo: Callable[[Path], Demo] | None = None
    rows: Callable[[A], Mapping[str, Sequence[Hashable]]] = lambda assets: {}
    inherits: Mapping[str, Callable[[Trained[C, R, A, M, B, P], Trained[Any, Any, Any, Any, Any, Any]], Inherited]] = (
        field(default_factory=dict)
    )
    rewriting: Rewriting[R] | None = None
    formats: Mapping[str, Format[R, P]] = field(default_factory=dict)
    live: Streaming[R] | None = None
    stratified: bool = False
    trained: Callable[[], type[Trained[C, R, A, M, B, P]]] = _trained
