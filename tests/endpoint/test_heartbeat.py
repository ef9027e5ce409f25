"""Tests of `rpcnb.endpoint.heartbeat`: what is seen at which look, with clocks that tests turn."""

from __future__ import annotations

import threading
from time import monotonic

import pytest

from rpcnb.core.deadline import Deadline
from rpcnb.core.events import SessionState
from rpcnb.endpoint import heartbeat
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.heartbeat import (
    BEAT,
    DEAD_AFTER,
    SUSPECT_AFTER,
    Heartbeats,
    Pulse,
    is_worthwhile,
)
from rpcnb.endpoint.serving.server import Server
from rpcnb.session.functions import FunctionRegistry
from rpcnb.testing import FaultProxy
from rpcnb.wire.messages import CallFunc, Ping

SOON = 5.0


class Told:
    """What a pulse says."""

    def __init__(self) -> None:
        self.states: list[SessionState] = []

    def tell(self, state: SessionState, why: str) -> None:
        self.states.append(state)


@pytest.fixture
def told() -> Told:
    return Told()


def exchange(link) -> None:
    """Have each side hear from the other."""
    pending = link.client.open_request()
    link.client.send_request(pending, CallFunc(pending.id, 1, (1,)))
    link.client.wait(pending, Deadline.after(SOON))


def test_a_silent_peer_is_suspect_and_then_given_up_within_20_seconds(make_link, told) -> None:
    link = make_link(start=False)  # nobody reads, so nobody answers
    pulse, began = Pulse(link.client, told.tell, asks=False), monotonic()
    seen = {}
    for beat in range(6):
        assert pulse.look(began + beat * BEAT)
        seen[beat * BEAT] = (list(told.states), link.client.transport.closed)
    assert seen[SUSPECT_AFTER - BEAT] == ([], False)
    assert seen[SUSPECT_AFTER] == ([SessionState.SUSPECT], False)
    assert seen[DEAD_AFTER] == ([SessionState.SUSPECT, SessionState.LIVE], True)
    assert DEAD_AFTER + BEAT <= 20.0


def test_a_peer_that_is_heard_is_not_suspect(link, told) -> None:
    pulse, began = Pulse(link.client, told.tell, asks=False), monotonic()
    for beat in range(20):
        exchange(link)
        assert pulse.look(began + beat * BEAT)
    assert told.states == []
    assert not link.client.transport.closed


def test_a_suspect_that_is_heard_again_is_live(link, told) -> None:
    pulse, began = Pulse(link.client, told.tell, asks=False), monotonic()
    pulse.look(began + SUSPECT_AFTER)
    exchange(link)
    pulse.look(began + SUSPECT_AFTER + BEAT)
    assert told.states == [SessionState.SUSPECT, SessionState.LIVE]


def test_a_client_that_has_nothing_to_say_pings_and_one_that_talks_does_not(link) -> None:
    arrived: list[Ping] = []
    answer = link.server._handlers[Ping]
    link.server._handlers[Ping] = lambda message: (arrived.append(message), answer(message))
    pulse, now = Pulse(link.client, asks=True), monotonic()
    for _ in range(3):
        exchange(link)
        pulse.look(now)
    exchange(link)
    assert arrived == []
    pulse.look(now)
    pulse.look(now)
    exchange(link)
    assert arrived == [Ping(0)]


def test_only_clients_ping(link) -> None:
    pulse = Pulse(link.server, asks=False)
    before = link.server.outbox.nbytes
    for _ in range(3):
        pulse.look(monotonic())
    assert link.server.outbox.nbytes == before


def test_a_connection_that_has_ended_is_looked_at_no_more(link) -> None:
    pulse = Pulse(link.client, asks=True)
    link.client.close()
    assert not pulse.look(monotonic())


def test_nobody_is_kept_alive(link, told) -> None:
    pulse = Pulse(link.client, Told().tell, asks=False)
    pulse.look(monotonic() + SUSPECT_AFTER)  # tells nobody: its listener is gone
    assert told.states == []


def test_the_thread_looks_and_forgets_who_has_ended(link, monkeypatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT", 0.01)
    hearts, looked = Heartbeats(), threading.Event()

    class Short(Pulse):
        def look(self, now: float) -> bool:
            looked.set()
            return False

    hearts.watch(Short(link.client, asks=False))
    assert looked.wait(SOON)
    hearts.look(monotonic())
    assert hearts._pulses == []


def test_a_session_behind_a_stalled_way_is_given_up_and_comes_back(tmp_path, eventually) -> None:
    path = tmp_path / "server.json"
    registry = FunctionRegistry()
    registry.add("t.one", lambda: 1)
    with (
        Server(registry=registry, in_process=True, connection_file=path) as server,
        FaultProxy(server.url) as way,
        open_session(way.url, token=server.token) as session,
    ):
        one = session.get_function("t.one")
        way.stall()
        pulse, now = Pulse(session._connection, session._tell, asks=True), monotonic()
        pulse.look(now + SUSPECT_AFTER)
        assert session.state is SessionState.SUSPECT
        pulse.look(now + DEAD_AFTER)
        assert eventually(lambda: session.state is SessionState.DETACHED)
        way.flow()
        assert session.call_func(one) == 1
        assert eventually(lambda: session.state is SessionState.LIVE)


def test_only_what_can_vanish_is_watched() -> None:
    assert is_worthwhile("tcp://127.0.0.1:1")
    assert is_worthwhile("tls://10.0.0.1:1?sha256=x")
    assert not is_worthwhile("unix:unnamed")
    assert not is_worthwhile("unix:///tmp/a.sock")
    assert not is_worthwhile("memory://1")
