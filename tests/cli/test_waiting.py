import io
import threading

from rich.console import Console

from recurra.cli.waiting import Waiting, WatchedBatches


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal():
    return Console(file=Terminal(), force_terminal=True, width=60, height=10)


def test_what_is_done_at_once_leaves_nothing_on_the_screen():
    console = terminal()
    with Waiting("reading", console) as waiting:
        waiting.step(1, 2)
    assert console.file.getvalue() == ""


def test_what_takes_longer_is_shown_and_taken_away():
    console, shown = terminal(), threading.Event()
    waiting = Waiting("reading", console, delay=0.0)
    show = waiting._show

    def show_and_say():
        show()
        shown.set()

    waiting._timer.function = show_and_say
    with waiting:
        waiting.step(3, 4)
        assert shown.wait(60)
        waiting._progress.refresh()
    text = console.file.getvalue()
    assert "reading" in text
    assert "75%" in text
    assert text.endswith("\x1b[2K") or text.rstrip("\n").endswith(("\x1b[2K", "\x1b[?25h"))


def test_no_terminal_gets_nothing():
    console = Console(file=io.StringIO())
    with Waiting("reading", console, delay=0.0) as waiting:
        waiting.step(1, 2)
    assert not waiting.live
    assert console.file.getvalue() == ""


class Batches:
    def __len__(self):
        return 3

    def epoch(self, number, start=0):
        return iter(range(start, 3))


def test_the_batches_of_an_epoch_are_told_as_they_are_read():
    told = []

    class Told:
        def step(self, done, total):
            told.append((done, total))

    assert list(WatchedBatches(Batches(), Told()).epoch(0)) == [0, 1, 2]
    assert told == [(0, 3), (1, 3), (2, 3)]
