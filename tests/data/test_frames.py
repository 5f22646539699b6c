"""Files of features: either order of bytes, lengths by the header alone, and every bad file named."""

import re

import numpy as np
import pytest

from recurra.data.frames import frames_in, read_frames
from recurra.errors import DataError

FRAMES = np.random.default_rng(0).standard_normal((7, 13)).astype(np.float32)


def sphinx(frames, order):
    return np.array(frames.size, f"{order}i4").tobytes() + frames.astype(f"{order}f4").tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_header_tells_the_order_of_bytes(tmp_path, order):
    path = tmp_path / "a.mfc"
    path.write_bytes(sphinx(FRAMES, order))
    assert frames_in(path) == (7, 13)
    assert np.array_equal(read_frames(path), FRAMES)


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "i2", "f2"])
def test_arrays_of_any_numbers_are_read(tmp_path, dtype):
    frames = (FRAMES * 100).astype(dtype)
    np.save(tmp_path / "a.npy", np.asfortranarray(frames))
    assert frames_in(tmp_path / "a.npy") == (7, 13)
    assert read_frames(tmp_path / "a.npy").tolist() == frames.astype(np.float32).tolist()


def test_no_frame_is_no_error(tmp_path):
    (tmp_path / "a.mfc").write_bytes(bytes(4))
    np.save(tmp_path / "a.npy", FRAMES[:0])
    assert read_frames(tmp_path / "a.mfc").shape == read_frames(tmp_path / "a.npy").shape == (0, 13)


def written(content):
    return lambda path: path.write_bytes(content)


def saved(array):
    def write(path):
        with path.open("wb") as file:
            np.save(file, array, allow_pickle=True)

    return write


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.mfc", written(sphinx(FRAMES, ">")[:-4]), "its header says 1,526,726,656 numbers, or 91 "),
        ("a.mfc", written(sphinx(FRAMES[:1, :12], "<")), "12 numbers are no frames of 13"),
        ("a.mfc", written(b"ab"), "give a whole file of Sphinx"),
        ("a.mfc", written(b""), "this file is empty"),
        ("a.mfc", written(sphinx(np.full((2, 13), np.nan), "<")), "a feature of frame 1 is not finite"),
        ("a.npy", written(b"no array at all"), "this is no array of NumPy's"),
        ("a.npy", saved(FRAMES[0]), "an array of float32 and shape (13,); give one of numbers, frames by features"),
        ("a.npy", saved(FRAMES.astype(complex)), "an array of complex128"),
        ("a.npy", saved(np.array([[{"a": 1}]], object)), "an array of object"),
        ("a.npy", saved(FRAMES[:, :0]), "shape (7, 0)"),
    ],
)
def test_what_is_no_file_of_features_is_said(tmp_path, name, write, message):
    path = tmp_path / name
    write(path)
    with pytest.raises(DataError, match=re.escape(message)) as error:
        read_frames(path)
    assert str(path) in str(error.value)


def test_a_cut_array_is_said_by_its_header_alone(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, FRAMES)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="its header says 7 frames of 13, and the file ends before"):
        frames_in(path)
