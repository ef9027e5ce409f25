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


@pytest.mark.parametrize("seconds", [1e300, float("inf"), 1e10])
def test_a_time_that_never_comes_stops_no_other_timer(timers, seconds) -> None:
    timers.call_later(seconds, lambda: None)
    for _ in range(2):  # after the first the thread waits for the time that never comes
        done = threading.Event()
        timers.call_later(0.001, done.set)
        assert done.wait(WAIT)


def test_what_is_no_time_is_due_at_once_and_disturbs_no_order(timers) -> None:
    order: list[str] = []
    done = threading.Event()
    timers.call_later(3600, lambda: order.append("late"))
    timers.call_later(float("nan"), lambda: order.append("nan"))
    timers.call_later(-1.0, lambda: order.append("past"))
    timers.call_later(0.001, done.set)
    assert done.wait(WAIT)
    assert order == ["nan", "past"]


def test_cancelled_timers_are_forgotten_before_their_time(timers) -> None:
    kept = [timers.call_later(3600, lambda: None) for _ in range(10)]
    for _ in range(5000):
        timers.call_later(3600, lambda: None).cancel()
    assert len(timers._heap) < 2000
    assert sum(not timer.cancelled for timer in timers._heap) == len(kept)
