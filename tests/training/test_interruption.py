import signal
import threading

import pytest

from recurra.training.interruption import Interruption


@pytest.fixture(autouse=True)
def _plain_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


def test_the_first_waits_and_the_second_does_not():
    with Interruption() as interruption:
        assert not interruption.requested
        press_ctrl_c()
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_comes_through_where_nothing_can_be_left_half_done():
    with Interruption() as interruption:
        with pytest.raises(KeyboardInterrupt), interruption.comes_through():
            press_ctrl_c()
        press_ctrl_c()
        assert interruption.requested


def test_a_program_that_handles_ctrl_c_itself_is_left_alone():
    pressed = []

    def handler(number, frame):
        pressed.append(number)

    signal.signal(signal.SIGINT, handler)
    with Interruption() as interruption:
        press_ctrl_c()
        assert signal.getsignal(signal.SIGINT) is handler
        assert not interruption.requested
    assert pressed == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is handler


def test_other_threads_train_without_it():
    seen = []

    def work():
        with Interruption() as interruption:
            seen.append(interruption.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no such signal")
def test_a_closed_terminal_says_so_twice_and_asks_once():
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with Interruption() as interruption:
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGHUP)
            assert interruption.requested
            assert interruption.signal == signal.SIGHUP
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        with Interruption():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
