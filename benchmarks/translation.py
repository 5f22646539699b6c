"""How fast a translator translates: 1,000 sentences with a beam of 5, and where the time goes.

    $ python benchmarks/translation.py
    $ python benchmarks/translation.py --quick
    $ python benchmarks/translation.py --run RUN --sentences test.de --markdown benchmarks/README.md

Without a run the network is that of `recurra train machine-translation` with random weights, over made up sentences as
long as those of Multi30k. It would not know where to stop: a translation is as long as its sentence, and all
hypotheses of a beam go on to there. benchmarks/README.md says how.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from document import Section, conditions
from tagged_sentences import spelling
from timing import Effort, alternate, clock
from torch.profiler import ProfilerActivity, profile, record_function
from training_cases import zipf

from recurra import load
from recurra.nn import Recurrent
from recurra.tasks.machine_translation import MACHINE_TRANSLATION
from recurra.tasks.settings_file import make_config
from recurra.tasks.trained import Trained

BEGIN, END = "<!-- translation: written by translation.py -->", "<!-- end of translation -->"
BEAMS = (1, 5)
WHOLE, QUICK = Effort(1.0, 3), Effort(0.1, 3)
PARTS: Mapping[str, tuple[str, ...]] = {
    "recurrence": ("recurrence",),
    "products": ("aten::mm", "aten::addmm", "aten::bmm"),
    "softmax": ("aten::_log_softmax", "aten::_softmax"),
    "choice": ("aten::topk", "aten::sort", "aten::amax", "aten::gather"),
}
"""What a profiler sees the parts of a search as."""


@dataclass(frozen=True)
class Figures:
    """Sentences, pieces of their translations, seconds by the width of the beam, and where they go at the widest."""

    sentences: int
    pieces: int
    seconds: Mapping[int, float]
    shares: Mapping[str, float]


def made_up(folder: Path, sentences: int, vocabulary: int = 6_000, **settings: object) -> tuple[Trained, list[str]]:
    """A translator with random weights, and sentences to translate.

    Args:
        folder: Where the made up pairs go.
        sentences: How many.
        vocabulary: How many words there are.
        **settings: Those of the network.
    """
    draw = random.Random(0)
    words = [spelling(draw, number) for number in range(vocabulary)]
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


def shares_of(trained: Trained, sentences: Sequence[str]) -> dict[str, float]:
    """Which part of the time of a search is spent where."""
    layers = [module for module in trained.model.modules() if isinstance(module, Recurrent)]
    with ExitStack() as hooks, profile(activities=[ProfilerActivity.CPU]) as profiler:
        for layer in layers:
            ranges: list[record_function] = []  # without a gradient the compiled loops are no operation of torch

            def enter(*_: object, ranges: list[record_function] = ranges) -> None:
                ranges.append(record_function("recurrence"))
                ranges[-1].__enter__()

            def leave(*_: object, ranges: list[record_function] = ranges) -> None:
                ranges.pop().__exit__(None, None, None)

            hooks.callback(layer.register_forward_pre_hook(enter).remove)
            hooks.callback(layer.register_forward_hook(leave).remove)
        with record_function("whole"):
            translated(trained, sentences, BEAMS[-1])
    events = {event.key: event for event in profiler.key_averages()}
    whole = events["whole"].cpu_time_total
    spent = {part: [events[key] for key in keys if key in events] for part, keys in PARTS.items()}
    times = {part: sum(event.self_cpu_time_total for event in parts) for part, parts in spent.items()}
    times["recurrence"] = sum(event.cpu_time_total for event in spent["recurrence"])
    return {part: each / whole for part, each in times.items()}


def measure(trained: Trained, sentences: Sequence[str], effort: Effort) -> Figures:
    """All that is measured."""
    passes = {str(beam): lambda beam=beam: translated(trained, sentences, beam) for beam in BEAMS}
    pieces = translated(trained, sentences, BEAMS[0])
    timings = alternate(passes, effort, clock())
    shares = shares_of(trained, sentences[:256])
    return Figures(len(sentences), pieces, {int(beam): timing.seconds for beam, timing in timings.items()}, shares)


def report(figures: Figures, model: str, command: str, load_average: tuple[float, float]) -> str:
    """The table, and where it was measured."""
    what = "of the processor" if clock() is time.process_time else "by the clock"
    number = figures.sentences
    lines = [
        *conditions(load_average, command, f"{model}; {number:,} sentences, {figures.pieces / number:.1f} pieces each"),
        "",
        f"| beam | seconds {what} for 1,000 sentences | sentences a second |",
        "| ---: | ---: | ---: |",
    ]
    for beam, seconds in figures.seconds.items():
        lines.append(f"| {beam} | {1_000 * seconds / number:.1f} | {number / seconds:,.0f} |")
    shares = [f"{part} {share:.0%}" for part, share in figures.shares.items()]
    rest = 1 - sum(figures.shares.values())
    lines += ["", f"Where it goes with a beam of {BEAMS[-1]}: {', '.join(shares)}, the rest {rest:.0%}."]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Measure, print and, if asked, put the table between its marks in a document."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="whether it works, not how fast it is")
    parser.add_argument("--run", type=Path, help="a run of machine-translation [random weights]")
    parser.add_argument("--sentences", type=Path, help="a text of sentences to translate, with --run")
    parser.add_argument("--number", type=int, default=1_000, help="how many sentences [1000]")
    parser.add_argument("--threads", type=int, default=1, help="threads [1]")
    parser.add_argument("--markdown", type=Path, help="write the table between its marks in this file")
    options = parser.parse_args(arguments)
    section = Section(options.markdown, BEGIN, END, parser)
    if (options.run is None) != (options.sentences is None):
        parser.error("--run and --sentences go together")
    torch.set_num_threads(options.threads)
    before, number = os.getloadavg()[0], 20 if options.quick else options.number
    if options.run is None:
        sizes = {"vocabulary": 300, "embedding_size": 16, "hidden_size": 16} if options.quick else {}
        with tempfile.TemporaryDirectory() as folder:
            trained, sentences = made_up(Path(folder), number, **sizes)
        model = "random weights, translations as long as their sentences"
    else:
        trained = load(options.run)
        sentences = options.sentences.read_text(encoding="utf-8").splitlines()[:number]
        model = "a trained run"
    figures = measure(trained, sentences, QUICK if options.quick else WHOLE)
    words = [*["--quick"] * options.quick]
    words += ["--run", options.run.name, "--sentences", options.sentences.name] if options.run else []
    words += ["--number", str(options.number)] if options.number != 1_000 else []
    words += ["--threads", str(options.threads)] if options.threads != 1 else []
    command = shlex.join(["python", "benchmarks/translation.py", *words])
    section.publish(report(figures, model, command, (before, os.getloadavg()[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
