"""Exploding gradients: where the recurrent matrix enlarges, and what clipping the norm changes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from recurra.lab.bench import Bench, mean_squared_error
from recurra.lab.experiment import Experiment, Finding, Measured
from recurra.lab.picture import COLOURS, Curve, Style, draw_curves, reference_line
from recurra.lab.problems.adding import BASELINE, adding
from recurra.lab.reader import Reader

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPLODING_GRADIENTS"]

STYLES = (Style(COLOURS[0], "D"), Style(COLOURS[2], "s"), Style(COLOURS[1], "o"), Style(COLOURS[3], "^"))

WORTH = 0.8
"""Below this part of the baseline something was learned."""

LARGEST = 1e6
"""The largest loss that is drawn."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured. The recurrent matrix begins as each of `gains` times the identity."""

    gains: tuple[float, ...] = (0.9, 1.0, 1.1)
    backward: int = 100
    hidden_size: int = 64
    length: int = 30
    steps: int = 2500
    batch_size: int = 32
    learning_rate: float = 1e-2
    momentum: float = 0.9
    clip_norm: float = 1.0
    tested: int = 2000


def build(sizes: Sizes, gain: float) -> Reader:
    """The RNN of rectified linear units of Le, Jaitly and Hinton 2015, its matrix a multiple of theirs."""
    initial = {"W_recurrent": f"identity({gain})", "W_input": "normal(0.1)"}
    return Reader("irnn", 2, sizes.hidden_size, 1, answers="last", initial=initial)


def measure(sizes: Sizes, bench: Bench) -> Measured:
    """Measure the gradient by distance for each beginning, and train each with and without clipping."""
    measured: Measured = {
        "gains": list(sizes.gains),
        "gradient": {},
        "error": {},
        "broke": {},
        "training": {},
        "norm": {},
    }
    trials = [
        (f"{gain} × identity, {'clipped' if clip else 'not clipped'}", (gain, clip))
        for gain in sizes.gains
        for clip in (None, sizes.clip_norm)
    ]
    test = adding(sizes.tested, sizes.length, bench.random("test"))
    for trial, (gain, clip) in bench.each(trials, measured):
        model = build(sizes, gain)
        if clip is None:
            measured["gradient"][str(gain)] = gradient_by_distance(model, sizes.backward, bench)
        course = bench.train(
            model,
            lambda random, step: adding(sizes.batch_size, sizes.length, random),
            sizes.steps,
            trial,
            optimiser="sgd",
            schedule="constant",
            learning_rate=sizes.learning_rate,
            momentum=sizes.momentum,
            clip_norm=clip,
        )
        error = mean_squared_error(model, test)
        measured["error"][trial] = error if course.failure is None and math.isfinite(error) else None
        measured["broke"][trial] = len(course.losses) if course.failure else None
        measured["training"][trial] = course.smoothed()
        measured["norm"][trial] = max((n for n in course.norms if math.isfinite(n)), default=None)
        ended = f"broke off at step {len(course.losses) + 1}: not finite" if course.failure else f"error {error:.3f}"
        bench.watch.end(ended)
    return measured


def gradient_by_distance(model: Reader, steps: int, bench: Bench) -> list[float]:
    """The norm of dL/dh at 0, 1, ... steps back from the loss, as a part of the first: pure recurrence, no input.

    Without input the units go on from where they are, and all stay active, so that the step's Jacobian is the matrix.
    """
    carried = torch.rand(1, 50, model.recurrent.hidden_size, generator=bench.random("gradient")) + 0.1
    norms = []
    for distance in range(steps + 1):
        state = carried.clone().requires_grad_()
        silence = torch.zeros(50, max(distance, 1), model.input_size)
        outputs = model.recurrent(silence, {"h": state})[0][:, -1] if distance else state[0]
        (gradient,) = torch.autograd.grad(model.readout(outputs).sum(), state)
        norms.append(float(gradient.double().norm()))
    return [float(f"{norm / norms[0]:.4e}") for norm in norms]


def judge(measured: Measured) -> list[Finding]:
    """Whether the gradient goes as theory says, and what clipping changes."""
    findings = []
    for gain in measured["gains"]:
        gradient = measured["gradient"][str(gain)]
        steps, factor = len(gradient) - 1, gradient[-1]
        exact = gain**steps
        findings.append(
            Finding(
                f"gradient, {gain} × identity",
                f"× {factor:.3g} over {steps} steps",
                f"{gain}^{steps} = {exact:.3g}",
                abs(math.log(factor) - math.log(exact)) < 0.05,
            )
        )
    for trial, error in measured["error"].items():
        clipped, largest = trial.endswith(", clipped"), measured["norm"][trial]
        found = f"broke off after {measured['broke'][trial]} steps" if error is None else f"error {error:.3f}"
        norm = "" if largest is None else f", largest norm {largest:.0e}"
        if clipped:
            theory, holds = "learns (guessing: 0.167)", error is not None and error < WORTH * BASELINE
        else:
            theory, holds = "does not learn", error is None or error >= WORTH * BASELINE
        findings.append(Finding(trial, found + norm, theory, holds))
    return findings


def draw(measured: Measured, figure: Figure) -> None:
    """The gradient by distance, and training with and without clipping."""
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.3))
    styles = dict(zip(measured["gains"], STYLES, strict=False))
    left.set(xlabel="steps back from the loss", yscale="log", title="‖∂L/∂h‖ before training, as a part of the first")
    curves = [
        Curve(f"{gain} · I", range(len(measured["gradient"][str(gain)])), measured["gradient"][str(gain)], styles[gain])
        for gain in measured["gains"]
    ]
    draw_curves(left, curves)
    right.set(xlabel="step of training", yscale="log", title="mean squared error in training")
    reference_line(right, BASELINE, "always answering 1: 1/6")
    curves = []
    for trial, points in measured["training"].items():
        gain, clipped = float(trial.split()[0]), trial.endswith(", clipped")
        shown = [(step, min(loss, LARGEST)) for step, loss in points] or [(1, LARGEST)]
        x, y = zip(*shown, strict=True)
        broke = measured["broke"][trial]
        ends = "clipped" if clipped else "not clipped" if broke is None else f"not clipped:\nbreaks at step {broke + 1}"
        own = Style(styles[gain].colour, styles[gain].marker, "-" if clipped else ":")
        if broke is not None:
            right.plot(x[-1], y[-1], "x", color=own.colour, markersize=9, markeredgewidth=2)
        curves.append(Curve(f"{gain} · I, {ends}", x, y, own))
    draw_curves(right, curves)


EXPLODING_GRADIENTS = Experiment(
    name="exploding-gradients",
    claim="a gradient grows as the power of its matrix; training then fails unless the norm is clipped",
    source="Pascanu, Mikolov and Bengio 2013; Le, Jaitly and Hinton 2015",
    minutes=2,
    full=Sizes(),
    quick=Sizes(backward=10, hidden_size=8, length=8, steps=20, tested=50),
    measure=measure,
    judge=judge,
    draw=draw,
)
