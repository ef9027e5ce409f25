"""Two connections, or a session served to a `SocketSession`, in one process and over memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from rpcnb.core.deadline import Deadline
from rpcnb.endpoint.client.socket_session import SocketSession
from rpcnb.endpoint.connection import Connection
from rpcnb.endpoint.serving.dispatch import Dispatcher
from rpcnb.endpoint.tvm.connect import connect_tvm, parse_tvm_url
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession
from rpcnb.testing.tvm_peer import TVMPeer
from rpcnb.transport.memory import memory_pair
from rpcnb.wire.handshake import Agreement, Intent
from rpcnb.wire.messages import CallFunc, CopyToRemote, Request, Return, Side, Stopped
from rpcnb.wire.v1 import WireV1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rpcnb.endpoint.pending import Pending
    from rpcnb.wire.messages import ShortCall


class Owner:
    """A handler that answers calls with their first argument, or as a test says."""

    def __init__(self) -> None:
        self.connection: Connection
        self.answer: Callable[[CallFunc], None] = lambda message: self.connection.post(
            Return(message.id, message.args[0] if message.args else None)
        )
        self.requests: list[Request] = []
        self.cancelled: list[int] = []
        self.freed: list[tuple[int, int, int]] = []
        self.strays: list[object] = []
        self.closed = threading.Event()
        self.takeover = threading.Event()
        self.reason: Exception | None = None

    def on_request(self, message: Request) -> None:
        self.requests.append(message)
        if isinstance(message, CallFunc):
            self.answer(message)

    on_call = on_request

    def on_short_call(self, call: ShortCall) -> None:
        self.on_request(CallFunc(*call))

    def run_delivered(self, message: CallFunc) -> None:
        self.on_request(message)

    def on_cancel(self, request_id: int) -> None:
        self.cancelled.append(request_id)
        self.connection.post(Stopped(request_id))

    def on_free(self, handles: Sequence[tuple[int, int, int]]) -> None:
        self.freed.extend(handles)

    def upload_target(self, message: CopyToRemote) -> memoryview:
        return memoryview(bytearray(message.nbytes))

    def on_stray(self, value: object) -> None:
        self.strays.append(value)

    def on_takeover(self) -> None:
        self.takeover.set()

    def on_closed(self, reason: Exception) -> Exception:
        self.reason = reason
        self.closed.set()
        return reason


class Link:
    """Both ends of a connection; each end has its background reader."""

    def __init__(self, *, start: bool = True) -> None:
        near, far = memory_pair()
        self.client_owner, self.server_owner = Owner(), Owner()
        self.client = Connection(near, WireV1(Side.CLIENT), self.client_owner)
        self.server = Connection(far, WireV1(Side.SERVER), self.server_owner)
        self.client_owner.connection = self.client
        self.server_owner.connection = self.server
        if start:
            self.start()

    def start(self) -> None:
        self.client.ensure_background()
        self.server.ensure_background()

    def ask(self, value: object, deadline: Deadline | None = None) -> Pending:
        pending = self.client.open_request()
        self.client.send_request(pending, CallFunc(pending.id, 1, (value,)))
        self.client.wait(pending, deadline or Deadline.after(5.0))
        return pending


class Served:
    """A session, its dispatcher, both connections, and a client."""

    def __init__(self, session, *, due=None) -> None:
        near, far = memory_pair()
        self.session = session
        self.dispatcher = Dispatcher(session, due)
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

    def serve(kind=LocalSession, *, due=None, **options) -> Served:
        opened.append(Served(kind(registry, **options), due=due))
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


@pytest.fixture
def make_link() -> Iterator[Callable[..., Link]]:
    """Give a function that connects two ends; see `Link`."""
    made: list[Link] = []

    def make(**options) -> Link:
        made.append(Link(**options))
        return made[-1]

    yield make
    for link in made:
        link.client.close()
        link.server.close()


@pytest.fixture
def link(make_link) -> Link:
    return make_link()
