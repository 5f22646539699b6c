"""Images moved, turned and scaled a little at random, so that a model trains on others in every epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from recurra.checks import is_number, whole_number
from recurra.errors import SettingError, ShapeError

__all__ = ["Distortion"]


@dataclass(frozen=True, slots=True)
class Distortion:
    """Random affine maps of images about their centre, each with four draws u uniform in [-1, 1).

        out(p) = in(R(angle) p / size - move)
        angle = rotation u1,  size = 1 + scaling u2,  move = whole pixels in -shift..shift, all as likely, by u3 and u4

    Between pixels it interpolates linearly; what comes in from outside is 0. LeCun, Bottou, Bengio and Haffner,
    "Gradient-based learning applied to document recognition", Proceedings of the IEEE, 1998, section III C, trained on
    digits distorted so.

    Args:
        shift: The most that an image moves along either axis, in pixels.
        rotation: The most that it turns either way, in degrees.
        scaling: The share of its size by which it grows or shrinks at most, below 1.

    Raises:
        SettingError: One of them is negative, or the scaling 1 or more.

    Example:
        >>> move = Distortion(shift=1)
        >>> image = torch.tensor([[[0.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 0.0]]])
        >>> move(image, torch.tensor([[0.0, 0.0, 0.9, -0.9]]))[0].round().tolist()
        [[0.0, 0.0, 9.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """

    shift: int = 0
    rotation: float = 0.0
    scaling: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shift", whole_number("shift", self.shift, 0))
        for name, unit in [("rotation", "degrees"), ("scaling", "a share of the size")]:
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value < math.inf:
                raise SettingError(f"{name} is {value!r}; it is the most in {unit}, 0 or more")
        if self.scaling >= 1:
            raise SettingError(f"scaling is {self.scaling:g}; it is a share of the size, below 1")

    def __bool__(self) -> bool:
        """Whether anything changes at all."""
        return bool(self.shift or self.rotation or self.scaling)

    def draws(self, count: int, generator: torch.Generator) -> Tensor:
        """The draws u for so many images, (N, 4)."""
        return torch.rand(count, 4, generator=generator) * 2 - 1

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """Distort each image by its draws.

        Args:
            images: (N, height, width), a floating type.
            draws: (N, 4), in [-1, 1): of the angle, the size, and the moves right and down.

        Returns:
            The images distorted, (N, height, width).

        Raises:
            ShapeError: The draws are not four for each image.
        """
        if images.dim() != 3 or draws.shape != (len(images), 4):
            raise ShapeError(
                "images are (N, height, width), and draws (N, 4); "
                f"these are {tuple(images.shape)} and {tuple(draws.shape)}"
            )
        height, width = images.shape[1:]
        angle, size = draws[:, 0] * math.radians(self.rotation), 1 + draws[:, 1] * self.scaling
        right, down = torch.floor(draws[:, 2:] * (self.shift + 0.5) + 0.5).unbind(1)
        cos, sin = angle.cos() / size, angle.sin() / size
        # torch counts either axis from -1 to 1, whatever its number of pixels: a turn is none where these differ,
        # unless each coordinate is scaled to the other's axis.
        across = torch.stack([cos, -sin * height / width, -right * 2 / width], 1)
        along = torch.stack([sin * width / height, cos, -down * 2 / height], 1)
        grid = F.affine_grid(
            torch.stack([across, along], 1).to(images), [len(images), 1, height, width], align_corners=False
        )
        return F.grid_sample(images[:, None], grid, align_corners=False)[:, 0]
