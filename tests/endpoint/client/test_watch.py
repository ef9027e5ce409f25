"""Tests of `rpcnb.endpoint.client.watch`: what views hear of a session on a real server."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

import rpcnb
from rpcnb.core.device import CPU
from rpcnb.core.errors import ConnectionClosed, OutcomeUnknown, RemoteError
from rpcnb.core.events import (
    EVENTS,
    CallChanged,
    CallOutput,
    CallPhase,
    CallProgress,
    CopyProgress,
    Event,
    SessionChanged,
    SessionState,
)
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.serving.server import Server
from rpcnb.session.base import CallStatus
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.observer import CallObserver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpcnb.core.events import Subscription
    from rpcnb.core.values import FunctionRef
    from rpcnb.endpoint.client.socket_session import SocketSession

MIB = 1 << 20


def work() -> int:
    print("working")
    return sum(rpcnb.track(range(3), description="rows"))


def fail() -> None:
    raise ValueError("no")


@pytest.fixture
def session() -> Iterator[SocketSession]:
    registry = FunctionRegistry()
    registry.add("work", work)
    registry.add("fail", fail)
    with Server(url="memory://", registry=registry, in_process=True) as server:
        session = open_session(server.url, token=server.token)
        yield session
        session.shutdown()


@pytest.fixture
def heard(session: SocketSession) -> Iterator[Subscription]:
    with EVENTS.subscribe() as subscription:
        yield subscription


def look_up(session: SocketSession, name: str) -> FunctionRef:
    ref = session.get_function(name)
    assert ref is not None
    return ref


def of_session(events: list[Event], session: SocketSession) -> list[Event]:
    """Return what the client's session told: the server's is of this process, too."""
    return [event for event in events if event.session == session.table_index]


def phases(events: list[Event]) -> list[CallPhase]:
    return [event.phase for event in events if isinstance(event, CallChanged)]


def test_a_blocking_call_is_followed_from_sending_to_its_end(
    session: SocketSession, heard: Subscription
) -> None:
    session.call_func(look_up(session, "work"))
    events = of_session(heard.drain(), session)
    assert phases(events) == [CallPhase.SENT, CallPhase.STARTED, CallPhase.FINISHED]
    assert {e.call for e in events if isinstance(e, CallChanged)} != {0}
    assert [e.text for e in events if isinstance(e, CallOutput)] == ["working\n"]
    assert [e.done for e in events if isinstance(e, CallProgress)][-1] == 3


def test_a_call_goes_by_what_its_observer_calls_it(
    session: SocketSession, heard: Subscription
) -> None:
    observer = CallObserver()
    observer.name = "sum"
    session.call_func(look_up(session, "work"), observer=observer)
    events = of_session(heard.drain(), session)
    assert {e.name for e in events if isinstance(e, CallChanged)} == {"sum"}


def test_a_submitted_call_that_fails_says_why(session: SocketSession, heard: Subscription) -> None:
    ended = threading.Event()
    outcomes: list[CallStatus] = []

    def callback(status: CallStatus, value: object) -> None:
        outcomes.append(status)
        ended.set()

    session.async_call_func(look_up(session, "fail"), (), None, callback)
    assert ended.wait(5.0)
    assert outcomes == [CallStatus.EXCEPTION]
    last = [e for e in of_session(heard.drain(), session) if isinstance(e, CallChanged)][-1]
    assert (last.phase, last.detail) == (CallPhase.FAILED, "ValueError: no")


def test_an_error_reaches_the_caller_of_a_watched_call(
    session: SocketSession, heard: Subscription
) -> None:
    with pytest.raises(RemoteError, match="no"):
        session.call_func(look_up(session, "fail"))
    assert phases(of_session(heard.drain(), session))[-1] is CallPhase.FAILED


def test_copies_say_how_far_they_are(session: SocketSession, heard: Subscription) -> None:
    api = session.get_device_api(CPU)
    assert api is not None
    array = api.alloc_data(CPU, (3 * MIB,), "|u1")
    session.copy_to_remote(bytes(3 * MIB), array, 3 * MIB)
    session.copy_from_remote(array, bytearray(3 * MIB), 3 * MIB)
    copies = [e for e in of_session(heard.drain(), session) if isinstance(e, CopyProgress)]
    for direction in ("upload", "download"):
        done = [e.done for e in copies if e.direction == direction]
        assert done == sorted(done)
        assert (done[-1], copies[-1].total) == (3 * MIB, 3 * MIB)


def test_a_session_that_loses_its_connection_is_detached_and_then_live_again(
    session: SocketSession, heard: Subscription
) -> None:
    session._connection.transport.abort()
    assert session.ping() < 5.0
    changed = [e for e in of_session(heard.drain(), session) if isinstance(e, SessionChanged)]
    assert [e.state for e in changed] == [SessionState.DETACHED, SessionState.LIVE]
    assert session.state is SessionState.LIVE


def test_a_lost_session_says_so(session: SocketSession, heard: Subscription) -> None:
    session._connection.recovery = None  # as one that cannot come back
    session._connection.transport.abort()
    with pytest.raises((OutcomeUnknown, ConnectionClosed)):
        session.ping()
    changed = [e for e in of_session(heard.drain(), session) if isinstance(e, SessionChanged)]
    assert [e.state for e in changed] == [SessionState.LOST]
    assert session.state is SessionState.LOST


def test_nobody_listening_costs_no_watching(session: SocketSession) -> None:
    assert not EVENTS.subscriptions
    assert session.call_func(look_up(session, "work")) == 3
