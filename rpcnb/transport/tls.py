"""TLS 1.3 over TCP, from the first byte: between machines.

There is no plaintext phase that could be altered or cut off, and no older version to fall back to.
The client compares the certificate's SHA-256 with the one in the address before it sends anything
but its hello; that is all it looks at, since a server signs its certificate itself.

`ssl` works on memory here (`ssl.MemoryBIO`), and a `SocketTransport` moves the records: so a thread
may block in sending while another receives, which OpenSSL's own sockets do not allow, and many
records go with one system call. Measured, 64 MiB between two processes, against `ssl.SSLSocket`:
see benchmarks/README.md.

What `Transport` says of handlers that raise holds while a thread waits. In the middle of a record it
cannot: what was half taken in or half sent would be lost, so the connection is aborted instead.
"""

from __future__ import annotations

import hmac
import ssl
import threading
from contextlib import suppress
from functools import cache
from threading import get_ident
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from rpcnb.core.deadline import NEVER, Deadline
from rpcnb.core.errors import (
    AddressError,
    AuthenticationError,
    ConnectError,
    ConnectionClosed,
    TransportTimeout,
)
from rpcnb.core.limits import KIB
from rpcnb.transport.address import EXAMPLES, Address, parse_address
from rpcnb.transport.base import Backend, Bytes
from rpcnb.transport.certificate import (
    client_context,
    fingerprint_of,
    fingerprint_text,
    server_context,
)
from rpcnb.transport.room import GrowingRoom
from rpcnb.transport.sockets import SocketListener, SocketTransport
from rpcnb.transport.stream import StreamTransport
from rpcnb.transport.tcp import connected_socket, listening_socket, resolve, tune_latency, wrapped

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

Result = TypeVar("Result")

RECORDS = 256 * KIB
"""Most bytes taken from the socket at once."""
RECORD = 16 * KIB
"""Most plaintext in one record of TLS."""
SENT_AT_ONCE = 256 * KIB
"""Plaintext encrypted in one go: what a receiving thread may have to wait for."""
HELLO_RECORD = 0x16
"""First byte of all that a client of TLS says first."""
HANDSHAKE_NBYTES = 16 * KIB
"""More bytes do not belong to a handshake between two of us."""
LAST_WORDS = 1.0
"""Seconds that closing may wait for another thread to leave the records alone."""
_QUERY = "fingerprint="


class TlsBackend(Backend):
    """``tls://host:port?fingerprint=…``; a listener makes a certificate, and its URL names it."""

    def connect(self, address: Address, timeout: float | None) -> TlsTransport:
        fingerprint = _fingerprint_in(address)
        deadline = Deadline.after(timeout)
        sock = connected_socket(address, deadline, timeout)
        transport = wrapped(sock, lambda sock: TlsTransport(sock, fingerprint))
        try:
            transport.shake_hands(deadline)
        except BaseException:
            transport.abort()
            raise
        return transport

    def listen(self, address: Address) -> TlsListener:
        context, fingerprint = server_context()
        return TlsListener(
            listening_socket(address, resolve(address)[0]), context, fingerprint_text(fingerprint)
        )


class TlsTransport(StreamTransport):
    """A connection of encrypted records.

    Parameters
    ----------
    sock : socket.socket
        Connected; owned from here on.
    fingerprint : str
        Of the server's certificate.
    context : ssl.SSLContext, optional
        Given on the server's side.
    """

    def __init__(
        self, sock: socket.socket, fingerprint: str, context: ssl.SSLContext | None = None
    ) -> None:
        self._inner = SocketTransport(sock)
        self._is_server = context is not None
        self._fingerprint = fingerprint
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = (context or _client_context()).wrap_bio(
            self._incoming, self._outgoing, server_side=self._is_server
        )
        self._lock = threading.Lock()
        """For `_tls` and both of its sides, none of which are for two threads at once."""
        self._user = 0
        """Thread that holds it."""
        self._deferred: list[bytes] = []
        """What a signal handler sent that came upon its own thread using TLS."""
        self._sending = False
        """Records are on their way: nothing may be put between them."""
        self._open = False
        """The handshake is done."""
        self._received = 0
        self._records = GrowingRoom(RECORDS)
        self._ready = b""
        """Plaintext that `wait_readable` came upon."""
        self._ended = False
        urls = [
            url.replace("tcp:", "tls:", 1)
            for url in (self._inner.local_address, self._inner.peer_address)
        ]
        urls[not self._is_server] += f"?{_QUERY}{fingerprint}"
        self._local_address, self._peer_address = urls

    @property
    def channel(self) -> bytes:
        return b"tls-server-end-point:" + self._fingerprint.encode()

    # --- the handshake ----------------------------------------------------------------------------

    def shake_hands(self, deadline: Deadline = NEVER) -> None:
        """Agree on keys; as a client, look at the certificate before anything else is sent.

        A server does this when it first receives, so that accepting never waits for a peer.

        Raises
        ------
        AuthenticationError
            It is another server's certificate.
        ConnectError
            The peer does not speak TLS 1.3.
        TransportTimeout
            Not done by the deadline.
        """
        while not self._open:
            self._alone(self._step)
            if not self._open:
                self._feed(deadline)

    def _step(self) -> None:
        """Go on with the handshake as far as the peer's words reach."""
        try:
            self._tls.do_handshake()
            self._check_certificate()
            self._open = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._refuse(error)
        self._flush()

    def _check_certificate(self) -> None:
        if self._is_server:
            return
        certificate = self._tls.getpeercert(binary_form=True) or b""
        shown = fingerprint_text(fingerprint_of(certificate))
        if not hmac.compare_digest(shown, self._fingerprint):
            message = (
                f"{_place(self._peer_address)} is not the server that the address names: it shows "
                "another certificate. If it was started anew, get its new address with "
                "`rpcnb token` over there"
            )
            raise AuthenticationError(message)

    def _refuse(self, error: ssl.SSLError) -> NoReturn:
        with suppress(ConnectionClosed):  # OpenSSL's last words: why it will not talk
            self._flush()
        message = (
            f"no encrypted connection with {_place(self._peer_address)}: {_reason(error)}; "
            "is an rpcnb server listening there beyond its own machine?"
        )
        raise ConnectError(message) from error

    # --- receiving ----------------------------------------------------------------------------------

    def receive_into(self, buffer: memoryview) -> int:
        if self._ready:
            count = min(len(buffer), len(self._ready))
            buffer[:count], self._ready = self._ready[:count], self._ready[count:]
            return count
        while True:
            count = self._alone(self._decrypt, buffer)
            if count or self._ended:
                return count
            self._feed()

    def wait_readable(self, timeout: float | None) -> bool:
        deadline = Deadline.after(timeout)
        self._check_open()
        try:
            record = memoryview(bytearray(RECORD))
            while not self._alone(self._get_ready, record):
                self._feed(deadline)
        except TransportTimeout:
            return False
        except ConnectionClosed:
            self._check_open()
        return True

    def _get_ready(self, record: memoryview) -> bool:
        """Tell whether there is something to receive: plaintext, put by here, or the end."""
        if not self._ready:
            self._ready = bytes(record[: self._decrypt(record)])
        return bool(self._ready) or self._ended

    def _decrypt(self, buffer: memoryview) -> int:
        """Decrypt what has arrived, as much as fits; 0 when there is nothing, or nothing more."""
        if not self._open or self._ended or not self._may_have_more():
            return 0
        count = 0
        try:
            while count < len(buffer):
                got: Any = self._tls.read(len(buffer) - count, buffer[count:])
                if not got:
                    self._ended = True
                    break
                count += got
                if not self._may_have_more():
                    break
        except ssl.SSLWantReadError:
            return count
        except ssl.SSLZeroReturnError:
            self._ended = True
        except ssl.SSLError as error:
            if not count:  # else say so the next time
                self._lose(error)
        return count

    def _may_have_more(self) -> bool:
        """Tell whether asking TLS is worth the exception that says that there is nothing."""
        return bool(self._incoming.pending or self._incoming.eof or self._tls.pending())

    def _feed(self, deadline: Deadline = NEVER) -> None:
        """Wait for records and give them to TLS; shake hands first where that is still to be done."""
        if not self._inner.wait_readable(deadline.remaining()):
            message = f"nothing from {_place(self._peer_address)} in time"
            raise TransportTimeout(message)
        self._alone(self._take_in)
        if not self._open:
            self.shake_hands(deadline)

    def _take_in(self) -> None:
        """Give TLS what has arrived."""
        count = self._inner.receive_into(self._records.view)
        first, self._received = not self._received, self._received + count
        if not self._open:
            self._check_handshake(self._records.view[:count] if first else b"")
        if count:
            self._incoming.write(self._records.view[:count])
            self._records.note(count)
        else:
            self._incoming.write_eof()

    def _check_handshake(self, beginning: Bytes) -> None:
        """Refuse who speaks something else, before OpenSSL answers it or waits for more of it."""
        if self._is_server and beginning and beginning[0] != HELLO_RECORD:
            message = f"{_place(self._peer_address)} does not speak TLS"
            raise ConnectError(message)
        if self._received > HANDSHAKE_NBYTES:
            message = f"{_place(self._peer_address)} sent too much for a handshake"
            raise ConnectionClosed(message)

    def _lose(self, error: ssl.SSLError) -> NoReturn:
        message = f"the connection to {_place(self._peer_address)} was lost: {_reason(error)}"
        raise ConnectionClosed(message) from error

    # --- sending --------------------------------------------------------------------------------------

    def _transmit(self, group: Sequence[Bytes]) -> int:
        self._check_open()
        if self._user == get_ident():  # OpenSSL runs handlers, and cannot be used in one
            self._deferred += map(bytes, group)
            self.bytes_sent += sum(map(len, group))
            return sum(map(len, group))
        if not self._open:
            self.shake_hands()
        total = 0
        for data in _pieces(group):
            self._sending = True
            records = self._alone(self._encrypt, data)
            try:
                self._inner.send_one(records)
            except BaseException:  # what is left of the records would be missed for ever
                self.abort()
                raise
            self._sending = False
            self.bytes_sent += len(data)
            total += len(data)
        return total

    def _encrypt(self, data: Bytes) -> bytes:
        self._tls.write(data)
        return self._outgoing.read()

    def _flush(self) -> None:
        """Send what TLS itself has to say."""
        records = self._outgoing.read()
        if records:
            self._inner.send_one(records)

    def _alone(self, use: Callable[..., Result], *arguments: object) -> Result:
        """Use TLS alone; whatever interrupts that ends the connection.

        No context manager: one of `contextlib`'s made a third of all Python calls of a connection.
        """
        with self._lock:
            self._user = get_ident()
            try:
                result = use(*arguments)
                while self._deferred:  # before anybody else sends: frames are numbered
                    self._tls.write(self._deferred.pop(0))
                    self._flush()
            except BaseException:
                self._inner.abort()
                raise
            finally:
                self._user = 0
            return result

    # --- ending -----------------------------------------------------------------------------------------

    def close(self) -> None:
        if not self.closed and self._lock.acquire(timeout=LAST_WORDS):
            try:
                if self._open and not self._sending:
                    with suppress(ssl.SSLError, ConnectionClosed):
                        self._say_goodbye()
            finally:
                self._lock.release()
        self._inner.close()

    def _say_goodbye(self) -> None:
        """Mark the end, so that a stream that was cut off is not taken for a whole one."""
        with suppress(ssl.SSLWantReadError):  # nobody waits for the answer
            self._tls.unwrap()
        self._inner.send_at_once(self._outgoing.read())

    def abort(self) -> None:
        self._inner.abort()

    @property
    def closed(self) -> bool:
        return self._inner.closed

    def fileno(self) -> int:
        return self._inner.fileno()

    def _check_open(self) -> None:
        if self._inner.closed:
            message = f"the connection to {_place(self._peer_address)} was closed on this side"
            raise ConnectionClosed(message)

    @property
    def local_address(self) -> str:
        return self._local_address

    @property
    def peer_address(self) -> str:
        return self._peer_address


class TlsListener(SocketListener):
    """Accepts connections whose handshake is still to come."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, fingerprint: str) -> None:
        super().__init__(sock)
        self._context = context
        self._fingerprint = fingerprint
        self._url = f"tls://{_place(self._url)}?{_QUERY}{fingerprint}"

    def _tune(self, sock: socket.socket) -> None:
        tune_latency(sock)

    def _wrap(self, sock: socket.socket) -> TlsTransport:
        return TlsTransport(sock, self._fingerprint, self._context)


@cache
def _client_context() -> ssl.SSLContext:
    return client_context()


def _fingerprint_in(address: Address) -> str:
    """Return the fingerprint that an address names."""
    fingerprint = address.query.removeprefix(_QUERY)
    if not address.query.startswith(_QUERY) or len(fingerprint) != 52:
        message = f"{address} names no certificate to expect; for example {EXAMPLES['tls']}"
        raise AddressError(message)
    return fingerprint


def _place(url: str) -> str:
    """Return host and port of a URL."""
    address = parse_address(url)
    return str(Address("", address.host, address.port)).removeprefix("://")


def _pieces(group: Sequence[Bytes]) -> Iterator[Bytes]:
    """Cut what is to be sent into pieces: small ones joined, since each would be a record."""
    joined = b"".join(group) if len(group) > 1 else group[0]
    view = memoryview(joined)
    for start in range(0, len(view), SENT_AT_ONCE):
        yield view[start : start + SENT_AT_ONCE]


def _reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason in small letters."""
    return (error.reason or type(error).__name__).replace("_", " ").lower()
