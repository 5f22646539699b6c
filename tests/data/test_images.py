import gzip
import itertools
import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.images import ImageBatches, labels_beside, mean_and_deviation, read_idx, read_images
from recurra.errors import DataError, SettingError, ShapeError
from support.images import bars, idx, write_images


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.booleans(), st.randoms(use_true_random=False))
def test_what_is_written_is_read(tmp_path_factory, shape, packed, random):
    elements = torch.tensor([random.randrange(256) for _ in range(torch.Size(shape).numel())]).view(shape)
    path = tmp_path_factory.mktemp("idx") / "elements"
    path.write_bytes(gzip.compress(idx(elements)) if packed else idx(elements))
    found = read_idx(path)
    assert found.dtype == torch.uint8
    assert torch.equal(found.long(), elements)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x89PNG", "begins with 89 50 4e 47"),
        (idx(torch.zeros(2), code=9), "no IDX file of bytes"),
        (bytes([0, 0, 8, 3, 0, 0]), "ends within its header of 16 bytes"),
        (idx(torch.zeros(2, 3))[:-1], "should hold 2 x 3 = 6 bytes after its header, and holds 5"),
        (idx(torch.zeros(2, 3)) + b"\0", "holds 7"),
        (gzip.compress(idx(torch.zeros(50)), mtime=0)[:-9], "gzip archive is damaged"),
        (gzip.compress(b"", mtime=0)[:4], "gzip archive is damaged"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path, content, message):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(tmp_path / "file")
    assert str(caught.value).startswith(f"{tmp_path / 'file'}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_idx(tmp_path / "gone")
    with pytest.raises(DataError, match="this is a folder"):
        read_idx(tmp_path)
    with pytest.raises(DataError, match="there is no such file"):
        read_images(tmp_path / "digits")  # whatever else is wrong with its name


def test_labels_are_found_beside_their_images(tmp_path):
    for name in ("train-images-idx3-ubyte.gz", "my-images"):
        images, labels = read_images(write_images(tmp_path, name, number=5))
        assert (images.shape, labels.tolist()) == ((5, 8, 8), [0, 1, 2, 0, 1])
    with pytest.raises(DataError, match='has "images" in its name'):
        labels_beside("digits.idx")


def test_images_and_labels_must_belong_together(tmp_path):
    path = write_images(tmp_path, "images", number=5)
    labels_beside(path).write_bytes(idx(torch.zeros(4)))
    with pytest.raises(DataError, match="holds 4 labels, and images 5 images"):
        read_images(path)
    path.write_bytes(idx(torch.zeros(5)))
    with pytest.raises(DataError, match="images have three dimensions"):
        read_images(path)
    labels_beside(path).unlink()
    path.write_bytes(idx(torch.zeros(5, 2, 2)))
    with pytest.raises(DataError, match="labels: there is no such file"):
        read_images(path)


def test_an_epoch_holds_every_image_once_in_an_order_of_its_own():
    images, labels = bars(23)
    batches = ImageBatches(images, labels, 5, seed=3)
    epochs = [list(batches.epoch(number)) for number in (0, 1)]
    assert [len(batch.targets) for batch in epochs[0]] == [5, 5, 5, 5, 3]
    assert len(batches) == 5
    rows = [torch.cat([batch.inputs[..., 0] for batch in epoch]) for epoch in epochs]
    whole = images.flatten(1).float()
    for found in rows:
        assert torch.equal(found.sort(0).values, whole.sort(0).values)
    assert not torch.equal(rows[0], rows[1])
    # every image keeps its label
    for row, target in zip(rows[0], torch.cat([batch.targets for batch in epochs[0]]), strict=True):
        place = (whole == row).all(1).nonzero()[0, 0]
        assert labels[place] == target


@given(st.integers(1, 30), st.integers(1, 8), st.integers(0, 3), st.integers(0, 12))
def test_an_epoch_can_be_taken_up_at_any_place(number, size, epoch, start):
    batches = ImageBatches(*bars(number), size, seed=1)
    state = torch.random.get_rng_state()
    whole = [(b.inputs, b.targets) for b in itertools.islice(batches.epoch(epoch), start, None)]
    rest = [(b.inputs, b.targets) for b in batches.epoch(epoch, start)]
    assert len(whole) == len(rest)
    assert all(torch.equal(x, y) for a, b in zip(whole, rest, strict=True) for x, y in zip(a, b, strict=True))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_pixels_are_read_in_order_some_a_step_and_scaled():
    images = torch.arange(12, dtype=torch.uint8).view(1, 3, 4)
    order = [*range(11, -1, -1)]
    batches = ImageBatches(
        images, torch.tensor([1]), 1, pixels_per_step=4, order=order, mean=2.0, deviation=2.0, shuffle=False
    )
    batch = next(batches.epoch(0))
    expected = ((torch.arange(11, -1, -1.0) - 2) / 2).view(1, 3, 4)
    assert torch.equal(batch.inputs, expected)


@given(st.integers(1, 7), st.integers(1, 9))
def test_shards_share_the_images_out(number, world):
    batch = next(ImageBatches(*bars(number), number).epoch(0))
    shards = [batch.shard(rank, world) for rank in range(world)]
    assert sum(shard.count for shard in shards) == batch.count == number
    assert torch.equal(torch.cat([shard.inputs for shard in shards if shard.count]), batch.inputs)
    assert all(len(shard.inputs) == max(shard.count, 1) for shard in shards)
    assert all(shard.fresh for shard in shards)


def test_what_does_not_fit_is_refused():
    images, labels = bars(4)
    with pytest.raises(SettingError, match=r"8 x 8 = 64 pixels .* take a divisor, such as 1 or 8"):
        ImageBatches(images, labels, 2, pixels_per_step=7)
    with pytest.raises(SettingError, match="batch_size is 0"):
        ImageBatches(images, labels, 0)
    with pytest.raises(ShapeError, match="no permutation of the 64 pixels"):
        ImageBatches(images, labels, 2, order=[0] * 64)
    with pytest.raises(ShapeError, match=r"these are \(4, 8, 8\) and \(3,\)"):
        ImageBatches(images, labels[:3], 2)


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.sampled_from([1, 2, 256]))
def test_the_mean_and_the_deviation_of_pixels_are_those_of_the_numbers(seed, count, values):
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(values, (count, 2, 3), generator=draw, dtype=torch.uint8)
    mean, deviation = mean_and_deviation(images)
    numbers = [Fraction(n) for n in images.flatten().tolist()]
    exact = sum(numbers) / len(numbers)
    assert mean == float(exact)
    variance = sum((n - exact) ** 2 for n in numbers) / (len(numbers) - 1)
    assert deviation == pytest.approx(math.sqrt(variance), rel=1e-15)
    torch.testing.assert_close((mean, deviation), (float(images.double().mean()), float(images.double().std())))


@pytest.mark.parametrize(
    "shape", [(0, 2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1, 0, 7), (2**16, 2**16, 2**16, 2**16)]
)
def test_sizes_beyond_all_measure_are_refused(tmp_path, shape):
    path = tmp_path / "images"
    path.write_bytes(bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape))
    with pytest.raises(DataError, match=r"it should hold .* bytes after its header, and holds 0; fetch it again"):
        read_idx(path)
