"""Tests of `rpcnb.endpoint.serving.worker`: a session on a connection, from its opening to its end."""

from __future__ import annotations

import queue
import socket
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import ConnectionClosed, OutcomeUnknown, RpcnbError, SessionError
from rpcnb.endpoint import recovery
from rpcnb.endpoint.client.connect import open_session as connect
from rpcnb.endpoint.client.socket_session import SocketSession
from rpcnb.endpoint.serving import worker, zygote
from rpcnb.endpoint.serving.seat import Post
from rpcnb.endpoint.serving.server import Server
from rpcnb.endpoint.serving.ticket import Ticket
from rpcnb.endpoint.serving.worker import Service, say_sorry, serve, serve_on_thread
from rpcnb.session.functions import FunctionRegistry
from rpcnb.transport.descriptor import send_descriptor
from rpcnb.transport.memory import memory_pair
from rpcnb.wire.handshake import Agreement, Intent
from rpcnb.wire.messages import Goodbye, Side
from rpcnb.wire.v1 import WireV1

if TYPE_CHECKING:
    from rpcnb.transport.base import Transport

WAIT = 10.0
TICKET = Ticket("a" * 32, "", 1)


def a_client(transport) -> SocketSession:
    agreement = Agreement(bytes(16), 1, "", "here", 1, Intent.NEW)
    return SocketSession(transport, WireV1(Side.CLIENT), agreement)


class Running:
    """A session that is served on a thread."""

    def __init__(self, work) -> None:
        near, far = memory_pair()
        self.posts: list[Post] = []
        self.thread = threading.Thread(target=work, args=(far, self.posts.append))
        self.thread.start()
        self.client = a_client(near)

    def end(self) -> None:
        self.client.shutdown()
        self.thread.join(WAIT)
        assert not self.thread.is_alive()


def test_a_session_is_served_until_its_client_goes(tmp_path) -> None:
    registry = FunctionRegistry()
    registry.add("t.double", lambda n: 2 * n)
    ended = threading.Event()
    running = Running(
        lambda far, opened: serve(
            far, TICKET, Service(registry=registry), opened, str(tmp_path), on_end=ended.set
        )
    )
    double = running.client.get_function("t.double")
    assert [running.client.call_func(double, (n,)) for n in range(5)] == [0, 2, 4, 6, 8]
    running.end()
    assert ended.is_set()


def test_a_session_can_be_closed_from_outside_with_a_reason(tmp_path, eventually) -> None:
    running = Running(lambda far, opened: serve(far, TICKET, Service(), opened, str(tmp_path)))
    running.client.ping()
    (post,) = running.posts
    post.close("time to go")
    assert eventually(lambda: running.client.closed)  # idle clients listen, too
    with pytest.raises(RpcnbError, match="time to go"):
        running.client.ping()
    running.end()


def test_a_thread_gets_a_folder_that_goes_with_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    running = Running(lambda far, opened: serve_on_thread(Service(), far, TICKET, opened))
    client = running.client
    upload = client.get_function("rpcnb.upload")
    client.call_func(upload, ("a.txt", 0, b"content", True))
    assert [path.read_bytes() for path in Path(tmp_path).rglob("a.txt")] == [b"content"]
    running.end()
    assert list(tmp_path.iterdir()) == []


def test_a_session_that_cannot_be_opened_says_why(tmp_path, caplog) -> None:
    def fail():
        raise SessionError("the next one is busy")

    service = Service(open_next=fail)
    running = Running(lambda far, opened: serve(far, TICKET, service, opened, str(tmp_path)))
    with pytest.raises(RpcnbError, match="cannot be opened: SessionError: the next one is busy"):
        running.client.get_function("t.echo")
    running.end()
    assert "the next one is busy" in caplog.text


def test_apologies_wait_until_the_peer_has_spoken(monkeypatch) -> None:
    monkeypatch.setattr(worker, "LAST_WORDS", 0.02)
    near, far = memory_pair()
    say_sorry(far, TICKET, ValueError("x"))
    assert near.receive_into(memoryview(bytearray(100))) == 0  # nothing but the end
    near.close()

    near, far = memory_pair()
    near.send_one(b"a call")
    say_sorry(far, TICKET, ValueError("x" * 2000))
    protocol = WireV1(Side.CLIENT)
    (message,) = protocol.received(near.receive_into(protocol.receive_buffer()))
    assert isinstance(message, Goodbye)
    assert message.error
    assert len(message.reason) == 500
    near.close()


def test_a_worker_that_is_told_to_stop_while_opening_stops(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(zygote, "KILL_AFTER", 0.5)
    monkeypatch.setattr(recovery, "RESTART_PATIENCE", 0.1)

    def open_slowly():
        threading.Event().wait(60)

    path = tmp_path / "server.json"
    server = Server(open_next=open_slowly, in_process=False, connection_file=path).start()
    session = connect(str(path))
    assert server.sessions == 1
    server.close()
    with pytest.raises((OutcomeUnknown, RpcnbError)):
        session.get_function("t.echo")


def test_a_connection_that_was_reset_on_its_way_to_a_session_does_not_shut_its_door() -> None:
    door, inside = socket.socketpair()
    taken: queue.Queue[tuple[Transport, int]] = queue.Queue()
    post = Post(lambda _: None, lambda transport, ticket: taken.put((transport, ticket.epoch)))
    thread = threading.Thread(target=worker._attend, args=(inside, post))
    thread.start()
    with door, inside, socket.create_server(("127.0.0.1", 0)) as listener:
        for epoch in (2, 3):
            here = socket.create_connection(listener.getsockname())
            there = listener.accept()[0]
            if epoch == 2:
                here.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                here.close()
                with pytest.raises(ConnectionResetError):
                    there.recv(1)
            send_descriptor(door, there.fileno(), TICKET._replace(epoch=epoch).to_note())
            there.close()
            transport, number = taken.get(timeout=WAIT)
            assert number == epoch
            if epoch == 2:
                with pytest.raises(ConnectionClosed):
                    transport.send_one(b"x")
            else:
                transport.send_one(b"x")
                assert here.recv(1) == b"x"
            transport.close()
        here.close()
        door.shutdown(socket.SHUT_RDWR)
        thread.join(WAIT)
    assert not thread.is_alive()


ON_TERM = """
import os, signal, time
from rpcnb.endpoint.serving import worker
from rpcnb.endpoint.serving.seat import Post
on_term = worker.OnTerm()
on_term.install()
"""


def test_a_session_that_opens_when_its_server_stops_is_ended_in_order(run_python) -> None:
    code = """
import threading
ended = threading.Event()
on_term.opening = True
os.kill(os.getpid(), signal.SIGTERM)
on_term.has_opened(Post(lambda why: (print(why), ended.set()), None))
assert ended.wait(20.0)
"""
    assert run_python(ON_TERM + code) == f"{worker.STOPPING}\n"


def test_a_session_that_takes_long_to_open_keeps_no_server_from_stopping(run_python) -> None:
    code = """
worker.OPENING_PATIENCE = 0.01
on_term.opening = True
os.kill(os.getpid(), signal.SIGTERM)
while True:
    signal.pause()
"""
    assert run_python(ON_TERM + code) == ""


def test_a_process_without_a_session_ends_at_once_when_it_is_told_to(run_python) -> None:
    assert run_python(ON_TERM + "os.kill(os.getpid(), signal.SIGTERM)\nprint('still here')") == ""
