"""Tests of `rpcnb.endpoint.tvm.server`: who is let in."""

from __future__ import annotations

import pytest

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import ConnectionClosed, HandshakeError, RpcnbError, TransportTimeout
from rpcnb.endpoint.tvm.connect import TVMAddress, connect_tvm
from rpcnb.endpoint.tvm.server import TVMServer, greet_client
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession
from rpcnb.transport import registry as transports
from rpcnb.transport.memory import memory_pair
from rpcnb.wire.tvm.greeting import Greeting


@pytest.fixture
def server():
    registry = FunctionRegistry()
    registry.add("t.one", lambda: 1)
    with TVMServer(lambda: LocalSession(registry), "board") as server:
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


def test_closing_ends_its_sessions(server) -> None:
    session = connect_tvm(TVMAddress("127.0.0.1", server.port, "board"), 10.0)
    server.close()
    with pytest.raises(RpcnbError):
        session.get_function("t.one")


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", HandshakeError),
        (Greeting("k").sends[:10], ConnectionClosed),
        (Greeting("k").sends[:4] + b"\xff\xff\xff\x7f", HandshakeError),
    ],
)
def test_who_is_no_tvm_client_is_refused(sent, error) -> None:
    near, far = memory_pair()
    with near, far:
        near.send([sent])
        near.close()
        with pytest.raises(error):
            greet_client(far, "k", Deadline.after(5))


def test_who_says_nothing_is_given_up() -> None:
    near, far = memory_pair()
    with near, far, pytest.raises(TransportTimeout):
        greet_client(far, "k", Deadline.after(0.01))
