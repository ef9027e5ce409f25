"""The ways of a call, to a server in this process; what calls promise is in the session's suite."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.cancelled import RemoteCancelled
from rpcnb.core.events import EVENTS
from rpcnb.session.base import CallStatus
from rpcnb.session.calls import report_progress
from rpcnb.session.observer import CallObserver, CallOptions
from rpcnb.testing.session_cases import Started

if TYPE_CHECKING:
    from rpcnb.session.observer import RunningCall

WAIT = 10.0


@pytest.fixture
def echo(served):
    found = served.client.get_function("t.echo")
    assert found is not None
    return found


def calls(served) -> object:
    return served.client.statistics()["calls"]


def test_each_way_of_a_call_counts_it_once(served, registry, echo) -> None:
    registry.add("t.report", lambda: report_progress(0.5) or "done")
    report = served.client.get_function("t.report")
    ways = [
        lambda: served.client.call_func(echo, (1,)),  # a round trip
        lambda: served.client.call_func(report),  # one that stays
        lambda: served.client.call_func(echo, ([1],)),  # the general way
        lambda: served.client.call_func(echo, (1,), options=CallOptions(timeout=WAIT)),
        lambda: served.client.call_at_once(report, (), {}, CallObserver()),  # relayed, and stays
    ]
    counts = []
    for way in ways:
        before = calls(served)
        way()
        counts.append(calls(served) - before)
    assert counts == [1] * len(ways)


@pytest.mark.parametrize("args", [(1,), ([1],)], ids=["short", "general"])
def test_started_calls_count_once_and_end_once(served, echo, args) -> None:
    for number, start in enumerate([served.client.async_call_func, served.client.queue_call]):
        started = Started()
        started.running = start(echo, args, {}, started.callback)
        assert started.result() == args[0]
        assert calls(served) == number + 1


def test_another_thread_calls_the_general_way(served, echo) -> None:
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(served.client.call_func(echo, (7,))))
    thread.start()
    thread.join(WAIT)
    assert answers == [7]


def test_a_watched_call_that_a_view_stops_says_so(served, registry) -> None:
    class View(CallObserver):
        def progress(self, done: float, total: float | None, description: str) -> None:
            del done, total, description
            number = next(iter(served.client._connection.pending))
            served.client.cancel_call(number)

    def linger() -> None:
        never = threading.Event()
        report_progress(0.5)
        for _ in range(int(WAIT / 0.01)):
            never.wait(0.01)

    registry.add("t.linger", linger)
    function = served.client.get_function("t.linger")
    with EVENTS.subscribe(), pytest.raises(RemoteCancelled, match="confirmed by"):
        served.client.call_func(function, observer=View())


def test_a_started_call_that_takes_the_general_way_is_cancelled(served, registry) -> None:
    begun = threading.Event()

    def linger(_: object) -> None:
        never = threading.Event()
        begun.set()
        for _ in range(int(WAIT / 0.01)):
            never.wait(0.01)

    registry.add("t.linger", linger)
    started = Started()
    function = served.client.get_function("t.linger")
    running: RunningCall = served.client.async_call_func(function, ([1],), {}, started.callback)
    assert begun.wait(WAIT)
    running.cancel()
    assert started.status() is CallStatus.CANCELLED
    running.cancel()  # it has ended: nothing happens
