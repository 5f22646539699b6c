"""Truncation: what backpropagation through time learns when it is cut off after some steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from recurra.lab.bench import Bench
from recurra.lab.examples import IGNORED, Draw, Examples
from recurra.lab.experiment import Experiment, Finding, Measured
from recurra.lab.picture import COLOURS, QUIET, Curve, Style, draw_curves, reference_line
from recurra.lab.problems.latch import latch
from recurra.lab.reader import Reader

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["TRUNCATION"]

STYLES = {"carried": Style(COLOURS[0], "D"), "not carried": Style(COLOURS[1], "o")}

NEAR = 0.1
"""How near to theory a share of right answers is that agrees with it: some of a bit is held with nothing learned."""

EDGE = 0.25
"""Distances that differ from the reach by less than this part of it are not judged. Below it few questions give their
mark a gradient, so that learning is slow; above it a trace may be left that nothing had to learn to hold."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured. The gradient reaches `reach` steps: the length of a chunk."""

    reach: int = 20
    distances: tuple[int, ...] = (2, 5, 10, 15, 18, 22, 30, 40)
    cell: str = "lstm"
    hidden_size: int = 16
    steps: int = 1000
    batch_size: int = 32
    learning_rate: float = 5e-3
    tested: int = 2000


def expected(distance: int, reach: int, carried: bool) -> float:
    """The share of right answers that theory says.

    Without a carried state a question is answered if its mark is in the same chunk, and guessed if not: 1 of `reach`
    places of a question in its chunk is as likely as another. With one, all are answered that can be learned at all:
    if the mark is within reach of the gradient of some question.

    Example:
        >>> expected(5, 20, carried=False), expected(5, 20, carried=True), expected(30, 20, carried=True)
        (0.875, 1.0, 0.5)
    """
    within = max(0.0, (reach - distance) / reach)
    return (1.0 if within else 0.5) if carried else 0.5 + within / 2


def chunks(stream: Examples, reach: int, carried: bool) -> Iterator[Examples]:
    """A stream in chunks, whose state is carried from each to the next or not."""
    for start in range(0, stream.inputs.shape[1], reach):
        part = slice(start, start + reach)
        yield Examples(stream.inputs[:, part], stream.targets[:, part], fresh=not carried or start == 0)


def chunked(sizes: Sizes, distance: int, carried: bool) -> Draw:
    """Draws the next chunk of endless streams, a long piece at a time."""
    piece: list[Examples] = []

    def draw(random: torch.Generator, step: int) -> Examples:
        if not piece:
            stream = latch(sizes.batch_size, 50 * sizes.reach, distance, random)
            piece.extend(reversed(list(chunks(stream, sizes.reach, carried))))
        return piece.pop()

    return draw


@torch.no_grad()
def share_right(model: Reader, stream: Examples, reach: int, carried: bool) -> float:
    """The share of questions answered rightly, read in the chunks that it was trained in."""
    right, asked, state = 0, 0, None
    for chunk in chunks(stream, reach, carried):
        answers, state = model(chunk.inputs, None if chunk.fresh else state)
        counted = chunk.targets != IGNORED
        right += int((answers.argmax(-1) == chunk.targets)[counted].sum())
        asked += int(counted.sum())
    return right / asked


def measure(sizes: Sizes, bench: Bench) -> Measured:
    """Train at every distance, with the state carried over the ends of chunks and without."""
    found: dict[str, list[float]] = {name: [] for name in STYLES}
    trials = [(f"distance {d}, state {name}", (d, name)) for name in STYLES for d in sizes.distances]
    for trial, (distance, name) in bench.each(trials, found):
        carried = name == "carried"
        model = Reader(sizes.cell, 3, sizes.hidden_size, 2)
        draw = chunked(sizes, distance, carried)
        bench.train(model, draw, sizes.steps, trial, learning_rate=sizes.learning_rate)
        length = sizes.reach * 50
        stream = latch(max(1, sizes.tested * distance // length), length, distance, bench.random("test", distance))
        found[name].append(share_right(model, stream, sizes.reach, carried))
        bench.watch.end(f"{found[name][-1]:.0%} right, theory {expected(distance, sizes.reach, carried):.0%}")
    return {"reach": sizes.reach, "distances": list(sizes.distances), "share": found}


def judge(measured: Measured) -> list[Finding]:
    """The share right at each distance, beside theory."""
    findings = []
    for name in STYLES:
        for distance, share in zip(measured["distances"], measured["share"][name], strict=True):
            theory = expected(distance, measured["reach"], name == "carried")
            edge = name == "carried" and abs(distance - measured["reach"]) < EDGE * measured["reach"]
            findings.append(
                Finding(
                    f"{distance} steps, state {name}",
                    f"{share:.0%} right",
                    f"{theory:.0%}{', near the reach: not judged' * edge}",
                    None if edge else abs(share - theory) <= NEAR,
                )
            )
    return findings


def draw(measured: Measured, figure: Figure) -> None:
    """The share right by distance, beside theory."""
    axes = figure.subplots()
    reach, last = measured["reach"], measured["distances"][-1]
    axes.set(xlabel="steps from the mark to the question", ylim=(0.42, 1.06))
    axes.set_title(f"share right, chunks of {reach} steps; thin lines: theory")
    span = range(1, last + 1)
    for name, style in STYLES.items():
        values = [expected(distance, reach, name == "carried") for distance in span]
        axes.step(span, values, where="post", color=style.colour, linewidth=0.9, alpha=0.7)
    axes.axvline(reach, color=QUIET, linewidth=1, linestyle=(0, (4, 3)))
    axes.annotate("as far as the gradient goes", (reach, 1.03), xytext=(4, 0), textcoords="offset points", color=QUIET)
    reference_line(axes, 0.5, "guessing")
    draw_curves(
        axes,
        [Curve(f"state {name}", measured["distances"], measured["share"][name], s) for name, s in STYLES.items()],
    )


TRUNCATION = Experiment(
    name="truncation",
    claim="truncated backpropagation learns what its reach spans; a carried state then serves across chunks",
    source="Williams and Peng 1990; Mikolov et al. 2010",
    minutes=2,
    full=Sizes(),
    quick=Sizes(reach=6, distances=(2, 9), hidden_size=6, steps=20, tested=60),
    measure=measure,
    judge=judge,
    draw=draw,
)
