"""Tests of `rpcnb.endpoint.tvm.server`: who is let in."""

from __future__ import annotations

from collections import deque
from itertools import count

import pytest

from rpcnb.core.errors import DeadlineExceeded, HandshakeError, RpcnbError
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.endpoint.tvm.connect import TVMAddress, connect_tvm
from rpcnb.endpoint.tvm.server import TVMServer, serve_here
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession
from rpcnb.transport import registry as transports
from rpcnb.wire.tvm.greeting import Greeting


@pytest.fixture
def server():
    registry = FunctionRegistry()
    registry.add("t.one", lambda: 1)
    with TVMServer(serve_here(lambda: LocalSession(registry)), "board") as server:
        yield server


def test_several_clients_are_served_at_once(server) -> None:
    where = TVMAddress("127.0.0.1", server.port, "board")
    with connect_tvm(where, 10.0) as one, connect_tvm(where, 10.0) as two:
        for session in (one, two):
            assert session.call_func(session.get_function("t.one")) == 1


def test_another_key_is_told(server) -> None:
    with pytest.raises(HandshakeError, match="no key 'other'"):
        connect_tvm(TVMAddress("127.0.0.1", server.port, "other"), 10.0)


def test_a_silent_client_keeps_nobody_else_out(server) -> None:
    with (
        transports.connect(f"tcp://127.0.0.1:{server.port}", 5),
        connect_tvm(TVMAddress("127.0.0.1", server.port, "board"), 10.0) as session,
    ):
        assert session.get_function("absent") is None


def test_a_silent_crowd_makes_room(server) -> None:
    crowd = [
        transports.connect(f"tcp://127.0.0.1:{server.port}", 5)
        for _ in range(DEFAULT_LIMITS.preauth_connections + 3)
    ]
    with connect_tvm(TVMAddress("127.0.0.1", server.port, "board"), 10.0) as session:
        assert session.get_function("t.one") is not None
    for stranger in crowd:
        stranger.close()


def test_closing_ends_its_sessions(server) -> None:
    session = connect_tvm(TVMAddress("127.0.0.1", server.port, "board"), 10.0)
    server.close()
    with pytest.raises(RpcnbError):
        session.get_function("t.one")


def test_a_session_ends_when_its_time_is_up(server) -> None:
    where = TVMAddress("127.0.0.1", server.port, "board", timeout=0.05)
    with (
        connect_tvm(where, 10.0) as session,
        pytest.raises(DeadlineExceeded, match=r"0\.05s session has expired"),
    ):
        deque((session.get_function("t.one") for _ in count()), maxlen=0)


def test_who_is_no_tvm_client_harms_nobody(server) -> None:
    for sent in (b"GET / HTTP/1.1\r\n\r\n", Greeting("board").sends[:10], b""):
        with transports.connect(f"tcp://127.0.0.1:{server.port}", 5) as transport:
            transport.send([sent])
    with connect_tvm(TVMAddress("127.0.0.1", server.port, "board"), 10.0) as session:
        assert session.get_function("t.one") is not None
