"""TCP, on the loopback interface; beyond it goes `tls`, which shares what is here.

Settings for bulk data over loopback, measured with 64 MiB in chunks of 1 MiB between two processes
on two cores, memory touched before, median of three rounds, as a multiple of the speed of the
defaults (2.8 to 7.1 GB/s):

    ====================  ===============  ===============  ===============
    one system call       default buffers  receive 208 KiB  receive 1 MiB
    ====================  ===============  ===============  ===============
    128 KiB               0.52             0.50             1.03
    256 KiB               0.73             0.77             1.22
    512 KiB               1.23             0.76             **1.27**
    1 MiB                 1                0.66             0.90
    ====================  ===============  ===============  ===============

A larger receive buffer gives the same, a send buffer set by hand is slower and less steady (0.6 to
1.25). 208 KiB is where systems with small limits cut a request off: worse than not to ask.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import ConnectError, ConnectionClosed, PermissionDenied, TransportTimeout
from rpcnb.core.limits import MIB
from rpcnb.transport.address import bracketed
from rpcnb.transport.base import Backend
from rpcnb.transport.sockets import BACKLOG, SocketListener, SocketTransport, is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.transport.address import Address

Made = TypeVar("Made")
Target: TypeAlias = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]
"""Family and socket address, as `getaddrinfo` gives them."""

RECEIVE_BUFFER = 1 * MIB
"""For loopback connections. Others keep the system's automatic size, which follows the distance."""
KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""A silent peer is asked after 5 s and given up after 20 s. [s, s, count]"""
USER_TIMEOUT_MS = 20_000
"""Bytes on their way that are not acknowledged for so long mean a dead network. [ms]"""

_SO_BUF_LOCK = 72  # Linux 5.16; not in the socket module


class TcpBackend(Backend):
    """``tcp://host:port``; port 0 listens on a free one."""

    def connect(self, address: Address, timeout: float | None) -> SocketTransport:
        sock = connected_socket(address, Deadline.after(timeout), timeout)
        return wrapped(sock, SocketTransport)

    def listen(self, address: Address) -> SocketListener:
        return TcpListener(listening_socket(address, _loopback_only(address)))


class TcpListener(SocketListener):
    """Accepts TCP connections."""

    def _tune(self, sock: socket.socket) -> None:
        tune_latency(sock)


def connected_socket(address: Address, deadline: Deadline, timeout: float | None) -> socket.socket:
    """Return a socket connected to one of the places that `address` may mean.

    Raises
    ------
    ConnectError, TransportTimeout
        See `Backend.connect`; `timeout` [s] is what the deadline was made of.
    """
    failure: OSError | None = None
    for target in resolve(address):
        try:
            return _connect_to(target, deadline)
        except OSError as error:
            if error.errno is None and not isinstance(error, TimeoutError):
                raise
            failure = error
    if isinstance(failure, TimeoutError) and failure.errno is None:
        message = f"no answer from {address} within {timeout} s"
        raise TransportTimeout(message) from failure
    reason = failure.strerror if failure else "no such host"
    message = (
        f"nothing answers at {address} ({reason}); is the server running there? "
        "'rpcnb serve' starts one"
    )
    raise ConnectError(message) from failure


def wrapped(sock: socket.socket, make: Callable[[socket.socket], Made]) -> Made:
    """Make a transport of a socket that was connected a moment ago.

    Raises
    ------
    ConnectionClosed
        The peer has reset it since, which leaves the socket without a peer's address.
    """
    try:
        return make(sock)
    except OSError as error:
        sock.close()
        message = f"the connection was lost as soon as it was there: {error.strerror}"
        raise ConnectionClosed(message) from error


def listening_socket(address: Address, where: Target) -> socket.socket:
    """Return a socket that listens at `where`, which `address` resolved to.

    Raises
    ------
    ConnectError
        The address is taken or cannot be used.
    """
    family, target = where
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would let others take the port over
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_loopback(family, target[0]):
            _tune_loopback(sock)  # accepted sockets inherit it, in time for the window's scale
        sock.bind(target)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        message = f"cannot listen at {address}: {error.strerror}"
        if error.errno == errno.EADDRINUSE:
            message = (
                f"port {address.port} is in use at {address.host}; stop the server that "
                "has it, or choose another port (0 takes a free one)"
            )
        raise ConnectError(message) from error
    return sock


def resolve(address: Address) -> list[Target]:
    """Return where `address` may be; numeric ones are not looked up."""
    host, port = address.host, address.port or 0
    with suppress(OSError):
        socket.inet_pton(socket.AF_INET, host)
        return [(socket.AF_INET, (host, port))]
    with suppress(OSError):
        socket.inet_pton(socket.AF_INET6, host)
        return [(socket.AF_INET6, (host, port, 0, 0))]
    # As bytes when it is ASCII: given text, Python loads its IDNA tables first, for 5 ms.
    name = host.encode("ascii") if host.isascii() else host
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        message = f"no host is known as {host!r} (for {address})"
        raise ConnectError(message) from error
    # The first two members of an address are text and number for the families of TCP.
    return [(family, where) for family, _, _, _, where in found]  # type: ignore[misc]


def _connect_to(target: Target, deadline: Deadline) -> socket.socket:
    family, where = target
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if is_loopback(family, where[0]):
            _tune_loopback(sock)
        else:
            _set_options(sock, {"TCP_USER_TIMEOUT": USER_TIMEOUT_MS})
        tune_latency(sock)
        # 0 would mean "do not block" instead of "no time left".
        remaining = deadline.remaining()
        sock.settimeout(None if remaining is None else max(remaining, 1e-6))
        sock.connect(where)
        if sock.getsockname() == sock.getpeername():
            # Nobody listens there, and the system gave this end that very port: it met itself.
            raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))  # noqa: TRY301
        return sock
    except BaseException:
        sock.close()
        raise


def _loopback_only(address: Address) -> Target:
    """Return the target to listen at; refuse those that others could reach."""
    targets = resolve(address)
    if not all(is_loopback(family, where[0]) for family, where in targets):
        message = (
            f"will not listen at {address} without encryption; listen at "
            f"tls://{bracketed(address.host)}:{address.port}, which 'rpcnb serve --host' does by "
            "itself, or serve this machine only and come by ssh://"
        )
        raise PermissionDenied(message)
    return targets[0]


def tune_latency(sock: socket.socket) -> None:
    """Send small messages at once, and notice a peer that is gone."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    _set_options(sock, KEEPALIVE)


def _tune_loopback(sock: socket.socket) -> None:
    """Set the sizes of the table above.

    No user time-out here: Linux also applies it to a live peer that does not read (measured: 3 s
    asked for, cut after 3.5 s), and between processes of one machine there is no network to die.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) < RECEIVE_BUFFER:
        with suppress(OSError):  # cut off by the system's limit: let it choose after all
            sock.setsockopt(socket.SOL_SOCKET, _SO_BUF_LOCK, 0)


def _set_options(sock: socket.socket, options: dict[str, int]) -> None:
    """Set those TCP options that this system has."""
    for name, value in options.items():
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
