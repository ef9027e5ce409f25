from __future__ import annotations

import errno
import os
import socket
import struct
from contextlib import closing

import pytest

from rpcnb.core.errors import (
    ConnectError,
    ConnectionClosed,
    PermissionDenied,
    TransportTimeout,
)
from rpcnb.testing import TransportSuite
from rpcnb.testing.transport_suite import PATIENCE, Background
from rpcnb.transport import connect, listen
from rpcnb.transport.sockets import SocketTransport
from rpcnb.transport.tcp import RECEIVE_BUFFER, is_loopback, wrapped
from rpcnb.transport.tls import TlsTransport


def loopbacks():
    yield "127.0.0.1"
    with closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:  # a machine without IPv6
            return
    yield "[::1]"


class TestTcp(TransportSuite):
    @pytest.fixture(params=list(loopbacks()))
    def url(self, request):
        return f"tcp://{request.param}:0"


@pytest.fixture
def listener():
    with listen("tcp://127.0.0.1:0") as listener:
        yield listener


@pytest.fixture
def pair(listener):
    with connect(listener.url, PATIENCE) as near, listener.accept(PATIENCE) as far:
        yield near, far


def option(transport, level, name):
    with closing(socket.socket(fileno=os.dup(transport.fileno()))) as sock:
        return sock.getsockopt(level, name)


def test_both_ends_send_at_once_and_watch_the_peer(pair):
    for end in pair:
        assert option(end, socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert option(end, socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_receive_buffer_is_large_or_left_to_the_system(pair):
    near, far = pair
    with closing(socket.socket()) as plain:
        default = plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    for end in near, far:
        assert option(end, socket.SOL_SOCKET, socket.SO_RCVBUF) >= min(default, RECEIVE_BUFFER)


def test_live_peer_on_this_machine_may_take_its_time_to_read(pair):
    name = getattr(socket, "TCP_USER_TIMEOUT", None)
    assert not name or option(pair[0], socket.IPPROTO_TCP, name) == 0


def test_abort_resets_the_connection(pair):
    near, far = pair
    receiving = Background(lambda: far.receive_into(memoryview(bytearray(10))))
    assert receiving.blocks()
    near.abort()
    with pytest.raises(ConnectionClosed) as caught:
        receiving.result()
    assert caught.value.__cause__.errno == errno.ECONNRESET
    assert near.local_address in str(caught.value)


def test_host_names_are_resolved(listener):
    port = listener.url.rpartition(":")[2]
    with connect(f"tcp://localhost:{port}", PATIENCE) as near, listener.accept(PATIENCE):
        assert near.peer_address == listener.url


def test_unknown_host_is_named():
    with pytest.raises(ConnectError, match=r"no host is known as 'nobody\.invalid'"):
        connect("tcp://nobody.invalid:1", PATIENCE)


def test_refusal_says_what_to_check():
    with listen("tcp://127.0.0.1:0") as listener:
        gone = listener.url
    with pytest.raises(ConnectError, match=r"is the server running.*rpcnb serve") as caught:
        connect(gone, PATIENCE)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


def test_connecting_gives_up_when_the_time_is_over():
    with closing(socket.socket()) as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"tcp://127.0.0.1:{full.getsockname()[1]}"
        taken = []
        with pytest.raises(TransportTimeout, match="no answer from"):
            taken.extend(connect(url, 0.05) for _ in range(10))
        for transport in taken:
            transport.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.0.2.1", "[2001:db8::1]", "8.8.8.8"])
def test_listening_beyond_this_machine_is_refused(host):
    with pytest.raises(PermissionDenied, match=r"without encryption; listen at tls://"):
        listen(f"tcp://{host}:4000")


@pytest.mark.parametrize(
    ("expected", "family", "host"),
    [
        (True, socket.AF_INET, "127.0.0.1"),
        (True, socket.AF_INET, "127.255.0.9"),
        (False, socket.AF_INET, "128.0.0.1"),
        (True, socket.AF_INET6, "::1"),
        (True, socket.AF_INET6, "::ffff:127.0.0.1"),
        (False, socket.AF_INET6, "::ffff:10.0.0.1"),
        (False, socket.AF_INET6, "fe80::1%lo"),
        (False, socket.AF_INET6, "::"),
    ],
)
def test_loopback_is_told_from_the_network(expected, family, host):
    assert is_loopback(family, host) is expected


def test_port_in_use_is_named(listener):
    port = listener.url.rpartition(":")[2]
    with pytest.raises(ConnectError, match=f"port {port} is in use.*another port"):
        listen(listener.url)


def test_numeric_address_does_not_load_idna(run_python):
    code = """
import sys
from rpcnb.transport import connect, listen
with listen("tcp://127.0.0.1:0") as listener, connect(listener.url), listener.accept(5):
    print("encodings.idna" in sys.modules)
"""
    assert run_python(code) == "False\n"


def test_tcp_knows_nobody_at_the_other_end(pair):
    assert pair[0].peer_credentials() is None


def reset_pair() -> socket.socket:
    """Return a socket that was connected, and whose peer has reset it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sock = socket.create_connection(listener.getsockname())
        peer = listener.accept()[0]
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    with pytest.raises(ConnectionResetError):
        sock.recv(1)
    return sock


@pytest.mark.parametrize("make", [SocketTransport, lambda sock: TlsTransport(sock, "a" * 52)])
def test_a_connection_that_is_lost_as_soon_as_it_is_there_is_an_error_of_ours(make) -> None:
    sock = reset_pair()
    with pytest.raises(ConnectionClosed, match="lost as soon as it was there"):
        wrapped(sock, make)
    assert sock.fileno() == -1
