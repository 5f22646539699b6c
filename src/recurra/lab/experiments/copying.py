"""Copying: ten symbols to be held over a hundred steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from recurra.lab.bench import Bench, mean_squared_error, parts
from recurra.lab.examples import Draw, Examples
from recurra.lab.experiment import Experiment, Finding, Measured
from recurra.lab.picture import STYLES, Curve, Style, draw_curves, reference_line
from recurra.lab.problems.copying import CLASSES, START, SYMBOLS, baseline, copying
from recurra.lab.reader import Reader
from recurra.nn import chrono_

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COPYING"]

LEARNED, NOTHING = 0.25, 0.9
"""Parts of the baseline: below the first a network copies, above the second it has hardly begun to."""

NETWORKS: dict[str, tuple[str, bool, Style]] = {
    "RNN": ("rnn", True, STYLES["rnn"]),
    "GRU": ("gru", True, STYLES["gru"]),
    "LSTM": ("lstm", True, STYLES["lstm"]),
    "LSTM, full wait at once": ("lstm", False, Style(STYLES["lstm"].colour, "D", ":")),
}
"""The cell, whether the wait grows in training, and the look."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured. The longest wait grows up to `wait` in the first `growing` part of training."""

    wait: int = 100
    hidden_size: int = 96
    steps: int = 3000
    growing: float = 0.7
    batch_size: int = 32
    learning_rate: float = 5e-3
    clip_norm: float = 0.25
    keeps: float = 20.0
    tested: int = 1000


def growing(sizes: Sizes) -> Draw:
    """Draws sequences with a wait between half the longest so far and the longest; in the end, with the full wait."""

    def draw(random: torch.Generator, step: int) -> Examples:
        longest = max(1, min(sizes.wait, int(sizes.wait * step / (sizes.growing * sizes.steps))))
        if longest < sizes.wait:
            longest = int(torch.randint(max(1, longest // 2), longest + 1, (), generator=random))
        return copying(sizes.batch_size, longest, random)

    return draw


def measure(sizes: Sizes, bench: Bench) -> Measured:
    """Train each network, and test it at the full wait."""
    measured: Measured = {"wait": sizes.wait, "loss": {}, "training": {}, "parameters": {}, "symbols": {}}
    test = copying(sizes.tested, sizes.wait, bench.random("test"))
    for name, (cell, grows, _) in bench.each(NETWORKS.items(), measured):
        model = Reader(cell, START + 1, sizes.hidden_size, CLASSES, symbols=True)
        if cell != "rnn":
            chrono_(model.recurrent, sizes.keeps)
        course = bench.train(
            model,
            growing(sizes) if grows else lambda random, step: copying(sizes.batch_size, sizes.wait, random),
            sizes.steps if grows else sizes.steps // 3,
            name,
            learning_rate=sizes.learning_rate,
            clip_norm=sizes.clip_norm,
        )
        measured["loss"][name] = mean_squared_error(model, test)
        measured["symbols"][name] = share_copied(model, test)
        measured["training"][name] = course.smoothed()
        measured["parameters"][name] = model.parameter_count
        bench.watch.end(
            f"cross-entropy {measured['loss'][name]:.4f} (no memory: {baseline(sizes.wait):.4f}), "
            f"{measured['symbols'][name]:.0%} of the symbols copied"
        )
    return measured


@torch.no_grad()
def share_copied(model: Reader, test: Examples) -> float:
    """The share of symbols answered rightly; guessing gives 1/8."""
    right = [model(part.inputs)[0][:, -SYMBOLS:].argmax(-1) == part.targets[:, -SYMBOLS:] for part in parts(test)]
    return float(torch.cat(right).double().mean())


def judge(measured: Measured) -> list[Finding]:
    """The losses beside that of no memory."""
    floor = baseline(measured["wait"])
    findings = []
    for name, loss in measured["loss"].items():
        found = f"cross-entropy {loss:.4f}, {measured['symbols'][name]:.0%} of the symbols copied"
        if name in ("GRU", "LSTM"):
            theory, holds = (
                f"far below that of no memory, {floor:.4f}",
                None if name == "LSTM" else loss < LEARNED * floor,
            )
        elif name == "RNN":
            theory, holds = f"near that of no memory, {floor:.4f}", loss > NOTHING * floor
        else:
            theory, holds = f"stays at it (Arjovsky et al. 2016), {floor:.4f}", loss > NOTHING * floor
        findings.append(Finding(name, found, theory, holds))
    return findings


def draw(measured: Measured, figure: Figure) -> None:
    """The loss in training, and what is copied in the end."""
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    names = list(NETWORKS)
    for place, name in enumerate(names):
        share = measured["symbols"][name]
        left.barh(place, share, color=NETWORKS[name][2].colour, alpha=0.45 if ":" in NETWORKS[name][2].line else 1.0)
        left.annotate(f" {share:.0%}", (share, place), va="center", fontsize=8.5)
    left.set_yticks(range(len(names)), [name.replace(", ", ",\n") for name in names])
    left.invert_yaxis()
    left.set(xlim=(0, 1.15), title=f"symbols copied after {measured['wait']} steps")
    left.axvline(1 / 8, color="#666666", linewidth=1, linestyle=(0, (4, 3)))
    left.grid(visible=False)
    right.set(xlabel="step of training", yscale="log", title="cross-entropy in training, nats: the wait grows")
    reference_line(right, baseline(measured["wait"]), f"no memory, wait {measured['wait']}")
    curves = []
    for name, (_, _, style) in NETWORKS.items():
        x, y = zip(*measured["training"][name], strict=True)
        curves.append(Curve(name.replace(", ", ",\n"), x, y, style))
    draw_curves(right, curves)


COPYING = Experiment(
    name="copying",
    claim="a GRU learns to hold ten symbols over a hundred steps if the wait grows, and a plain RNN does not",
    source="Hochreiter and Schmidhuber 1997; Arjovsky, Shah and Bengio 2016",
    minutes=6,
    full=Sizes(),
    quick=Sizes(wait=5, hidden_size=8, steps=24, batch_size=8, tested=40),
    measure=measure,
    judge=judge,
    draw=draw,
)
