"""Music generation: what sounds next; one to many, and many to many of equal length.

    p(x<1..T>) = product over t of p(x<t> | x<1..t-1>), x<t> the keys that sound in a frame

Boulanger-Lewandowski, Bengio and Vincent, "Modeling temporal dependencies in high-dimensional sequences", ICML 2012.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.data.batch import IGNORED
from recurra.data.batching import Batches
from recurra.data.dataset import Dataset, Problems, Role
from recurra.data.lines import Source
from recurra.data.padded import PaddedBatches
from recurra.data.rolls import Roll, read_rolls, rolls_to_predict
from recurra.errors import SettingError
from recurra.metrics import Metric
from recurra.models.chord_head import ChordHead
from recurra.models.key_head import KeyHead
from recurra.models.music_memory import MusicMemory
from recurra.models.music_model import MusicModel
from recurra.tasks.music_baselines import music_baselines
from recurra.tasks.music_demo import demo
from recurra.tasks.music_example import write_example
from recurra.tasks.music_generation_batches import FrameBatch, MusicAssets, batches, shifts_of
from recurra.tasks.music_generation_settings import MusicConfig
from recurra.tasks.music_output import MUSIC_FORMATS, show
from recurra.tasks.music_surprise import Surprise, music_metrics
from recurra.tasks.task import Baseline, Facts, Task
from recurra.tasks.trained import Trained
from recurra.training import StepLoss

__all__ = ["MUSIC_GENERATION", "MusicAssets", "MusicConfig"]

HEADS = {"chord": ChordHead.name, "independent": KeyHead.name}
"""What the distribution of a frame is over, by the name of the head."""


def read(config: MusicConfig, path: Path, role: Role) -> Dataset[Roll]:
    """The pieces of a file or a folder."""
    return read_rolls(path, config.pieces.how, role)


def stream(config: MusicConfig, path: Path, problems: Problems) -> Iterator[Roll]:
    """The pieces to predict, one at a time."""
    return rolls_to_predict(path, config.pieces.how, problems)


def parse(config: MusicConfig, value: Any) -> Roll:  # noqa: ANN401  (whatever a caller has)
    """A piece is an array (T, keys) of 0 and 1, a tuple of frames that are tuples of pitches, or a `Roll`."""
    if isinstance(value, Roll):
        return value
    settings, source = config.pieces, Source(Path(), 1)
    if isinstance(value, tuple):
        frames = np.zeros((len(value), settings.keys), np.bool_)
        for number, chord in enumerate(value):
            for pitch in chord:
                if not isinstance(pitch, int) or not settings.lowest <= pitch <= settings.highest:
                    raise SettingError(
                        f"frame {number + 1} has the pitch {pitch!r}; expected whole numbers from {settings.lowest} to "
                        f"{settings.highest}"
                    )
                frames[number, pitch - settings.lowest] = True
        return Roll(frames, settings.lowest, source)
    array = np.asarray(value) if isinstance(value, np.ndarray | Tensor) else None
    if array is None or array.ndim != 2 or array.shape[1] != settings.keys or not np.isin(array, (0, 1)).all():
        raise SettingError(
            f"a piece is an array of frames by {settings.keys} keys of 0 and 1, or a tuple of frames that are tuples "
            f"of pitches; this is {'an array ' + str(array.shape) if array is not None else type(value).__name__}"
        )
    return Roll(array.astype(np.bool_), settings.lowest, source)


def fit(config: MusicConfig, pieces: Dataset[Roll]) -> MusicAssets:
    """How often each key sounds, over all keys that pieces are moved to."""
    counts, total = np.zeros(config.pieces.keys), 0.0
    for index in range(len(pieces)):
        frames = pieces[index].frames
        shifts = shifts_of(config.batches, frames)
        for by in shifts:
            counts += np.roll(frames.sum(0), by) / len(shifts)
        total += len(frames)
    # A key that never sounds in training is possible, if hardly.
    shares = (counts + 1) / (total + 20)
    return MusicAssets(lowest=config.pieces.lowest, shares=tuple(shares.clip(0, 0.99).tolist()))


def build(config: MusicConfig, assets: MusicAssets) -> MusicModel:
    """The network, untrained but for how often each key sounds."""
    settings, keys = config.model, assets.keys
    memory = MusicMemory(settings.periods) if settings.memory else None
    recurrent = settings.recurrent(MusicModel.input_width(keys, memory))
    width = MusicModel.context_width(recurrent.hidden_size, keys, memory)
    planes = settings.history + (memory.planes if memory else 0)
    head: ChordHead | KeyHead
    if settings.head == "chord":
        if not settings.history:
            raise SettingError("--history is 0, and the chord head sees the frame before a note: give 1 or more")
        head = ChordHead(width, keys, settings.head_size, planes, settings.window, settings.output_dropout)
    else:
        head = KeyHead(width, keys, planes, settings.window, settings.channels)
    head.begin_at_(torch.tensor(assets.shares))
    return MusicModel(recurrent, head, settings.output_dropout, memory)


def loss(config: MusicConfig, model: MusicModel, batch: FrameBatch, carried: None) -> StepLoss:
    """The sum over frames of -log p(x<t> | x<1..t-1>), in nats."""
    return StepLoss(-_log_probabilities(model, batch)[0].sum(), batch.count)


def predict(config: MusicConfig, assets: MusicAssets, model: MusicModel, batch: FrameBatch) -> list[Surprise]:
    """How probable each frame of each piece is, and each note in it."""
    return _surprises(batch, *_log_probabilities(model, batch))


def measure(
    config: MusicConfig, assets: MusicAssets, model: MusicModel, batch: FrameBatch
) -> tuple[StepLoss, list[Surprise]]:
    """The loss and the answers of a batch by one run of the model."""
    each, notes = _log_probabilities(model, batch)
    return StepLoss(-each.sum(), batch.count), _surprises(batch, each, notes)


def _log_probabilities(model: MusicModel, batch: FrameBatch) -> tuple[Tensor, Tensor]:
    """The log-probabilities of the frames that count, and of their notes, piece by piece and from low to high."""
    known, _ = model(batch.frames, lengths=batch.lengths.clamp(min=1))
    real = batch.targets != IGNORED
    context, history, frames = known.context[real], model.history_of(known.history)[real], batch.frames[real]
    if isinstance(model.head, KeyHead):
        keys = model.head.note_log_probabilities(context, history, frames)
        return keys.sum(1), keys[frames.bool()]
    frame, key, each = model.head.note_log_probabilities(context, history, frames)
    return each.new_zeros(len(frames)).index_add(0, frame, each), each[key < model.keys]


def _surprises(batch: FrameBatch, each: Tensor, notes: Tensor) -> list[Surprise]:
    real = batch.targets != IGNORED
    found = iter(notes.tolist())
    of_frames = [tuple(islice(found, count)) for count in batch.frames[real].sum(1).int().tolist()]
    surprises, first = [], 0
    for part in torch.split(each.double().cpu(), real.sum(1).tolist()):
        surprises.append(Surprise(tuple(part.tolist()), tuple(of_frames[first : first + len(part)])))
        first += len(part)
    return surprises


def metrics(config: MusicConfig, assets: MusicAssets) -> list[Metric[Roll, Surprise]]:
    """The negative log-likelihood of a frame, the distribution beside it."""
    return music_metrics(HEADS[config.model.head] + (", with memory" if config.model.memory else ""))


def baselines(config: MusicConfig, pieces: Dataset[Roll]) -> list[Baseline[Roll, Surprise]]:
    """Each key as often as it sounded, and as often as it went on or began."""
    return music_baselines(pieces)


def facts(roll: Roll) -> Facts:
    """What is known of a piece without a model."""
    return Facts((roll.frames.shape, roll.frames.tobytes()))


def describe(
    config: MusicConfig, assets: MusicAssets, training: Batches[FrameBatch], validation: Batches[FrameBatch]
) -> Sequence[str]:
    """How many pieces and frames there are."""
    assert isinstance(training, PaddedBatches)
    assert isinstance(validation, PaddedBatches)
    frames = sum(training.dataset.lengths)
    notes = sum(int(training.dataset[index].frames.sum()) for index in range(len(training.dataset)))
    return [
        f"{len(training.dataset):,} pieces of {frames:,} frames to train on",
        f"{notes / max(frames, 1):.1f} notes a frame",
        f"about {len(training):,} batches an epoch",
        f"{len(validation.dataset):,} pieces to validate on",
        f"a distribution over {HEADS[config.model.head]}",
    ]


def example(folder: Path) -> dict[str, Any]:
    """Writes short synthetic pieces, and settings small enough to learn them in seconds."""
    return {
        "data": write_example(folder),
        "lowest": 48,
        "highest": 83,
        "hidden_size": 16,
        "head_size": 16,
        "history": 1,
        "window": 12,
        "batch_size": 8,
        "epochs": 4,
        "learning_rate": 0.02,
        "warmup_steps": 2,
        "weight_average": 0.5,
    }


def _run() -> type[Trained[MusicConfig, Roll, MusicAssets, MusicModel, FrameBatch, Surprise]]:
    from recurra.tasks.music_run import MusicRun

    return MusicRun


MUSIC_GENERATION: Task[MusicConfig, Roll, MusicAssets, MusicModel, FrameBatch, Surprise] = Task(
    name="music-generation",
    unit=lambda config: "frames",
    config=MusicConfig,
    assets=MusicAssets,
    read=read,
    stream=stream,
    parse=parse,
    fit=fit,
    batches=batches,
    build=build,
    loss=loss,
    predict=predict,
    metrics=metrics,
    show=show,
    facts=facts,
    example=example,
    demo=demo,
    measure=measure,
    describe=describe,
    baselines=baselines,
    formats=MUSIC_FORMATS,
    trained=_run,
)
