"""How fast a translator translates: 1,000 sentences with a beam of 5, and where the time goes.

    $ python benchmarks/translation.py
    $ python benchmarks/translation.py --quick
    $ python benchmarks/translation.py --run RUN --sentences test.de --markdown benchmarks/README.md

Without a run the network is that of `recurra train machine-translation` with random weights, over made up sentences as
long as those of Multi30k. It would not know where to stop: a translation is as long as its sentence, and all
hypotheses of a beam go on to there. benchmarks/README.md says how.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tagged_sentences import spelling
from timing import Effort, alternate
from torch.profiler import ProfilerActivity, profile
from training_cases import zipf

from recurra.tasks.machine_translation import MACHINE_TRANSLATION
from recurra.tasks.settings_file import make_config
from recurra.tasks.trained import Trained

BEGIN, END = "<!-- translation: written by translation.py -->", "<!-- end of translation -->"
BEAMS = (1, 5)
WHOLE, QUICK = Effort(60.0, 5), Effort(0.1, 3)
PARTS: Mapping[str, tuple[str, ...]] = {
    "recurrence": ("_Recurrence",),
    "products": ("aten::mm", "aten::addmm", "aten::bmm"),
    "softmax": ("aten::_log_softmax", "aten::_softmax"),
    "choice": ("aten::topk", "aten::sort", "aten::amax", "aten::gather"),
}
"""What a profiler sees the parts of a search as."""


@dataclass(frozen=True)
class Figures:
    """Sentences, pieces of translations, seconds by the width of the beam, and where they go at the widest."""

    sentences: int
    pieces: int
    seconds: Mapping[int, float]
    shares: Mapping[str, float]


def made_up(folder: Path, sentences: int, **settings: object) -> tuple[Trained, list[str]]:
    """A translator with random weights, and sentences to translate.

    Args:
        folder: Where the made up pairs go.
        sentences: How many.
        **settings: Those of the network.
    """
    draw = random.Random(0)
    words = [spelling(draw, number) for number in range(6_000)]
    lines = [
        " ".join(words[rank] for rank in zipf(draw, len(words), max(3, round(draw.gauss(15, 4)))))
        for _ in range(sentences)
    ]
    # The last pair has each word, so that none is unknown.
    pairs = [*((line, line) for line in lines), (" ".join(words), " ".join(words))]
    text = "".join(f"{source}\t{target}\n" for source, target in [("source", "target"), *pairs])
    (folder / "pairs.tsv").write_text(text, encoding="utf-8")
    task = MACHINE_TRANSLATION
    chosen = {"data": folder / "pairs.tsv", "level": "word", "min_count": 1, "max_ratio": 1.0, **settings}
    config = make_config(task.config, {}, chosen)
    assets = task.fit(config, task.read(config, config.pairs.data, "train"))
    torch.manual_seed(0)
    return Trained(task, config, assets, task.build(config, assets).eval()), lines


def translated(trained: Trained, sentences: Sequence[str], beam: int) -> int:
    """How many pieces the translations have; all of it is done, from text to text."""
    changed = trained.using(beam=beam)
    examples = [trained.task.parse(trained.config, sentence) for sentence in sentences]
    return sum(len(answer.best.ids) for answer in changed.answers(examples))


def measure(trained: Trained, sentences: Sequence[str], effort: Effort) -> Figures:
    """All that is measured."""
    passes = {str(beam): lambda beam=beam: translated(trained, sentences, beam) for beam in BEAMS}
    timings = alternate(passes, effort)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        pieces = translated(trained, sentences[:200], BEAMS[-1])
    events = profiler.key_averages()
    whole = sum(event.self_cpu_time_total for event in events)
    shares = {
        part: sum(event.self_cpu_time_total for event in events if event.key in keys) / whole
        for part, keys in PARTS.items()
    }
    return Figures(len(sentences), pieces, {int(beam): timing.seconds for beam, timing in timings.items()}, shares)
