"""How fast whole steps of training are: this library, and the same model in plain PyTorch.

    $ python benchmarks/training.py
    $ python benchmarks/training.py --quick
    $ python benchmarks/training.py --cases word,translator --markdown benchmarks/README.md

A word model, a classifier of long texts, a translator, a recogniser of speech and a model of music, of random
numbers. Plain PyTorch has the same networks with
the same weights, of torch.nn's layers. Both read the same batches and run by turns, and the median counts. On one
thread it is time of the processor, so that other programs on a busy machine do not count.
benchmarks/README.md says how.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import torch
from document import Section, conditions
from recurrence import names
from steps import UPDATE, Step, library_step, plain_step
from timing import Effort, alternate, clock
from torch.profiler import ProfilerActivity, profile, record_function
from training_cases import Case, classifier, music, recogniser, translator, word_model

CASES = ("word", "classifier", "translator", "recogniser", "music")
PLAIN, TUNED = "plain PyTorch", "plain, tuned"
WHOLE, QUICK = Effort(6.0, 9), Effort(0.1, 3)
BEGIN, END = "<!-- training: written by training.py -->", "<!-- end of training -->"

BACKWARD = "autograd::engine::evaluate_function: "
PARTS: Mapping[str, tuple[str, ...]] = {
    "recurrence": ("_Recurrence", f"{BACKWARD}_RecurrenceBackward"),
    "readout": ("_ReadoutLoss", f"{BACKWARD}_ReadoutLossBackward"),
    "embeddings": (
        "aten::embedding",
        "_Means",
        *(f"{BACKWARD}{name}" for name in ("EmbeddingBackward0", "_RowsBackward", "_MeansBackward")),
    ),
    "update": (UPDATE,),
}
"""What a profiler sees the parts of this library's step as, forward and backward."""


@dataclass(frozen=True)
class Figures:
    """What was measured of a case: seconds of a step by who ran, and which part of ours is spent where."""

    name: str
    aims: tuple[float, float]
    seconds: Mapping[str, float]
    shares: Mapping[str, float]


def check_equal(case: Case) -> None:
    """Loss and gradients must be the same without dropout, or it would not be the same work.

    Raises:
        RuntimeError: They are not.
    """
    batch = case.batches[0]
    for plain in case.plain:
        models = (case.model.eval(), plain.eval())
        losses = (case.loss(case.model, batch, None).total, plain.loss(batch))
        for model, loss in zip(models, losses, strict=True):
            model.zero_grad()
            loss.backward()
        pairs = {"the loss": tuple(loss.detach() for loss in losses), **case.same(plain)}
        for what, (ours, theirs) in pairs.items():
            error = float((ours - theirs).abs().max()) / float(theirs.abs().max())
            if not error <= 1e-3:
                raise RuntimeError(f"{case.name}: {what} is {error:.1e} apart: it would not be of equal work")


def shares_of(step: Step, batches: Sequence[object]) -> dict[str, float]:
    """Which part of the time of some steps is spent where; what is left is the rest."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler, record_function("whole"):
        for batch in batches:
            step(batch)
    totals = {event.key: event.cpu_time_total for event in profiler.key_averages()}
    shares = {part: sum(totals.get(name, 0.0) for name in keys) / totals["whole"] for part, keys in PARTS.items()}
    return {**shares, "rest": 1 - sum(shares.values())}


def measure(case: Case, effort: Effort) -> Figures:
    """All that is measured of a case."""
    check_equal(case)
    ours = library_step(case.model, case.loss, case.settings)
    steps = {"recurra": ours}
    for who, plain in zip((PLAIN, TUNED), case.plain, strict=True):
        steps[who] = plain_step(plain, plain.loss, case.count, case.settings, fused=who == TUNED)

    def turns(step: Step) -> object:
        rest = cycle(case.batches)  # the same batches in the same order for all
        return lambda: step(next(rest))

    timings = alternate({who: turns(step) for who, step in steps.items()}, effort, clock())
    shares = shares_of(ours, list(islice(cycle(case.batches), 5)))
    return Figures(case.name, case.aims, {who: timing.seconds for who, timing in timings.items()}, shares)


def report(measured: Sequence[Figures], command: str, load: tuple[float, float]) -> str:
    """The tables, and where it was measured."""
    unit = " of the processor" if clock() is time.process_time else ""
    lines = [
        *conditions(load, command),
        "",
        f"| a step of training, ms{unit} | recurra | plain PyTorch | ratio | plain, tuned | ratio | aim |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for case in measured:
        ours, plain, tuned = (case.seconds[who] for who in ("recurra", PLAIN, TUNED))
        lines.append(
            f"| {case.name} | {ours * 1e3:.1f} | {plain * 1e3:.1f} | {plain / ours:.2f}x | {tuned * 1e3:.1f} "
            f"| {tuned / ours:.2f}x | {case.aims[0]}x, better {case.aims[1]}x |"
        )
    parts = [*PARTS, "rest"]
    lines += ["", f"| where a step goes | {' | '.join(parts)} |", f"| --- |{' ---: |' * len(parts)}"]
    lines += [f"| {case.name} | {' | '.join(f'{case.shares[part]:.0%}' for part in parts)} |" for case in measured]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Measure, print and, if asked, put the tables between their marks in a document."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="whether it works, not how fast it is")
    parser.add_argument("--cases", type=names(CASES), default=list(CASES), help=f"which of {', '.join(CASES)} [all]")
    parser.add_argument("--threads", type=int, default=1, help="threads of all [1]")
    parser.add_argument("--markdown", type=Path, help="write the tables between their marks in this file")
    options = parser.parse_args(arguments)
    section = Section(options.markdown, BEGIN, END, parser)
    torch.set_num_threads(options.threads)
    before = os.getloadavg()[0]
    effort, measured = QUICK if options.quick else WHOLE, []
    with tempfile.TemporaryDirectory() as folder:
        builders = {
            "word": lambda: word_model(options.quick),
            "classifier": lambda: classifier(options.quick, Path(folder)),
            "translator": lambda: translator(options.quick),
            "recogniser": lambda: recogniser(options.quick),
            "music": lambda: music(options.quick),
        }
        for name in options.cases:
            measured.append(measure(builders[name](), effort))
    words = [*["--quick"] * options.quick]
    words += ["--cases", ",".join(options.cases)] if len(options.cases) < len(CASES) else []
    words += ["--threads", str(options.threads)] if options.threads != 1 else []
    section.publish(
        report(measured, shlex.join(["python", "benchmarks/training.py", *words]), (before, os.getloadavg()[0]))
    )


if __name__ == "__main__":
    main(sys.argv[1:])
