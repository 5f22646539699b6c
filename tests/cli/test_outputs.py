import io
from pathlib import Path

import pytest
from rich.console import Console

from recurra.cli.outputs import check_outputs, write_outputs
from recurra.errors import RunError


def test_what_fails_keeps_nothing_else_from_being_written(here):
    console = Console(file=io.StringIO())

    def full(path):
        raise RunError(f"{path}: No space left on device")

    with pytest.raises(RunError, match=r"a\.png: No space"):
        write_outputs(console, {Path("a.png"): full, Path("b.json"): lambda path: path.write_text("{}"), None: full})
    assert console.file.getvalue() == "Written: b.json\n"
    assert [path.name for path in here.iterdir()] == ["b.json"]


def test_a_check_changes_nothing(here):
    (here / "there.json").write_text("before")
    check_outputs(plot=Path("new.png"), json_file=Path("there.json"))
    assert [path.name for path in here.iterdir()] == ["there.json"]
    assert (here / "there.json").read_text() == "before"
