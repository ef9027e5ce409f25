"""A Unix socket beside a connection, over which descriptors of shared memory are handed.

Beside any connection, for TCP carries none, and on a Unix connection they would come in the midst
of a stream that is received without looking for them. Who listens tells the other, over the
connection that is proved already, the path of a socket in a folder that only its user may enter,
and a key; both ends check that the other is the same user's. On another machine, or in another
container, the path leads nowhere, and there is no shared memory.
"""

from __future__ import annotations

import hmac
import os
import socket
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rpcnb.core.errors import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "memory.sock"
"""Of the socket's file."""
KEY_NBYTES = 32
TIMEOUT = 5.0
"""Seconds the other end may take for a step."""
_CREDENTIALS = struct.Struct("3i")


class SideListener:
    """Waits for the one process that knows its key.

    Parameters
    ----------
    folder : path
        Exists, and only this user may enter it.

    Raises
    ------
    OSError
        There is no such folder, or no room in it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.key = os.urandom(KEY_NBYTES)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _shortened(self.path) as name:
                self._socket.bind(name)
            self._socket.listen(1)
            self._socket.settimeout(TIMEOUT)
        except BaseException:
            self._socket.close()
            raise

    def accept(self) -> socket.socket:
        """Take the connection, and listen no more.

        Raises
        ------
        ConnectionClosed
            Nobody came, or somebody else.
        """
        try:
            sock, _ = self._socket.accept()
        except OSError as error:
            raise ConnectionClosed("nobody came to share memory") from error
        finally:
            self.close()
        sock.settimeout(TIMEOUT)
        try:
            known = _same_user(sock) and hmac.compare_digest(_receive_key(sock), self.key)
        except OSError:
            known = False
        if not known:
            sock.close()
            raise ConnectionClosed("somebody else came to share memory")
        return sock

    def close(self) -> None:
        """Listen no more.  Idempotent."""
        self._socket.close()
        self.path.unlink(missing_ok=True)


def connect(path: str, key: bytes) -> socket.socket | None:
    """Connect to a `SideListener`; None when it is not here, or not this user's.

    Path and key are what the server said. A hostile one must not have bytes of its choice written
    to other sockets of this user's: an agent of ssh, or a daemon that takes orders.
    """
    from pathlib import Path  # when the first array is shared, not when a client is imported

    if Path(path).name != NAME or len(key) != KEY_NBYTES:
        return None
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(TIMEOUT)
    try:
        with _shortened(Path(path)) as name:
            sock.connect(name)
        if _same_user(sock):
            sock.sendall(key)
            return sock
    except (OSError, ValueError):  # another machine's path, or none
        pass
    sock.close()
    return None


@contextmanager
def _shortened(path: Path) -> Iterator[str]:
    """Give a name of `path` that fits into a socket's address, which has 108 bytes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _same_user(sock: socket.socket) -> bool:
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(raw)
    return bool(uid == os.geteuid())


def _receive_key(sock: socket.socket) -> bytes:
    key = b""
    while len(key) < KEY_NBYTES:
        part = sock.recv(KEY_NBYTES - len(key))
        if not part:
            return b""
        key += part
    return key
