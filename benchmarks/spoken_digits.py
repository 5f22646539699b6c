"""How well spoken digits are heard: the official split of the Free Spoken Digit Dataset, and one speaker left out.

    $ python benchmarks/spoken_digits.py ~/data/fsdd/recordings --out runs/digits

The files are called DIGIT_SPEAKER_NUMBER.wav. Of the official split the recordings 0 to 4 of every digit and speaker
are the test, which shares its speakers with the part to train on. Of the others all recordings of one speaker are, who
is never heard in training. Every training ends after so many epochs; nothing is chosen on a test. A recording counts as
right if exactly its digit is heard, and so accuracy is 1 - the sentence error rate.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from document import conditions

import recurra

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
T_OF_SIX = 2.571
"""Student's t for an interval of 95% of the mean of six."""

SETTINGS: dict[str, Any] = {
    "name_pattern": "{transcript}_{group}_{}",
    "rate": 8000,
    "filters": 40,
    "normalisation": "global",  # the mean of a recording of one word is half of what tells the word
    "time_masks": 1,
    "longest_time_mask": 8,
    "feature_masks": 2,
    "widest_feature_mask": 6,
    "batch_size": 32,
    "cell": "gru",
    "convolution_size": 96,
    "hidden_size": 96,
    "num_layers": 2,
    "dropout": 0.3,
    "learning_rate": 3e-3,
    "weight_decay": 0.01,
    "warmup_steps": 50,
    "weight_average": 0.99,
}
OFFICIAL: dict[str, Any] = {"speed_change": 0.15, "epochs": 15}
LEFT_OUT: dict[str, Any] = {  # a small network, and five voices made into many
    "speed_change": 0.2,
    "warp_change": 0.15,
    "equaliser": 15.0,
    "slopes": 1,
    "time_masks": 0,
    "batch_size": 16,
    "hidden_size": 64,
    "num_layers": 1,
    "epochs": 25,
}


def parts(folder: Path, speaker: str | None) -> dict[str, Path]:
    """The patterns of the recordings to train on, to validate on and to test on."""
    if speaker is None:
        names = {"data": "*_{[6-9],[1-4][0-9]}.wav", "valid": "*_5.wav", "test": "*_[0-4].wav"}
    else:
        others = ",".join(name for name in SPEAKERS if name != speaker)
        names = {
            "data": f"*_{{{others}}}_{{[1-9],[1-4][0-9]}}.wav",
            "valid": f"*_{{{others}}}_0.wav",
            "test": f"*_{speaker}_*.wav",
        }
    return {part: folder / name for part, name in names.items()}


def accuracy(folder: Path, out: Path, speaker: str | None, seed: int) -> tuple[float, float, float, float]:
    """The accuracy of a training on its test, the ends of its interval, and the minutes it took."""
    begin = time.monotonic()
    paths = parts(folder, speaker)
    test = paths.pop("test")
    settings = {**SETTINGS, **(OFFICIAL if speaker is None else LEFT_OUT), **paths, "seed": seed}
    name = f"{speaker or 'official'}-{seed}"
    run = recurra.train("speech-recognition", **settings, out=out / name, show=False)
    report = run.evaluate(run.task.read(run.config, test, "evaluate"), intervals=True)
    interval = report.intervals["ser"]
    return 1 - report.figures["ser"], 1 - interval.high, 1 - interval.low, (time.monotonic() - begin) / 60


def main(arguments: Sequence[str]) -> None:
    """Train, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of the recordings")
    parser.add_argument("--out", type=Path, default=Path("runs/digits"), help="folder for the runs [runs/digits]")
    parser.add_argument("--seed", type=int, default=0, help="seed of the trainings [0]")
    parser.add_argument("--only", choices=("official", "speakers"), help="one of both [both]")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(*conditions((0.0, 0.0), f"python benchmarks/spoken_digits.py FOLDER --seed {options.seed}")[1:], sep="\n")
    print("\n| tested on | accuracy | 95% of it | minutes |\n| --- | ---: | ---: | ---: |")
    left_out = []
    for speaker in (None, *SPEAKERS):
        if options.only == ("speakers" if speaker is None else "official"):
            continue
        value, low, high, minutes = accuracy(options.folder, options.out, speaker, options.seed)
        left_out += [value] * (speaker is not None)
        print(f"| {speaker or 'official split'} | {value:.1%} | {low:.1%} to {high:.1%} | {minutes:.1f} |", flush=True)
    if left_out:
        mean, reach = statistics.mean(left_out), T_OF_SIX * statistics.stdev(left_out) / math.sqrt(len(left_out))
        print(f"| mean of those left out | {mean:.1%} | {mean - reach:.1%} to {min(1, mean + reach):.1%} | |")


if __name__ == "__main__":
    main(sys.argv[1:])
