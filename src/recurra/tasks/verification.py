"""Whether the answers of a run depend on anything but the input: on what stands beside it, on order, on threads."""

from __future__ import annotations

import json
import math
import multiprocessing
import random
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from recurra.data.dataset import Problems
from recurra.data.lines import check_rereadable
from recurra.errors import SettingError
from recurra.tasks.trained import Trained

__all__ = ["Check", "as_stream", "first_difference", "verify"]

TOLERANCE = 2e-4
"""How far numbers of an answer may lie apart: sums of other batches round otherwise, and answers show four digits."""

AnyTrained = Trained[Any, Any, Any, Any, Any, Any]


@dataclass(frozen=True)
class Check:
    """Answers given again in another way.

    Args:
        way: How, in a few words.
        differences: How many answers are others; None where the run has no answers of this way.
        first: The first that is: its number from 1, and both answers; None for none.
        note: What else is known, or why there are none.
        figures: What was measured, by name.
    """

    way: str
    differences: int | None
    first: tuple[int, Any, Any] | None
    note: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


def verify(run: AnyTrained, path: Path, limit: int = 1000) -> Iterator[Check]:
    """Answer the inputs of a file again and again, each time in another way, and compare.

    Args:
        run: The run; it must have a folder.
        path: The file of inputs.
        limit: The most inputs that are read.

    Yields:
        What came of each way, as soon as it is known.

    Raises:
        DataError: The file cannot be read, or not twice.
    """
    check_rereadable(path)
    inputs = list(islice(run.task.stream(run.config, path, Problems()), limit))
    plain = _shown(run, inputs)
    shuffled = list(range(len(inputs)))
    random.Random(0).shuffle(shuffled)

    def alone() -> list[Any]:
        return [answer for one in inputs for answer in _shown(run, [one])]

    def in_windows(size: int) -> Callable[[], list[Any]]:
        return lambda: _shown(run, inputs, size)

    def in_another_order() -> list[Any]:
        answers = dict(zip(shuffled, _shown(run, [inputs[index] for index in shuffled]), strict=True))
        return [answers[index] for index in range(len(inputs))]

    def with_other_threads() -> list[Any]:
        before = torch.get_num_threads()
        torch.set_num_threads(1 if before > 1 else 2)
        try:
            return _shown(run, inputs)
        finally:
            torch.set_num_threads(before)

    def in_a_new_process(folder: Path) -> list[Any]:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            return pool.submit(_answer_anew, folder, path, limit).result()

    ways: dict[str, Callable[[], list[Any]]] = {
        "one at a time": alone,
        "seven at a time": in_windows(7),
        "in another order": in_another_order,
        "with another number of threads": with_other_threads,
    }
    if run.folder is not None:
        ways["in a new process"] = partial(in_a_new_process, run.folder)
    for way, answer in ways.items():
        yield _compared(way, plain, answer())
    if run.task.live is not None:
        yield as_stream(run, inputs)


def as_stream(run: AnyTrained, inputs: Sequence[Any], seed: int = 0) -> Check:
    """Read inputs again as streams, in pieces of random sizes on one core, and compare what is said of them.

    Args:
        run: A run of a use that reads live input.
        inputs: The inputs.
        seed: What the sizes of the pieces follow from.

    Raises:
        SettingError: The use reads whole inputs.
    """
    from recurra.tasks.streaming import streaming_of

    way, streaming = "as a stream, in pieces of random sizes", streaming_of(run)
    try:
        delay = streaming.delay(run)
    except SettingError as error:
        return Check(way, None, None, str(error))
    threads, draw = torch.get_num_threads(), random.Random(seed)
    torch.set_num_threads(1)
    try:
        replays = [streaming.replay(run, one, draw) for one in inputs]
    finally:
        torch.set_num_threads(threads)
    check = _compared(way, [replay.whole for replay in replays], [replay.streamed for replay in replays])
    kept = max((replay.kept for replay in replays), default=0)
    note, figures = f"keeps {kept / 1000:,.0f} kB", {"inputs": float(len(inputs)), "kept_bytes": float(kept)}
    factors = [replay.busy / replay.seconds for replay in replays if replay.seconds]
    if factors:
        factor = statistics.median(factors)
        note = f"{delay:.2f} s behind, real-time factor {factor:.4f} on one core (median), {note}"
        figures |= {"delay": delay, "real_time_factor": factor}
    return replace(check, note=f"{len(inputs):,} inputs, {note}", figures=figures)


def _shown(run: AnyTrained, inputs: Sequence[Any], window: int | None = None) -> list[Any]:
    pairs = run.answered(inputs) if window is None else run.answered(inputs, window)
    return [json.loads(json.dumps(run.task.show(*pair))) for pair in pairs]


def _answer_anew(folder: Path, path: Path, limit: int) -> list[Any]:
    from recurra.tasks import load

    run = load(folder)
    return _shown(run, list(islice(run.task.stream(run.config, path, Problems()), limit)))


def _compared(way: str, plain: Sequence[Any], again: Sequence[Any]) -> Check:
    different = [
        number for number, pair in enumerate(zip(plain, again, strict=True)) if first_difference(*pair) is not None
    ]
    first = (different[0] + 1, plain[different[0]], again[different[0]]) if different else None
    return Check(way, len(different), first)


def first_difference(one: Any, other: Any) -> tuple[Any, Any] | None:  # noqa: ANN401  (whatever JSON can hold)
    """Where two answers differ first by more than rounding; None where they do not.

    Example:
        >>> first_difference({"type": "PER", "p": 0.5}, {"type": "PER", "p": 0.5000001})
        >>> first_difference([1, {"type": "PER"}], [1, {"type": "LOC"}])
        ('PER', 'LOC')
    """
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        pairs = [(one[key], other[key]) for key in one]
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = list(zip(one, other, strict=True))
    elif isinstance(one, float) and isinstance(other, float):
        return None if math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE) else (one, other)
    else:
        return None if one == other else (one, other)
    return next((found for pair in pairs if (found := first_difference(*pair)) is not None), None)
