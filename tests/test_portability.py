"""Training and going on with it where the system has less than Linux: what Windows lacks is taken away first."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

LIKE_WINDOWS = """
    import ctypes, os, signal, sys, warnings
    from pathlib import Path

    import torch  # which looks for some of this itself where it thinks that it is on Linux

    # Text is in the code page of its user there, unless a file is opened with an encoding.
    warnings.filterwarnings("error", category=EncodingWarning, module="recurra")
    for module in ("fcntl", "grp", "pwd", "resource", "termios", "tty"):
        sys.modules[module] = None  # importing it is an ImportError
    for name in ("O_DIRECTORY", "fork", "forkpty", "geteuid", "getuid", "killpg", "mkfifo", "register_at_fork",
                 "sched_getaffinity", "statvfs", "sysconf", "uname"):
        delattr(os, name)
    for name in ("SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGTSTP", "SIGUSR1"):
        delattr(signal, name)

    def only_with_a_name(library, name, *arguments, init=ctypes.CDLL.__init__, **options):
        if name is None:
            raise TypeError("argument of type 'NoneType' is not iterable")
        init(library, name, *arguments, **options)

    ctypes.CDLL.__init__ = only_with_a_name

    def refuse_if_in_use(path):
        "A file that is open or mapped into memory can be neither removed nor replaced."
        path = os.path.realpath(path)
        descriptors = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
        if path in {os.path.realpath(d) for d in descriptors} or f" {path}\\n" in Path("/proc/self/maps").read_text():
            raise PermissionError(13, "it is being used by another process", path)

    def refusing(function):
        def call(*paths, **options):
            for path in paths:
                refuse_if_in_use(path)
            return function(*paths, **options)
        return call

    for name in ("remove", "rename", "replace", "unlink"):
        setattr(os, name, refusing(getattr(os, name)))
"""

TRAIN = """
    from recurra.tasks import TASKS, load, train_run
    from recurra.tasks.language_modelling import LANGUAGE_MODELLING, LanguageModellingConfig
    from recurra.tasks.run import resume_run
    from recurra.training import Observer

    class Stop(Observer):
        def on_step(self, event):
            raise KeyboardInterrupt

    def check(backend):
        def config(steps):
            return LanguageModellingConfig(
                text={"data": "cats.txt"},
                batches={"batch_size": 4, "chunk_length": 8},
                model={"embedding_size": 4, "hidden_size": 4, "backend": backend},
                training={"max_steps": steps, "learning_rate": 0.05, "seed": 1},
            )

        whole, run, stopped = (Path(backend) / name for name in ("whole", "run", "stopped"))
        train_run(LANGUAGE_MODELLING, config(4), whole)
        train_run(LANGUAGE_MODELLING, config(2), run)
        _, result = resume_run(run, TASKS, {"max_steps": 4})
        assert result.steps == 4
        assert (run / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
        assert load(run).sample(5, seed=1) == load(whole).sample(5, seed=1)
        try:
            train_run(LANGUAGE_MODELLING, config(4), stopped, lambda prepared, folder: [Stop()])
        except KeyboardInterrupt:
            assert not list(stopped.rglob("*.partial"))

    Path("cats.txt").write_text("the cat sat on the mat\\n" * 60, encoding="utf-8")
    check("reference")
    check("cpu")
    print("all is well")
"""


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="which files are in use is not known here")
def test_training_and_going_on_with_it_need_nothing_that_windows_lacks(tmp_path):
    program = textwrap.dedent(LIKE_WINDOWS) + textwrap.dedent(TRAIN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-X", "warn_default_encoding", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "all is well"
