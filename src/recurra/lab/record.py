"""The record: what an experiment found, as a file that says how it came about."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from recurra.data.files import write_atomically
from recurra.errors import RunError
from recurra.extras import is_there
from recurra.lab.bench import Bench
from recurra.lab.experiment import Experiment, Finding, Measured
from recurra.lab.picture import png
from recurra.lab.watch import Watch

__all__ = ["Record", "check_folder", "run"]


@dataclass(frozen=True)
class Record:
    """What an experiment found.

    Args:
        experiment: Which one.
        seed: What all randomness came from.
        quick: Whether it was a rehearsal.
        sizes: What was measured, and how long it was trained.
        measured: What was measured.
        findings: What that says, beside what theory says.
        threads: How many threads torch had.
        seconds: How long it took. Everything but this and the next is the same, bit for bit, on the same machine.
        trial_seconds: How long each trial took.
    """

    experiment: Experiment[Any]
    seed: int
    quick: bool
    sizes: dict[str, Any]
    measured: Measured
    findings: list[Finding]
    threads: int
    seconds: float
    trial_seconds: dict[str, float]

    @property
    def holds(self) -> bool | None:
        """Whether the claim holds; a rehearsal is too small to say."""
        if self.quick:
            return None
        return all(finding.holds is not False for finding in self.findings)

    @property
    def title(self) -> str:
        """The claim, as it stands above the picture."""
        claim = self.experiment.claim
        return f"Does not hold here: {claim}" if self.holds is False else claim[0].upper() + claim[1:]

    def to_json(self) -> str:
        """The record in JSON."""
        content = {
            "experiment": self.experiment.name,
            "claim": self.experiment.claim,
            "source": self.experiment.source,
            "seed": self.seed,
            "quick": self.quick,
            "sizes": self.sizes,
            "measured": self.measured,
            "findings": [asdict(finding) for finding in self.findings],
            "holds": self.holds,
            "threads": self.threads,
            "seconds": round(self.seconds, 1),
            "trial_seconds": {name: round(seconds, 1) for name, seconds in self.trial_seconds.items()},
        }
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, folder: Path) -> list[Path]:
        """Write NAME.json, and with matplotlib NAME.png; returns what was written.

        Raises:
            RunError: It cannot be written there.
        """
        check_folder(folder)
        name = self.experiment.name
        files: dict[Path, str | bytes] = {}
        if is_there("matplotlib"):
            files[folder / f"{name}.png"] = png(self.title, lambda figure: self.experiment.draw(self.measured, figure))
        files[folder / f"{name}.json"] = self.to_json()
        for path, content in files.items():
            write_atomically(path, content)
        return list(files)


def check_folder(folder: Path) -> None:
    """Make the folder if it is not there, so that minutes of measuring are not lost for want of one.

    Raises:
        RunError: It is a file, or cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise RunError(f"{folder}: this is a file; give a folder for the results") from error
    except OSError as error:
        raise RunError(f"{folder}: cannot be made ({error.strerror}); give a folder that is yours to write") from error


def run(experiment: Experiment[Any], *, seed: int = 0, quick: bool = False, watch: Watch | None = None) -> Record:
    """Make an experiment.

    Args:
        experiment: Which one.
        seed: What all randomness comes from.
        quick: Whether it is a rehearsal of a few seconds, which decides nothing.
        watch: Is told how it goes on.

    Raises:
        KeyboardInterrupt: Ctrl-C; nothing was written.
    """
    sizes = experiment.quick if quick else experiment.full
    bench = Bench(seed, watch)
    began = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        measured = experiment.measure(sizes, bench)
    # What is judged and drawn is what the file holds: its keys are texts, its tuples lists.
    measured = json.loads(json.dumps(measured, allow_nan=False))
    seconds = time.perf_counter() - began
    findings = experiment.judge(measured)
    return Record(
        experiment, seed, quick, asdict(sizes), measured, findings, torch.get_num_threads(), seconds, bench.seconds
    )
