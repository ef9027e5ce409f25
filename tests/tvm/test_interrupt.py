"""SIGINT during a call of TVM's own server, whose protocol has no request ids.

TVM's own client gives every later call its predecessor's answer after an interrupt.  Here each
later result is right, or an error says that there is none.
"""

from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest

from rpcnb.core.errors import RemoteInterrupted, SessionClosed
from rpcnb.remote.client import Remote


def press_after(seconds: float) -> threading.Timer:
    timer = threading.Timer(
        seconds, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)
    )
    timer.start()
    return timer


@pytest.fixture
def remote(session):
    return Remote(session)


def test_every_result_after_an_interrupt_is_its_own(remote) -> None:
    sleep, add_one = remote.get_function("test.sleep"), remote.get_function("test.add_one")
    press_after(0.1)
    began = time.monotonic()
    with pytest.raises(RemoteInterrupted, match="still runs on device: TVM cannot stop") as caught:
        sleep(0.6)
    assert time.monotonic() - began < 0.5
    assert not caught.value.confirmed
    assert [add_one(1), add_one(5), add_one(7)] == [2, 6, 8]
    assert remote.get_function("test.strcat")("a", "b") == "ab"


def test_a_call_that_waits_for_an_interrupted_one_can_be_interrupted_itself(remote) -> None:
    sleep, add_one = remote.get_function("test.sleep"), remote.get_function("test.add_one")
    press_after(0.1)
    with pytest.raises(RemoteInterrupted):
        sleep(0.8)
    press_after(0.1)
    with pytest.raises(RemoteInterrupted, match="was not sent: device still runs") as caught:
        add_one(1)
    assert caught.value.confirmed
    assert add_one(2) == 3


def test_what_an_interrupted_call_returns_is_given_up(remote) -> None:
    slow = remote.get_function("test.sleep_then_adder")
    press_after(0.1)
    with pytest.raises(RemoteInterrupted):
        slow(0.3)
    assert remote.get_function("test.add_one")(1) == 2  # reads the answer that was owed
    assert remote.get_function("test.adders")() == 0


def test_a_copy_is_finished_before_its_interrupt_is_raised(remote) -> None:
    host = np.arange(4_000_000, dtype="f4")  # a quarter of a second
    array = remote.array(host)
    press_after(0.05)
    with pytest.raises(RemoteInterrupted, match="a download ended before") as caught:
        array.to_numpy()
    assert caught.value.confirmed
    np.testing.assert_array_equal(array.to_numpy(), host)


def test_closing_gives_up_what_still_runs(remote) -> None:
    sleep = remote.get_function("test.sleep")
    press_after(0.1)
    with pytest.raises(RemoteInterrupted):
        sleep(0.3)
    remote.close()
    with pytest.raises(SessionClosed):
        sleep(0.0)


def test_a_thread_waits_for_its_turn_and_gets_its_own_answer(remote) -> None:
    sleep, add_one = remote.get_function("test.sleep"), remote.get_function("test.add_one")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(add_one(41)))
    press_after(0.1)
    with pytest.raises(RemoteInterrupted):
        sleep(0.3)
    thread.start()
    thread.join(20)
    assert answers == [42]
