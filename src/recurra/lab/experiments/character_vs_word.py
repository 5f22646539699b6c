"""Characters or words: what a language model of each costs, and how well each predicts the same text."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from recurra.data import StreamBatches
from recurra.lab.bench import Bench, Course
from recurra.lab.examples import Examples
from recurra.lab.experiment import Experiment, Finding, Measured
from recurra.lab.picture import COLOURS, QUIET
from recurra.lab.problems.help_text import help_text, windows, words
from recurra.models import LanguageModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["CHARACTER_VS_WORD"]

UNKNOWN = 0
"""The id of a word outside the vocabulary."""

LEVELS = ("character", "word")


@dataclass(frozen=True)
class Sizes:
    """How much is measured: both models read the training text `epochs` times."""

    characters: int | None = 400000
    vocabulary: int = 4000
    embedding_size: int = 64
    hidden_size: int = 128
    epochs: int = 4
    batch_size: int = 32
    length: int = 50
    learning_rate: float = 4e-3


class Units:
    """A text as units of one level, and what it costs to spell those that are not in the vocabulary.

    Args:
        level: "character" or "word".
        text: The text to train on, whose most frequent units are the vocabulary.
        size: The most units of the vocabulary.
    """

    def __init__(self, level: str, text: str, size: int) -> None:
        self.level = level
        counted = Counter(self.cut(text)).most_common(size - 1)
        self.ids = {unit: place for place, (unit, _) in enumerate(counted, 1)}
        # One more of each, and one for any sign never seen, so that nothing is impossible.
        self.signs = Counter(text)
        self.total = len(text) + len(words(text)) + len(self.signs) + 1
        self.ends = len(words(text))

    def cut(self, text: str) -> Sequence[str]:
        """The units of a text, none lost."""
        return list(text) if self.level == "character" else words(text)

    def encode(self, text: str) -> torch.Tensor:
        """The ids of a text."""
        return torch.tensor([self.ids.get(unit, UNKNOWN) for unit in self.cut(text)])

    def spelling(self, text: str) -> float:
        """The bits that it takes to spell the unknown units of a text, by the frequency of signs alone."""
        unknown = [unit for unit in self.cut(text) if unit not in self.ids]
        bits = sum(-math.log2((self.signs[sign] + 1) / self.total) for unit in unknown for sign in unit)
        return bits + len(unknown) * -math.log2((self.ends + 1) / self.total)

    def __len__(self) -> int:
        return len(self.ids) + 1


def measure(sizes: Sizes, bench: Bench) -> Measured:
    """Train a model of each level on the same text, and measure both in bits a character."""
    train_text, test_text = help_text(sizes.characters)
    digest = hashlib.blake2b((train_text + test_text).encode(), digest_size=8).hexdigest()
    measured: Measured = {"text": {"characters": len(train_text), "blake2b": digest}, "levels": {}}
    for level, _ in bench.each([(level, None) for level in LEVELS], measured):
        units = Units(level, train_text, sizes.vocabulary if level == "word" else len(set(train_text)) + 1)
        ids = units.encode(train_text)
        model = LanguageModel(len(units), "gru", sizes.embedding_size, sizes.hidden_size)
        steps = max(1, sizes.epochs * len(ids) // (sizes.batch_size * sizes.length))
        course = bench.train(
            model,
            partial(drawn, ids, sizes),
            steps,
            level,
            learning_rate=sizes.learning_rate,
        )
        found = figures(model, units, test_text, course)
        found["units"], found["units_trained_on"] = len(units), len(ids)
        found["characters_a_unit"] = len(train_text) / len(ids)
        measured["levels"][level] = found
        bench.watch.end(f"{found['bits']:.3f} bits a character, {found['parameters']:,} parameters, {steps:,} steps")
    return measured


def drawn(ids: torch.Tensor, sizes: Sizes, random: torch.Generator, step: int) -> Examples:
    """The pieces of text of a step of training."""
    return windows(ids, sizes.batch_size, sizes.length, random)


@torch.no_grad()
def figures(model: LanguageModel, units: Units, text: str, course: Course) -> Measured:
    """What a model costs, and the bits a character that it gives a text."""
    model.eval()
    ids = units.encode(text)
    nats, state = 0.0, None
    for batch in StreamBatches.for_evaluation(ids, 500):
        logits, state = model(batch.inputs, state)
        nats += float(torch.nn.functional.cross_entropy(logits[0].double(), batch.targets[0], reduction="sum"))
    # The first unit is not predicted; it is charged as one of equally probable ones.
    bits = nats / math.log(2) + math.log2(len(units))
    parameters = sum(p.numel() for p in model.parameters())
    recurrent = sum(p.numel() for p in model.recurrent.parameters())
    a_unit = 2 * (recurrent + len(units) * model.recurrent.hidden_size)
    spelling = units.spelling(text)
    return {
        "bits": (bits + spelling) / len(text),
        "bits_of_spelling": spelling / len(text),
        "unknown": float((ids == UNKNOWN).double().mean()),
        "parameters": parameters,
        "recurrent_parameters": recurrent,
        "operations_a_character": a_unit * len(ids) / len(text),
        "steps": len(course.losses),
        "training": course.smoothed(),
    }


def judge(measured: Measured) -> list[Finding]:
    """Cost and quality of both."""
    character, word = (measured["levels"][level] for level in LEVELS)
    return [
        Finding(
            "bits a character, held out",
            f"characters {character['bits']:.3f}, words {word['bits']:.3f}, "
            f"of which {word['bits_of_spelling']:.3f} for spelling",
            "which is better depends on the text's size",
        ),
        Finding(
            "units known",
            f"characters {character['units']:,}, words {word['units']:,}",
            "words: many more",
            word["units"] > 5 * character["units"],
        ),
        Finding(
            "parameters",
            f"characters {character['parameters']:,}, words {word['parameters']:,}",
            "words: more, all in embedding and output",
            word["parameters"] > character["parameters"],
        ),
        Finding(
            "steps through time",
            f"a word is {word['characters_a_unit']:.1f} characters",
            "characters: more, so spans are longer",
            word["characters_a_unit"] > 1.5,
        ),
        Finding(
            "unknown units, held out",
            f"characters {character['unknown']:.2%}, words {word['unknown']:.2%}",
            "characters: next to none",
            character["unknown"] < 0.001 < word["unknown"],
        ),
        Finding(
            "operations a character, reading",
            f"characters {character['operations_a_character']:,.0f}, words {word['operations_a_character']:,.0f}",
            "characters: more in the recurrence; words: a softmax over all",
        ),
    ]


def draw(measured: Measured, figure: Figure) -> None:
    """Quality and costs side by side."""
    panels = figure.subplots(1, 4)
    found = [measured["levels"][level] for level in LEVELS]
    rows = (
        ("bits a character, held out", [f["bits"] for f in found], ".2f"),
        ("parameters", [f["parameters"] for f in found], ",.0f"),
        ("steps to read the text once", [f["units_trained_on"] for f in found], ",.0f"),
        ("unknown units, held out", [f["unknown"] for f in found], ".2%"),
    )
    for axes, (title, values, form) in zip(panels, rows, strict=True):
        axes.bar(LEVELS, values, color=(COLOURS[0], COLOURS[4]), width=0.6)
        for place, value in enumerate(values):
            axes.annotate(format(value, form), (place, value), ha="center", va="bottom", fontsize=8.5)
        axes.set_title(title, fontsize=9)
        axes.margins(y=0.12)
        axes.grid(visible=False)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    spelled = found[1]["bits_of_spelling"]
    panels[0].bar("word", spelled, color=QUIET, width=0.6)
    panels[0].annotate("spelling", (1, spelled / 2), ha="center", va="center", fontsize=7.5, color="white")


CHARACTER_VS_WORD = Experiment(
    name="character-vs-word",
    claim="characters know every word with a small vocabulary; words shorten the text, at the cost of size",
    source="Sutskever, Martens and Hinton 2011; Mikolov et al. 2012; Graves 2013",
    minutes=2,
    full=Sizes(),
    quick=Sizes(characters=4000, vocabulary=500, embedding_size=6, hidden_size=8, epochs=1, batch_size=4, length=16),
    measure=measure,
    judge=judge,
    draw=draw,
)
