"""How fast named entity recognition trains and tags: this library, and the same network in plain PyTorch.

    $ python benchmarks/tagger.py --data conll2003
    $ python benchmarks/tagger.py --quick
    $ python benchmarks/tagger.py --data conll2003 --markdown benchmarks/README.md

The network is that of `recurra train named-entity-recognition` as its settings come. Plain PyTorch has the same one
with the same weights, of torch.nn's layers and the CRF of the package pytorch-crf, which must be installed. Both read
the same batches and run by turns, and the median counts. benchmarks/README.md says how.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from itertools import cycle, islice
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from document import Section, conditions
from steps import library_step, plain_step
from tagged_sentences import write_sentences
from timing import Effort, Pass, alternate

from recurra.data.dataset import Examples
from recurra.data.tagged_sentence import TaggedSentence
from recurra.models.tagger import Tagger
from recurra.tasks.named_entities import NAMED_ENTITIES, NamedEntityAssets, NamedEntityConfig, TaggedBatch, Tagging
from recurra.tasks.settings_file import make_config
from recurra.tasks.trained import Trained

if TYPE_CHECKING:  # it needs a package that the library does not
    from plain_tagger import PlainTagger

BEGIN, END = "<!-- tagger: written by tagger.py -->", "<!-- end of tagger -->"
TrainedTagger = Trained[NamedEntityConfig, TaggedSentence, NamedEntityAssets, Tagger, TaggedBatch, Tagging]
PLAIN, TUNED = "plain PyTorch", "plain, tuned"


@dataclass(frozen=True)
class Amount:
    """How much is done.

    Args:
        before: Steps that train the network before it is timed.
        steps: Steps of a pass.
        sentences: How many are tagged.
        effort: How long each contender is timed.
        epochs: After how many the memory is looked at.
        steps_an_epoch: The steps of each of these.
    """

    before: int
    steps: int
    sentences: int
    effort: Effort
    epochs: int
    steps_an_epoch: int


SAME: Mapping[str, object] = {
    "batch_size": 24,
    "state_dropout": 0,
    "word_dropout": 0,
    "once_dropout": 0,
    "ngram_dropout": 0,
}
"""Settings in which the two are the same network: torch.nn.LSTM has no dropout on its state, and what is left out of
words is the same for each occurrence of a spelling only where nothing is."""

WHOLE = Amount(300, 20, 2048, Effort(30.0, 15), 10, 200)
QUICK = Amount(5, 2, 50, Effort(0.1, 3), 3, 3)


@dataclass
class Figures:
    """What was measured: seconds of a training step and words tagged a second, by who ran, and MiB by epoch."""

    step: dict[str, float] = field(default_factory=dict)
    collate: float = 0.0
    tagging: dict[str, float] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)


def begin(folder: Path, **settings: object) -> tuple[TrainedTagger, Examples[TaggedSentence]]:
    """A tagger with random weights, and the sentences to train it on."""
    task = NAMED_ENTITIES
    config = make_config(task.config, {}, {"data": folder / "eng.train", **SAME, **settings})
    sentences = task.read(config, config.sentences.data, "train")
    assets = task.fit(config, sentences)
    torch.manual_seed(0)
    return Trained(task, config, assets, task.build(config, assets)), sentences


def check_equal(trained: TrainedTagger, plain: PlainTagger, batch: TaggedBatch) -> None:
    """Loss, gradients and decoded tags must be the same without dropout, or it would not be the same work.

    Raises:
        RuntimeError: They are not.
    """
    model = trained.model.eval()
    plain.eval()
    losses = [trained.task.loss(trained.config, model, batch, None).total, plain.loss(batch)]
    inputs = model.encoder.inputs
    pairs = [
        (inputs.words.weight, plain.inputs.words.weight),
        (inputs.characters.embedding.weight, plain.inputs.characters.weight),
        (inputs.ngrams.weight, plain.inputs.ngrams.weight),
        (inputs.features[0].weight, plain.inputs.shapes.weight),
        (model.readout.weight, plain.readout.weight),
        (model.crf.transitions, plain.crf.transitions),
    ]
    gradients = [
        torch.autograd.grad(loss, parameters) for loss, parameters in zip(losses, zip(*pairs, strict=True), strict=True)
    ]
    for ours, theirs in zip((losses[0], *gradients[0]), (losses[1], *gradients[1]), strict=True):
        error = float((ours - theirs).detach().abs().max()) / float(theirs.detach().abs().max())
        if not error <= 1e-4:
            raise RuntimeError(f"{error:.1e} apart: the comparison would not be of equal work")
    with torch.no_grad():
        scores, _ = model(batch.tokens, None, batch.lengths)
    if model.crf.decode(scores.tags, batch.lengths) != plain.decode(batch):
        raise RuntimeError("the decoded tags differ: the comparison would not be of equal work")


def measure(folder: Path, amount: Amount) -> Figures:
    """All that is measured."""
    from plain_tagger import PlainTagger
    from tagger_memory import memory_of_epochs

    figures = Figures()
    trained, sentences = begin(folder)
    batches = trained.task.batches(trained.config, trained.assets, sentences, "train")
    step = library_step(trained.model, partial(trained.task.loss, trained.config), trained.config.training)
    for batch in islice(batches.epoch(0), amount.before):
        step(batch)
    plain, tuned = (PlainTagger(trained.model, once=once) for once in (False, True))
    batched = list(islice(batches.epoch(1), amount.steps * (amount.effort.repeats + 2)))
    for other in (plain, tuned):
        check_equal(trained, other, batched[0])
    figures.tagging = _tagging(trained, tuned, folder, amount)
    count, settings = attrgetter("count"), trained.config.training
    steps = {
        "recurra": step,
        PLAIN: plain_step(plain, plain.loss, count, settings, fused=False),
        TUNED: plain_step(tuned, tuned.loss, count, settings, fused=True),
    }
    # Every pass has batches of its own, the same ones for all: in training hardly a shape of a batch comes again.
    groups = [batched[first : first + amount.steps] for first in range(0, len(batched), amount.steps)]
    passes = {who: _passes(one, groups) for who, one in steps.items()}
    passes["batches"] = lambda: list(islice(batches.epoch(1), amount.steps))
    for who, timing in alternate(passes, amount.effort).items():
        figures.step[who] = timing.seconds / amount.steps
    figures.collate = figures.step.pop("batches")
    figures.memory = memory_of_epochs(folder, amount.epochs, amount.steps_an_epoch)
    return figures


def _passes(step: Callable[[TaggedBatch], float], groups: Sequence[Sequence[TaggedBatch]]) -> Pass:
    """Each call takes the steps of the next group of batches."""
    rest = cycle(groups)
    return lambda: [step(batch) for batch in next(rest)]


def _tagging(trained: TrainedTagger, plain: PlainTagger, folder: Path, amount: Amount) -> dict[str, float]:
    """Words that are tagged a second, from sentences as lists of words to answers; plain PyTorch gives tags alone."""
    read = trained.task.read(trained.config, folder / "eng.testb", "evaluate")
    sentences = [replace(sentence, spans=None) for sentence in islice(read, amount.sentences)]
    words = sum(map(len, sentences))
    trained.model.eval()
    plain.eval()

    def decode() -> list[list[int]]:
        examples = Examples(sentences, [sentence.source for sentence in sentences], list(map(len, sentences)))
        batches = trained.task.batches(trained.config, trained.assets, examples, "predict")
        return [tags for batch in batches for tags in plain.decode(batch)]

    passes = {"recurra": lambda: list(trained.answers(sentences)), TUNED: decode}
    return {who: words / timing.seconds for who, timing in alternate(passes, amount.effort).items()}


def report(figures: Figures, data: str, command: str, load: tuple[float, float]) -> str:
    """The tables, and where it was measured."""
    step, tagging, memory = figures.step, figures.tagging, figures.memory
    ours = step["recurra"]
    ratios = [step[who] / ours for who in (PLAIN, TUNED)]
    change = memory[-1] / memory[1] - 1
    return "\n".join(
        [
            *conditions(load, command, data),
            "",
            "| what | recurra | plain PyTorch | ratio | plain, tuned | ratio |",
            "| --- | ---: | ---: | ---: | ---: | ---: |",
            f"| a step of training, ms | {ours * 1e3:.1f} | {step[PLAIN] * 1e3:.1f} | {ratios[0]:.2f}x "
            f"| {step[TUNED] * 1e3:.1f} | {ratios[1]:.2f}x |",
            f"| making its batch, for all of them, ms | {figures.collate * 1e3:.1f} | | | | |",
            f"| words tagged a second | {tagging['recurra']:,.0f} | | | {tagging[TUNED]:,.0f} "
            f"| {tagging['recurra'] / tagging[TUNED]:.2f}x |",
            f"| memory after epoch 2, MiB | {memory[1]:.0f} | | | | |",
            f"| memory after epoch {len(memory)}, MiB | {memory[-1]:.0f} ({change:+.1%}) | | | | |",
        ]
    )


def main(arguments: Sequence[str]) -> None:
    """Measure, print and, if asked, put the table between its marks in a document."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="whether it works, not how fast it is")
    parser.add_argument("--data", type=Path, help="folder with CoNLL-2003's eng.train and eng.testb [made up ones]")
    parser.add_argument("--threads", type=int, default=1, help="threads of all [1]")
    parser.add_argument("--markdown", type=Path, help="write the table between its marks in this file")
    options = parser.parse_args(arguments)
    section = Section(options.markdown, BEGIN, END, parser)
    if find_spec("torchcrf") is None:
        parser.error("plain PyTorch takes its CRF from a package that is not there: pip install pytorch-crf")
    torch.set_num_threads(options.threads)
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as made_up:
        if options.data is None:
            write_sentences(Path(made_up))
        figures = measure(options.data or Path(made_up), QUICK if options.quick else WHOLE)
    words = [*["--quick"] * options.quick, *(["--data", options.data.name] if options.data else [])]
    words += ["--threads", str(options.threads)] if options.threads != 1 else []
    command = shlex.join(["python", "benchmarks/tagger.py", *words])
    data = "sentences of CoNLL-2003" if options.data else "made up sentences, as long as those of CoNLL-2003"
    section.publish(report(figures, data, command, (before, os.getloadavg()[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
