"""Lines of a file: what ends one, what is no text, and that memory does not grow with the file."""

import gzip
import io
import os
import re
import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recurra.data import lines
from recurra.data.lines import STANDARD_INPUT, Source, read_lines, read_raw_lines
from recurra.errors import DataError


@pytest.fixture
def file(tmp_path):
    def write(data: bytes) -> Path:
        path = tmp_path / "some.txt"
        path.write_bytes(data)
        return path

    return write


def texts(path):
    return [line for _, line in read_lines(path)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"\r", [""]),
        (b"\r\n", [""]),
        (b"one", ["one"]),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\r\ntwo\nthree\n\r\nfour", ["one", "two", "three", "", "four"]),
        (b"one\r\rtwo", ["one", "", "two"]),
        (b"one\ntwo\r", ["one", "two"]),
        (b"\xef\xbb\xbfone\n\xef\xbb\xbftwo", ["one", "\ufefftwo"]),
        (b"\xef\xbb\xbf", [""]),
        (b"a\tb \n c", ["a\tb ", " c"]),
    ],
)
def test_a_line_ends_in_a_line_feed_a_carriage_return_or_both(file, data, expected):
    path = file(data)
    assert list(read_lines(path)) == list(enumerate(expected, 1))


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\xa0"])
def test_no_other_character_ends_a_line(file, character):
    assert texts(file(f"one{character}two\nthree".encode())) == [f"one{character}two", "three"]


@example(["\r\n", "\n", "\r", "\n", "\r", "\r"], 1)
@given(st.lists(st.sampled_from(["a", "é", "\n", "\r", "\r\n", "\u2028", "word"])), st.integers(1, 5))
def test_lines_are_the_same_however_much_is_read_at_once(pieces, chunk):
    text = "".join(pieces)
    expected = re.split("\r\n|\r|\n", text)
    if not expected[-1]:
        expected.pop()
    ends = re.findall("\r\n|\r|\n", text.removesuffix("\r"))

    class Slow(io.BytesIO):
        def read1(self, size=-1):
            return super().read1(chunk)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.TextIOWrapper(Slow(text.encode())))
        if "\r" in ends and set(ends) != {"\r"}:
            line = ends.index("\r") + 1
            with pytest.raises(DataError, match=f"standard input:{line}: a carriage return alone ends this line"):
                texts(STANDARD_INPUT)
        else:
            assert texts(STANDARD_INPUT) == expected


def test_a_gzipped_file_is_unpacked_whatever_its_name(file):
    assert texts(file(gzip.compress(b"one\ntwo"))) == ["one", "two"]


def test_standard_input_stays_open_and_a_line_comes_before_the_next_is_written(monkeypatch):
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "r") as stdin, os.fdopen(write_end, "wb", buffering=0) as typed:
        monkeypatch.setattr("sys.stdin", stdin)
        reader = read_lines(STANDARD_INPUT)
        typed.write(b"one\n")
        assert next(reader) == (1, "one")
        typed.write(b"two\r")
        assert next(reader) == (2, "two")
        typed.write(b"\nthree")
        typed.close()
        assert list(reader) == [(3, "three")]
        assert not stdin.closed


def test_what_is_read_from_a_named_pipe_is_read_once(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"one\ntwo\n",))
    writer.start()
    assert texts(path) == ["one", "two"]
    writer.join()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"one\ntw\xe9o\n", r"some.txt:2: byte 3 of the line is 0xe9, which is no UTF-8 there; .*iconv"),
        (b"one\rtwo\r\xff", r"some.txt:3: byte 1 of the line is 0xff"),
        (b"\xed\xa0\x80", r"some.txt:1: byte 1 of the line is 0xed"),
        (b"one\ntwo\n\nth\0ree", r"some.txt:4: byte 3 of the line is zero, as in a binary file"),
        ("one\n".encode("utf-16"), r"some.txt: this is UTF-16 text.*iconv -f UTF-16"),
        (b"PK\x03\x04\xff", r"some.txt: this is a zip archive"),
        (gzip.compress(b"one\n" * 1000, mtime=0)[:-12], r"some.txt: cannot be read"),
        (b"\x1f\x8b\x08" + b"\0" * 7 + b"\xff" * 20, r"some.txt: cannot be read"),
    ],
)
def test_what_is_no_text_is_refused_with_its_line(file, data, message):
    with pytest.raises(DataError, match=message) as caught:
        texts(file(data))
    assert "\n" not in str(caught.value)


def test_lines_before_one_that_is_no_text_are_read(file):
    reader = read_lines(file(b"one\n\xff\n"))
    assert next(reader) == (1, "one")
    with pytest.raises(DataError, match=":2:"):
        next(reader)


def test_a_file_that_is_missing_and_a_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"missing.txt: there is no such file"):
        texts(tmp_path / "missing.txt")
    with pytest.raises(DataError, match=r"this is a folder"):
        texts(tmp_path)
    with pytest.raises(DataError, match=r"no path of a file"):
        texts(Path("a\0b"))


def test_a_source_says_its_file_and_line():
    assert str(Source(Path("a/b.txt"), 7)) == "a/b.txt:7"
    assert str(Source(STANDARD_INPUT, 7)) == "standard input:7"


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_memory_does_not_grow_with_the_file(file, end):
    size = 4 << 20
    path = file((b"word " * 15 + end) * (size // 76))
    tracemalloc.start()
    count = sum(1 for _ in read_raw_lines(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == size // 76
    assert peak < size / 2


def test_a_line_may_be_longer_than_what_is_read_at_once(file):
    long = "é" * (3 * lines.CHUNK)
    assert texts(file(f"{long}\n{long}x".encode())) == [long, long + "x"]
