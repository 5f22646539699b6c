"""The settings of image classification: the images, their batches and the network.

They are read without torch, so that the command line can list them at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from recurra.tasks.network_settings import NetworkSettings, PoolingName
from recurra.tasks.settings import DataSettings, Settings, TaskConfig

__all__ = ["ClassifierSettings", "ImageBatchSettings", "ImageClassificationConfig", "ImageSettings"]


class ImageSettings(DataSettings):
    """The images, and how they are read."""

    data: Path = Field(
        description="IDX file of images to train on, gzipped or not, such as train-images-idx3-ubyte.gz; its labels "
        'are beside it, with "labels" in the place of "images" in the name.'
    )
    valid: Path | None = Field(None, description="File of images to validate on; without it, the last of the data.")
    pixels_per_step: int = Field(
        1, ge=1, description="Pixels read a step: 1 reads pixel by pixel, the width of an image row by row."
    )
    permuted: bool = Field(
        False, description="Read the pixels in a random order, the same for every image: neighbours are far apart."
    )
    shift: int = Field(
        0, ge=0, description="Move each image trained on at random, by up to so many pixels along either axis."
    )
    rotation: float = Field(
        0.0, ge=0, le=180, description="Turn each image trained on at random, by up to so many degrees."
    )
    scaling: float = Field(
        0.0, ge=0, lt=1, description="Grow or shrink each image trained on at random, by up to this share of its size."
    )


class ImageBatchSettings(Settings):
    """How the images are handed to the model."""

    changes_use: ClassVar[bool] = False

    batch_size: int = Field(128, ge=1, description="Images side by side in a step of training.")
    valid_batch_size: int = Field(500, ge=1, description="Images side by side in validation; it changes no figure.")


class ClassifierSettings(NetworkSettings):
    """The network."""

    pooling: PoolingName = Field("last", description="What stands for an image: the last output, the mean, and so on.")
    longest_memory: int | None = Field(
        None,
        ge=2,
        description="Begin with gates that keep what they hold for up to this many steps (chrono initialisation).",
    )


class ImageClassificationConfig(TaskConfig):
    """All settings of an image classifier's run."""

    images: ImageSettings
    batches: ImageBatchSettings = ImageBatchSettings()
    model: ClassifierSettings = ClassifierSettings()
