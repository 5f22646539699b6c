"""The record: what an experiment found, as a file that says how it came about."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from recurra.data.files import write_atomically
from recurra.errors import RunError
from recurra.extras import is_there
from recurra.lab.bench import Bench
from recurra.lab.experiment import Experiment, Finding, Measured
from recurra.lab.finished import FinishedTrials
from recurra.lab.picture import png
from recurra.lab.watch import Watch

__all__ = ["Record", "check_folder", "folder_of_results", "run"]


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
    def name(self) -> str:
        """What its files are called: those of a rehearsal stand beside those of the whole."""
        return _name_of(self.experiment, self.quick)

    @property
    def title(self) -> str:
        """What stands above the picture: the claim, but for a rehearsal, whose curves do not show it."""
        if self.quick:
            return f"A rehearsal of {self.experiment.name}: far too small to show anything"
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
        """Write NAME.json, and with matplotlib NAME.png, of a rehearsal NAME-quick; returns what was written.

        Raises:
            RunError: It cannot be written there.
        """
        check_folder(folder)
        files: dict[Path, str | bytes] = {}
        if is_there("matplotlib"):
            files[folder / f"{self.name}.png"] = png(
                self.title, lambda figure: self.experiment.draw(self.measured, figure)
            )
        files[folder / f"{self.name}.json"] = self.to_json()
        for path, content in files.items():
            write_atomically(path, content)
        _finished(self.experiment, self.seed, self.sizes, folder).remove()
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


@contextlib.contextmanager
def folder_of_results(folder: Path) -> Iterator[None]:
    """Make the folder; if what is done with it then fails or is stopped, no empty folder stays.

    Raises:
        RunError: It is a file, or cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    check_folder(folder)
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # one that holds something stays
            for path in missing:
                path.rmdir()
        raise


def _name_of(experiment: Experiment[Any], quick: bool) -> str:
    return f"{experiment.name}-quick" if quick else experiment.name


def _finished(experiment: Experiment[Any], seed: int, sizes: dict[str, Any], folder: Path) -> FinishedTrials:
    conditions = {"experiment": experiment.name, "seed": seed, "sizes": sizes}
    return FinishedTrials(folder / f"{experiment.name}.seed-{seed}.partial.json", conditions)


def run(
    experiment: Experiment[Any],
    *,
    seed: int = 0,
    quick: bool = False,
    watch: Watch | None = None,
    folder: Path | None = None,
) -> Record:
    """Make an experiment.

    Args:
        experiment: Which one.
        seed: What all randomness comes from.
        quick: Whether it is a rehearsal of a few seconds, which decides nothing.
        watch: Is told how it goes on.
        folder: Where finished trials are kept until the record is written there, so that an experiment that is stopped
            can go on; None keeps none, and a rehearsal has none to keep.

    Raises:
        KeyboardInterrupt: Ctrl-C; finished trials are kept.
    """
    sizes = experiment.quick if quick else experiment.full
    keep = folder is not None and not quick
    bench = Bench(seed, watch, _finished(experiment, seed, asdict(sizes), folder) if keep and folder else None)
    began = time.perf_counter()
    spent = sum(bench.finished.load()[1].values()) if bench.finished is not None else 0.0
    with torch.random.fork_rng(devices=[]):
        measured = experiment.measure(sizes, bench)
    # What is judged and drawn is what the file holds: its keys are texts, its tuples lists.
    measured = json.loads(json.dumps(measured, allow_nan=False))
    seconds = time.perf_counter() - began + spent
    findings = experiment.judge(measured)
    if quick:
        findings = [replace(finding, holds=None) for finding in findings]
    return Record(
        experiment, seed, quick, asdict(sizes), measured, findings, torch.get_num_threads(), seconds, bench.seconds
    )
