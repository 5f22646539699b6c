"""The commands that set Recurra up: the environment is made once, made again when it must be, and never half."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="make and the scripts need a POSIX shell")

# Stands in for Python, pip and venv: notes what it is asked to install, and fails as the test wishes.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
    *sys.version_info*'>'*|*sys.version_info*'<'*) exit ${FAKE_TOO_OLD:-0} ;;
    *sys.version_info*) link=$(readlink -f "$0") && echo "${link##*/python}" ;;
    "-c import ensurepip") exit ${FAKE_NO_ENSUREPIP:-0} ;;
    "-m venv "*)
        echo "$*" >>log
        rm -rf .venv && mkdir -p .venv/bin && cp "$0" ".venv/bin/${0##*/}" && ln -s "${0##*/}" .venv/bin/python
        echo "#!$(pwd -P)/.venv/bin/python" >.venv/bin/pip ;;
    "-m pip "*)
        echo "$*" >>log
        [ -z "${FAKE_KILL:-}" ] || kill -9 $PPID
        exit ${FAKE_PIP_FAILS:-0} ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """A copy of what the script reads, with the stand-in for Python beside it."""
    folder = tmp_path / "checkout"
    (folder / "scripts").mkdir(parents=True)
    for file in ("pyproject.toml", "constraints.txt", "scripts/environment.sh"):
        shutil.copy(PROJECT / file, folder / file)
    for version in ("python3.11", "python3.12"):
        fake = tmp_path / version
        fake.write_text(FAKE_PYTHON)
        fake.chmod(0o755)
    return folder


def set_up(checkout, purpose="test", python="python3.11", **wishes):
    """Run the script there; return its exit code, its two streams and what was asked of pip and venv."""
    (checkout / "log").write_text("")
    environment = {"PATH": os.environ["PATH"], "PYTHON": str(checkout.parent / python) if python else ""} | wishes
    done = subprocess.run(
        [checkout / "scripts" / "environment.sh", purpose],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout, done.stderr, (checkout / "log").read_text().splitlines()


def stamp(checkout):
    return checkout / ".venv" / "installed"


def test_the_first_call_makes_the_environment_and_the_second_reuses_it(checkout):
    code, out, err, log = set_up(checkout)
    assert (code, err) == (0, "")
    assert "Making the virtual environment .venv with Python 3.11" in out
    assert "Installing Recurra" in out
    assert [line.split()[1] for line in log] == ["venv", "pip"]
    assert log[1].endswith("--constraint constraints.txt --editable .[dev]")
    assert set_up(checkout) == (0, "", "", [])


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt"])
def test_a_changed_requirement_installs_again_into_the_same_environment(checkout, file):
    set_up(checkout)
    with (checkout / file).open("a") as end:
        end.write("\n# changed\n")
    assert [line.split()[1] for line in set_up(checkout)[3]] == ["pip"]
    assert set_up(checkout)[3] == []


def test_a_copied_checkout_does_not_run_the_code_of_the_original(checkout, tmp_path):
    set_up(checkout)
    copy = shutil.copytree(checkout, tmp_path / "copy", symlinks=True)
    assert [line.split()[1] for line in set_up(copy)[3]] == ["venv", "pip"]


def test_what_the_checks_need_serves_the_demo_but_not_the_other_way(checkout):
    assert set_up(checkout, "demo")[3][-1].endswith(".[plots]")
    assert set_up(checkout, "test")[3][-1].endswith(".[dev]")
    assert set_up(checkout, "demo") == (0, "", "", [])


def test_a_failed_installation_is_said_and_taken_up_again(checkout):
    code, _, err, _ = set_up(checkout, FAKE_PIP_FAILS="1")
    assert code == 2
    assert err == "error: the installation did not finish, pip says why above; `make test` takes it up again\n"
    assert not stamp(checkout).exists()
    code, _, _, log = set_up(checkout)
    assert (code, [line.split()[1] for line in log]) == (0, ["pip"])
    assert stamp(checkout).exists()


def test_an_installation_that_is_killed_leaves_no_stamp_not_even_the_old_one(checkout):
    set_up(checkout, "demo")
    assert stamp(checkout).exists()
    assert set_up(checkout, FAKE_KILL="1")[0] < 0
    assert not stamp(checkout).exists()
    assert set_up(checkout, "demo")[3] != []


def test_an_environment_whose_python_is_gone_is_made_anew(checkout):
    set_up(checkout)
    (checkout / ".venv" / "bin" / "python").unlink()
    code, _, _, log = set_up(checkout)
    assert (code, [line.split()[1] for line in log]) == (0, ["venv", "pip"])


def test_another_python_asked_for_makes_the_environment_anew(checkout):
    set_up(checkout, python="python3.11")
    code, out, _, log = set_up(checkout, python="python3.12")
    assert (code, [line.split()[1] for line in log]) == (0, ["venv", "pip"])
    assert "with Python 3.12" in out
    assert set_up(checkout, python=None) == (0, "", "", [])


def test_without_ensurepip_the_pip_beside_python_serves(checkout):
    code, _, _, log = set_up(checkout, FAKE_NO_ENSUREPIP="1")
    assert code == 0
    assert log[0] == "-m venv --clear --without-pip .venv"
    assert log[1].startswith("-m pip --python .venv/bin/python install")


@pytest.mark.parametrize("wish", [{"FAKE_TOO_OLD": "1"}, {"PYTHON": "/no/such/python"}])
def test_a_python_that_is_too_old_or_missing_is_one_clear_line(checkout, wish):
    code, out, err, log = set_up(checkout, **wish)
    assert (code, out, log) == (2, "", [])
    assert re.fullmatch(
        r"error: PYTHON=\S+ is not a Python 3\.11 or newer; name one that is: make test PYTHON=.*\n", err
    )
    assert not (checkout / ".venv").exists()


def test_no_python_at_all_is_one_clear_line(checkout, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "dirname", "cat", "cmp", "rm", "mv", "date", "grep"):
        (tools / tool).symlink_to(shutil.which(tool))
    code, _, err, _ = set_up(checkout, python=None, PATH=str(tools))
    assert code == 2
    assert (
        err == "error: no Python 3.11 or newer was found; install one, or name it: make test PYTHON=/path/to/python3\n"
    )


def test_an_unknown_purpose_lists_the_known_ones(checkout):
    code, _, err, _ = set_up(checkout, "lunch")
    assert (code, err) == (
        2,
        "error: there is no environment for 'lunch'; use: scripts/environment.sh demo|test\n",
    )


def step(*command):
    return subprocess.run([PROJECT / "scripts" / "step.sh", *command], capture_output=True, text=True, check=False)


def test_a_step_that_fails_says_which_and_keeps_its_exit_code():
    done = step("lint", "sh", "-c", "echo found something; exit 3")
    assert done.returncode == 3
    assert "found something" in done.stdout
    assert re.search(
        r"^── lint FAILED after \d+ s \(exit code 3\); to run it alone: make lint$", done.stderr, re.MULTILINE
    )


def test_a_step_that_passes_says_so():
    done = step("lint", "true")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^── lint passed in \d+ s$", done.stdout, re.MULTILINE)


def make(*arguments):
    """What make would run or prints; the variables of a make around this test are kept out."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], capture_output=True, text=True, check=True, cwd=PROJECT, env=environment
    ).stdout


def test_make_test_runs_every_check_in_order_after_the_environment():
    lines = make("--dry-run", "test").splitlines()
    assert lines[0] == "scripts/environment.sh test"
    steps = [line.split()[1] for line in lines if line.startswith("scripts/step.sh")]
    assert steps == ["lint", "layout", "types", "imports", "tests"]


def test_continuous_integration_runs_make_test_and_nothing_else():
    lines = [line for line in (PROJECT / ".ci" / "run").read_text().splitlines() if not line.startswith("#")]
    assert lines == ["set -euo pipefail", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."', "exec make test </dev/null"]
    assert os.access(PROJECT / ".ci" / "run", os.X_OK)


def test_make_alone_lists_every_target():
    targets = re.findall(r"^\.PHONY: (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)[0].split()
    assert re.findall(r"^  make (\w+) ", make(), re.MULTILINE) == [name for name in targets if name != "environment"]
