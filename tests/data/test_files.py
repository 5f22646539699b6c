from pathlib import Path

import pytest

from recurra.data import write_atomically
from recurra.errors import RunError


def test_a_file_is_written_and_replaced_whole(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "é\r\n")
    assert path.read_bytes() == "é\r\n".encode()
    write_atomically(path, b"\x00")
    assert path.read_bytes() == b"\x00"
    assert list(tmp_path.iterdir()) == [path]


def test_what_stops_the_writing_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "old")

    def stop(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(RunError, match=r"file: cannot be written \(No space left on device\)"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "missing" / "file", tmp_path / "file" / "file", tmp_path):
        with pytest.raises(RunError, match="cannot be written"):
            write_atomically(path, "")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
