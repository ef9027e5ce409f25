"""Tests of `rpcnb.endpoint.client.client_connection`: round trips of this test's main thread."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from rpcnb.core.errors import ConnectionClosed, RemoteInterrupted, SessionClosed
from rpcnb.core.values import ArrayRef, Handle
from rpcnb.session.base import CallStatus
from rpcnb.session.calls import report_progress
from rpcnb.session.observer import CallObserver

WAIT = 10.0


@pytest.fixture
def connection(served):
    return served.client._connection


@pytest.fixture
def count_trips(connection, monkeypatch):
    """Say how each call has ended its trip: with its reply, staying, or not begun."""
    ends: list[str] = []
    trip = connection.round_trip

    def counted(*args):
        reply = trip(*args)
        ends.append({tuple: "replied", type(None): "not begun"}.get(type(reply), "stayed"))
        return reply

    monkeypatch.setattr(connection, "round_trip", counted)
    return ends


@pytest.fixture
def raised_by_ctrl_c():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_plain_calls_are_trips_and_leave_nothing(served, connection, count_trips) -> None:
    echo = served.client.get_function("t.echo")
    values = [None, True, -1, 0.5, "text", b"bytes", 1 << 70]
    assert [served.client.call_func(echo, (value,)) for value in values] == values
    assert count_trips == ["replied"] * 6 + ["not begun"], "that number needs more than 64 bits"
    assert connection.pending == {}
    assert served.client.statistics()["calls"] == len(values)


def test_a_call_under_way_is_counted(served, registry, count_trips) -> None:
    registry.add("t.busy", lambda: served.client.statistics()["calls_in_flight"])
    assert served.client.call_func(served.client.get_function("t.busy")) == 1
    assert served.client.statistics()["calls_in_flight"] == 0
    assert count_trips == ["replied"]


@pytest.mark.parametrize("value", [[1, 2], {"a": (1,)}])
def test_other_values_come_back_as_from_any_call(served, count_trips, value) -> None:
    echo = served.client.get_function("t.echo")
    assert served.client.call_func(echo, (value,)) == value
    assert served.client.call_func(echo, (1,)) == 1
    assert count_trips == ["not begun", "replied"]


def test_a_call_that_reports_something_stays_and_its_observer_hears_it(
    served, registry, count_trips
) -> None:
    class Watch(CallObserver):
        def __init__(self) -> None:
            self.heard: list[float] = []

        def progress(self, done, total, description) -> None:
            self.heard.append(done)

    def report(count: int) -> str:
        for number in range(count):
            report_progress(number, count)
        return "done"

    registry.add("t.report", report)
    watch = Watch()
    function = served.client.get_function("t.report")
    assert served.client.call_func(function, (3,), observer=watch) == "done"
    assert watch.heard[-1] == 2
    assert count_trips == ["stayed"]


def test_the_reply_of_another_thread_is_handed_over(served, registry, count_trips) -> None:
    asked, go = threading.Event(), threading.Event()
    registry.add("t.first", lambda: (asked.set(), go.wait(WAIT))[1])
    registry.add("t.second", lambda: (go.set(), 2)[1])
    first, second = map(served.client.get_function, ("t.first", "t.second"))
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(served.client.call_func(first)))
    thread.start()
    assert asked.wait(WAIT)
    go.set()
    assert served.client.call_func(second) == 2
    thread.join(WAIT)
    assert answers == [True]


@pytest.mark.usefixtures("raised_by_ctrl_c")
def test_a_press_stops_the_trip_and_nothing_stays_behind(
    served, connection, registry, count_trips
) -> None:
    let_go = threading.Event()

    def press() -> str:
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
        while not let_go.wait(0.01):
            pass
        return "let go"

    registry.add("t.press", press)
    with pytest.raises(RemoteInterrupted, match="confirmed by") as caught:
        served.client.call_func(served.client.get_function("t.press"))
    assert caught.value.confirmed
    assert count_trips == ["stayed"]
    assert connection.pending == {}
    echo = served.client.get_function("t.echo")
    assert [served.client.call_func(echo, (n,)) for n in (1, 2, 3)] == [1, 2, 3]


def test_a_connection_that_is_lost_ends_the_trip(served, connection, registry, count_trips) -> None:
    registry.add("t.leave", served.connection.transport.close)
    leave = served.client.get_function("t.leave")
    with pytest.raises(ConnectionClosed):
        served.client.call_func(leave)
    assert count_trips == ["stayed"]
    assert connection.pending == {}
    with pytest.raises(ConnectionClosed):
        served.client.call_func(leave)


def test_a_careful_connection_makes_no_trips(served, connection, count_trips) -> None:
    echo = served.client.get_function("t.echo")
    connection.poke()
    assert served.client.call_func(echo, (1,)) == 1
    connection.be_quick()
    assert served.client.call_func(echo, (2,)) == 2
    assert count_trips == ["not begun", "replied"]


def test_what_cannot_be_sent_at_once_is_not_begun(served, connection) -> None:
    assert connection.outbox._lock.acquire(blocking=False)
    try:
        assert connection.round_trip(1, (), {}, CallObserver()) is None
    finally:
        connection.outbox._lock.release()
    assert (connection.pending, connection.requests_under_way) == ({}, 0)
    assert not connection.being_read()


def test_who_stays_after_the_end_is_told_of_it(served, connection) -> None:
    served.client.shutdown()
    connection._trip.append((7, CallObserver(), (), {}))
    pending = connection.stay()
    assert (pending.id, pending.status) == (7, CallStatus.LOST)
    assert isinstance(pending.value, SessionClosed)
    assert connection.pending == {}


def test_a_copy_from_another_thread_finds_the_call_that_has_its_array(connection) -> None:
    array = ArrayRef(Handle(3), (2,), base=9)
    connection._trip.append((7, CallObserver(), (1, array), {}))
    assert connection.streams_using(9) == {0}
    assert connection.streams_using(8) == set()
    pending = connection.stay()
    assert connection.streams_using(9) == {pending.stream}
    del connection.pending[pending.id]
    assert connection.streams_using(9) == set()


class Steps:
    """Does something before and after each step in which `stay` changes what others look at."""

    def __init__(self, connection, step) -> None:
        class Trips(list):
            def pop(self):
                step()
                trip = super().pop()
                step()
                return trip

        class Requests(dict):
            def __setitem__(self, number, pending):
                step()
                super().__setitem__(number, pending)
                step()

            def setdefault(self, number, pending):
                step()
                found = super().setdefault(number, pending)
                step()
                return found

        connection._trip, connection.pending = Trips(connection._trip), Requests()


TRIP = (7, CallObserver(), (1, ArrayRef(Handle(3), (2,), base=9)), {})


def test_no_step_of_staying_hides_the_call_from_other_threads(connection) -> None:
    connection._trip.append(TRIP)
    seen: list[tuple[bool, bool]] = []
    Steps(
        connection,
        lambda: seen.append(
            (connection.streams_using(9) == {0}, connection.requests_under_way > 0)
        ),
    )
    connection.stay()
    assert seen == [(True, True)] * 4


def test_a_call_that_stays_while_another_thread_looks_is_found(connection) -> None:
    class StayingTrips(list):
        """A trip that stays as soon as somebody has looked at it, or found nothing."""

        def __iter__(self):
            found = list.copy(self)
            connection.stay()
            return iter(found)

        def __len__(self) -> int:
            number = super().__len__()
            connection.stay()
            return number

    class StayingRequests(dict):
        def values(self):
            found = dict(self)
            connection.stay()
            return found.values()

        def __len__(self) -> int:
            number = super().__len__()
            connection.stay()
            return number

    for look in (lambda: connection.streams_using(9) == {0}, lambda: connection.requests_under_way):
        connection._trip, connection.pending = StayingTrips([TRIP]), StayingRequests()
        assert look()


@pytest.mark.parametrize("ended", [False, True])
def test_a_press_in_the_midst_of_staying_leaves_one_request(connection, ended) -> None:
    connection._trip.append(TRIP)
    pressed: list[object] = []

    def press() -> None:
        if not pressed:
            pressed.append(None)
            pressed.append(connection.stay())
            if ended:  # a second press stops waiting
                connection.pending.pop(7)

    Steps(connection, press)
    assert connection.stay() is pressed[1]
    assert connection._trip == []
    assert connection.pending == ({} if ended else {7: pressed[1]})
