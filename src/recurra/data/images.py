"""Images with labels: IDX files, as those of MNIST, and the batches of pixels that training reads."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recurra.checks import LARGEST_SEED, whole_number
from recurra.data.batch import Batch
from recurra.data.batching import Epoch, generator_of, ids_of
from recurra.data.dataset import Examples
from recurra.data.distortion import Distortion
from recurra.data.lines import Source
from recurra.errors import DataError, SettingError, ShapeError

__all__ = [
    "ImageBatch",
    "ImageBatches",
    "ImageExamples",
    "LabelledImage",
    "labels_beside",
    "mean_and_deviation",
    "read_idx",
    "read_images",
]

LARGEST = 2**62
"""More elements than any tensor can have."""

COUNTED_TOGETHER = 1024
"""How many images are looked at together, so that what is computed of them stays small."""

BYTES = 0x08
"""The code of an IDX file for elements of one byte each, the only kind that images and labels come in."""


def read_idx(path: str | Path) -> Tensor:
    """Read an IDX file of bytes, compressed with gzip or not.

    The file begins with two zero bytes, the code of the elements' type (8: one unsigned byte), the number n of
    dimensions, and n sizes of four bytes each, the most significant first; then come the elements, the last dimension
    running fastest (LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998).

    Args:
        path: The file.

    Returns:
        The elements, uint8, in the file's n dimensions.

    Raises:
        DataError: It cannot be read, is no IDX file of bytes, or holds more or less than its sizes say.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "labels"
        ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9]))
        ...     read_idx(path).tolist()
        [7, 0, 9]
    """
    content = _content(Path(path))
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != BYTES:
        begins = content[:4].hex(" ") or "nothing"
        raise DataError(
            f"{path}: this is no IDX file of bytes, which begins 00 00 08 and its dimensions; it begins with {begins}"
        )
    header = 4 + 4 * content[3]
    if len(content) < header or not content[3]:
        raise DataError(f"{path}: the file ends within its header of {header} bytes; fetch it again")
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, header, 4))
    wanted = math.prod(shape)
    # Beside a size of 0 others may be beyond what a tensor can have.
    if len(content) - header != wanted or math.prod(size or 1 for size in shape) >= LARGEST:
        sizes = " x ".join(map(str, shape))
        raise DataError(
            f"{path}: it should hold {sizes} = {wanted} bytes after its header, and holds {len(content) - header}; "
            "fetch it again"
        )
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=header).copy()).view(shape)


def _content(path: Path) -> bytes:
    """A file's bytes, uncompressed."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file; give the path of an IDX file, such as MNIST's") from None
    except IsADirectoryError:
        raise DataError(f"{path}: this is a folder; give the path of a file of images in it") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the gzip archive is damaged ({error}); fetch it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give the path of an IDX file") from None


def mean_and_deviation(images: Tensor) -> tuple[float, float]:
    """The mean and the standard deviation of all pixels, from how many have each of their 256 values.

    Args:
        images: uint8, of any shape.

    Returns:
        The mean, and the square root of the unbiased variance, both exact but for a rounding at the end.

    Example:
        >>> mean_and_deviation(torch.tensor([0, 0, 3], dtype=torch.uint8))
        (1.0, 1.7320508075688772)
    """
    counts = torch.zeros(256, dtype=torch.int64)
    for first in range(0, len(images), COUNTED_TOGETHER):
        counts += torch.bincount(images[first : first + COUNTED_TOGETHER].flatten(), minlength=256)
    per_value = list(enumerate(counts.tolist()))
    count = images.numel()
    total = sum(value * times for value, times in per_value)
    squares = sum(value * value * times for value, times in per_value)
    return total / count, math.sqrt((count * squares - total * total) / (count * max(count - 1, 1)))


def labels_beside(images: str | Path) -> Path:
    """Where the labels of a file of images are: beside it, "images" in its name being "labels", and idx3 idx1.

    Raises:
        DataError: The name does not say that it is one of images.

    Example:
        >>> labels_beside("train-images-idx3-ubyte.gz").name
        'train-labels-idx1-ubyte.gz'
    """
    path = Path(images)
    if "images" not in path.name:
        raise DataError(
            f'{path}: a file of images has "images" in its name, and its labels are beside it with "labels" in its '
            "place, as in train-images-idx3-ubyte and train-labels-idx1-ubyte; rename the two"
        )
    return path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))


def read_images(path: str | Path) -> tuple[Tensor, Tensor]:
    """Read a file of images and the labels beside it.

    Args:
        path: The IDX file of images.

    Returns:
        The images (N, height, width) and the labels (N,), both uint8.

    Raises:
        DataError: One of the two files cannot be used, or they do not belong together.
    """
    images = read_idx(path)  # before its name is looked at, which matters only if it is there
    if images.dim() != 3 or not images.numel():
        raise DataError(
            f"{path}: images have three dimensions, number x height x width, none of them 0; this is {_sizes(images)}"
        )
    beside = labels_beside(path)
    labels = read_idx(beside)
    if labels.shape != images.shape[:1]:
        raise DataError(
            f"{beside}: it holds {_sizes(labels)} labels, and {Path(path).name} {len(images)} images; "
            "give two files that belong together"
        )
    return images, labels


def _sizes(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape))


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageBatch(Batch):
    """Images as sequences; the targets are the class of each, (B,).

    Args:
        inputs: The pixels in the order in which they are read, (B, T, I): I of them a step.
    """

    inputs: Tensor


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image.

    Args:
        pixels: (height, width), uint8.
        label: Its class; None where that is not known.
    """

    pixels: Tensor
    label: int | None = None

    def __len__(self) -> int:
        return self.pixels.numel()


@dataclass
class ImageExamples(Examples[LabelledImage]):
    """The images of a file, in memory.

    Args:
        images: (N, height, width), uint8.
        labels: The classes (N,), uint8.
    """

    images: Tensor = field(default_factory=lambda: torch.empty(0, 0, 0, dtype=torch.uint8))
    labels: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.uint8))

    @classmethod
    def of(cls, images: Tensor, labels: Tensor, path: Path, fingerprint_of: Callable[[], str]) -> ImageExamples:
        """The examples of images and labels.

        Args:
            images: (N, height, width), uint8.
            labels: The classes (N,).
            path: The file they are of.
            fingerprint_of: Gives the digest of what was read.
        """
        items = [LabelledImage(image, label) for image, label in zip(images, labels.tolist(), strict=True)]
        sources = [Source(path, number) for number in range(1, len(items) + 1)]
        lengths = [images[0].numel() if len(images) else 0] * len(items)
        return cls(items, sources, lengths, fingerprint_of=fingerprint_of, images=images, labels=labels)

    def subset(self, indices: Sequence[int], name: str) -> ImageExamples:
        """Some of the images."""
        chosen = torch.tensor(indices, dtype=torch.int64)
        part = super().subset(indices, name)
        return self.of(self.images[chosen], self.labels[chosen], self.sources[0].path, part.fingerprint_of)


class ImageBatches:
    """Images as sequences of pixels, row by row from the top left, in a random order each epoch.

    The order, and how each image is distorted, is a function of the seed and the epoch's number alone; torch's own
    random state is neither read nor changed. Pixels become numbers as batches are made, (pixel - mean) / deviation, so
    that the images need one byte a pixel.

    Args:
        images: (N, height, width), uint8.
        labels: The classes (N,).
        batch_size: The images B of a batch; the last of an epoch's may hold fewer.
        pixels_per_step: I, how many pixels are read a step; it divides the pixels of an image.
        order: A permutation of the pixels, the same for every image; None reads them as they are.
        mean: What is taken off every pixel, which counts from 0 to 255.
        deviation: What it is divided by then.
        shuffle: Whether to take another order of images each epoch; otherwise it is that of the file.
        seed: What the orders, and the distortions, are drawn from.
        distortion: How each image is moved, turned and scaled at random, in every epoch another way.

    Raises:
        SettingError: The batch size is below 1, or the pixels cannot be read so many a step.
        ShapeError: The shapes do not belong together.

    Example:
        >>> images = torch.arange(8, dtype=torch.uint8).view(2, 2, 2)
        >>> batches = ImageBatches(images, torch.tensor([1, 0]), batch_size=2, pixels_per_step=2, shuffle=False)
        >>> batch = next(iter(batches.epoch(0)))
        >>> batch.inputs.tolist(), batch.targets.tolist()
        ([[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0], [6.0, 7.0]]], [1, 0])
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        batch_size: int,
        *,
        pixels_per_step: int = 1,
        order: Sequence[int] | None = None,
        mean: float = 0.0,
        deviation: float = 1.0,
        shuffle: bool = True,
        seed: int = 0,
        distortion: Distortion | None = None,
    ) -> None:
        if images.dim() != 3 or labels.shape != images.shape[:1]:
            raise ShapeError(
                "images are (N, height, width), and labels (N,); "
                f"these are {tuple(images.shape)} and {tuple(labels.shape)}"
            )
        batch_size = whole_number("batch_size", batch_size, 1)
        pixels_per_step = whole_number("pixels_per_step", pixels_per_step, 1)
        height, width = images.shape[1:]
        if height * width % pixels_per_step:
            raise SettingError(
                f"pixels_per_step is {pixels_per_step}; an image of {height} x {width} = {height * width} pixels is "
                f"read in equal steps: take a divisor, such as 1 or {width}"
            )
        pixel_order = None if order is None else ids_of(order)
        if pixel_order is not None and sorted(pixel_order.tolist()) != list(range(height * width)):
            raise ShapeError(f"the order is no permutation of the {height * width} pixels of an image")
        self.batch_size, self.pixels_per_step, self.shuffle = batch_size, pixels_per_step, shuffle
        self.seed = whole_number("seed", seed, 0, LARGEST_SEED)
        self.mean, self.deviation, self.distortion = mean, deviation, distortion or Distortion()
        self._images, self._labels, self._order = images, ids_of(labels), pixel_order

    @property
    def count(self) -> int:
        """The number of images in an epoch."""
        return len(self._labels)

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    def epoch(self, number: int, start: int = 0) -> Epoch[ImageBatch]:
        """The batches of an epoch, counted from 0, from a place on; asking again gives the same ones.

        Args:
            number: Which epoch.
            start: The place of the first batch to give; those before are not made.
        """
        draw = generator_of(self.seed, number)
        taken = torch.randperm(self.count, generator=draw) if self.shuffle else torch.arange(self.count)

        draws = self.distortion.draws(self.count, draw) if self.distortion else None

        def make(place: int) -> ImageBatch:
            members = taken[place * self.batch_size : (place + 1) * self.batch_size]
            images = self._images[members].float()
            if draws is not None:
                images = self.distortion(images, draws[members])
            pixels = images.flatten(1) if self._order is None else images.flatten(1)[:, self._order]
            pixels = (pixels - self.mean) / self.deviation
            return ImageBatch(
                index=members,
                inputs=pixels.view(len(members), -1, self.pixels_per_step),
                targets=self._labels[members],
            )

        return Epoch(len(self), start, make)
