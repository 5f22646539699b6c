import errno
import os
import re
import resource

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from recurra.errors import RunError
from recurra.training import Checkpoints
from recurra.training.checkpoints import pack, read_checkpoint, unpack, write_checkpoint

STATE = {"weights": {"W": torch.arange(6.0).view(2, 3), "b": torch.zeros(2)}, "step": 7, "rate": 0.1, "none": None}


def same(state):
    return state["step"] == 7 and torch.equal(state["weights"]["W"], STATE["weights"]["W"])


def test_other_tools_can_read_the_tensors(tmp_path):
    write_checkpoint(tmp_path / "one.safetensors", STATE)
    with safe_open(tmp_path / "one.safetensors", "pt") as file:
        assert torch.equal(file.get_tensor("weights/W"), STATE["weights"]["W"])


@given(st.data())
def test_one_bit_changed_anywhere_is_noticed(data):
    content = bytearray(pack(STATE))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(RunError, match=r"^one: "):
        unpack(bytes(content), "one")


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 100, b"garbage", pack(STATE)[:-1], pack(STATE)[: len(pack(STATE)) // 2]]
)
def test_a_file_cut_short_or_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "one").write_bytes(content)
    with pytest.raises(RunError, match="damaged"):
        read_checkpoint(tmp_path / "one")


def test_another_version_is_refused(monkeypatch):
    monkeypatch.setattr("recurra.training.checkpoints.VERSION", "2")
    newer = pack(STATE)
    monkeypatch.undo()
    with pytest.raises(RunError, match="a checkpoint of version '2', and this Recurra reads version 1"):
        unpack(newer, "one")


def test_the_newest_few_and_the_best_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path / "deep" / "below", keep=2)
    assert checkpoints.newest() is None
    for step in range(5):
        checkpoints.write(step, {"step": step}, best=step in {1, 2})
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == [
        "best.safetensors",
        "step-000000003.safetensors",
        "step-000000004.safetensors",
    ]
    assert read_checkpoint(checkpoints.folder / "best.safetensors") == {"step": 2}


def test_a_damaged_one_falls_back_to_the_one_before(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=3)
    for step in range(4):
        newest = checkpoints.write(step, {"step": step}, best=step == 0)
    newest.write_bytes(newest.read_bytes()[:-1])
    loaded = checkpoints.newest()
    assert loaded.state == {"step": 2}
    assert [re.sub(r"^.*/", "", problem) for problem in loaded.damaged] == [
        "step-000000003.safetensors: damaged: its checksum is not that of its content"
    ]
    for path in checkpoints.paths():
        path.write_bytes(b"")
    assert (checkpoints.newest().path.name, checkpoints.newest().state) == ("best.safetensors", {"step": 0})


def test_without_a_whole_one_there_is_nothing_to_go_on_from(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(3, {"step": 3}).write_bytes(b"")
    with pytest.raises(RunError, match=r"no checkpoint in .* can be read: .*damaged.*; train again"):
        checkpoints.newest()


def test_a_full_disk_leaves_the_last_one_and_no_rubbish(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write(1, {"step": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal_ignored()
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # writing beyond it fails as on a full disk
    try:
        with pytest.raises(
            RunError, match=rf"step-000000002.safetensors: cannot be written \({os.strerror(errno.EFBIG)}\)"
        ):
            checkpoints.write(2, {"step": 2, "large": torch.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        before()
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.safetensors"]
    assert checkpoints.newest().state == {"step": 1}


def signal_ignored():
    """Have the signal of a file that grows too large ignored, as Python does; gives what puts it back."""
    import signal

    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    return lambda: signal.signal(signal.SIGXFSZ, before)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(RunError, match="cannot be made"):
        Checkpoints(tmp_path / "file" / "checkpoints").write(1, {"step": 1})
