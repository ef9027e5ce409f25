"""Tests of `rpcnb.endpoint.serving.broker`: who gets in, and what the others are told."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import ExitStack, suppress
from time import monotonic

import pytest

from rpcnb.core.errors import (
    AuthenticationError,
    ConnectionClosed,
    HandshakeError,
    TransportError,
)
from rpcnb.core.limits import Limits
from rpcnb.endpoint.client.connect import ask_status, greet, open_session
from rpcnb.endpoint.credentials import new_token, secret_of
from rpcnb.endpoint.greeting import claim
from rpcnb.endpoint.serving.broker import REMEMBERED, Broker, SessionRecord
from rpcnb.endpoint.serving.keyring import Keyring
from rpcnb.endpoint.serving.server import Server
from rpcnb.endpoint.serving.staff import ThreadStaff
from rpcnb.session.functions import FunctionRegistry
from rpcnb.transport import registry as transports
from rpcnb.transport.base import Listener
from rpcnb.wire.client_handshake import ClientHandshake
from rpcnb.wire.handshake import MAGIC, Intent

SECRET = bytes(range(32))


@pytest.fixture
def server(tmp_path):
    registry = FunctionRegistry()
    registry.add("t.echo", lambda value: value)
    limits = Limits(preauth_seconds=5.0)
    path = tmp_path / "server.json"
    with Server(registry=registry, in_process=True, limits=limits, connection_file=path) as server:
        yield server


def address(server: Server) -> tuple[str, int]:
    host, port = server.url.removeprefix("tcp://").split(":")
    return host, int(port)


def talk(server: Server, data: bytes) -> bytes:
    with socket.create_connection(address(server), 5.0) as sock:
        sock.sendall(data)
        answer = bytearray()
        try:
            while part := sock.recv(4096):
                answer += part
        except ConnectionResetError:
            pass
        return bytes(answer)


def test_a_client_with_another_secret_is_refused_and_told_where_to_get_it(server) -> None:
    with pytest.raises(AuthenticationError, match="rpcnb token"):
        open_session(server.url, token=new_token())
    assert server.sessions == 0


def test_a_server_that_does_not_know_the_secret_gets_no_proof() -> None:
    with socket.create_server(("127.0.0.1", 0)) as impostor:
        url = "tcp://{}:{}".format(*impostor.getsockname())
        transport = transports.connect(url, 5.0)
        accepted, _ = impostor.accept()
        with transport, accepted:
            client = ClientHandshake(SECRET)
            transport.send_one(client.data_to_send())
            accepted.recv(4096)
            false_server = MAGIC + struct.pack("<H", 1) + bytes(32) + b"\x04evil" + bytes(32)
            with pytest.raises(AuthenticationError, match="'evil'"):
                client.receive_data(false_server)
            assert client.data_to_send() == b""


@pytest.mark.parametrize(
    "words",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"POST /rpc HTTP/1.1\r\nContent-Length: 30000\r\n\r\n" + bytes(30_000),
        b"\n",
    ],
    ids=["http", "tls", "ssh", "post", "newline"],
)
def test_whoever_speaks_another_language_is_cut_off_without_a_word(server, words) -> None:
    began = monotonic()
    assert talk(server, words) == b""
    assert monotonic() - began < 1.0


def test_another_version_is_told_which_one_is_spoken_here(server) -> None:
    answer = talk(server, MAGIC + struct.pack("<H", 9) + bytes(100))
    assert answer == MAGIC + struct.pack("<HHH", 0, 1, 1)


def test_a_client_learns_the_versions_of_a_newer_server() -> None:
    with transports.listen("tcp://127.0.0.1:0") as listener, ExitStack() as stack:
        transport = stack.enter_context(transports.connect(listener.url, 5.0))
        accepted = stack.enter_context(listener.accept(5.0))
        accepted.send_one(MAGIC + struct.pack("<HHH", 0, 2, 4))
        client = ClientHandshake(SECRET)
        buffer = memoryview(bytearray(100))
        with pytest.raises(HandshakeError, match="version 2 to 4"):
            client.receive_data(buffer[: transport.receive_into(buffer)])


def test_70_strangers_who_say_nothing_do_not_keep_a_client_out(server) -> None:
    with ExitStack() as stack:
        crowd = [
            stack.enter_context(socket.create_connection(address(server), 5.0)) for _ in range(70)
        ]
        crowd[0].settimeout(5.0)
        began = monotonic()
        with open_session(server.url, token=server.token, timeout=2.0) as session:
            echo = session.get_function("t.echo")
            assert session.call_func(echo, (1,)) == 1
        seconds = monotonic() - began
        assert seconds < 2.0, f"a client got in after {seconds:.1f} s, promised: 2 s"
        with suppress(ConnectionResetError):
            assert crowd[0].recv(1) == b""  # the first to come was the first to go


def test_a_stranger_is_dropped_when_the_time_is_up(tmp_path) -> None:
    path = tmp_path / "server.json"
    limits = Limits(preauth_seconds=0.1)
    with Server(in_process=True, limits=limits, connection_file=path) as server:
        began = monotonic()
        assert talk(server, MAGIC) == b""
        assert 0.05 < monotonic() - began < 2.0


def test_the_status_tells_numbers_only_to_who_knows_the_secret(server) -> None:
    with open_session(server.url, token=server.token):
        status = ask_status(server.url, server.token)
    assert (status["sessions"], status["ended"]) == (1, 0)
    with pytest.raises(AuthenticationError):
        ask_status(server.url, new_token())


def test_how_a_session_ended_can_be_asked(server, eventually) -> None:
    session = open_session(server.url, token=server.token)
    session_id = session.agreement.session_id
    session.shutdown()
    secret = secret_of(server.token)

    def ask(identity: bytes) -> dict[str, object]:
        transport, agreement = greet(server.url, secret, 5.0, Intent.ASK, session_id=identity)
        transport.close()
        return json.loads(agreement.text)

    assert eventually(lambda: ask(session_id)["code"] == 0)
    assert ask(bytes(16)) == {"known": False}


def attach(server, session_id: bytes, proof: str) -> tuple[int, dict]:
    transport, answer = greet(
        server.url,
        secret_of(server.token),
        5.0,
        Intent.ATTACH,
        name=proof,
        session_id=session_id,
    )
    transport.close()
    return answer.epoch, json.loads(answer.text or "{}")


def test_coming_back_to_a_session_that_never_was_is_told_apart(server) -> None:
    assert attach(server, bytes(16), "") == (0, {"known": False})


def test_a_session_is_handed_to_nobody_but_the_client_it_belongs_to(server) -> None:
    with open_session(server.url, token=server.token) as session:
        agreement = session.agreement
        other = claim(bytes(32), agreement.session_id)
        taken = (0, {"known": True, "taken": True})
        assert attach(server, agreement.session_id, other) == taken
        assert attach(server, agreement.session_id, "") == taken
        own = claim(agreement.resume_key, agreement.session_id)
        assert attach(server, agreement.session_id, own) == (2, {})


def test_how_a_session_ended_is_told_to_a_client_that_comes_back(server, eventually) -> None:
    session = open_session(server.url, token=server.token)
    agreement = session.agreement
    session.shutdown()
    assert eventually(lambda: server.sessions == 0)
    own = claim(agreement.resume_key, agreement.session_id)
    epoch, ending = attach(server, agreement.session_id, own)
    assert (epoch, ending["known"], ending["code"]) == (0, True, 0)


class Lazy(ThreadStaff):
    """A staff whose sessions end at once."""

    def __init__(self) -> None:
        super().__init__(lambda transport, ticket, opened: None, lambda *_: None)


def make_broker(listener: Listener, **limits: int) -> Broker:
    return Broker([listener], Keyring(SECRET), "test", Lazy(), Limits(**limits))


def test_old_endings_are_forgotten(monkeypatch) -> None:
    with transports.listen("tcp://127.0.0.1:0") as listener:
        broker = make_broker(listener, sessions=10_000)
        for number in range(REMEMBERED + 5):
            broker._enter(SessionRecord(str(number), ""))
            broker._on_end(str(number), 0)
        assert len(broker._records) == REMEMBERED
        broker._on_end("nobody", 3)
        assert broker.live_sessions() == []


def test_living_sessions_are_never_forgotten() -> None:
    with transports.listen("tcp://127.0.0.1:0") as listener:
        broker = make_broker(listener, sessions=10_000)
        for number in range(REMEMBERED + 5):
            broker._enter(SessionRecord(str(number), ""))
        assert len(broker.live_sessions()) == REMEMBERED + 5


class Troubled(Listener):
    """A listener that fails at first, as one without descriptors does."""

    def __init__(self, inner: Listener, failures: int) -> None:
        self.inner = inner
        self.failures = failures

    def accept(self, timeout=None):
        if self.failures:
            self.failures -= 1
            raise TransportError("too many open files")
        return self.inner.accept(timeout)

    def close(self) -> None:
        self.inner.close()

    @property
    def url(self) -> str:
        return self.inner.url

    def fileno(self) -> int:
        return self.inner.fileno()


def test_it_goes_on_when_the_system_was_out_of_descriptors() -> None:
    listener = Troubled(transports.listen("tcp://127.0.0.1:0"), failures=2)
    broker = make_broker(listener)
    broker.start()
    transport, _ = greet(listener.url, SECRET, 5.0, Intent.CONTROL)
    transport.close()
    assert listener.failures == 0
    broker.close()
    broker.close()


def test_closing_cuts_off_who_is_still_greeting() -> None:
    listener = transports.listen("tcp://127.0.0.1:0")
    broker = make_broker(listener)
    broker.start()
    with transports.connect(listener.url, 5.0) as transport:
        transport.send_one(MAGIC)
        greet(listener.url, SECRET, 5.0, Intent.CONTROL)[0].close()  # the first one was accepted
        broker.close()
        with suppress(ConnectionClosed):
            assert transport.receive_into(memoryview(bytearray(10))) == 0


def test_a_stopping_server_takes_no_new_session() -> None:
    with transports.listen("tcp://127.0.0.1:0") as listener:
        broker = make_broker(listener)
        broker.start()
        broker._closing = True
        with pytest.raises(HandshakeError, match="the server is stopping"):
            greet(listener.url, SECRET, 5.0, Intent.NEW)


def test_an_error_of_its_own_ends_only_that_greeting(caplog) -> None:
    class Broken(Lazy):
        def hire(self, ticket, transport):
            raise ZeroDivisionError

    listener = transports.listen("tcp://127.0.0.1:0")
    broker = Broker([listener], Keyring(SECRET), "test", Broken(), Limits())
    broker.start()
    with pytest.raises((ConnectionClosed, HandshakeError)):
        greet(listener.url, SECRET, 5.0, Intent.NEW)
    greet(listener.url, SECRET, 5.0, Intent.CONTROL)[0].close()
    broker.close()
    assert "ZeroDivisionError" in caplog.text


def test_a_server_that_gets_no_thread_listens_to_the_next_client(run_python) -> None:
    code = """
import socket, threading
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.serving.server import Server

with Server(url="tcp://127.0.0.1:0", in_process=True) as server:
    address = server.url.removeprefix("tcp://").split(":")
    threading.stack_size(1 << 46)  # more than there is: no thread starts
    with socket.create_connection(address) as client:
        try:
            said = client.recv(1)
        except ConnectionResetError:
            said = b""
    threading.stack_size(0)
    print(said)
    with open_session(server.url, token=server.token) as session:
        print(session.closed)
"""
    assert run_python(code) == "b''\nFalse\n"
