"""Cells compared: many cells of the catalogue on the same problems, with as many parameters each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from recurra.lab.bench import Bench, accuracy, mean_squared_error
from recurra.lab.examples import Examples
from recurra.lab.experiment import Experiment, Finding, Measured
from recurra.lab.problems.adding import BASELINE, adding
from recurra.lab.problems.agreement import ANSWERS, WORDS, agreement
from recurra.lab.problems.copying import CLASSES, START, baseline, copying
from recurra.lab.reader import Reader, width_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CELLS_COMPARED"]

CELLS = (
    "rnn",
    "irnn",
    "ind-rnn",
    "antisymmetric-rnn",
    "co-rnn",
    "fast-grnn",
    "minimal-gated-unit",
    "simplified-gru",
    "gru",
    "gru-reset-after",
    "min-gru",
    "coupled-lstm",
    "lstm",
    "peephole-lstm",
)
GATED = ("simplified-gru", "gru", "lstm")
PROBLEMS = ("adding", "agreement", "copying")


@dataclass(frozen=True)
class Sizes:
    """How much is measured: sizes of the three problems, and of every network."""

    cells: tuple[str, ...] = CELLS
    parameters: int = 6000
    adding_length: int = 25
    agreement_distance: int = 40
    copying_wait: int = 2
    steps: int = 800
    batch_size: int = 32
    learning_rate: float = 1e-2
    tested: int = 1000


def measure(sizes: Sizes, bench: Bench) -> Measured:
    """Train every cell on every problem. A score of 0 is that of knowing nothing, 1 of knowing all."""
    scores: dict[str, dict[str, float]] = {problem: {} for problem in PROBLEMS}
    widths: dict[str, dict[str, int]] = {problem: {} for problem in PROBLEMS}
    trials = [(f"{cell}, {problem}", (cell, problem)) for cell in sizes.cells for problem in PROBLEMS]
    for trial, (cell, problem) in bench.each(trials, {"scores": scores, "widths": widths}):
        score, width = tried(trial, cell, problem, sizes, bench)
        scores[problem][cell], widths[problem][cell] = round(score, 4), width
        bench.watch.end(f"score {score:.2f} with {width} units")
    return {"problems": list(PROBLEMS), "cells": list(sizes.cells), "scores": scores, "widths": widths}


def tried(trial: str, cell: str, problem: str, sizes: Sizes, bench: Bench) -> tuple[float, int]:
    """The score of one cell on one problem, and its units."""
    inputs, outputs = {"adding": (2, 1), "agreement": (len(WORDS), len(ANSWERS)), "copying": (START + 1, CLASSES)}[
        problem
    ]
    draws: dict[str, Callable[[int, torch.Generator], Examples]] = {
        "adding": lambda n, random: adding(n, sizes.adding_length, random),
        "agreement": lambda n, random: agreement(n, sizes.agreement_distance, random),
        "copying": lambda n, random: copying(n, sizes.copying_wait, random),
    }
    draw = draws[problem]
    width = width_for(cell, sizes.parameters, inputs, outputs)
    last = problem == "adding"
    model = Reader(cell, inputs, width, outputs, answers="last" if last else "every", symbols=not last)
    bench.train(
        model,
        lambda random, step: draw(sizes.batch_size, random),
        sizes.steps,
        trial,
        learning_rate=sizes.learning_rate,
    )
    test = draw(sizes.tested, bench.random("test", problem))
    if problem == "agreement":
        score = 2 * accuracy(model, test) - 1
    else:
        floor = BASELINE if problem == "adding" else baseline(sizes.copying_wait)
        score = 1 - mean_squared_error(model, test) / floor
    return max(0.0, min(1.0, score)), width


def total(measured: Measured, cell: str) -> float:
    """The mean score over the problems."""
    scores = [measured["scores"][problem][cell] for problem in measured["problems"]]
    return float(sum(scores) / len(scores))


def judge(measured: Measured) -> list[Finding]:
    """Whether the gated cells learn more than the plain one."""
    plain = total(measured, "rnn")
    findings = [Finding("rnn", f"mean score {plain:.2f}", "the plain case")]
    for cell in measured["cells"][1:]:
        score = total(measured, cell)
        gated = cell in GATED
        findings.append(
            Finding(cell, f"mean score {score:.2f}", "above the RNN" if gated else "", score > plain if gated else None)
        )
    return findings


def draw(measured: Measured, figure: Figure) -> None:
    """A table of scores, the best cells first."""
    axes = figure.subplots()
    order = sorted(measured["cells"], key=lambda cell: -total(measured, cell))
    columns = [*measured["problems"], "mean"]
    values = [[measured["scores"][p][cell] for p in measured["problems"]] + [total(measured, cell)] for cell in order]
    axes.imshow(values, aspect="auto", cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    for row, scores in enumerate(values):
        for column, score in enumerate(scores):
            ink = "white" if score < 0.55 else "black"
            axes.text(column, row, f"{score:.2f}", ha="center", va="center", color=ink, fontsize=8.5)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(order)), order)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.set_title("what was learned: 0 nothing, 1 all there is; best mean first")


CELLS_COMPARED = Experiment(
    name="cells-compared",
    claim="with as many parameters and as much training, gated cells learn more than a plain RNN",
    source="Chung, Gulcehre, Cho and Bengio 2014; Jozefowicz, Zaremba and Sutskever 2015; Greff et al. 2017",
    minutes=4,
    full=Sizes(),
    quick=Sizes(
        cells=("rnn", "gru"),
        parameters=200,
        adding_length=6,
        agreement_distance=3,
        copying_wait=2,
        steps=4,
        batch_size=4,
        tested=20,
    ),
    measure=measure,
    judge=judge,
    draw=draw,
)
