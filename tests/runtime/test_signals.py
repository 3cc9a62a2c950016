import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from graphdown.runtime import signals
from graphdown.runtime.signals import Interrupted, deferred_stop, stopped_at_once


@pytest.fixture(autouse=True)
def heeded():
    """Signals are not ignored, as SIGINT is in what a shell starts in the background."""
    before = {n: signal.getsignal(n) for n in signals.STOPPING}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, 143),
        (signal.SIGUSR1, 128 + signal.SIGUSR1),
        (signal.SIGUSR2, 128 + signal.SIGUSR2),
    ],
)
def test_a_signal_is_noted_and_heeded_where_asked(number, status):
    done = []
    with pytest.raises(Interrupted) as raised, deferred_stop() as stop:
        stop.check()
        os.kill(os.getpid(), number)
        done.append("what was begun")
        assert stop.asked == number
        stop.check()
    assert done and raised.value.status == status and raised.value.signal == number


def test_a_second_signal_stops_at_once():
    with pytest.raises(Interrupted), deferred_stop():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("the second was not heeded")


def test_handlers_are_put_back():
    before = [signal.getsignal(n) for n in signals.STOPPING]
    with deferred_stop(), stopped_at_once():
        pass
    assert [signal.getsignal(n) for n in signals.STOPPING] == before


class Destroyed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        while True:  # until the signal strikes
            pass


def test_a_signal_that_python_drops_is_silent_and_heeded_later(capfd):
    with pytest.raises(Interrupted) as raised, stopped_at_once():
        Destroyed()
        with deferred_stop() as stop:
            stop.check()
    assert raised.value.signal == signal.SIGINT
    assert capfd.readouterr().err == ""
    with deferred_stop() as stop:
        assert stop.asked is None


def test_what_a_library_makes_of_a_signal_is_interrupted_again():
    with pytest.raises(Interrupted) as raised, stopped_at_once():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Interrupted as inner:
            raise ValueError("cannot be read") from inner
    assert raised.value.signal == signal.SIGTERM
    with pytest.raises(ValueError), stopped_at_once():
        raise ValueError("no signal struck")


def test_other_threads_are_never_asked():
    seen = []

    def work() -> None:
        with deferred_stop() as stop:
            stop.check()
            seen.append(stop.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]


def test_the_command_line_exits_with_the_code_of_the_signal():
    script = (
        "import os, signal\nfrom graphdown import cli\n"
        "def stuck() -> None: os.kill(os.getpid(), signal.SIGTERM)\n"
        "cli.COMMANDS = {'stuck': stuck, 'other': stuck}\ncli.main(['stuck'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 143
    assert done.stderr == "graphdown: interrupted (SIGTERM); the same command resumes the work.\n"


WAITS_FOR_EVER = """
import os, signal, threading
from graphdown.runtime import signals

signals.GRACE_S = 0.2
taken = threading.Lock()
taken.acquire()
with signals.stopped_at_once():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        taken.acquire()
"""


def test_a_process_that_cannot_clean_up_ends_after_a_while():
    done = subprocess.run([sys.executable, "-c", WAITS_FOR_EVER], capture_output=True, text=True)
    assert done.returncode == 143
    assert done.stderr == "graphdown: interrupted (SIGTERM); the same command resumes the work.\n"


def test_one_that_can_is_left_alone(monkeypatch):
    monkeypatch.setattr(signals, "GRACE_S", 0.1)
    with pytest.raises(Interrupted), signals.stopped_at_once():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    time.sleep(0.2)
