"""Bidirectional: whether Teddy is a name is told by the word after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from recurra.lab.bench import Bench
from recurra.lab.examples import IGNORED, Examples
from recurra.lab.experiment import Experiment, Finding, Measured
from recurra.lab.picture import COLOURS, QUIET
from recurra.lab.problems.names import LONGEST, NAME, PLACE, WORDS, ids_of, names
from recurra.lab.reader import Reader

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BIDIRECTIONAL"]

CELLS = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
SENTENCES = ("He said , Teddy bears are on sale", "He said , Teddy Roosevelt was a great president")
SHOWN = "lstm"
"""The cell whose answers the picture shows word by word."""

NEAR = 0.06
"""How near to 0.5 a guess is: 5 standard deviations of 2,000 throws of a coin."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    hidden_size: int = 16
    steps: int = 300
    batch_size: int = 32
    learning_rate: float = 1e-2
    tested: int = 2000


def measure(sizes: Sizes, bench: Bench) -> Measured:
    """Train taggers of one direction and of both, and look at the word that is or is not a name."""
    test = names(sizes.tested, bench.random("test"))
    measured: Measured = {"at_name": {}, "elsewhere": {}, "sentences": {}, "parameters": {}}
    trials = [
        (f"{CELLS[cell]}, {'both directions' if both else 'one direction'}", (cell, both))
        for cell in CELLS
        for both in (False, True)
    ]
    for trial, (cell, both) in bench.each(trials, measured):
        model = Reader(cell, len(WORDS), sizes.hidden_size, 2, symbols=True, bidirectional=both)
        bench.train(
            model,
            lambda random, step: names(sizes.batch_size, random),
            sizes.steps,
            trial,
            learning_rate=sizes.learning_rate,
        )
        at_name, elsewhere = shares_right(model, test)
        measured["at_name"][trial], measured["elsewhere"][trial] = at_name, elsewhere
        measured["parameters"][trial] = model.parameter_count
        if cell == SHOWN:
            measured["sentences"][trial] = [probabilities(model, sentence) for sentence in SENTENCES]
        bench.watch.end(f"{at_name:.1%} right at Teddy, {elsewhere:.1%} elsewhere")
    return measured


@torch.no_grad()
def shares_right(model: Reader, test: Examples) -> tuple[float, float]:
    """The share of right tags at the word that only the next one tells, and at all others."""
    right = model(test.inputs)[0].argmax(-1) == test.targets
    others = test.targets != IGNORED
    others[:, PLACE] = False
    return float(right[:, PLACE].double().mean()), float(right[others].double().mean())


@torch.no_grad()
def probabilities(model: Reader, sentence: str) -> list[float]:
    """The probability that each word is part of a name."""
    ids = ids_of(sentence)
    inputs = torch.zeros(1, LONGEST, dtype=torch.int64)
    inputs[0, : len(ids)] = ids
    answers = model(inputs)[0][0, : len(ids)].double().softmax(-1)
    return [round(float(p), 4) for p in answers[:, NAME]]


def judge(measured: Measured) -> list[Finding]:
    """One direction guesses, both know."""
    findings = []
    for trial, share in measured["at_name"].items():
        both = trial.endswith("both directions")
        found = f"{share:.1%} right at Teddy, {measured['elsewhere'][trial]:.1%} elsewhere"
        theory = "all right: the reverse direction has read on" if both else "50% right at Teddy: it has not read on"
        findings.append(Finding(trial, found, theory, share > 0.99 if both else abs(share - 0.5) <= NEAR))
    return findings


def draw(measured: Measured, figure: Figure) -> None:
    """The shares right, and what the two taggers say of every word of two sentences."""
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.0, 1.25, 1.4))
    colours = {"one direction": COLOURS[4], "both directions": COLOURS[0]}
    for place, name in enumerate(CELLS.values()):
        for shift, (sort, colour) in zip((-0.2, 0.2), colours.items(), strict=True):
            share = measured["at_name"][f"{name}, {sort}"]
            left.bar(place + shift, share, 0.38, color=colour)
            left.annotate(f"{share:.0%}", (place + shift, share), ha="center", va="bottom", fontsize=8)
    left.set_xticks(range(len(CELLS)), list(CELLS.values()))
    left.set(ylim=(0, 1.12), title="share right at Teddy")
    left.grid(visible=False)
    left.axhline(0.5, color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
    for number, (axes, sentence) in enumerate(zip((middle, right), SENTENCES, strict=True)):
        words = sentence.split()
        for sort, colour in colours.items():
            shown = measured["sentences"][f"{CELLS[SHOWN]}, {sort}"][number]
            marker = "s" if sort == "one direction" else "D"
            axes.plot(range(len(words)), shown, color=colour, marker=marker, label=sort)
        axes.set_xticks(range(len(words)), words, rotation=45, ha="right", rotation_mode="anchor")
        axes.set(ylim=(-0.05, 1.12))
        axes.axvspan(PLACE - 0.5, PLACE + 0.5, color=QUIET, alpha=0.12, linewidth=0)
    middle.set_title(f"{CELLS[SHOWN]}: probability that a word is part of a name")
    right.legend(frameon=False, loc="upper right")


BIDIRECTIONAL = Experiment(
    name="bidirectional",
    claim="where the next word tells, a network of one direction can only guess, and one of both knows",
    source="Schuster and Paliwal 1997",
    minutes=1,
    full=Sizes(),
    quick=Sizes(hidden_size=6, steps=8, batch_size=8, tested=40),
    measure=measure,
    judge=judge,
    draw=draw,
)
