"""Tests of `rpcnb.endpoint.serving.seat`: one session, one client after another."""

from __future__ import annotations

import threading

import pytest

from rpcnb.core.errors import HandshakeError, RpcnbError, SessionTaken
from rpcnb.core.events import SessionState
from rpcnb.core.limits import Limits
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.serving.server import Server
from rpcnb.session.base import CallStatus
from rpcnb.session.functions import FunctionRegistry
from rpcnb.testing import FaultProxy

SOON = 10.0


class Counter:
    """What a server's functions do."""

    def __init__(self) -> None:
        self.value = 0
        self.begun = threading.Event()
        self.go = threading.Event()

    def increase(self) -> int:
        self.value += 1
        return self.value

    def wait(self) -> str:
        self.begun.set()
        assert self.go.wait(SOON)
        return "waited"


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def start(counter, tmp_path):
    """Give a function that starts a server on threads of this process."""
    servers: list[Server] = []
    registry = FunctionRegistry()
    registry.add("t.increase", counter.increase)
    registry.add("t.wait", counter.wait)

    def start(**options) -> Server:
        path = tmp_path / "server.json"
        server = Server(registry=registry, in_process=True, connection_file=path, **options)
        servers.append(server.start())
        return server

    yield start
    counter.go.set()
    for server in servers:
        server.close()


def call(session, name: str):
    return session.call_func(session.get_function(name))


@pytest.mark.parametrize("fault", ["cut", "reset"])
def test_calls_go_on_over_the_next_connection(start, counter, fault) -> None:
    server = start()
    with FaultProxy(server.url) as way, open_session(way.url, token=server.token) as session:
        increase = session.get_function("t.increase")
        for number in range(1, 6):
            assert session.call_func(increase) == number
            getattr(way, fault)()
        assert session.call_func(increase) == counter.value == 6
        assert session.statistics()["connections"] == way.connections >= 3


def test_a_running_call_outlives_its_connection(start, counter) -> None:
    server = start()
    with FaultProxy(server.url) as way, open_session(way.url, token=server.token) as session:
        outcome, done = [], threading.Event()

        def note(status, value) -> None:
            outcome.append((status, value))
            done.set()

        session.async_call_func(session.get_function("t.wait"), (), {}, note)
        assert counter.begun.wait(SOON)
        way.shut()
        counter.go.set()
        way.unshut()
        assert done.wait(SOON)
        assert outcome == [(CallStatus.RETURN, "waited")]


def test_a_detached_session_is_taken_up_by_its_name_with_its_handles(start, counter) -> None:
    server = start()
    first = open_session(server.url, token=server.token, name="work")
    handle = first.get_function("t.increase")
    assert first.call_func(handle) == 1
    first.detach()
    assert first.closed
    assert first.state is SessionState.CLOSED
    with open_session(server.url, token=server.token, name="work") as second:
        assert second.agreement.session_id == first.agreement.session_id
        assert second.call_func(handle) == 2  # the same handle, in the same table


def test_a_call_runs_on_when_its_client_detaches(start, counter) -> None:
    server = start()
    first = open_session(server.url, token=server.token, name="work")
    first.async_call_func(first.get_function("t.wait"), (), {}, lambda *_: None)
    assert counter.begun.wait(SOON)
    first.detach()
    with open_session(server.url, token=server.token, name="work") as second:
        ended = threading.Event()
        second.async_call_func(second.get_function("t.increase"), (), {}, lambda *_: ended.set())
        assert not ended.wait(0.1)  # behind the one that runs
        counter.go.set()
        assert ended.wait(SOON)


def test_a_client_whose_session_is_taken_up_elsewhere_is_told(start, eventually) -> None:
    server = start()
    first = open_session(server.url, token=server.token, name="work")
    with open_session(server.url, token=server.token, name="work") as second:
        assert eventually(lambda: first.closed)
        with pytest.raises(SessionTaken, match="took this session up"):
            first.get_function("t.wait")
        assert call(second, "t.increase") == 1


def test_a_client_that_was_away_does_not_get_a_taken_session_back(start) -> None:
    server = start()
    with FaultProxy(server.url) as way:
        first = open_session(way.url, token=server.token, name="work")
        way.shut()
        with open_session(server.url, token=server.token, name="work") as second:
            way.unshut()
            with pytest.raises(SessionTaken):
                first.get_function("t.wait")
            assert call(second, "t.increase") == 1


def test_another_name_is_another_session(start) -> None:
    server = start()
    with (
        open_session(server.url, token=server.token, name="one") as one,
        open_session(server.url, token=server.token, name="two") as two,
    ):
        assert one.agreement.session_id != two.agreement.session_id
        assert server.sessions == 2


@pytest.mark.parametrize("tenure", [{"lease": 0.05}, {"lease": 0.0}])
def test_a_detached_session_ends_with_its_lease(start, eventually, tenure) -> None:
    server = start(**tenure)
    open_session(server.url, token=server.token, name="work").detach()
    assert eventually(lambda: server.sessions == 0)


@pytest.mark.parametrize("grace", [0.1, 0.0])
def test_a_session_whose_client_is_gone_ends_with_its_grace(start, eventually, grace) -> None:
    server = start(grace=grace)
    session = open_session(server.url, token=server.token)
    session._connection.recovery = None  # never comes back
    session._connection.transport.abort()
    assert eventually(lambda: server.sessions == 0)
    assert eventually(lambda: session.closed)


def test_closing_a_server_ends_detached_sessions(start) -> None:
    server = start()
    open_session(server.url, token=server.token, name="work").detach()
    assert server.sessions == 1
    server.close()
    assert server.sessions == 0
    with pytest.raises(RpcnbError):
        open_session(server.url, token=server.token, name="work")


def leave(server, name: str) -> None:
    open_session(server.url, token=server.token, name=name).detach()


def test_of_too_many_sessions_that_wait_the_oldest_one_ends(start, eventually) -> None:
    server = start(limits=Limits(detached_sessions=2))
    for name in ("one", "two", "three"):
        before = server.sessions
        leave(server, name)
        assert eventually(lambda n=before: server.sessions == min(n + 1, 2))
    with open_session(server.url, token=server.token, name="two") as two:
        assert call(two, "t.increase") == 1
        assert two.agreement.epoch == 2  # taken up
    assert eventually(lambda: server.sessions == 1)


def test_sessions_that_wait_make_room_for_new_ones(start, eventually) -> None:
    server = start(limits=Limits(sessions=2))
    with open_session(server.url, token=server.token, name="mine") as mine:
        leave(server, "left")
        assert eventually(lambda: any(r.away_since for r in server._broker.live_sessions()))
        with open_session(server.url, token=server.token) as other:
            assert call(other, "t.increase") == 1
            with pytest.raises(HandshakeError, match="2 sessions open"):
                open_session(server.url, token=server.token)
        assert call(mine, "t.increase") == 2
