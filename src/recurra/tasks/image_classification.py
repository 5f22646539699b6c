"""Image classification: the class of an image that is read pixel by pixel; many to one.

    p(y | x<1>, ..., x<T>), x<t> the next pixel, or the next few

Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of rectified linear units", 2015: on MNIST this
is 784 steps, of which the last may have to remember the first.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.data import IGNORED, Distortion, ImageBatch, ImageBatches, read_images, write_atomically
from recurra.data.images import mean_and_deviation
from recurra.errors import DataError, RunError, SettingError, ShapeError
from recurra.models.classifier import Classifier
from recurra.nn.initialise import chrono_
from recurra.tasks.image_classification_settings import (
    ImageClassificationConfig,
)
from recurra.tasks.run import Run
from recurra.tasks.task import Data, Task
from recurra.training import LOSS, MetricView, StepLoss, World

__all__ = ["IMAGE_CLASSIFICATION", "ImageClassificationConfig", "ImageClassifierRun", "Images"]

IMAGES = "images.json"

ACCURACY = MetricView("accuracy", "accuracy", ".2%")


@dataclass
class Images(Data):
    """Images in batches, and what a run keeps of them: their size, their classes and how their pixels are read.

    Args:
        height: Of an image, in pixels.
        width: Of an image, in pixels.
        classes: C; a label is a number below it.
        mean: Of the pixels trained on, from 0 to 255.
        deviation: Their standard deviation; pixels are read as (pixel - mean) / deviation.
        order: The permutation in which the pixels are read; None as they are.
        batches: The part to train on; None in a run that was loaded.
        valid: The part to validate on; None in a run that was loaded.
    """

    files: ClassVar[tuple[str, ...]] = (IMAGES,)

    height: int
    width: int
    classes: int
    mean: float
    deviation: float
    order: list[int] | None = None
    batches: ImageBatches | None = None
    valid: ImageBatches | None = None

    def summary(self, unit: str) -> str:
        """How many images there are, and how many steps it takes to read one."""
        if self.batches is None or self.valid is None:
            return ""
        return (
            f"{self.batches.count:,} {unit} of {self.height} x {self.width} pixels to train on, "
            f"{len(self.batches):,} batches an epoch, {self.valid.count:,} to validate on, {self.classes} classes"
        )

    def save(self, folder: Path) -> None:
        """Write what the run keeps."""
        write_atomically(folder / IMAGES, json.dumps(self._kept()) + "\n")

    def _kept(self) -> dict[str, Any]:
        names = ("height", "width", "classes", "mean", "deviation", "order")
        return {name: getattr(self, name) for name in names}

    def in_batches(
        self, images: Tensor, labels: Tensor, batch_size: int, config: ImageClassificationConfig, train: bool = False
    ) -> ImageBatches:
        """Images as this run reads them; those to train on in a random order and distorted."""
        settings = config.images
        return ImageBatches(
            images,
            labels,
            batch_size,
            pixels_per_step=settings.pixels_per_step,
            order=self.order,
            mean=self.mean,
            deviation=self.deviation,
            shuffle=train,
            seed=config.training.seed,
            distortion=Distortion(settings.shift, settings.rotation, settings.scaling) if train else None,
        )


def read(config: ImageClassificationConfig) -> Images:
    """Read the images, measure those to train on, and cut both parts into batches."""
    settings = config.images
    images, labels = read_images(settings.data)
    if settings.valid is None:
        kept = round(len(images) * (1 - settings.valid_fraction))
        if not 0 < kept < len(images):
            raise DataError(
                f"{settings.data}: {len(images)} images cannot be cut in two at a valid_fraction of "
                f"{settings.valid_fraction:g}; give more, or a file to validate on"
            )
        valid, valid_labels = images[kept:], labels[kept:]
        images, labels = images[:kept], labels[:kept]
    classes = int(labels.max()) + 1
    if classes < 2:
        raise DataError(f"{settings.data}: all images have the label 0; to tell them apart takes two classes")
    order = _permutation(images[0].numel(), config.training.seed) if settings.permuted else None
    height, width = images.shape[1:]
    mean, deviation = mean_and_deviation(images)
    data = Images(height, width, classes, mean, deviation or 1.0, order)
    if settings.valid is not None:
        valid, valid_labels = _fitting(data, settings.valid)
    elif int(valid_labels.max()) >= classes:
        raise DataError(
            f"{settings.data}: the last {len(valid)} images, which are to be validated on, have the label "
            f"{int(valid_labels.max())}, and those before end at {classes - 1}; mix them, or give a file to validate on"
        )
    data.batches = data.in_batches(images, labels, config.batches.batch_size, config, train=True)
    data.valid = data.in_batches(valid, valid_labels, config.batches.valid_batch_size, config)
    return data


def _permutation(size: int, seed: int) -> list[int]:
    """A random order of pixels, by the seed alone."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed)).tolist()


def _fitting(data: Images, path: Path) -> tuple[Tensor, Tensor]:
    """The images of another file, which must be like those trained on."""
    images, labels = read_images(path)
    if images.shape[1:] != (data.height, data.width):
        size = " x ".join(map(str, images.shape[1:]))
        raise DataError(f"{path}: its images are {size} pixels, and the model reads {data.height} x {data.width}")
    if int(labels.max()) >= data.classes:
        raise DataError(
            f"{path}: there is an image with the label {int(labels.max())}, and the model knows the labels 0 to "
            f"{data.classes - 1}"
        )
    return images, labels


def read_test(config: ImageClassificationConfig, data: Images, path: Path) -> Images:
    """The images of a file, all of them, to measure a trained model on."""
    images, labels = _fitting(data, path)
    test = Images(**data._kept())
    test.valid = test.in_batches(images, labels, config.batches.valid_batch_size, config)
    return test


def restore(config: ImageClassificationConfig, folder: Path) -> Images:
    """What the run kept of its images."""
    path = folder / IMAGES
    try:
        data = Images(**json.loads(path.read_text(encoding="utf-8")))
        numbers = (data.height, data.width, data.classes, data.mean, data.deviation)
        if not all(isinstance(number, int | float) for number in numbers):
            raise TypeError("a size that is no number")
    except OSError as error:
        raise RunError(f"{path}: cannot be read ({error.strerror}); copy the run again or train again") from None
    except (ValueError, TypeError) as error:
        raise RunError(f"{path}: damaged ({error}); copy it again or train again") from None
    if config.images.permuted != (data.order is not None):
        raise RunError(f"{path}: whether pixels are permuted differs from the config; the two files are not of one run")
    return data


def build(config: ImageClassificationConfig, data: Images) -> Classifier:
    """The network, untrained."""
    settings = config.model
    options = settings.model_dump(exclude={"cell", "equations", "longest_memory"})
    model = Classifier(config.images.pixels_per_step, data.classes, settings.made, **options)
    if settings.longest_memory is not None:
        try:
            chrono_(model.recurrent, settings.longest_memory)
        except SettingError as error:
            raise SettingError(f"longest_memory: {str(error).removeprefix('chrono_: ')}") from None
    return model


def loss(model: Classifier, batch: ImageBatch, carried: None) -> StepLoss:
    """The sum over images of the cross-entropy -log p(y | x<1..T>), in nats."""
    total = F.cross_entropy(model(batch.inputs), batch.targets, reduction="sum", ignore_index=IGNORED)
    return StepLoss(total, batch.count)


def evaluate(
    config: ImageClassificationConfig, model: Classifier, data: Images
) -> Callable[[], dict[str, float]] | None:
    """The mean loss in nats and the accuracy, the share of images whose most probable class is theirs."""
    valid = data.valid
    if valid is None:
        return None

    @torch.no_grad()
    def measure() -> dict[str, float]:
        device, world = next(model.parameters()).device, World()
        total, right = 0.0, 0.0
        for batch in valid.epoch(0):
            on_device = world.part(batch).to(device)
            logits = model(on_device.inputs)
            total += float(F.cross_entropy(logits, on_device.targets, reduction="sum"))
            right += int((logits.argmax(-1) == on_device.targets).sum())
        total, right = world.sum([total, right])
        return {"loss": total / valid.count, "accuracy": right / valid.count}

    return measure


def views(config: ImageClassificationConfig) -> Sequence[MetricView]:
    """Loss and accuracy."""
    return [LOSS, ACCURACY]


def unit(config: ImageClassificationConfig) -> str:
    """What is counted."""
    return "images"


class ImageClassifierRun(Run):
    """A trained image classifier."""

    model: Classifier
    data: Images
    config: ImageClassificationConfig

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """The probability of each class.

        Args:
            images: (N, height, width), uint8, as `recurra.data.read_idx` reads them.

        Returns:
            (N, C); each row sums to 1.

        Raises:
            ShapeError: The images are of another size or kind than those trained on.
        """
        expected = (self.data.height, self.data.width)
        if images.dim() != 3 or images.shape[1:] != expected or images.dtype != torch.uint8:
            raise ShapeError(
                f"images are (N, {expected[0]}, {expected[1]}), torch.uint8; "
                f"these are {tuple(images.shape)}, {images.dtype}"
            )
        nothing = torch.zeros(len(images), dtype=torch.uint8)
        batches = self.data.in_batches(images, nothing, self.config.batches.valid_batch_size, self.config)
        device = next(self.model.parameters()).device
        return torch.cat([self.model(batch.to(device).inputs).softmax(-1).cpu() for batch in batches.epoch(0)])

    def suggestions(self) -> list[tuple[str, str]]:
        """What to try on the command line."""
        settings = self.config.images
        test = settings.data.with_name(settings.data.name.replace("train-", "t10k-"))
        measured = test if test.exists() else settings.valid or settings.data
        return [("evaluate", f" --data {shlex.quote(str(measured))}")]


def predict(run: ImageClassifierRun, images: Tensor) -> list[int]:
    """The most probable class of each image, (N, height, width) in uint8."""
    return run.probabilities(images).argmax(-1).tolist()


IMAGE_CLASSIFICATION: Task[ImageClassificationConfig, Images, Classifier] = Task(
    name="image-classification",
    config=ImageClassificationConfig,
    read=read,
    read_test=read_test,
    restore=restore,
    build=build,
    loss=loss,
    evaluate=evaluate,
    predict=predict,
    sample=lambda config, model, data: None,
    views=views,
    unit=unit,
    run=ImageClassifierRun,
    # The loss may rise with how sure the model is, while it is still right more and more often.
    best_by="accuracy",
    highest=True,
)
