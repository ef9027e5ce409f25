from __future__ import annotations

import socket
import ssl
import threading
from contextlib import closing, suppress

import pytest

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import (
    AddressError,
    AuthenticationError,
    ConnectError,
    ConnectionClosed,
    TransportError,
    TransportTimeout,
)
from rpcnb.core.limits import KIB
from rpcnb.testing import TransportSuite
from rpcnb.testing.transport_suite import PATIENCE, Background, meeting, receive
from rpcnb.transport import connect, listen
from rpcnb.transport.tls import HANDSHAKE_NBYTES

OTHER = "a" * 52


class TestTls(TransportSuite):
    @pytest.fixture
    def url(self):
        return "tls://127.0.0.1:0"


@pytest.fixture
def listener():
    with listen("tls://127.0.0.1:0") as listener:
        yield listener


@pytest.fixture
def pair(listener):
    with meeting(listener) as pair:
        yield pair


def place(listener):
    host, _, port = listener.url.removeprefix("tls://").partition("?")[0].rpartition(":")
    return host, int(port)


class Tap(threading.Thread):
    """A man in the middle: passes bytes on, as changed by `change`, and keeps what the client says."""

    def __init__(self, target, change=lambda data, offset: data):
        super().__init__(daemon=True)
        self.heard = bytearray()
        self._target, self._change = target, change
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.start()

    def run(self):
        near, _ = self._socket.accept()
        far = socket.create_connection(self._target)
        back = threading.Thread(target=self._pass, args=(far, near, None), daemon=True)
        back.start()
        self._pass(near, far, self.heard)
        back.join(PATIENCE)
        for sock in near, far, self._socket:
            sock.close()

    def _pass(self, source, target, heard):
        offset = 0
        with suppress(OSError):
            while data := source.recv(4096):
                if heard is not None:
                    heard += data
                else:
                    data = self._change(data, offset)
                    offset += len(data)
                target.sendall(data)
        for sock in source, target:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def test_another_certificate_is_refused_before_anything_but_the_hello_is_sent(listener):
    tap = Tap(place(listener))
    serving = Background(lambda: listener.accept(PATIENCE).shake_hands(Deadline.after(PATIENCE)))
    with pytest.raises(AuthenticationError, match=r"another certificate.*rpcnb token"):
        connect(f"tls://127.0.0.1:{tap.port}?fingerprint={OTHER}", PATIENCE)
    with pytest.raises(TransportError):
        serving.result()
    tap.join(PATIENCE)
    kind, length = tap.heard[0], int.from_bytes(tap.heard[3:5], "big")
    assert kind == 22  # a handshake record, the client's hello
    # Nothing followed but, as each side may, the one byte that says "change cipher".
    assert tap.heard[5 + length :] in (b"", b"\x14\x03\x03\x00\x01\x01")


def test_what_passes_cannot_be_read_on_the_way(listener):
    tap = Tap(place(listener))
    fingerprint = listener.url.partition("?")[2]
    connecting = Background(lambda: connect(f"tls://127.0.0.1:{tap.port}?{fingerprint}", PATIENCE))
    with listener.accept(PATIENCE) as far:
        far.shake_hands(Deadline.after(PATIENCE))
        with connecting.result() as near:
            near.send_one(b"precious" * 100)
            assert receive(far, 800) == b"precious" * 100
    tap.join(PATIENCE)
    assert len(tap.heard) > 800
    assert b"precious" not in tap.heard


@pytest.mark.parametrize("where", [0, 5, 90, 200, 700, 900])
def test_what_is_altered_on_the_way_ends_the_connection(listener, where):
    def flip(data, offset):
        inside = where - offset
        if not 0 <= inside < len(data):
            return data
        return data[:inside] + bytes([data[inside] ^ 1]) + data[inside + 1 :]

    tap = Tap(place(listener), flip)
    fingerprint = listener.url.partition("?")[2]

    def client():
        with connect(f"tls://127.0.0.1:{tap.port}?{fingerprint}", 2.0) as near:
            return receive(near, 400)

    asking = Background(client)
    with suppress(TransportError), listener.accept(PATIENCE) as far:
        far.shake_hands(Deadline.after(2.0))
        far.send_one(b"x" * 400)
        with pytest.raises((TransportError, AuthenticationError)):
            asking.result()
    with pytest.raises((TransportError, AuthenticationError)):
        asking.result()


def test_a_stream_that_is_cut_off_is_not_taken_for_a_whole_one(pair):
    near, far = pair
    far.send_one(b"the beginning")
    far._inner.close()  # the network, that is: nothing said that this is the end
    assert receive(near, 13) == b"the beginning"
    with pytest.raises(ConnectionClosed, match="was lost"):
        near.receive_into(memoryview(bytearray(10)))


def test_older_versions_are_refused(listener):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def old_client():
        with socket.create_connection(place(listener)) as sock, context.wrap_socket(sock):
            pass

    asking = Background(old_client)
    with pytest.raises(ConnectError, match="no encrypted connection"):
        listener.accept(PATIENCE).shake_hands(Deadline.after(PATIENCE))
    with pytest.raises(ssl.SSLError, match="alert protocol version"):
        asking.result()


@pytest.mark.parametrize(
    "hello",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x89RPCNB\r\n" + bytes(100),
        b"\x16\x03\x01\xff\xff" + bytes(100),
        b"\x05",  # the first byte is enough, and OpenSSL would wait for more
    ],
)
def test_who_does_not_speak_tls_learns_nothing(listener, hello):
    with socket.create_connection(place(listener)) as sock:
        sock.sendall(hello)
        with listener.accept(PATIENCE) as far, pytest.raises(ConnectError):
            far.shake_hands(Deadline.after(PATIENCE))
        answer = b""
        with suppress(ConnectionResetError):
            answer = sock.recv(100)
    assert len(answer) <= 7  # an alert at most
    assert answer[:1] in (b"", b"\x15")


def test_a_server_that_does_not_speak_tls_is_named(listener):
    with socket.create_server(("127.0.0.1", 0)) as plain:
        url = "tls://{}:{}?fingerprint={}".format(*plain.getsockname(), OTHER)
        asking = Background(lambda: connect(url, PATIENCE))
        accepted, _ = plain.accept()
        with closing(accepted):
            accepted.sendall(b"220 mail.example.org ready\r\n")
            with pytest.raises(ConnectError, match="wrong version number; is an rpcnb server"):
                asking.result()


def test_a_server_that_says_nothing_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = "tls://{}:{}?fingerprint={}".format(*silent.getsockname(), OTHER)
        with pytest.raises(TransportTimeout):
            connect(url, 0.05)


def test_a_peer_that_says_nothing_keeps_the_server_no_longer_than_it_wants(listener):
    with socket.create_connection(place(listener)), listener.accept(PATIENCE) as far:
        assert not far.wait_readable(0.05)
        with pytest.raises(TransportTimeout):
            far.shake_hands(Deadline.after(0.05))


def test_a_handshake_has_a_largest_size(listener):
    record = b"\x16\x03\x01\x40\x00" + b"\x01\x03\xff\xff" + bytes(16 * KIB - 4)  # of many to come
    with socket.create_connection(place(listener)) as sock, listener.accept(PATIENCE) as far:
        sock.sendall(record)
        with pytest.raises(TransportError):
            far.shake_hands(Deadline.after(PATIENCE))
        assert far._received <= HANDSHAKE_NBYTES + len(record)
        assert far.closed


@pytest.mark.parametrize(
    "url",
    ["tls://127.0.0.1:1", "tls://127.0.0.1:1?fingerprint=abc", f"tls://127.0.0.1:1?x={OTHER}"],
)
def test_an_address_to_connect_to_names_a_certificate(url):
    with pytest.raises(AddressError, match="names no certificate"):
        connect(url, PATIENCE)


def test_only_the_encrypted_channel_has_something_of_its_own(pair):
    near, far = pair
    assert near.channel == far.channel != b""
    assert near.is_private
    with listen("tcp://127.0.0.1:0") as plain, meeting(plain) as (here, there):
        assert here.channel == there.channel == b""
