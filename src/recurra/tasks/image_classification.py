"""Image classification: the class of an image that is read pixel by pixel; many to one.

    p(y | x<1>, ..., x<T>), x<t> the next pixel, or the next few

Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of rectified linear units", 2015: on MNIST this
is 784 steps, of which the last may have to remember the first.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.data import IGNORED, Distortion, ImageBatch, ImageBatches, read_idx, read_images
from recurra.data.batching import Batches
from recurra.data.dataset import Dataset, Problems, Role, fingerprint_files
from recurra.data.images import ImageExamples, LabelledImage, labels_beside, mean_and_deviation
from recurra.errors import DataError, SettingError, ShapeError
from recurra.metrics import Metric
from recurra.models.classifier import Classifier
from recurra.nn.initialise import chrono_
from recurra.tasks.assets import Assets
from recurra.tasks.image_classification_settings import ImageClassificationConfig
from recurra.tasks.task import Baseline, Facts, Task
from recurra.tasks.trained import Trained
from recurra.training import StepLoss

__all__ = ["IMAGE_CLASSIFICATION", "ImageAssets", "ImageClassificationConfig", "ImageClassifierRun", "Recognised"]


class ImageAssets(Assets):
    """What is known of the images trained on: their size, their classes and how their pixels are read.

    Args:
        height: Of an image, in pixels.
        width: Of an image, in pixels.
        classes: C; a label is a number below it.
        mean: Of the pixels trained on, from 0 to 255.
        deviation: Their standard deviation; pixels are read as (pixel - mean) / deviation.
        order: The permutation in which the pixels are read; None as they are.
    """

    height: int
    width: int
    classes: int
    mean: float
    deviation: float
    order: list[int] | None = None


@dataclass(frozen=True)
class Recognised:
    """What a classifier makes of an image.

    Args:
        label: The most probable class.
        probabilities: The probability of each class.
    """

    label: int
    probabilities: tuple[float, ...]


def read(config: ImageClassificationConfig, path: Path, role: Role) -> ImageExamples:
    """The images of a file and their labels."""
    images, labels = read_images(path)
    return ImageExamples.of(images, labels, path, lambda: fingerprint_files([path, labels_beside(path)], {}))


def stream(config: ImageClassificationConfig, path: Path, problems: Problems) -> Iterator[LabelledImage]:
    """The images of a file, whose labels are not looked for."""
    images = read_idx(path)
    if images.dim() != 3:
        raise DataError(f"{path}: images have three dimensions, number x height x width; this has {images.dim()}")
    return map(LabelledImage, images)


def parse(config: ImageClassificationConfig, given: Any) -> LabelledImage:  # noqa: ANN401  (whatever a caller has)
    """An image is its pixels."""
    if not isinstance(given, Tensor) or given.dim() != 2 or given.dtype != torch.uint8:
        what = f"{tuple(given.shape)}, {given.dtype}" if isinstance(given, Tensor) else f"a {type(given).__name__}"
        raise ShapeError(f"an image is a tensor (height, width), torch.uint8; this is {what}")
    return LabelledImage(given)


def fit(config: ImageClassificationConfig, examples: Dataset[LabelledImage]) -> ImageAssets:
    """The size of the images, their classes, and the mean and deviation of their pixels."""
    assert isinstance(examples, ImageExamples)
    images, labels = examples.images, examples.labels
    classes = int(labels.max()) + 1
    if classes < 2:
        raise DataError(f"{config.images.data}: all images have the label 0; to tell them apart takes two classes")
    mean, deviation = mean_and_deviation(images)
    return ImageAssets(
        height=images.shape[1],
        width=images.shape[2],
        classes=classes,
        mean=mean,
        deviation=deviation or 1.0,
        order=_permutation(images[0].numel(), config.training.seed) if config.images.permuted else None,
    )


def _permutation(size: int, seed: int) -> list[int]:
    """A random order of pixels, by the seed alone."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed)).tolist()


def batches(
    config: ImageClassificationConfig, assets: ImageAssets, examples: Dataset[LabelledImage], role: Role
) -> ImageBatches:
    """Images as this run reads them; those to train on in a random order and distorted."""
    settings, train = config.images, role == "train"
    if isinstance(examples, ImageExamples):
        images, labels = examples.images, examples.labels
    else:
        items = [examples[index] for index in range(len(examples))]
        _check_sizes(assets, [item.pixels.shape for item in items])
        images = torch.stack([item.pixels for item in items])
        labels = torch.tensor([0 if item.label is None else item.label for item in items])
    if not train and role != "predict":
        _check(assets, images, labels, examples.source(0).path)
    return ImageBatches(
        images,
        labels,
        config.batches.batch_size if train else config.batches.valid_batch_size,
        pixels_per_step=settings.pixels_per_step,
        order=assets.order,
        mean=assets.mean,
        deviation=assets.deviation,
        shuffle=train,
        seed=config.training.seed,
        distortion=Distortion(settings.shift, settings.rotation, settings.scaling) if train else None,
    )


def _check_sizes(assets: ImageAssets, shapes: Sequence[Sequence[int]]) -> None:
    for shape in shapes:
        if tuple(shape) != (assets.height, assets.width):
            raise ShapeError(f"an image is {tuple(shape)} pixels, and the model reads {assets.height} x {assets.width}")


def _check(assets: ImageAssets, images: Tensor, labels: Tensor, path: Path) -> None:
    """Refuse images that are not like those trained on."""
    if images.shape[1:] != (assets.height, assets.width):
        size = " x ".join(map(str, images.shape[1:]))
        raise DataError(f"{path}: its images are {size} pixels, and the model reads {assets.height} x {assets.width}")
    if (largest := int(labels.max())) >= assets.classes:
        known = f"the model knows the labels 0 to {assets.classes - 1}"
        raise DataError(f"{path}: there is an image with the label {largest}, and {known}")


def build(config: ImageClassificationConfig, assets: ImageAssets) -> Classifier:
    """The network, untrained."""
    settings = config.model
    options = settings.model_dump(exclude={"cell", "equations", "longest_memory"})
    model = Classifier(config.images.pixels_per_step, assets.classes, settings.made, **options)
    if settings.longest_memory is not None:
        try:
            chrono_(model.encoder.recurrent, settings.longest_memory)
        except SettingError as error:
            raise SettingError(f"longest_memory: {str(error).removeprefix('chrono_: ')}") from None
    return model


def loss(config: ImageClassificationConfig, model: Classifier, batch: ImageBatch, carried: None) -> StepLoss:
    """The sum over images of the cross-entropy -log p(y | x<1..T>), in nats."""
    return _loss(model(batch.inputs)[0], batch)


def _loss(logits: Tensor, batch: ImageBatch) -> StepLoss:
    return StepLoss(F.cross_entropy(logits, batch.targets, reduction="sum", ignore_index=IGNORED), batch.count)


def predict(
    config: ImageClassificationConfig, assets: ImageAssets, model: Classifier, batch: ImageBatch
) -> list[Recognised]:
    """The most probable class of each image, and the probability of each class."""
    return _recognised(model(batch.inputs)[0])


def measure(
    config: ImageClassificationConfig, assets: ImageAssets, model: Classifier, batch: ImageBatch
) -> tuple[StepLoss, list[Recognised]]:
    """The loss of a batch, and what is made of each image."""
    logits, _ = model(batch.inputs)
    return _loss(logits, batch), _recognised(logits)


def _recognised(logits: Tensor) -> list[Recognised]:
    labels, probabilities = logits.argmax(-1).tolist(), logits.softmax(-1).tolist()
    return [Recognised(label, tuple(row)) for label, row in zip(labels, probabilities, strict=True)]


def metrics(config: ImageClassificationConfig, assets: ImageAssets) -> list[Metric[LabelledImage, Recognised]]:
    """The accuracy: the loss may rise with how sure the model is, while it is still right more and more often."""
    return [
        Metric(
            "accuracy",
            "accuracy",
            lambda image, answer: {"right": image.label == answer.label, "all": 1},
            lambda tally: tally["right"] / tally["all"] if tally["all"] else float("nan"),
        )
    ]


def show(image: LabelledImage, answer: Recognised) -> dict[str, Any]:
    """The class and its probability, as JSON."""
    return {"label": answer.label, "probability": round(answer.probabilities[answer.label], 6)}


def facts(image: LabelledImage) -> Facts:
    """What is known of an image without a model."""
    labels = [] if image.label is None else [str(image.label)]
    return Facts(image.pixels.numpy().tobytes(), image.label, labels=labels)


def baselines(
    config: ImageClassificationConfig, examples: Dataset[LabelledImage]
) -> list[Baseline[LabelledImage, Recognised]]:
    """Always the most frequent class."""
    counts = Counter(examples[index].label for index in range(len(examples)))
    most = max(counts, key=lambda label: counts[label])
    return [Baseline("always the most frequent class", lambda image: Recognised(most or 0, ()))]


def describe(
    config: ImageClassificationConfig,
    assets: ImageAssets,
    training: Batches[ImageBatch],
    validation: Batches[ImageBatch],
) -> list[str]:
    """How many images there are, and how many steps it takes to read one."""
    assert isinstance(training, ImageBatches)
    assert isinstance(validation, ImageBatches)
    return [
        f"{training.count:,} images of {assets.height} x {assets.width} pixels to train on",
        f"{len(training):,} batches an epoch",
        f"{validation.count:,} to validate on",
        f"{assets.classes} classes",
    ]


def example(folder: Path) -> dict[str, Any]:
    """Writes images with a bright upper or lower half, and settings small enough to learn them in seconds."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (60,), generator=draw, dtype=torch.uint8)
    images = torch.randint(100, (60, 4, 4), generator=draw, dtype=torch.uint8)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[2 * label : 2 * label + 2] += 120
    for name, tensor in (("images-idx3", images), ("labels-idx1", labels)):
        sizes = b"".join(size.to_bytes(4, "big") for size in tensor.shape)
        content = bytes([0, 0, 8, tensor.dim()]) + sizes + tensor.numpy().tobytes()
        (folder / f"train-{name}-ubyte").write_bytes(content)
    return {
        "data": folder / "train-images-idx3-ubyte",
        "pixels_per_step": 4,
        "hidden_size": 8,
        "batch_size": 6,
        "epochs": 3,
    }


class ImageClassifierRun(
    Trained[ImageClassificationConfig, LabelledImage, ImageAssets, Classifier, ImageBatch, Recognised]
):
    """A trained image classifier."""

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
        expected = (self.assets.height, self.assets.width)
        if images.dim() != 3 or images.shape[1:] != expected or images.dtype != torch.uint8:
            raise ShapeError(
                f"images are (N, {expected[0]}, {expected[1]}), torch.uint8; "
                f"these are {tuple(images.shape)}, {images.dtype}"
            )
        return torch.tensor([answer.probabilities for answer in self.answers(map(LabelledImage, images))])

    def suggestions(self) -> list[tuple[str, str]]:
        """What to try on the command line."""
        settings = self.config.images
        test = settings.data.with_name(settings.data.name.replace("train-", "t10k-"))
        measured = shlex.quote(str(test if test.exists() else settings.valid or settings.data))
        return [("evaluate", f" --data {measured}"), ("predict", f" {measured}")]


IMAGE_CLASSIFICATION: Task[
    ImageClassificationConfig, LabelledImage, ImageAssets, Classifier, ImageBatch, Recognised
] = Task(
    name="image-classification",
    unit=lambda config: "images",
    config=ImageClassificationConfig,
    assets=ImageAssets,
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
    measure=measure,
    describe=describe,
    baselines=baselines,
    stratified=True,
    trained=lambda: ImageClassifierRun,
)
