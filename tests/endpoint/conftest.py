"""A session served to a `SocketSession` in one process, over memory."""

from __future__ import annotations

import numpy as np
import pytest

from rpcnb.endpoint.connection import Connection
from rpcnb.endpoint.dispatch import Dispatcher
from rpcnb.endpoint.socket_session import SocketSession
from rpcnb.endpoint.tvm.connect import connect_tvm, parse_tvm_url
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession
from rpcnb.testing.tvm_peer import TVMPeer
from rpcnb.transport.memory import memory_pair
from rpcnb.wire.handshake import Agreement, Intent
from rpcnb.wire.messages import Side
from rpcnb.wire.v1 import WireV1


class Served:
    """A session, its dispatcher, both connections, and a client."""

    def __init__(self, session, *, wake=None, limit=8) -> None:
        near, far = memory_pair()
        self.session = session
        self.dispatcher = Dispatcher(session, wake, limit)
        self.connection = Connection(far, WireV1(Side.SERVER), self.dispatcher)
        self.dispatcher.connection = self.connection
        self.connection.ensure_background()
        agreement = Agreement(bytes(16), 1, "", "here", 1, Intent.NEW)
        self.client = SocketSession(near, WireV1(Side.CLIENT), agreement)

    def close(self) -> None:
        self.client.shutdown()
        self.connection.close()
        self.session.shutdown()


@pytest.fixture
def registry() -> FunctionRegistry:
    registry = FunctionRegistry()
    registry.add("t.echo", lambda value: value)
    registry.add("t.call", lambda function, *args: function(*args))
    registry.add("t.zeros", lambda nbytes: np.zeros(nbytes, "u1"))
    return registry


@pytest.fixture
def serve(registry):
    """Give a function that serves a session of some class; further arguments go to both."""
    opened: list[Served] = []

    def serve(kind=LocalSession, *, wake=None, limit=8, **options) -> Served:
        opened.append(Served(kind(registry, **options), wake=wake, limit=limit))
        return opened[-1]

    yield serve
    for served in opened:
        served.close()


@pytest.fixture
def served(serve) -> Served:
    return serve()


@pytest.fixture
def tvm_peer():
    peer = TVMPeer()
    yield peer
    peer.close()


@pytest.fixture
def tvm_session(tvm_peer):
    with connect_tvm(parse_tvm_url(tvm_peer.url), 10.0) as session:
        yield session
