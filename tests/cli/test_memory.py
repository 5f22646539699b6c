"""The command line takes its memory in large pages; seen in what the system says of it, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import torch
from recurra.cli.app import main
main(["--version"])
several = torch.ones(10_000_000)
place = several.data_ptr()
found = None
for line in open("/proc/self/smaps"):
    first = line.split()[0]
    if "-" in first:
        begin, end = (int(number, 16) for number in first.split("-"))
        found = begin <= place < end
    elif first == "VmFlags:" and found:
        print("hg" in line.split())
"""


def asks_for_large_pages(**environment):
    own = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env={**own, **environment}
    )
    return done.stdout.split()[-1] == "True"


def test_memory_comes_in_large_pages_unless_the_user_has_decided():
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists() or "[madvise]" not in setting.read_text():
        pytest.skip("large pages are not for the asking here")
    assert asks_for_large_pages()
    assert not asks_for_large_pages(THP_MEM_ALLOC_ENABLE="0")
