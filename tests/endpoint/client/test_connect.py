"""Tests of `rpcnb.endpoint.client.connect`: what a user may write, and how a lost session is explained."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import (
    AddressError,
    AuthenticationError,
    ConnectError,
    ConnectionClosed,
    HandshakeError,
    OutcomeUnknown,
    PermissionDenied,
    TransportTimeout,
    WorkerDied,
)
from rpcnb.endpoint.client.connect import (
    Target,
    ask_status,
    greet,
    how_it_ended,
    open_session,
    parse_url,
    secured,
    signal_name,
    without_secret,
)
from rpcnb.endpoint.credentials import (
    new_token,
    read_connection_file,
    remember_token,
    secret_of,
)
from rpcnb.endpoint.greeting import exchange, send_due
from rpcnb.endpoint.serving.server import Server
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession
from rpcnb.transport import registry as transports
from rpcnb.transport.memory import MemoryTransport
from rpcnb.wire.handshake import Agreement, Intent
from rpcnb.wire.server_handshake import ServerHandshake

if TYPE_CHECKING:
    from rpcnb.transport.base import Listener


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RPCNB_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def server(tmp_path):
    registry = FunctionRegistry()
    registry.add("t.exit", os._exit)
    registry.add("t.kill", lambda number: os.kill(os.getpid(), number))
    registry.add("t.name", lambda: "this one")
    with Server(registry=registry, in_process=False, name="srv") as server:
        yield server


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("127.0.0.1:9090", Target("rpcnb", "tcp://127.0.0.1:9090")),
        (" localhost:1 ", Target("rpcnb", "tcp://localhost:1")),
        ("[::1]:9090", Target("rpcnb", "tcp://[::1]:9090")),
        ("rpcnb://host:9090/train-1", Target("rpcnb", "tcp://host:9090", "train-1")),
        ("rpcnb://host:9090/#k.s.f", Target("rpcnb", "tcp://host:9090", token="k.s.f")),
        ("host:9090/train-1#k.s.f", Target("rpcnb", "tcp://host:9090", "train-1", "k.s.f")),
        ("unix:///run/x.sock#s", Target("unix", "unix:///run/x.sock", token="s")),
        ("tcp://host:9090", Target("tcp", "tcp://host:9090")),
        ("unix:///run/x.sock", Target("unix", "unix:///run/x.sock")),
        ("memory://x", Target("memory", "memory://x")),
        ("tvm://host:1?key=K", Target("tvm", "tvm://host:1?key=K")),
        ("local:", Target("local")),
        ("local", Target("local")),
        ("other://host:1", Target("other", "other://host:1")),
    ],
)
def test_an_address_is_read(text, target) -> None:
    assert parse_url(text) == target


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", "a b:1", "rpcnb://", "host:1/a/b"])
def test_what_is_no_address_is_answered_with_one(text) -> None:
    with pytest.raises(AddressError, match=r"127\.0\.0\.1:9090"):
        parse_url(text)


def test_the_token_in_an_address_is_shown_by_nothing() -> None:
    token = f"abcdefgh.{new_token()}.{'a' * 52}"
    assert new_token() not in repr(parse_url(f"host:1/#{token}"))
    assert token not in repr(parse_url(f"host:1/#{token}"))
    with pytest.raises(AddressError) as caught:
        parse_url(f"no address#{token}")
    assert token.split(".")[1] not in str(caught.value)
    assert without_secret(f"rpcnb://host:1/#{token}") == "rpcnb://host:1"
    assert without_secret("unix:///run/x.sock") == "unix:///run/x.sock"


def test_a_token_that_names_a_certificate_means_encryption() -> None:
    token = f"abcdefgh.{new_token()}.{'a' * 52}"
    assert secured("tcp://host:1", token) == f"tls://host:1?fingerprint={'a' * 52}"
    assert secured("tcp://host:1", new_token()) == "tcp://host:1"
    assert secured("unix:///x", token) == "unix:///x"


def test_a_server_that_listens_everywhere_is_found_by_its_port(tmp_path) -> None:
    registry = FunctionRegistry()
    registry.add("t.name", lambda: "this one")
    with Server(host="0.0.0.0", registry=registry, in_process=True) as server:
        port = server.url.partition("?")[0].rpartition(":")[2]
        for host in ("127.0.0.1", "localhost"):
            with open_session(f"{host}:{port}") as session:
                assert session.call_func(session.get_function("t.name"), ()) == "this one"


def test_nothing_is_said_where_it_could_be_read_on_the_way(monkeypatch) -> None:
    monkeypatch.setattr(MemoryTransport, "is_private", False)  # as TCP to another machine
    with transports.listen("memory://far") as listener:
        with pytest.raises(PermissionDenied, match=r"without encryption.*rpcnb token"):
            open_session("memory://far", token=new_token(), timeout=5.0)
        with listener.accept(5.0) as accepted:
            assert accepted.receive_into(memoryview(bytearray(10))) == 0


@pytest.mark.parametrize("scheme", ["dask"])
def test_what_is_planned_says_so(scheme) -> None:
    with pytest.raises(AddressError, match=f"{scheme}:// cannot be opened"):
        parse_url(f"{scheme}://host:1")


def test_an_unknown_scheme_lists_the_known_ones() -> None:
    with pytest.raises(
        AddressError, match="local, memory, rpcnb, ssh, tcp, tls, tvm, tvm\\+tracker, unix"
    ):
        open_session("carrier-pigeon://host:1", token=new_token())


def test_another_package_can_add_a_scheme(tmp_path, monkeypatch) -> None:
    info = tmp_path / "pigeons-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeons\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[rpcnb.sessions]\npigeon = pigeons:fly\n")
    (tmp_path / "pigeons.py").write_text(
        "def fly(target, token, timeout, name): return target.transport_url, name\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert open_session("pigeon://host:1", name="n") == ("pigeon://host:1", "n")


def test_local_needs_no_server() -> None:
    with open_session("local:") as session:
        assert isinstance(session, LocalSession)
        assert session.name == "local"


def test_a_session_has_the_name_it_was_given(server) -> None:
    with open_session(server.url, name="mine") as session:
        assert session.agreement.session_name == "mine"
    with open_session(server.url.replace("tcp", "rpcnb") + "/theirs") as session:
        assert session.agreement.session_name == "theirs"


def way_to(url: str) -> str:
    with open_session(url) as session:
        return session.statistics()["connected_to"].partition(":")[0]


def test_a_server_of_ones_own_is_reached_by_its_unix_socket_unless_tcp_is_asked_for(server) -> None:
    address = server.url.removeprefix("tcp://")
    assert way_to(address) == way_to(str(server.connection_file)) == "unix"
    assert way_to(server.url) == "tcp"


def test_a_unix_socket_that_is_gone_is_no_loss(server) -> None:
    info = read_connection_file(server.connection_file)
    Path(info.shortcut.removeprefix("unix://")).unlink()
    assert way_to(server.url.removeprefix("tcp://")) == "tcp"


def test_a_closed_server_leaves_no_socket(server, tmp_path) -> None:
    assert list(tmp_path.rglob("*.sock"))
    server.close()
    assert not list(tmp_path.rglob("*.sock"))


def test_a_folder_too_deep_for_a_socket_does_without(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RPCNB_RUNTIME_DIR", str(tmp_path / ("x" * 120)))
    with Server(registry=FunctionRegistry(), in_process=True) as server:
        assert way_to(server.url.removeprefix("tcp://")) == "tcp"


def test_a_remembered_token_is_used(server) -> None:
    server.connection_file.unlink()
    with pytest.raises(AuthenticationError, match=r"no token for .*rpcnb token"):
        open_session(server.url)
    remember_token(server.url, server.token)
    open_session(server.url).shutdown()


def test_nobody_there_is_said_so(tmp_path) -> None:
    with pytest.raises(ConnectError):
        open_session("127.0.0.1:9", token=new_token())


def test_somebody_who_says_nothing_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TransportTimeout, match="did not finish the handshake"):
            open_session(url, token=new_token(), timeout=0.1)


def test_somebody_who_hangs_up_is_said_to_have_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as rude:
        url = f"tcp://127.0.0.1:{rude.getsockname()[1]}"
        rude.close()
        with pytest.raises((ConnectError, ConnectionClosed, HandshakeError)):
            greet(url, bytes(32), 2.0, Intent.NEW)


@pytest.mark.parametrize("code", [1, 3, 255])
def test_a_worker_that_exits_is_reported_with_its_status(server, code) -> None:
    session = open_session(server.url)
    with pytest.raises(WorkerDied, match=f"on srv ended with status {code}") as died:
        session.call_func(session.get_function("t.exit"), (code,))
    assert (died.value.exit_code, died.value.signal) == (code, None)


def test_a_worker_that_is_killed_is_reported_with_its_signal(server) -> None:
    session = open_session(server.url)
    with pytest.raises(WorkerDied, match="killed by SIGKILL") as died:
        session.call_func(session.get_function("t.kill"), (int(signal.SIGKILL),))
    assert (died.value.exit_code, died.value.signal) == (None, signal.SIGKILL)


def test_a_worker_that_ends_without_a_reason_leaves_the_outcome_open(server) -> None:
    session = open_session(server.url)
    with pytest.raises(OutcomeUnknown, match="the session has ended"):
        session.call_func(session.get_function("t.exit"), (0,))


def agreement_of(session_id: bytes) -> Agreement:
    return Agreement(session_id, 1, "", "srv", 1, Intent.NEW)


def test_a_session_nobody_knows_leaves_the_outcome_open(server) -> None:
    secret = secret_of(server.token)
    told = how_it_ended(server.url, secret, agreement_of(bytes(16)), OSError("cut"))
    assert isinstance(told, OutcomeUnknown)
    assert "(cut); the session is known no more" in str(told)


def test_a_session_that_goes_on_leaves_the_outcome_open(server) -> None:
    with open_session(server.url) as session:
        secret = secret_of(server.token)
        told = how_it_ended(server.url, secret, session.agreement, OSError("cut"))
    assert isinstance(told, OutcomeUnknown)


def test_a_server_that_does_not_answer_leaves_the_outcome_open() -> None:
    told = how_it_ended("tcp://127.0.0.1:9", bytes(32), agreement_of(bytes(16)), OSError("cut"))
    assert isinstance(told, OutcomeUnknown)
    assert "it does not answer" in str(told)


def test_signals_have_names() -> None:
    assert signal_name(11) == "SIGSEGV (11)"
    assert signal_name(99) == "signal 99"


def test_the_status_is_that_of_the_server(server) -> None:
    assert ask_status(server.url, server.token)["pid"] == os.getpid()


def test_a_status_that_is_none_is_refused() -> None:
    token = new_token()

    def answer(listener: Listener) -> None:
        with listener.accept(5.0) as transport:
            handshake = ServerHandshake(secret_of(token))
            exchange(transport, handshake, "proved", Deadline.after(5.0))
            handshake.accept(bytes(16), 0, "[]")
            send_due(transport, handshake)

    with transports.listen("tcp://127.0.0.1:0") as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        with pytest.raises(ConnectionClosed, match="no status"):
            ask_status(listener.url, token)
        thread.join(5.0)
