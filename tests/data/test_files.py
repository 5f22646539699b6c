import os
from pathlib import Path

import pytest

from recurra.data import write_atomically
from recurra.data.files import check_writable
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


def test_of_a_link_what_it_points_at_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder" / "file")
    for content in ("new", "newer"):
        write_atomically(tmp_path / "link", content)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "folder" / "file").read_text() == content
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with a name")
def test_a_pipe_is_written_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_writable(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomically(pipe, "some")
        assert os.read(reader, 100) == b"some"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no full device")
def test_a_full_device_is_one_line_and_stays_a_device(tmp_path):
    link = tmp_path / "link"  # so that a mistake replaces the link alone
    link.symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"link: cannot be written \(No space left on device\)"):
        write_atomically(link, "some")
    assert link.is_char_device()
