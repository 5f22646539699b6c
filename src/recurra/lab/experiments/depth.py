"""Depth: layers on layers, with as many parameters in all."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

import torch

from recurra.lab.bench import Bench, mean_squared_error
from recurra.lab.experiment import Experiment, Finding, Measured
from recurra.lab.picture import COLOURS, reference_line
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
    repeats: int = 3
    cell: str = "gru"
    parameters: int = 40000
    characters: int | None = 400000
    length: int = 50
    steps: int = 900
    batch_size: int = 32
    learning_rate: float = 6e-3
    adding_parameters: int = 6000
    adding_length: int = 50
    adding_steps: int = 800
    adding_rate: float = 5e-3
    tested: int = 500


@dataclass(frozen=True)
class Text:
    """A text as ids: what is trained on, what is held out, and how many signs there are."""

    trained: torch.Tensor
    held: torch.Tensor
    signs: int


def measure(sizes: Sizes, bench: Bench) -> Measured:
    """Train networks of each depth as language models of characters, and on the adding problem."""
    parts = help_text(sizes.characters)
    ids = {sign: place for place, sign in enumerate(sorted(set("".join(parts))))}
    trained, held = (torch.tensor([ids[sign] for sign in part]) for part in parts)
    text = Text(trained, held, len(ids))
    found: dict[str, list[list[float]]] = {task: [[] for _ in sizes.layers] for task in ("text", "adding")}
    widths: dict[str, list[int]] = {"text": [0] * len(sizes.layers), "adding": [0] * len(sizes.layers)}
    trials = [
        (f"{layers} layer{'s' * (layers > 1)}, {task}, {repeat + 1}", (place, layers, task))
        for task in found
        for place, layers in enumerate(sizes.layers)
        for repeat in range(sizes.repeats)
    ]
    for trial, (place, layers, task) in bench.each(trials, {"found": found, "widths": widths}):
        value, width = (
            text_trial(trial, layers, text, sizes, bench)
            if task == "text"
            else adding_trial(trial, layers, sizes, bench)
        )
        found[task][place].append(value)
        widths[task][place] = width
        unit = "bits a character" if task == "text" else "mean squared error"
        bench.watch.end(f"{value:.3g} {unit}, {width} units a layer")
    digest = hashlib.blake2b("".join(parts).encode(), digest_size=8).hexdigest()
    return {
        "layers": list(sizes.layers),
        "bits": found["text"],
        "errors": found["adding"],
        "widths": widths,
        "text": {"characters": len(text.trained), "signs": text.signs, "blake2b": digest},
    }


def text_trial(trial: str, layers: int, text: Text, sizes: Sizes, bench: Bench) -> tuple[float, int]:
    """The bits a character of one network, and its units a layer."""
    width = width_for(sizes.cell, sizes.parameters, text.signs, text.signs, layers)
    model = Reader(sizes.cell, text.signs, width, text.signs, symbols=True, num_layers=layers)
    bench.train(
        model,
        lambda random, step: windows(text.trained, sizes.batch_size, sizes.length, random),
        sizes.steps,
        trial,
        learning_rate=sizes.learning_rate,
    )
    test = windows(text.held, sizes.tested, 2 * sizes.length, bench.random("test"))
    return mean_squared_error(model, test) / math.log(2), width


def adding_trial(trial: str, layers: int, sizes: Sizes, bench: Bench) -> tuple[float, int]:
    """The error of one network on the adding problem, and its units a layer."""
    width = width_for(sizes.cell, sizes.adding_parameters, 2, 1, layers)
    model = Reader(sizes.cell, 2, width, 1, answers="last", num_layers=layers)
    bench.train(
        model,
        lambda random, step: adding(sizes.batch_size, sizes.adding_length, random),
        sizes.adding_steps,
        trial,
        learning_rate=sizes.adding_rate,
    )
    return mean_squared_error(model, adding(sizes.tested * 4, sizes.adding_length, bench.random("adding"))), width


def judge(measured: Measured) -> list[Finding]:
    """Whether some depth beats a single layer beyond what chance does: in adding, and told beside it in text."""
    layers, tasks = measured["layers"], (measured["errors"], measured["bits"])
    findings = []
    for depth, width, errors, bits in zip(layers, measured["widths"]["text"], *tasks, strict=True):
        findings.append(
            Finding(
                f"{depth} layer{'s' * (depth > 1)} of {width} units",
                f"{mean(bits):.3f} bits a character ({min(bits):.3f} to {max(bits):.3f}); adding {mean(errors):.1e}",
                "",
            )
        )
    errors, bits = tasks
    deep = min(range(1, len(layers)), key=lambda place: mean(errors[place]))
    findings.append(
        Finding(
            f"adding: {layers[deep]} layers, the best of several",
            f"{mean(errors[0]) / mean(errors[deep]):.1f} times less error than 1 layer",
            "every run of them better than every run of 1 layer",
            max(errors[deep]) < min(errors[0]),
        )
    )
    deep = min(range(1, len(layers)), key=lambda place: mean(bits[place]))
    gain = mean(bits[0]) - mean(bits[deep])
    findings.append(
        Finding(
            f"text: {layers[deep]} layers, the best of several",
            f"{abs(gain):.3f} bits {'below' if gain > 0 else 'above'} 1 layer",
            "",
        )
    )
    return findings


def draw(measured: Measured, figure: Figure) -> None:
    """Bits and errors by depth."""
    left, right = figure.subplots(1, 2)
    layers = measured["layers"]
    for axes, runs, colour, form in (
        (left, measured["bits"], COLOURS[0], ".3f"),
        (right, measured["errors"], COLOURS[1], ".1e"),
    ):
        values = [mean(own) for own in runs]
        axes.plot(layers, values, "-", color=colour)
        for depth, own in zip(layers, runs, strict=True):
            axes.plot([depth] * len(own), own, "o", color=colour, alpha=0.6)
        task = "text" if axes is left else "adding"
        # The means stand below the axis, where no line and no point can cross them.
        axes.set_xticks(
            layers,
            [
                f"{depth}\n({width} units)\nmean {value:{form}}"
                for depth, width, value in zip(layers, measured["widths"][task], values, strict=True)
            ],
        )
        axes.set_xlabel("layers")
        axes.margins(x=0.12, y=0.2)
    left.set_title("help text: bits a character, held out; each run, and mean")
    right.set_title("adding problem: mean squared error")
    right.set_yscale("log")
    right.set_ylim(min(min(own) for own in measured["errors"]) / 3, BASELINE * 1.6)
    reference_line(right, BASELINE, "always answering 1: 1/6", below=True)


DEPTH = Experiment(
    name="depth",
    claim="with as many parameters, layers on layers learn to add over 50 steps better than a single wide one",
    source="Graves, Mohamed and Hinton 2013; Hermans and Schrauwen 2013; Pascanu et al. 2014",
    minutes=6,
    full=Sizes(),
    quick=Sizes(
        layers=(1, 2),
        repeats=1,
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
