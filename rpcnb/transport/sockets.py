"""What TCP and Unix sockets have in common: the transport and the listener.

The sockets of transports stay in blocking mode: a time-out on the socket would add a `poll` to
every call.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import threading
from abc import abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import ConnectionClosed, TransportError, TransportTimeout
from rpcnb.transport.base import Bytes, Credentials, Listener, Transport
from rpcnb.transport.stream import StreamTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CREDENTIALS = struct.Struct("3i")
_SOL_LOCAL, _LOCAL_PEERCRED, _LOCAL_PEERPID = 0, 1, 2  # macOS: sys/un.h
_XUCRED = struct.Struct("IIhxxI60x")  # version, user, number of groups, the first of sixteen
_LINGER_NOT = struct.pack("ii", 1, 0)
_LOOPBACK_6 = socket.inet_pton(socket.AF_INET6, "::1")
_MAPPED_4 = b"\0" * 10 + b"\xff\xff"
BACKLOG = 128
"""Connections the kernel holds until they are accepted."""


class Polled:
    """Sockets that threads wait for by their descriptors' numbers.  Thread-safe.

    A number must not become another descriptor's while somebody waits by it. So whoever closes them
    wakes those first, and the last one that leaves gives the numbers back.
    """

    def __init__(self, *sockets: socket.socket) -> None:
        self._sockets = sockets
        # Reentrant: a signal handler may close what its thread is about to poll.
        self._guard = threading.RLock()
        self._waiting = 0
        self._closed = False

    def wait(self, timeout: float | None) -> bool:
        """Wait until one of them has something to read, or is closed; False after `timeout` [s]."""
        with self._guard:
            if self._closed:
                return True
            self._waiting += 1
            numbers = [sock.fileno() for sock in self._sockets]
        try:
            return wait_for_any(numbers, timeout)
        finally:
            with self._guard:
                self._waiting -= 1
                self._close_unused()

    def close(self) -> None:
        """Close them, or leave that to who waits for them, and was woken.  Idempotent."""
        with self._guard:
            self._closed = True
            self._close_unused()

    def _close_unused(self) -> None:
        if self._closed and not self._waiting:
            for sock in self._sockets:
                sock.close()


class SocketTransport(StreamTransport):
    """A connected stream socket, which it owns."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self._socket = sock
        self._closed = False
        self._polled = Polled(sock)
        family, peer = sock.family, sock.getpeername()
        self._local_address = format_address(family, sock.getsockname())
        self._peer_address = format_address(family, peer)
        self._is_private = not isinstance(peer, tuple) or is_loopback(family, peer[0])
        # Bound once: attribute look-ups on the hot path are a third of its cost.
        self._socket_receive = sock.recv_into
        self._socket_send = sock.send
        self._socket_gather: Callable[[Sequence[Bytes]], int] = getattr(
            sock, "sendmsg", lambda group: sock.send(b"".join(group))
        )

    def receive_into(self, buffer: memoryview) -> int:
        # Unpacking, not calling, on purpose: see `stream`.
        try:
            (count,) = map(self._socket_receive, (buffer,))
        except OSError as error:
            self._fail(error)
        if not count and self._closed:
            raise ConnectionClosed(self._closed_here())
        return count

    def send_one(self, data: bytes) -> None:
        start = self.bytes_sent
        try:
            try:
                (count,) = map(self._socket_send, (data,))
            except OSError as error:
                self._fail_sending(error)
            self.bytes_sent += count
            if count != len(data):
                self._send_rest((data,), start)
        except BaseException as error:  # noqa: BLE001 raised again, always
            self._settle(error, (data,), start)

    def send_at_once(self, data: bytes) -> None:
        """Send the last words of a protocol if the system takes them without waiting."""
        with suppress(OSError):
            self._socket.send(data, getattr(socket, "MSG_DONTWAIT", 0))

    def _transmit(self, group: Sequence[Bytes]) -> int:
        try:
            (count,) = map(self._socket_gather, (group,))
        except OSError as error:
            self._fail_sending(error)
        self.bytes_sent += count
        return count

    def wait_readable(self, timeout: float | None) -> bool:
        if self._closed:
            raise ConnectionClosed(self._closed_here())
        return self._polled.wait(timeout)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._closed = True
        # Closing a descriptor does not wake threads blocked on it; shutting down does.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._polled.close()

    def abort(self) -> None:
        if self._closed:
            return
        self._closed = True
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        # Blocked threads have to be woken, but shutting down the sending side would tell the peer
        # of an orderly end. With a sender blocked it cannot: that end queues behind its bytes.
        writable = wait_for_any([self._socket.fileno()], 0, writing=True)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD if writable else socket.SHUT_RDWR)
        self._polled.close()

    def detach(self) -> int:
        if self._closed:
            raise ConnectionClosed(self._closed_here())
        self._closed = True
        return self._socket.detach()

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def local_address(self) -> str:
        return self._local_address

    @property
    def peer_address(self) -> str:
        return self._peer_address

    @property
    def is_private(self) -> bool:
        return self._is_private

    def peer_credentials(self) -> Credentials | None:
        if self._closed or self._socket.family != getattr(socket, "AF_UNIX", None):
            return None
        if sys.platform == "darwin":
            raw = self._socket.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED.size)
            _, uid, _, gid = _XUCRED.unpack(raw)
            return Credentials(self._socket.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID), uid, gid)
        option = getattr(socket, "SO_PEERCRED", None)
        if option is None:
            return None
        raw = self._socket.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
        return Credentials(*_CREDENTIALS.unpack(raw))

    def _fail_sending(self, error: OSError) -> NoReturn:
        """Raise the system's `error`, and send no more: what comes next would follow a gap.

        The system may have been short of memory for a moment, and the connection whole. What the
        peer has said can still be received; it learns of the end.
        """
        if error.errno is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
        self._fail(error)

    def _fail(self, error: OSError) -> NoReturn:
        """Raise the system's `error` as one of ours."""
        if error.errno is None:  # not the system's: a signal handler raised it
            raise error
        if self._closed:
            raise ConnectionClosed(self._closed_here()) from error
        reason = os.strerror(error.errno)
        message = f"the connection to {self._peer_address} was lost: {reason}"
        raise ConnectionClosed(message) from error

    def _closed_here(self) -> str:
        return f"the connection to {self._peer_address} was closed on this side"


class SocketListener(Listener):
    """A listening socket, which it owns."""

    def __init__(self, sock: socket.socket) -> None:
        # Not blocking, because a connection may be gone between `poll` and `accept`.
        sock.setblocking(False)
        self._socket = sock
        self._url = format_address(sock.family, sock.getsockname())
        self._closed = False
        # Closing one end makes the other readable, on every system: it wakes `accept`.
        self._wake, woken = socket.socketpair()
        self._polled = Polled(sock, woken)

    @abstractmethod
    def _tune(self, sock: socket.socket) -> None:
        """Set the options of an accepted socket."""

    def _wrap(self, sock: socket.socket) -> Transport:
        """Make a transport of an accepted socket."""
        return SocketTransport(sock)

    def accept(self, timeout: float | None = None) -> Transport:
        deadline = Deadline.after(timeout)
        while True:
            ready = self._polled.wait(deadline.remaining())
            if self._closed:
                message = f"the listener at {self._url} was closed"
                raise ConnectionClosed(message)
            if not ready:
                message = f"no connection to {self._url} within {timeout} s"
                raise TransportTimeout(message)
            with suppress(BlockingIOError):  # the client went away, or another process took it
                return self._accept_now()

    def _accept_now(self) -> Transport:
        try:
            sock, _ = self._socket.accept()
            try:
                self._tune(sock)
                return self._wrap(sock)
            except BaseException:
                sock.close()
                raise
        except BlockingIOError:
            raise
        except OSError as error:
            if error.errno is None:
                raise
            message = f"a connection to {self._url} could not be accepted: {error.strerror}"
            raise TransportError(message) from error

    def close(self) -> None:
        self._closed = True
        self._wake.close()
        self._polled.close()

    @property
    def url(self) -> str:
        return self._url

    def fileno(self) -> int:
        return self._socket.fileno()


def is_loopback(family: int, host: str) -> bool:
    """Tell whether a numeric address never leaves this machine."""
    if family == socket.AF_INET:
        return socket.inet_pton(socket.AF_INET, host)[0] == 127
    raw = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return raw == _LOOPBACK_6 or (raw.startswith(_MAPPED_4) and raw[12] == 127)


def is_loopback_host(host: str) -> bool:
    """Tell the same of an address whose family shows."""
    return is_loopback(socket.AF_INET6 if ":" in host else socket.AF_INET, host)


def wait_for_any(files: list[int], timeout: float | None, *, writing: bool = False) -> bool:
    """Wait until reading from (or writing to) one of `files` would not block.

    Ended and closed ones (-1) do not block either: the next call on them says what happened.
    """
    if min(files) < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return any(select.select([] if writing else files, files if writing else [], [], timeout))
    poll = select.poll()  # rather than `select`, which ends at descriptor 1023
    for file in files:
        poll.register(file, select.POLLOUT if writing else select.POLLIN)
    return bool(poll.poll(None if timeout is None else timeout * 1000))


def format_address(family: int, address: object) -> str:
    """Return a socket's address as a URL."""
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"tcp://[{host}]:{port}" if family == socket.AF_INET6 else f"tcp://{host}:{port}"
    path = os.fsdecode(address) if isinstance(address, str | bytes) else ""
    return f"unix://{path}" if path else "unix:unnamed"  # the end that connected has no name
