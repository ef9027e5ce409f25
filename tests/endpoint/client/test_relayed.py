"""Calls as a gateway's main thread makes them: here this process's, to a server in this process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import ErrorInfo
from rpcnb.core.events import EVENTS
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.client.relayed import RelayedCall
from rpcnb.endpoint.serving.server import Server
from rpcnb.session.base import CallStatus
from rpcnb.session.calls import report_progress
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.observer import CallObserver
from rpcnb.testing.session_cases import Started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rpcnb.core.values import Value
    from rpcnb.endpoint.client.socket_session import SocketSession
    from rpcnb.session.observer import RunningCall

SOON = 10.0


class Watching(CallObserver):
    """Keeps what it is told; asks to stop the call as soon as it has begun here, or runs there."""

    def __init__(self, *, stop: str = "") -> None:
        self.calls: list[RunningCall] = []
        self.reports: list[float] = []
        self._stop = stop

    def begun(self, call: RunningCall) -> None:
        self.calls.append(call)
        if self._stop == "begun":
            call.cancel()

    def progress(self, done: float, total: float | None, description: str) -> None:
        del total, description
        self.reports.append(done)
        if self._stop == "progress":
            threading.Thread(target=self.calls[-1].cancel).start()


def linger() -> None:
    report_progress(0.5)
    never = threading.Event()
    for _ in range(int(SOON / 0.01)):  # a thread is interrupted between two steps
        never.wait(0.01)


def fail() -> None:
    raise ValueError("no good")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SocketSession]:
    registry = FunctionRegistry()
    registry.add("echo", lambda value: value)
    registry.add("linger", linger)
    registry.add("fail", fail)
    with (
        Server(registry=registry, in_process=True, connection_file=tmp_path / "c.json") as server,
        open_session(server.url, token=server.token) as opened,
    ):
        yield opened


def relay(
    session: SocketSession, name: str, *args: Value, observer: CallObserver | None = None
) -> tuple[CallStatus, Value] | None:
    function = session.get_function(name)
    assert function is not None
    return session.call_at_once(function, args, {}, observer or Watching())


def test_a_lone_call_is_made_on_this_thread(session: SocketSession) -> None:
    before = session.statistics()["calls"]
    observer = Watching()
    assert relay(session, "echo", 7, observer=observer) == (CallStatus.RETURN, 7)
    assert isinstance(observer.calls[0], RelayedCall)
    assert session.statistics()["calls"] == before + 1
    observer.calls[0].cancel()  # too late, and nothing happens
    assert relay(session, "echo", 8) == (CallStatus.RETURN, 8)


def test_it_is_made_although_the_background_thread_reads(session: SocketSession) -> None:
    connection = session._connection
    connection._reading.acquire()
    threading.Timer(0.01, connection.leave_reading).start()
    assert relay(session, "echo", 7) == (CallStatus.RETURN, 7)


def test_beside_other_calls_it_goes_another_way(session: SocketSession) -> None:
    function = session.get_function("linger")
    assert function is not None
    lingering = Started()
    lingering.running = session.async_call_func(function, (), {}, lingering.callback)
    observer = Watching()
    assert session.call_at_once(function, (), {}, observer) is None
    assert observer.calls == []
    lingering.cancel()
    assert lingering.status() is CallStatus.CANCELLED


def test_on_another_thread_it_goes_another_way(session: SocketSession) -> None:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(relay(session, "echo", 7)))
    thread.start()
    thread.join(SOON)
    assert found == [None]


def test_it_goes_another_way_while_views_watch(session: SocketSession) -> None:
    with EVENTS.subscribe():
        assert relay(session, "echo", 7) is None


def test_an_error_is_passed_on(session: SocketSession) -> None:
    outcome = relay(session, "fail")
    assert outcome is not None
    status, value = outcome
    assert status is CallStatus.EXCEPTION
    assert isinstance(value, ErrorInfo)
    assert (value.type_name, value.message) == ("ValueError", "no good")


def test_reports_are_passed_on_and_another_thread_stops_it(session: SocketSession) -> None:
    observer = Watching(stop="progress")
    assert relay(session, "linger", observer=observer) == (CallStatus.CANCELLED, None)
    assert observer.reports == [0.5]


def test_what_is_stopped_before_it_was_sent_is_stopped(session: SocketSession) -> None:
    outcome = relay(session, "linger", observer=Watching(stop="begun"))
    assert outcome == (CallStatus.CANCELLED, None)


def test_a_session_that_was_closed_says_so(session: SocketSession) -> None:
    echo = session.get_function("echo")
    assert echo is not None
    session.shutdown()
    outcome = session.call_at_once(echo, (7,), {}, Watching())
    assert outcome is not None
    assert outcome[0] is CallStatus.EXCEPTION
    assert outcome[1].type_name.endswith("SessionClosed")
