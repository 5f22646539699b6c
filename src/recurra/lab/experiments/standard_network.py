"""Standard network: what it learns of a name at one position it does not know at the others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import torch
from torch import Tensor, nn

from recurra.errors import ShapeError
from recurra.lab.bench import Bench
from recurra.lab.examples import Draw, Examples
from recurra.lab.experiment import Experiment, Finding, Measured
from recurra.lab.picture import COLOURS, QUIET, STYLES, Curve, Style, draw_curves
from recurra.lab.problems.mentions import NAME, WORDS, Where, mentions
from recurra.lab.reader import Reader

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["STANDARD_NETWORK", "StandardNetwork"]

STANDARD, WIDE, WORDWISE, RECURRENT = "standard network", "wide standard network", "word by word", "recurrent network"
ONE_WORD = "h[t] = tanh(W @ x[t] + b)"
"""The equation of a network that reads each word by itself: it shares weights over positions, and has no state."""

LOOKS = {
    STANDARD: Style(COLOURS[4], "s"),
    WIDE: Style(COLOURS[3], "^"),
    WORDWISE: Style(COLOURS[5], "v"),
    RECURRENT: STYLES["rnn"],
}
LEARNED, LOST = 0.95, 0.75
"""The F1 from which names count as known, and that below which they do not."""

EVERY_WORD = "every word a name"
"""A tagger that calls every word a name, which the others are compared with."""

LARGE = 10_000
"""V, a vocabulary as large as those in use, for which parameters are counted."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    length: int = 12
    lengths: tuple[int, ...] = (12, 24, 48, 96)
    sentences: tuple[int, ...] = (30, 100, 300, 1000, 3000)
    standard_size: int = 64
    recurrent_size: int = 16
    runs: int = 3
    steps: int = 600
    batch_size: int = 32
    learning_rate: float = 1e-2
    tested: int = 1000


class StandardNetwork(nn.Module):
    """A network without recurrence that reads a whole sentence at once, as one long vector.

        h    = tanh(W [x<1>, ..., x<T_x>] + b)        x<t> one-hot, zero past the sentence's end
        y<t> = V<t> h + c<t>                          each position has weights of its own

    Args:
        window: T_x, the most words that it can read.
        symbols: V, the size of the vocabulary.
        hidden_size: H.
        output_size: O, the width of y<t>.

    Example:
        >>> StandardNetwork(12, 48, 64, 2)(torch.zeros(3, 9, dtype=torch.int64))[0].shape
        torch.Size([3, 9, 2])
    """

    def __init__(self, window: int, symbols: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.window, self.symbols, self.output_size = window, symbols, output_size
        self.hidden = nn.Linear(window * symbols, hidden_size)
        self.readout = nn.Linear(hidden_size, window * output_size)

    def forward(self, inputs: Tensor, state: None = None) -> tuple[Tensor, None]:
        """The answers (B, T, O) to ids (B, T), and no state.

        Raises:
            ShapeError: The sentences are longer than the window.
        """
        batch, length = inputs.shape
        if length > self.window:
            raise ShapeError(f"the sentences have {length} words; this network reads {self.window} at most")
        words = nn.functional.one_hot(inputs, self.symbols).to(self.hidden.weight.dtype)
        whole = nn.functional.pad(words, (0, 0, 0, self.window - length)).flatten(1)
        answers = self.readout(self.hidden(whole).tanh()).view(batch, self.window, self.output_size)
        return answers[:, :length], None


def parameter_count(network: str, length: int, symbols: int, sizes: Sizes) -> int:
    """How many numbers a network learns that reads sentences of a length."""
    if network == RECURRENT:
        width = sizes.recurrent_size
        return (width + symbols + 1) * width + (width + 1) * 2
    width = sizes.standard_size
    return (length * symbols + 1) * width + (width + 1) * 2 * length


def build(network: str, sizes: Sizes) -> nn.Module:
    """A network, untrained."""
    if network in (STANDARD, WIDE):
        window = max(sizes.lengths) if network == WIDE else sizes.length
        return StandardNetwork(window, len(WORDS), sizes.standard_size, 2)
    return Reader(ONE_WORD if network == WORDWISE else "rnn", len(WORDS), sizes.recurrent_size, 2, symbols=True)


def measure(sizes: Sizes, bench: Bench) -> Measured:
    """Train taggers where each name stands in one half of the sentence, and where all stand anywhere."""
    measured: Measured = {
        "length": sizes.length,
        "lengths": list(sizes.lengths),
        "sentences": list(sizes.sentences),
        "seen": {network: [] for network in LOOKS},
        "unseen": {network: [] for network in LOOKS},
        "by_length": {network: [] for network in LOOKS},
        "by_sentences": {STANDARD: [], RECURRENT: []},
        "parameters": {
            network: [parameter_count(network, length, LARGE, sizes) for length in sizes.lengths]
            for network in (STANDARD, RECURRENT)
        },
    }
    seen, unseen, anywhere = (
        mentions(sizes.tested, sizes.length, bench.random("test", where), where) for where in get_args(Where)
    )
    longer = [mentions(sizes.tested, length, bench.random("test", length)) for length in sizes.lengths]
    measured["every_word_a_name"] = [2 / (1 + 1 / float(test.targets.double().mean())) for test in (seen, unseen)]
    runs = [(f"{network}, run {run}", (network, 0)) for network in LOOKS for run in range(1, sizes.runs + 1)]
    few = [(f"{network}, {n:,} sentences", (network, n)) for n in sizes.sentences for network in (STANDARD, RECURRENT)]
    for trial, (network, count) in bench.each(runs + few, measured):
        model = build(network, sizes)
        bench.train(
            model, _training_sentences(count, sizes, bench), sizes.steps, trial, learning_rate=sizes.learning_rate
        )
        if count:
            measured["by_sentences"][network].append(f1(model, anywhere))
            bench.watch.end(f"F1 {measured['by_sentences'][network][-1]:.3f}, names anywhere")
            continue
        scores = f1(model, seen), f1(model, unseen)
        measured["seen"][network].append(scores[0])
        measured["unseen"][network].append(scores[1])
        readable = [test for test in longer if test.inputs.shape[1] <= getattr(model, "window", math.inf)]
        measured["by_length"][network].append([f1(model, test) for test in readable])
        bench.watch.end("F1 {:.3f} at positions seen, {:.3f} at positions not seen".format(*scores))
    return measured


def _training_sentences(count: int, sizes: Sizes, bench: Bench) -> Draw:
    """Sentences drawn anew in every step, names by halves; or so many of them again and again, names anywhere."""
    if not count:
        return lambda random, step: mentions(sizes.batch_size, sizes.length, random)
    known = mentions(count, sizes.length, bench.random("sentences", count), "anywhere")

    def draw(random: torch.Generator, step: int) -> Examples:
        rows = torch.randint(count, (sizes.batch_size,), generator=random)
        return Examples(known.inputs[rows], known.targets[rows])

    return draw


@torch.no_grad()
def f1(model: nn.Module, test: Examples) -> float:
    """F1 over the words that are names: the harmonic mean of precision and recall."""
    model.eval()
    answered, right = model(test.inputs)[0].argmax(-1) == NAME, test.targets == NAME
    return float(2 * (answered & right).sum() / (answered.sum() + right.sum()).clamp(min=1))


def judge(measured: Measured) -> list[Finding]:
    """Every network knows what it saw; the recurrent one knows it at other positions and in longer sentences, too."""
    longest = measured["lengths"][-1]
    findings = []

    def add(what: str, scores: list[float], known: bool | None, theory: str) -> None:
        holds = None if known is None else min(scores) >= LEARNED if known else max(scores) < LOST
        findings.append(Finding(what, "F1 " + ", ".join(f"{score:.3f}" for score in scores), theory, holds))

    seen, unseen = measured["seen"], measured["unseen"]
    add(f"{STANDARD}, positions seen", seen[STANDARD], True, "learned")
    add(f"{STANDARD}, positions not seen", unseen[STANDARD], False, "not known")
    add(f"{RECURRENT}, positions seen", seen[RECURRENT], True, "learned")
    add(f"{RECURRENT}, positions not seen", unseen[RECURRENT], True, "known just as well")
    add(f"{WORDWISE}, positions seen", seen[WORDWISE], None, "cannot tell mr cook from the cook")
    add(f"{WORDWISE}, positions not seen", unseen[WORDWISE], None, "position plays no part")
    for network, known, theory in ((WIDE, False, "not known"), (RECURRENT, True, "known just as well")):
        last = [scores[-1] for scores in measured["by_length"][network]]
        add(f"{network}, {longest} words", last, known, theory)
    needed = {network: sentences_needed(measured, network) for network in (RECURRENT, STANDARD)}
    most = f"more than {measured['sentences'][-1]:,}"
    findings.append(
        Finding(
            f"sentences until F1 is {LEARNED}, names anywhere",
            ", ".join(f"{network} {f'{count:,}' if count else most}" for network, count in needed.items()),
            "the recurrent network needs fewer: it learns each name once, and not at each position",
            0 < needed[RECURRENT] < (needed[STANDARD] or math.inf),
        )
    )
    for network, counts in measured["parameters"].items():
        found = f"{counts[0]:,} for {measured['lengths'][0]} words, {counts[-1]:,} for {longest}"
        theory = "in proportion to T_x" if network == STANDARD else "the same for every T_x"
        findings.append(Finding(f"{network}, parameters, V = {LARGE:,}", found, theory))
    return findings


def sentences_needed(measured: Measured, network: str) -> int:
    """The fewest sentences from which names were learned; 0 if those measured were too few."""
    scores = zip(measured["sentences"], measured["by_sentences"][network], strict=True)
    return next((count for count, score in scores if score >= LEARNED), 0)


def draw(measured: Measured, figure: Figure) -> None:
    """F1 where names stand as in training and where not, by length, and by how many sentences were trained on."""
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.35, 1, 1))
    _draw_bars(left, measured)
    middle.set(title=f"F1 by length, trained on {measured['length']} words", xlabel="words of a sentence, T_x")
    right.set(title="F1 by training data, names anywhere", xlabel="sentences trained on")
    for axes, ticks in ((middle, measured["lengths"]), (right, measured["sentences"])):
        axes.set(xscale="log", ylim=(0, 1.12))
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
    curves = []
    for network in (RECURRENT, WIDE, STANDARD):
        means = [sum(scores) / len(scores) for scores in zip(*measured["by_length"][network], strict=True)]
        curves.append(Curve(network, measured["lengths"][: len(means)], means, LOOKS[network]))
    draw_curves(middle, curves, labels=False)
    for curve, text, offset, side in (
        (curves[-1], f"{STANDARD}:\nreads {measured['length']} at most", 26, "left"),
        (curves[-2], f"{WIDE},\n{measured['lengths'][-1]} words", 0, "right"),
    ):
        end, colour = (curve.x[-1], curve.y[-1]), curve.style.colour
        middle.annotate(
            text, end, (offset, -8), textcoords="offset points", ha=side, va="top", color=colour, fontsize=8.5
        )
    draw_curves(
        right,
        [
            Curve(network.replace(" ", "\n", 1), measured["sentences"], scores, LOOKS[network])
            for network, scores in measured["by_sentences"].items()
        ],
    )


def _draw_bars(axes: Axes, measured: Measured) -> None:
    """F1 where names stand as in training and where they do not, and what calling every word a name is worth."""
    bars = (STANDARD, WORDWISE, RECURRENT)
    chance = Style(QUIET)
    for place, network in enumerate((*bars, EVERY_WORD)):
        for number, part in enumerate(("seen", "unseen")):
            scores = measured[part][network] if network in bars else [measured["every_word_a_name"][number]]
            mean, x = sum(scores) / len(scores), place + 0.4 * number - 0.2
            axes.bar(x, mean, 0.38, color=LOOKS.get(network, chance).colour, alpha=0.55 if number else 1)
            axes.annotate(f"{mean:.2f}", (x, mean), ha="center", va="bottom", fontsize=8)
    axes.set_xticks(range(len(bars) + 1), [network.replace(" ", "\n", 1) for network in (*bars, EVERY_WORD)])
    axes.set(ylim=(0, 1.12), title="F1 of names: positions seen | not seen")
    axes.grid(visible=False)


STANDARD_NETWORK = Experiment(
    name="standard-network",
    claim="a recurrent network knows a name wherever it stands, a standard one only where it saw it",
    source="Elman 1990",
    minutes=0.5,
    full=Sizes(),
    quick=Sizes(
        length=6,
        lengths=(6, 9),
        sentences=(4, 8),
        standard_size=8,
        recurrent_size=4,
        runs=1,
        steps=8,
        batch_size=8,
        tested=40,
    ),
    measure=measure,
    judge=judge,
    draw=draw,
)
