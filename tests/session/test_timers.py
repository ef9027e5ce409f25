"""The timer thread."""

from __future__ import annotations

import threading

import pytest

from rpcnb.session.timers import Timers

WAIT = 10.0


@pytest.fixture
def timers() -> Timers:
    return Timers()


def test_actions_run_in_order_of_their_time(timers) -> None:
    order: list[str] = []
    done = threading.Event()
    timers.call_later(0.03, lambda: (order.append("late"), done.set()))
    timers.call_later(0.001, lambda: order.append("early"))
    assert done.wait(WAIT)
    assert order == ["early", "late"]


def test_a_cancelled_timer_does_nothing(timers) -> None:
    order: list[str] = []
    done = threading.Event()
    timers.call_later(0.001, lambda: order.append("no")).cancel()
    timers.call_later(0.01, done.set)
    assert done.wait(WAIT)
    assert order == []


def test_equal_times_keep_their_order(timers) -> None:
    order: list[int] = []
    done = threading.Event()
    for number in range(100):
        timers.call_later(0.0, lambda number=number: order.append(number))
    timers.call_later(0.01, done.set)
    assert done.wait(WAIT)
    assert order == sorted(order)


def test_an_earlier_timer_wakes_the_thread_that_waits_for_a_later_one(timers) -> None:
    timers.call_later(3600, lambda: None)
    done = threading.Event()
    timers.call_later(0.001, done.set)
    assert done.wait(WAIT)


def test_after_a_reset_a_new_thread_is_started(timers) -> None:
    timers.call_later(3600, lambda: None)
    timers.reset()
    done = threading.Event()
    timers.call_later(0.0, done.set)
    assert done.wait(WAIT)
