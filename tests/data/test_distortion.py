import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.distortion import Distortion
from recurra.data.images import ImageBatches
from recurra.errors import SettingError, ShapeError
from support.images import bars


def by_hand(image, angle, size, right, down):
    """The map as it is defined, pixel by pixel: where each comes from, and the mean of the four around that place."""
    height, width = image.shape
    out = torch.zeros(height, width, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            across, along = x - (width - 1) / 2, y - (height - 1) / 2
            turned = (
                across * math.cos(angle) - along * math.sin(angle),
                across * math.sin(angle) + along * math.cos(angle),
            )
            at = turned[0] / size - right + (width - 1) / 2, turned[1] / size - down + (height - 1) / 2
            left, top = math.floor(at[0]), math.floor(at[1])
            for column in (left, left + 1):
                for row in (top, top + 1):
                    if 0 <= column < width and 0 <= row < height:
                        share = (1 - abs(at[0] - column)) * (1 - abs(at[1] - row))
                        out[y, x] += share * image[row, column]
    return out


unit = st.floats(-1, 1, exclude_max=True)


@given(
    st.integers(2, 7),
    st.integers(2, 7),
    st.integers(0, 3),
    st.floats(0, 180),
    st.floats(0, 0.9),
    st.tuples(*[unit] * 4),
)
def test_it_is_the_affine_map_that_it_says(height, width, shift, rotation, scaling, draws):
    image = torch.rand(height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    u = torch.tensor([draws], dtype=torch.float64)
    found = Distortion(shift, rotation, scaling)(image[None], u)[0]
    right, down = (math.floor(draw * (shift + 0.5) + 0.5) for draw in draws[2:])
    expected = by_hand(image, draws[0] * math.radians(rotation), 1 + draws[1] * scaling, right, down)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_moves_are_whole_and_all_as_likely():
    images = torch.zeros(4000, 5, 5)
    images[:, 2, 2] = 1
    distortion = Distortion(shift=1)
    moved = distortion(images, distortion.draws(4000, torch.Generator().manual_seed(0))).round(decimals=4)
    assert ((moved == 0) | (moved == 1)).all()
    places = moved.sum(0)[1:4, 1:4]
    assert places.sum() == 4000
    assert ((places - 4000 / 9).abs() < 100).all()  # five standard deviations


def test_an_epoch_distorts_its_own_way_and_again_the_same():
    images, labels = bars(9)
    batches = ImageBatches(images, labels, 4, seed=1, distortion=Distortion(shift=2, rotation=20, scaling=0.2))
    first, again, other = (list(batches.epoch(number)) for number in (0, 0, 1))
    rest = list(batches.epoch(0, start=1))
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(first, again, strict=True))
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(first[1:], rest, strict=True))
    assert not torch.equal(first[0].inputs, other[0].inputs)
    # the order is that of the same images undistorted
    plain = list(ImageBatches(images, labels, 4, seed=1).epoch(0))
    assert all(torch.equal(a.targets, b.targets) for a, b in zip(first, plain, strict=True))
    assert not torch.equal(first[0].inputs, plain[0].inputs)


def test_pixels_are_put_in_order_after_the_image_is_distorted():
    images, labels = bars(6)
    given = {"seed": 1, "distortion": Distortion(shift=2)}
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0)).tolist()
    plain = next(ImageBatches(images, labels, 6, **given).epoch(0)).inputs
    permuted = next(ImageBatches(images, labels, 6, order=order, **given).epoch(0)).inputs
    assert torch.equal(permuted, plain[:, order])


def test_what_cannot_be_is_refused():
    with pytest.raises(SettingError, match=r"shift is -1; it is a whole number from 0"):
        Distortion(shift=-1)
    with pytest.raises(SettingError, match=r"rotation is nan; it is the most in degrees"):
        Distortion(rotation=math.nan)
    with pytest.raises(SettingError, match=r"scaling is 1; it is a share of the size, below 1"):
        Distortion(scaling=1.0)
    with pytest.raises(ShapeError, match=r"these are \(2, 3, 3\) and \(2, 3\)"):
        Distortion()(torch.zeros(2, 3, 3), torch.zeros(2, 3))
