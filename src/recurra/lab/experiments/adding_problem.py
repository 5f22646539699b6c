"""The adding problem: two marked numbers among up to 600, to be added at the end."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import torch

from recurra.lab.bench import Bench, mean_squared_error
from recurra.lab.examples import Draw, Examples
from recurra.lab.experiment import Experiment, Finding, Measured
from recurra.lab.picture import STYLES, Curve, draw_curves, reference_line
from recurra.lab.problems.adding import BASELINE, adding
from recurra.lab.reader import Reader
from recurra.nn import chrono_

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ADDING_PROBLEM"]

PUBLISHED = {"rnn": 0.177, "gru": 5.3e-5, "lstm": 0.164}
"""Errors at 600 steps in Bai, Kolter and Koltun 2018, table 1, of networks of about 70,000 parameters."""

NEAR = 0.02
"""How near to the baseline an error must be to have learned nothing: that of Bai et al. is 0.010 above it."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured. Sequences grow in training: `stages` are pairs of a length and how many steps it has."""

    hidden_size: int = 32
    batch_size: int = 25
    learning_rate: float = 1e-2
    clip_norm: float = 0.1
    stages: tuple[tuple[int, int], ...] = ((50, 2000), (150, 2000), (300, 1500), (600, 3500))
    tested: int = 5000
    lengths: tuple[int, ...] = (50, 100, 200, 400, 600)


def growing(stages: tuple[tuple[int, int], ...], batch_size: int) -> Draw:
    """Draws sequences of the length that a step's stage has."""
    ends = list(accumulate(steps for _, steps in stages))

    def draw(random: torch.Generator, step: int) -> Examples:
        stage = next(place for place, end in enumerate(ends) if step < end)
        return adding(batch_size, stages[stage][0], random)

    return draw


def measure(sizes: Sizes, bench: Bench) -> Measured:
    """Train each cell in the same way, and test it at every length."""
    steps = sum(number for _, number in sizes.stages)
    measured: Measured = {"lengths": list(sizes.lengths), "error": {}, "training": {}, "parameters": {}}
    for cell, _ in bench.each([(cell, None) for cell in PUBLISHED], measured):
        model = Reader(cell, 2, sizes.hidden_size, 1, answers="last")
        _keep_at_first(model, cell, sizes.stages[-1][0])
        course = bench.train(
            model,
            growing(sizes.stages, sizes.batch_size),
            steps,
            cell,
            learning_rate=sizes.learning_rate,
            clip_norm=sizes.clip_norm,
        )
        errors = [
            mean_squared_error(model, adding(sizes.tested, length, bench.random("test", length)))
            for length in sizes.lengths
        ]
        measured["error"][cell] = errors
        measured["training"][cell] = course.smoothed()
        measured["parameters"][cell] = model.parameter_count
        bench.watch.end(f"mean squared error {errors[-1]:.1e} at {sizes.lengths[-1]} steps")
    return measured


def _keep_at_first(model: Reader, cell: str, longest: int) -> None:
    """Let gates begin by keeping over the longest span (Tallec and Ollivier 2018); an RNN has none."""
    if cell != "rnn":
        chrono_(model.recurrent, longest)


def judge(measured: Measured) -> list[Finding]:
    """The errors at the greatest length, beside those published."""
    longest = measured["lengths"][-1]
    last = {cell: errors[-1] for cell, errors in measured["error"].items()}
    return [
        Finding(
            f"GRU, {longest} steps",
            f"mean squared error {last['gru']:.2e}",
            f"at most {PUBLISHED['gru']:.1e} (Bai et al. 2018)",
            last["gru"] <= PUBLISHED["gru"],
        ),
        Finding(
            f"RNN, {longest} steps",
            f"mean squared error {last['rnn']:.4f}",
            f"{PUBLISHED['rnn']} (Bai et al. 2018): near 1/6 = {BASELINE:.4f}, that of always answering 1",
            abs(last["rnn"] - BASELINE) <= NEAR,
        ),
        Finding(
            f"LSTM, {longest} steps", f"mean squared error {last['lstm']:.2e}", f"{PUBLISHED['lstm']} (Bai et al.)"
        ),
    ]


def draw(measured: Measured, figure: Figure) -> None:
    """The error by length after training, and in training."""
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    names = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
    left.set(xlabel="steps T of a sequence", yscale="log", title="mean squared error of new sequences")
    right.set(xlabel="step of training", yscale="log", title="mean squared error in training: sequences grow")
    for axes, place in ((left, "error"), (right, "training")):
        curves = []
        for cell, name in names.items():
            points = measured[place][cell]
            x, y = (measured["lengths"], points) if place == "error" else zip(*points, strict=True)
            curves.append(Curve(name, x, y, STYLES[cell]))
        # In training the curves cross the lower line everywhere: the panel on the left says what the lines are.
        reference_line(axes, BASELINE, "always answering 1: 1/6" if axes is left else "", below=True)
        reference_line(axes, PUBLISHED["gru"], "GRU of Bai et al., T = 600" if axes is left else "")
        draw_curves(axes, curves, labels=axes is right)


ADDING_PROBLEM = Experiment(
    name="adding-problem",
    claim="a GRU adds two numbers that lie hundreds of steps apart, and a plain RNN does not",
    source="Hochreiter and Schmidhuber 1997; Le, Jaitly and Hinton 2015; Bai, Kolter and Koltun 2018",
    minutes=6,
    full=Sizes(),
    quick=Sizes(hidden_size=8, batch_size=10, stages=((10, 20), (20, 20)), tested=100, lengths=(10, 20)),
    measure=measure,
    judge=judge,
    draw=draw,
)
