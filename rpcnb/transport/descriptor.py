"""Handing connections from one process to another (broker to worker) over a Unix socket.

The file descriptor travels by SCM_RIGHTS with the first byte of a note: 4 bytes of length,
big-endian, then so many bytes. After sending, the sender gives its own copy up with
``os.close(transport.detach())``: `close` would end the connection for the receiver as well.
"""

from __future__ import annotations

import os
import socket
import struct

from rpcnb.core.errors import ConnectionClosed, LimitExceeded, TransportError
from rpcnb.core.limits import KIB
from rpcnb.transport.sockets import SocketTransport

MAX_NOTE = 64 * KIB
"""Most bytes that may go with a descriptor."""

_LENGTH = struct.Struct("!I")


def adopt(fd: int) -> SocketTransport:
    """Make a transport of a connected socket's descriptor; it is owned by the transport then.

    Raises
    ------
    TransportError
        It is no connected stream socket; the descriptor is left open.
    """
    try:
        sock = socket.socket(fileno=fd)
    except OSError as error:
        message = f"file descriptor {fd} is not a socket: {error.strerror}"
        raise TransportError(message) from error
    try:
        return SocketTransport(sock)
    except OSError as error:
        sock.detach()
        message = f"file descriptor {fd} is not a connected socket: {error.strerror}"
        raise TransportError(message) from error


def send_descriptor(sock: socket.socket, fd: int, data: bytes) -> None:
    """Send a copy of `fd` with a note.

    Parameters
    ----------
    sock : socket.socket
        Connected blocking Unix stream socket, used by nobody else meanwhile.
    fd : int
        Stays open here.
    data : bytes
        At most `MAX_NOTE` long.

    Raises
    ------
    LimitExceeded
        The note is too long; nothing was sent.
    ConnectionClosed
        The other process is gone.
    """
    if len(data) > MAX_NOTE:
        what = "note with a descriptor"
        raise LimitExceeded(what, len(data), MAX_NOTE)
    note = _LENGTH.pack(len(data)) + data
    try:
        sent = socket.send_fds(sock, [note], [fd])
        sock.sendall(memoryview(note)[sent:])
    except OSError as error:
        message = f"a connection could not be handed over: {error.strerror}"
        raise ConnectionClosed(message) from error


def receive_descriptor(sock: socket.socket) -> tuple[bytes, int]:
    """Wait for a descriptor and its note.

    Returns
    -------
    data : bytes
        The note.
    fd : int
        Owned by the caller; not inherited by programs it starts.

    Raises
    ------
    ConnectionClosed
        The other process is gone.
    TransportError, LimitExceeded
        What came is not what `send_descriptor` sends; `sock` is of no use then.
    """
    # Not inheritable from the start where the system can do that: another thread may fork.
    flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
    try:
        head, descriptors, _, _ = socket.recv_fds(sock, _LENGTH.size, 1, flags)
    except OSError as error:
        message = f"no connection could be taken over: {error.strerror}"
        raise ConnectionClosed(message) from error
    try:
        data = _receive_note(sock, head)
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    if not descriptors:
        message = "a note came without its file descriptor"
        raise TransportError(message)
    os.set_inheritable(descriptors[0], False)
    return data, descriptors[0]


def _receive_note(sock: socket.socket, head: bytes) -> bytes:
    (length,) = _LENGTH.unpack(head + _receive_exactly(sock, _LENGTH.size - len(head)))
    if length > MAX_NOTE:
        what = "note with a descriptor"
        raise LimitExceeded(what, length, MAX_NOTE)
    return _receive_exactly(sock, length)


def _receive_exactly(sock: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = sock.recv(count - len(parts))
        if not part:
            message = "the process that hands over connections is gone"
            raise ConnectionClosed(message)
        parts += part
    return bytes(parts)
