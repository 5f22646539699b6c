"""The words of a command line are read before PyTorch is imported, and Ctrl-C is one line at every moment."""

import signal
import subprocess
import sys

import pytest

from recurra.cli.app import COMMANDS

HELP = [
    ["--help"],
    ["--version"],
    ["trian"],
    ["--verion"],
    ["train"],
    ["train", "--help"],
    ["train", "language-modelling", "--help"],
    ["train", "language-modelling", "--lr", "3"],
    ["train", "image-classification", "--help"],
    ["range-test", "language-modelling", "--help"],
    *([name, "--help"] for name in COMMANDS),
    *([name, "--no-such-flag"] for name in COMMANDS),
    ["cells"],
    ["cells", "gru"],
    ["cells", "gur"],
]


def run(code, *words):
    """Run a Python program in a process of its own, where nothing has been imported yet."""
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)


def test_help_and_mistakes_import_no_torch():
    code = f"""
import sys
from recurra.cli.app import main
for words in {HELP!r}:
    main(words)
    assert not {{"torch", "numpy"}} & set(sys.modules), words
"""
    done = run(code)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_programs_own_help_imports_no_pydantic_either():
    code = """
import sys
from recurra.cli.app import main
for words in ["--help"], ["train", "--help"], ["trian"], ["score", "--help"]:
    main(words)
    assert "pydantic" not in sys.modules, words
"""
    done = run(code)
    assert done.returncode == 0, done.stderr[-2000:]


# Sends a signal to itself when a module is about to be imported, then runs the command line.
SIGNALLED = """
import os, signal, sys
module, number, *words = sys.argv[1:]
signal.signal(signal.SIGINT, signal.default_int_handler)
for number_of_end in (signal.SIGTERM, signal.SIGHUP):  # which may be ignored where the tests run, as under nohup
    signal.signal(number_of_end, signal.SIG_DFL)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), int(number))
sys.meta_path.insert(0, Finder())
sys.argv = ["recurra", *words]
from recurra.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("recurra.cli.app", ["--help"]),
        ("typer", ["--help"]),
        ("rich.text", ["--help"]),
        ("recurra.cli.score", ["score", "runs/a", "text"]),
        ("pydantic", ["score", "runs/a", "text"]),
        ("torch", ["score", "runs/a", "text"]),
        ("torch.nn.modules.rnn", ["sample", "runs/a"]),
        ("recurra.tasks.run", ["sample", "runs/a"]),
    ],
)
def test_ctrl_c_is_one_line_whatever_is_imported(module, words):
    done = run(SIGNALLED, module, str(int(signal.SIGINT)), *words)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nrecurra: stopped\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_while_importing_ends_in_silence(number):
    done = run(SIGNALLED, "torch", str(int(number)), "sample", "runs/a")
    assert (done.returncode, done.stdout, done.stderr) == (-number, "", "")


def test_ctrl_c_that_is_ignored_stays_ignored():
    """As after nohup, or in the background of a shell."""
    ignoring = SIGNALLED.replace("signal.default_int_handler", "signal.SIG_IGN")
    done = run(ignoring, "typer", str(int(signal.SIGINT)), "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("recurra ")
