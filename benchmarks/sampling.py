"""How fast a language model writes and scores: this library, and a plain loop of PyTorch with torch.nn's layers.

    $ python benchmarks/sampling.py
    $ python benchmarks/sampling.py --quick
    $ python benchmarks/sampling.py --markdown benchmarks/README.md

A model of characters with random weights: an embedding as wide as the state, one recurrent layer, a readout to a
vocabulary of 65 and <UNK>. The plain loop calls the whole model once a token, as sampling from a model of torch.nn is
mostly written: embedding, layer, readout, softmax, `torch.multinomial`. Both have the same weights. They run by turns,
and the median counts. benchmarks/README.md says how.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from contenders import parameters_of, torch_layer
from document import Section, conditions
from timing import Effort, alternate
from torch import Tensor, nn

from recurra.data import Vocabulary
from recurra.models import LanguageModel
from recurra.tasks.language_model_run import LanguageModelRun
from recurra.tasks.language_modelling import LANGUAGE_MODELLING, LanguageModelAssets, LanguageModellingConfig

CHARACTERS = "".join(map(chr, range(32, 97)))
"""As many as Tiny Shakespeare has."""

CELLS = ("gru-reset-after", "lstm")
"""Those that torch.nn has as well."""

ROWS, STEPS, LINES = (1, 16), 400, 256
WHOLE, QUICK = ((128, 256, 512), Effort(4.0, 15)), ((128,), Effort(0.1, 3))
BEGIN, END = "<!-- sampling: written by sampling.py -->", "<!-- end of sampling -->"


@dataclass(frozen=True)
class Rate:
    """What is done, and how many characters a second the library and the plain loop do."""

    cell: str
    size: int
    what: str
    recurra: float
    plain: float

    @property
    def ratio(self) -> float:
        """How many times as fast the library is."""
        return self.recurra / self.plain


class Plain(nn.Module):
    """The same model of torch.nn's parts, with the same weights."""

    def __init__(self, cell: str, model: LanguageModel) -> None:
        super().__init__()
        self.embedding, self.readout = model.embedding, model.readout
        self.layer = torch_layer(cell, parameters_of(model.recurrent))

    def forward(self, tokens: Tensor, state: object = None) -> tuple[Tensor, object]:
        """The logits (T, B, V) after tokens (T, B), and the state."""
        outputs, state = self.layer(self.embedding(tokens), state)
        return self.readout(outputs), state

    @torch.no_grad()
    def sample(self, rows: int, steps: int) -> Tensor:
        """Tokens (T, B), each drawn from a whole forward pass over the one before."""
        tokens, state, drawn = torch.zeros(1, rows, dtype=torch.int64), None, []
        for _ in range(steps):
            logits, state = self(tokens, state)
            tokens = torch.multinomial(logits[0].softmax(-1), 1).T
            drawn.append(tokens)
        return torch.cat(drawn)

    @torch.no_grad()
    def score(self, rows: list[list[int]]) -> list[float]:
        """The log-probability of each row, one after another."""
        found = []
        for row in rows:
            tokens = torch.tensor(row)[:, None]
            logits, _ = self(tokens[:-1])
            found.append(logits.log_softmax(-1).gather(-1, tokens[1:, :, None]).sum().item())
        return found


def model_of(cell: str, size: int) -> LanguageModelRun:
    """A language model of characters, not trained."""
    vocabulary = Vocabulary("character", CHARACTERS)
    torch.manual_seed(0)
    model = LanguageModel(len(vocabulary), cell, embedding_size=size, hidden_size=size).eval()
    config = LanguageModellingConfig(text={"data": "none.txt", "level": "character"})
    return LanguageModelRun(LANGUAGE_MODELLING, config, LanguageModelAssets(vocabulary=vocabulary), model)


def check_equal(run: LanguageModelRun, plain: Plain, lines: Sequence[str]) -> None:
    """Both must give texts the same probability, or it would not be the same work.

    Raises:
        RuntimeError: They do not.
    """
    wanted = plain.score([run.vocabulary.encode(line) for line in lines[:8]])
    for score, expected in zip(run.score_many(lines[:8]), wanted, strict=True):
        if score is None or abs(score.log_probability - expected) > 1e-3 * abs(expected):
            raise RuntimeError(f"the probabilities differ: {score and score.log_probability}, {expected}")


def measure(cell: str, size: int, effort: Effort) -> list[Rate]:
    """All that is measured of a cell at a size."""
    run = model_of(cell, size)
    plain = Plain(cell, run.model)
    lines = run.sample(80, number=LINES, seed=0)
    lines = [line[: 20 + place % 60] for place, line in enumerate(lines)]
    check_equal(run, plain, lines)
    rates = []
    for rows in ROWS:
        passes = {
            "recurra": lambda rows=rows: run.sample(STEPS, number=rows, seed=1, allow_unknown=True),
            "plain": lambda rows=rows: plain.sample(rows, STEPS),
        }
        seconds = {who: timing.seconds for who, timing in alternate(passes, effort).items()}
        what = f"sample, {rows} at a time" if rows > 1 else "sample"
        rates.append(Rate(cell, size, what, *(rows * STEPS / seconds[who] for who in passes)))
    ids, count = [run.vocabulary.encode(line) for line in lines], sum(map(len, lines))
    passes = {"recurra": lambda: list(run.score_many(lines)), "plain": lambda: plain.score(ids)}
    seconds = {who: timing.seconds for who, timing in alternate(passes, effort).items()}
    rates.append(Rate(cell, size, f"score {LINES} lines", *(count / seconds[who] for who in passes)))
    return rates


def report(rates: Sequence[Rate], command: str, load: tuple[float, float]) -> str:
    """The table, and where it was measured."""
    lines = [
        *conditions(load, command),
        "",
        "| cell | H | what | recurra characters/s | plain PyTorch | ratio |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for rate in rates:
        figures = f"{rate.recurra:,.0f} | {rate.plain:,.0f} | {rate.ratio:.1f}x"
        lines.append(f"| {rate.cell} | {rate.size} | {rate.what} | {figures} |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Measure, print and, if asked, put the table between its marks in a document."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="whether it works, not how fast it is")
    parser.add_argument("--threads", type=int, default=1, help="threads of both [1]")
    parser.add_argument("--markdown", type=Path, help="write the table between its marks in this file")
    given = parser.parse_args(arguments)
    section = Section(given.markdown, BEGIN, END, parser)
    torch.set_num_threads(given.threads)
    sizes, effort = QUICK if given.quick else WHOLE
    before = os.getloadavg()[0]
    rates = [rate for cell in CELLS for size in sizes for rate in measure(cell, size, effort)]
    words = ["--quick"] * given.quick + (["--threads", str(given.threads)] if given.threads != 1 else [])
    command = shlex.join(["python", "benchmarks/sampling.py", *words])
    section.publish(report(rates, command, (before, os.getloadavg()[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
