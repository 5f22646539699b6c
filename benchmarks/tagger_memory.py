"""Memory of a tagger that is trained: what is resident at the end of each epoch, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from child import figures_of_child
from tagger import begin

from recurra.tasks.named_entities import NAMED_ENTITIES
from recurra.training import train


def memory_of_epochs(folder: Path, epochs: int, steps: int) -> list[float]:
    """Resident memory in MiB at the end of each epoch of so many steps."""
    return figures_of_child(__file__, folder, epochs, steps)[-epochs:]


def _child(folder: Path, epochs: int, steps: int) -> list[float]:
    trained, sentences = begin(folder, epochs=epochs)
    task, config = NAMED_ENTITIES, trained.config
    size = steps * config.batches.batch_size
    part = sentences.subset(range(min(size, len(sentences))), "part")
    batches = task.batches(config, trained.assets, part, "train")
    figures: list[float] = []

    def evaluate() -> dict[str, float]:
        """Called after each epoch; what is measured is the memory alone."""
        figures.append(_resident())
        return {"loss": 0.0}

    train(
        trained.model,
        batches,
        lambda model, batch, carried: task.loss(config, model, batch, carried),
        config.training,
        evaluate=evaluate,
    )
    return figures


def _resident() -> float:
    """Resident memory now, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[1]))
    print(*_child(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
