"""Copies of this process, which may die or know each other as the processes of torchrun do."""

import os
import signal
import socket
import sys
import threading
import time
import traceback
import warnings

import torch


def settled():
    """Wait for what is being compiled ahead of its use: a copy has none of those threads, and waits for what they hold.

    Also what a test compiles for another processor would else be kept as something that it is not.
    """
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.name.startswith("recurra"):
            thread.join()


def copied(work):
    """Do some work in a copy of this process; gives its number. It ends with 0 if the work went well."""
    settled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the copy has one thread, whatever this process has
        child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.signal(signal.SIGSEGV, signal.SIG_DFL)
            work()
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            sys.__stderr__.flush()
            os._exit(code)
    return child


def ended(child, seconds=120):
    """Wait for a copy; gives how it ended, which is by a SIGKILL where it took longer than it may."""
    until = time.monotonic() + seconds
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)


def together(work, processes=2):
    """Run `work(rank)` in processes that know each other as torchrun's do; gives how each ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def one(rank):
        torch.set_num_threads(1)
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in place.items()}, MASTER_ADDR="127.0.0.1")
        work(rank)

    children = [copied(lambda rank=rank: one(rank)) for rank in range(processes)]
    return [ended(child) for child in children]
