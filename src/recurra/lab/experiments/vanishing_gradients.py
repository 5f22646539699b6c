"""Vanishing gradients: how far from its subject a verb may stand before a network no longer learns to agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from recurra.lab.bench import Bench, accuracy
from recurra.lab.examples import Examples
from recurra.lab.experiment import Experiment, Finding, Measured
from recurra.lab.picture import COLOURS, STYLES, Curve, Style, draw_curves, reference_line
from recurra.lab.problems.agreement import ANSWERS, WORDS, agreement
from recurra.lab.reader import Reader
from recurra.nn.initialise import Rule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["VANISHING_GRADIENTS"]

LEARNED = 0.95
"""The accuracy from which agreement counts as learned; guessing gives 0.5."""


@dataclass(frozen=True)
class Network:
    """A network that is tried: its cell, how it begins, and how it looks in the picture."""

    cell: str
    style: Style
    initial: Mapping[str, Rule]


NETWORKS: dict[str, Network] = {
    "RNN, small weights": Network("rnn", Style(COLOURS[6], "v", ":"), {"W": "uniform(-0.177, 0.177)"}),
    "RNN": Network("rnn", STYLES["rnn"], {}),
    "simplified GRU": Network("simplified-gru", STYLES["simplified-gru"], {}),
    "GRU": Network("gru", STYLES["gru"], {}),
    "LSTM": Network("lstm", STYLES["lstm"], {}),
    "GRU, keeps at first": Network("gru", Style(STYLES["gru"].colour, "s", "--"), {"b_update": -4.0}),
    "LSTM, keeps at first": Network("lstm", Style(STYLES["lstm"].colour, "D", "--"), {"b_forget": 4.0}),
}
"""As the catalogue begins them (the RNN with an orthogonal matrix, which is kind to gradients); an RNN as torch.nn
begins one of 32 units, 1/√32 = 0.177; and gates that keep from the first step on: sigmoid(4) = 0.98."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    distances: tuple[int, ...] = (2, 5, 10, 20, 30, 50, 70, 100)
    hidden_size: int = 32
    steps: int = 500
    batch_size: int = 50
    learning_rate: float = 3e-3
    tested: int = 1000


def measure(sizes: Sizes, bench: Bench) -> Measured:
    """Train each network at each distance, each from the beginning."""
    accuracies: dict[str, list[float]] = {name: [] for name in NETWORKS}
    gradients: dict[str, list[float]] = {}
    trials = [(f"{name}, distance {d}", (name, d)) for name in NETWORKS for d in sizes.distances]
    for trial, (name, distance) in bench.each(trials, {"accuracy": accuracies, "gradient": gradients}):
        network = NETWORKS[name]
        model = Reader(network.cell, len(WORDS), sizes.hidden_size, len(ANSWERS), symbols=True, initial=network.initial)
        if distance == max(sizes.distances):
            gradients[name] = gradient_by_distance(model, distance, bench)
        bench.train(
            model,
            partial(drawn, sizes.batch_size, distance),
            sizes.steps,
            trial,
            learning_rate=sizes.learning_rate,
        )
        share = accuracy(model, agreement(sizes.tested, distance, bench.random("test", distance)))
        accuracies[name].append(share)
        bench.watch.end(f"{share:.0%} right")
    return {"distances": list(sizes.distances), "accuracy": accuracies, "gradient": gradients}


def drawn(count: int, distance: int, random: torch.Generator, step: int) -> Examples:
    """The sentences of a step of training."""
    return agreement(count, distance, random)


def gradient_by_distance(model: Reader, distance: int, bench: Bench) -> list[float]:
    """The norm of dL/dx at 0, 1, ... steps back from the loss, as a share of that at the last step."""
    examples = agreement(100, distance, bench.random("gradient"))
    inputs = model.encode(examples.inputs).requires_grad_()
    outputs = model.readout(model.recurrent(inputs)[0])
    loss = torch.nn.functional.cross_entropy(outputs[:, -1], examples.targets[:, -1], reduction="sum")
    (gradient,) = torch.autograd.grad(loss, inputs)
    norms = gradient.double().norm(dim=(0, 2)).flip(0)
    return [float(f"{norm:.4e}") for norm in norms / norms[0]]


def reach(measured: Measured, name: str) -> int:
    """The longest distance up to which every distance was learned; 0 if not even the shortest was."""
    longest = 0
    for distance, share in zip(measured["distances"], measured["accuracy"][name], strict=True):
        if share < LEARNED:
            break
        longest = distance
    return longest


def judge(measured: Measured) -> list[Finding]:
    """Where each network stops learning."""
    longest, reaches = max(measured["distances"]), {name: reach(measured, name) for name in NETWORKS}
    findings = []
    for name, found in reaches.items():
        left = measured["gradient"][name][-1]
        if name.endswith("keeps at first"):
            theory, holds = f"all {longest} steps", found == longest
        elif name.startswith("RNN"):
            theory, holds = f"fewer than {longest} steps", found < longest
        else:
            theory, holds = "as far as its gates happen to keep", None
        findings.append(Finding(name, f"learns {found} steps; gradient × {left:.0e} over {longest}", theory, holds))
    return findings


def draw(measured: Measured, figure: Figure) -> None:
    """Accuracy by distance, and the gradient before training by distance."""
    left, right = figure.subplots(1, 2)
    distances = measured["distances"]
    left.set(xlabel="steps from subject to verb", ylim=(0.4, 1.04), title="was or were: share right after training")
    curves = [Curve(name, distances, measured["accuracy"][name], n.style) for name, n in NETWORKS.items()]
    reference_line(left, 0.5, "guessing")
    draw_curves(left, curves, labels=False)
    right.set(xlabel="steps back from the loss", yscale="log", ylim=(1e-12, 1e3))
    right.set_title("‖∂L/∂x‖ before training, as a part of the first")
    draw_curves(
        right,
        [
            Curve(name, range(len(measured["gradient"][name])), measured["gradient"][name], n.style)
            for name, n in NETWORKS.items()
        ],
    )


VANISHING_GRADIENTS = Experiment(
    name="vanishing-gradients",
    claim="a network learns a span only if its gradient survives it: an RNN's vanishes, gates can keep it",
    source="Bengio, Simard and Frasconi 1994; Hochreiter and Schmidhuber 1997; Linzen, Dupoux and Goldberg 2016",
    minutes=4,
    full=Sizes(),
    quick=Sizes(distances=(2, 7), hidden_size=6, steps=5, batch_size=5, tested=40),
    measure=measure,
    judge=judge,
    draw=draw,
)
