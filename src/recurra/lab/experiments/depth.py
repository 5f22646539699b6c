"""Depth: layers on layers, with as many parameters in all."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from recurra.lab.bench import Bench, mean_squared_error
from recurra.lab.experiment import Experiment, Finding, Measured
from recurra.lab.picture import COLOURS
from recurra.lab.problems.adding import BASELINE, adding
from recurra.lab.problems.help_text import help_text, windows
from recurra.lab.reader import Reader, width_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DEPTH"]


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    layers: tuple[int, ...] = (1, 2, 3, 4)
    cell: str = "gru"
    parameters: int = 80000
    characters: int | None = 400000
    length: int = 60
    steps: int = 1200
    batch_size: int = 32
    learning_rate: float = 4e-3
    adding_parameters: int = 6000
    adding_length: int = 50
    adding_steps: int = 800
    tested: int = 500


def measure(sizes: Sizes, bench: Bench) -> Measured:
    """Train networks of each depth as language models of characters, and on the adding problem."""
    train_text, test_text = help_text(sizes.characters)
    signs = sorted(set(train_text + test_text))
    ids = {sign: place for place, sign in enumerate(signs)}
    stream, held = (torch.tensor([ids[sign] for sign in text]) for text in (train_text, test_text))
    measured: Measured = {
        "layers": list(sizes.layers),
        "bits": [],
        "adding": [],
        "widths": [],
        "text": {
            "characters": len(stream),
            "signs": len(signs),
            "blake2b": hashlib.blake2b((train_text + test_text).encode(), digest_size=8).hexdigest(),
        },
    }
    trials = [(f"{layers} layers, {task}", (layers, task)) for layers in sizes.layers for task in ("text", "adding")]
    for trial, (layers, task) in bench.each(trials):
        if task == "text":
            width = width_for(sizes.cell, sizes.parameters, len(signs), len(signs), layers)
            model = Reader(sizes.cell, len(signs), width, len(signs), symbols=True, num_layers=layers)
            bench.train(
                model,
                lambda random, step: windows(stream, sizes.batch_size, sizes.length, random),
                sizes.steps,
                trial,
                learning_rate=sizes.learning_rate,
            )
            test = windows(held, sizes.tested, 2 * sizes.length, bench.random("test"))
            bits = mean_squared_error(model, test) / math.log(2)
            measured["bits"].append(bits)
            measured["widths"].append(width)
            bench.watch.end(f"{bits:.3f} bits a character with {width} units a layer")
        else:
            width = width_for(sizes.cell, sizes.adding_parameters, 2, 1, layers)
            model = Reader(sizes.cell, 2, width, 1, answers="last", num_layers=layers)
            bench.train(
                model,
                lambda random, step: adding(sizes.batch_size, sizes.adding_length, random),
                sizes.adding_steps,
                trial,
                learning_rate=sizes.learning_rate,
            )
            error = mean_squared_error(model, adding(sizes.tested * 4, sizes.adding_length, bench.random("adding")))
            measured["adding"].append(error)
            bench.watch.end(f"mean squared error {error:.1e} with {width} units a layer")
    return measured


def judge(measured: Measured) -> list[Finding]:
    """Whether more layers do better."""
    bits, errors = measured["bits"], measured["adding"]
    findings = [
        Finding(f"{layers} layer{'s' * (layers > 1)} of {width} units", f"{b:.3f} bits a character; adding {e:.1e}", "")
        for layers, width, b, e in zip(measured["layers"], measured["widths"], bits, errors, strict=True)
    ]
    best, surest = bits.index(min(bits)), errors.index(min(errors))
    findings.append(
        Finding(
            "text: the best depth",
            f"{measured['layers'][best]} layers, {bits[0] - min(bits):.3f} bits below 1 layer",
            "more than 1 layer",
            best > 0,
        )
    )
    findings.append(
        Finding("adding: the best depth", f"{measured['layers'][surest]} layers", "nothing to gain: a single sum")
    )
    return findings


def draw(measured: Measured, figure: Figure) -> None:
    """Bits and errors by depth."""
    left, right = figure.subplots(1, 2)
    layers = measured["layers"]
    for axes, values, colour, form in (
        (left, measured["bits"], COLOURS[0], ".3f"),
        (right, measured["adding"], COLOURS[1], ".1e"),
    ):
        axes.plot(layers, values, "o-", color=colour)
        for depth, value in zip(layers, values, strict=True):
            axes.annotate(
                format(value, form),
                (depth, value),
                xytext=(0, 7),
                textcoords="offset points",
                ha="center",
                fontsize=8.5,
            )
        axes.set_xticks(
            layers,
            [f"{d}\n({w} units)" if axes is left else str(d) for d, w in zip(layers, measured["widths"], strict=True)],
        )
        axes.set_xlabel("layers")
        axes.margins(x=0.12, y=0.2)
    left.set_title("help text: bits a character, held out")
    right.set_title("adding problem: mean squared error")
    right.set_yscale("log")
    right.set_ylim(min(measured["adding"]) / 3, BASELINE * 1.6)
    right.axhline(BASELINE, color="#666666", linewidth=1, linestyle=(0, (4, 3)))


DEPTH = Experiment(
    name="depth",
    claim="with as many parameters, layers on layers model text better than a single wide one",
    source="Graves, Mohamed and Hinton 2013; Hermans and Schrauwen 2013; Pascanu et al. 2014",
    minutes=4,
    full=Sizes(),
    quick=Sizes(
        layers=(1, 2),
        parameters=2500,
        characters=4000,
        length=8,
        steps=10,
        batch_size=4,
        adding_parameters=200,
        adding_length=6,
        adding_steps=10,
        tested=10,
    ),
    measure=measure,
    judge=judge,
    draw=draw,
)
