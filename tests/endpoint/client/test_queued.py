"""Queued calls over a connection whose other end is a server in this process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import EncodeError, SessionClosed
from rpcnb.core.events import EVENTS, CallChanged
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.outbox import HELD_MESSAGES
from rpcnb.endpoint.serving.server import Server
from rpcnb.session.base import CallStatus
from rpcnb.session.functions import FunctionRegistry
from rpcnb.testing.session_cases import Started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rpcnb.endpoint.client.socket_session import SocketSession


@pytest.fixture
def session(tmp_path: Path) -> Iterator[SocketSession]:
    registry = FunctionRegistry()
    registry.add("echo", lambda value: value)
    registry.add("apply", lambda function, value: function(value))
    with (
        Server(registry=registry, in_process=True, connection_file=tmp_path / "c.json") as server,
        open_session(server.url, token=server.token) as opened,
    ):
        yield opened


def queue(session: SocketSession, *args: object) -> Started:
    started = Started()
    echo = session.get_function("echo")
    assert echo is not None
    started.running = session.queue_call(echo, args, {}, started.callback)
    return started


def test_calls_are_sent_many_at_once(session: SocketSession) -> None:
    echo = session.get_function("echo")
    assert echo is not None
    sent: list[int] = []
    outbox = session._connection.outbox
    send_one = outbox._send_one
    outbox._send_one = lambda data: sent.append(len(data)) or send_one(data)
    calls = [Started() for _ in range(4 * HELD_MESSAGES)]
    for number, call in enumerate(calls):
        call.running = session.queue_call(echo, (number,), {}, call.callback)
    calls[-1].running.wait()
    assert [call.result() for call in calls] == list(range(len(calls)))
    assert len(sent) < len(calls) / 2
    assert session.statistics()["calls_queued"] == len(calls)


def test_a_call_that_nobody_waits_for_is_sent_all_the_same(session: SocketSession) -> None:
    assert queue(session, 7).result() == 7


def test_it_may_be_waited_for_again_and_by_several(session: SocketSession) -> None:
    call = queue(session, 7)
    threads = [threading.Thread(target=call.running.wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    call.running.wait()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    call.running.wait()
    call.cancel()
    assert call.result() == 7


def test_values_that_cannot_cross_raise_at_the_call(session: SocketSession) -> None:
    with pytest.raises(EncodeError):
        queue(session, object())
    assert session.statistics()["calls_in_flight"] == 0


def test_any_values_cross(session: SocketSession) -> None:
    assert queue(session, [1, (2, {"three": 2**80})]).result() == [1, (2, {"three": 2**80})]


def test_a_closed_session_tells_every_call(session: SocketSession) -> None:
    echo = session.get_function("echo")
    assert echo is not None
    call = Started()
    call.running = session.queue_call(echo, (1,), {}, call.callback)
    session.shutdown()
    assert call.status() in {CallStatus.LOST, CallStatus.RETURN}
    call.running.wait()
    with pytest.raises(SessionClosed):
        session.queue_call(echo, (1,), {}, Started().callback)


def test_views_are_told(session: SocketSession) -> None:
    with EVENTS.subscribe() as events:
        queue(session, 1).result()
        phases = [event.phase.value for event in events.drain() if isinstance(event, CallChanged)]
    assert phases[0] == "sent"
    assert "finished" in phases
