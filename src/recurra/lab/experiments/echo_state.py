"""Echo states: a chaotic series continued by a network of which nothing recurrent was trained."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recurra.data import mackey_glass
from recurra.lab.bench import Bench
from recurra.lab.experiment import Experiment, Finding, Measured
from recurra.lab.picture import COLOURS, QUIET, reference_line
from recurra.nn.echo_state import EchoStateNetwork

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ECHO_STATE"]

PUBLISHED = 0.00028
"""NRMSE84 of a network of 400 units in Jaeger, GMD report 148, 2001, section 6."""

AHEAD = 84
"""How many steps ahead the error is measured."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    units: tuple[int, ...] = (50, 100, 200, 400)
    networks: int = 5
    known: int = 3000
    washout: int = 1000
    primer: int = 1000
    runs: int = 50
    shown: int = 1000


def measure(sizes: Sizes, bench: Bench) -> Measured:
    """Fit networks of several sizes, and let each run on freely from many places of the series."""
    length = sizes.known + sizes.runs * (sizes.primer + AHEAD)
    series = mackey_glass(max(length, sizes.known + sizes.shown), scheme="euler")
    trials = [(f"{units} units, network {k + 1}", (units, k)) for units in sizes.units for k in range(sizes.networks)]
    errors: dict[str, list[float]] = {str(units): [] for units in sizes.units}
    shown: list[float] = []
    for trial, (units, number) in bench.each(trials, {"errors": errors, "shown": shown}):
        network = fitted(units, series, sizes, bench.seed_for(trial))
        errors[str(units)].append(nrmse(network, series, sizes))
        if (units, number) == (sizes.units[-1], 0):
            shown.extend(continued(network, series, sizes))
        bench.watch.end(f"NRMSE{AHEAD} {errors[str(units)][-1]:.1e}")
    true = series[sizes.known : sizes.known + sizes.shown]
    return {
        "units": list(sizes.units),
        "errors": list(errors.values()),
        "series": [round(float(y), 5) for y in true],
        "continued": [round(y, 5) for y in shown],
    }


def fitted(units: int, series: Tensor, sizes: Sizes, seed: int) -> EchoStateNetwork:
    """A network fitted to the first part of the series, tanh(y - 1)."""
    network = EchoStateNetwork(
        0,
        units,
        1,
        feedback=True,
        spectral_radius=0.88,
        density=0.05,
        leak=0.4,
        feedback_scaling=0.56,
        bias_scaling=0.03,
        squares=True,
        seed=seed,
    )
    return network.fit(None, squashed(series[: sizes.known]), washout=sizes.washout, ridge=1e-15)


def squashed(series: Tensor) -> Tensor:
    """What the network learns, (T, 1)."""
    return torch.tanh(series - 1)[:, None]


def stretched(outputs: Tensor) -> Tensor:
    """Its answers in the coordinates of the series; beyond its range, at the edge of what they can be."""
    return torch.atanh(outputs.clamp(-1 + 1e-9, 1 - 1e-9)) + 1


def nrmse(network: EchoStateNetwork, series: Tensor, sizes: Sizes) -> float:
    """The error `AHEAD` steps into free runs, each after its own primer, as a part of the deviation of the series."""
    rows = series[sizes.known : sizes.known + sizes.runs * (sizes.primer + AHEAD)].view(sizes.runs, -1)
    primer = torch.tanh(rows[:, : sizes.primer] - 1)[..., None]
    last = stretched(network.generate(AHEAD, primer)[:, -1, 0])
    return math.sqrt(float(((last - rows[:, -1]) ** 2).mean() / series.var()))


def continued(network: EchoStateNetwork, series: Tensor, sizes: Sizes) -> list[float]:
    """How the network goes on after the part that it knows."""
    made = network.generate(sizes.shown, squashed(series[: sizes.known]))
    values: list[float] = stretched(made[:, 0]).tolist()
    return values


def judge(measured: Measured) -> list[Finding]:
    """The errors beside the one published."""
    findings = []
    for units, errors in zip(measured["units"], measured["errors"], strict=True):
        most = units == measured["units"][-1]
        theory = f"{PUBLISHED:.5f} (Jaeger 2001, 400 units, one network)" if most else "more units, less error"
        holds = median(errors) <= PUBLISHED if most else None
        found = f"NRMSE{AHEAD} {median(errors):.5f} (median of {len(errors)}; best {min(errors):.5f})"
        findings.append(Finding(f"{units} units", found, theory, holds))
    medians = [median(errors) for errors in measured["errors"]]
    falls = all(b < a for a, b in pairwise(medians))
    findings.append(Finding("the median error", "falls with the units" if falls else "does not fall", "falls", falls))
    return findings


def draw(measured: Measured, figure: Figure) -> None:
    """The error by size, and the series beside its continuation."""
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.9))
    units = measured["units"]
    left.set(
        xscale="log", yscale="log", xlabel="units of the reservoir", title=f"NRMSE{AHEAD}: each network, and median"
    )
    for size, errors in zip(units, measured["errors"], strict=True):
        left.plot([size] * len(errors), errors, "o", color=COLOURS[5], alpha=0.8)
    left.plot(units, [median(errors) for errors in measured["errors"]], "D-", color=COLOURS[0])
    left.set_xticks(units, [str(size) for size in units])
    left.minorticks_off()
    reference_line(left, PUBLISHED, "Jaeger 2001, 400 units")
    right.plot(measured["series"], color=QUIET, linewidth=2.6, alpha=0.55)
    right.plot(measured["continued"], color=COLOURS[1], linewidth=1.1)
    right.set(xlabel="steps after the last one that the network has seen", ylim=(0.2, 1.62))
    right.set_title(f"the series (grey) and how the first network of {units[-1]} units goes on (orange)")


ECHO_STATE = Experiment(
    name="echo-state",
    claim="a random recurrent network, of which only a linear readout is fitted, continues a chaotic series",
    source="Jaeger 2001; Jaeger and Haas 2004",
    minutes=1,
    full=Sizes(),
    quick=Sizes(units=(10, 20), networks=1, known=400, washout=100, primer=100, runs=2, shown=100),
    measure=measure,
    judge=judge,
    draw=draw,
)
