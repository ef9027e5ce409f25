"""Unix sockets: processes of one user on one machine.

Three gates before the proof of the secret: the socket lies in a folder that only its owner may
enter, has mode 0600 itself, and each end asks the kernel who is at the other. So a stranger cannot
connect, and one who put a socket of his own there is not spoken to. Never abstract sockets: those
have no owner and no mode.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rpcnb.core.errors import AddressError, ConnectError, PermissionDenied, TransportTimeout
from rpcnb.core.limits import MIB
from rpcnb.transport.base import Backend
from rpcnb.transport.sockets import BACKLOG, SocketListener, SocketTransport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rpcnb.transport.address import Address
    from rpcnb.transport.base import Credentials, Transport

SEND_BUFFER = 1 * MIB
"""Measured as in `tcp`: 1.25 times the speed of the default; 512 KiB and 4 MiB do the same."""


class UnixBackend(Backend):
    """``unix:///absolute/path``."""

    def connect(self, address: Address, timeout: float | None) -> SocketTransport:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _tune(sock)
            sock.settimeout(timeout)
            sock.connect(address.path)
            transport = SocketTransport(sock)
            _require_friend(transport, address)
            return transport
        except PermissionDenied:
            sock.close()
            raise
        except OSError as error:
            sock.close()
            raise _connect_error(address, timeout, error) from error
        except BaseException:
            sock.close()
            raise

    def listen(self, address: Address) -> UnixListener:
        from pathlib import Path  # here and below: a client does without, it takes 3 ms to import

        path = Path(address.path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _require_own(path.parent)
            with _alone_in(path.parent):
                _remove_stale(path)
                sock.bind(address.path)
                path.chmod(0o600)  # in time: nobody can connect before `listen`
                sock.listen(BACKLOG)
            return UnixListener(sock)
        except OSError as error:
            sock.close()
            if isinstance(error, ConnectError | PermissionDenied):
                raise
            raise _listen_error(address, error) from error


def unix_pair() -> tuple[SocketTransport, SocketTransport]:
    """Return two ends of a connection within this machine that has no address."""
    ends = socket.socketpair()
    for end in ends:
        _tune(end)
    return SocketTransport(ends[0]), SocketTransport(ends[1])


def lost_connection() -> SocketTransport:
    """Return a connection whose other end is gone."""
    transport, other = unix_pair()
    other.close()
    return transport


class UnixListener(SocketListener):
    """Accepts connections at its socket file, which it removes at the end."""

    def __init__(self, sock: socket.socket) -> None:
        from pathlib import Path

        super().__init__(sock)
        self._path = Path(os.fsdecode(sock.getsockname()))
        self._inode = _inode(self._path)
        self._process = os.getpid()

    def _tune(self, sock: socket.socket) -> None:
        _tune(sock)

    def _wrap(self, sock: socket.socket) -> Transport:
        transport = SocketTransport(sock)
        if not is_friend(transport.peer_credentials()):
            transport.abort()
            raise BlockingIOError  # as if nobody had come
        return transport

    def close(self) -> None:
        # A forked child closes its copy of the listener; the file stays its parent's.
        if not self._closed and self._process == os.getpid():
            with suppress(OSError), _alone_in(self._path.parent):
                if _inode(self._path) == self._inode:
                    self._path.unlink()
        super().close()


def is_friend(peer: Credentials | None) -> bool:
    """Tell whether a peer is this user, or root, from whom nothing can be kept."""
    return peer is None or peer.uid in {os.geteuid(), 0}


def _require_friend(transport: SocketTransport, address: Address) -> None:
    peer = transport.peer_credentials()
    if not is_friend(peer):
        assert peer is not None  # else it would be one
        message = f"will not talk to {address}: it belongs to user {peer.uid}, not to you"
        raise PermissionDenied(message)


def _require_own(folder: Path) -> None:
    """Refuse a folder that others could put things into, or enter."""
    status = folder.stat()
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        message = (
            f"will not listen in {folder}, which others may enter; choose a folder of your own "
            f"(chmod 700 {folder})"
        )
        raise PermissionDenied(message)


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


def _inode(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other servers out of `folder` meanwhile.

    Between `bind` and `listen` a socket file looks like a stale one: without this, two servers that
    start at the same time could each remove the other's.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_stale(path: Path) -> None:
    """Make way at `path` if all there is is the socket file of a server that is gone."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        message = f"{path} exists and is not a socket; choose another path"
        raise ConnectError(message)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a server with a full queue is alive, too
        if probe.connect_ex(str(path)) != errno.ECONNREFUSED:
            message = f"a server already listens at {path}; stop it, or choose another path"
            raise ConnectError(message)
    path.unlink()


def _connect_error(address: Address, timeout: float | None, error: OSError) -> Exception:
    if isinstance(error, TimeoutError):
        return TransportTimeout(f"no answer from {address} within {timeout} s")
    if error.errno is None:
        return _too_long(address)
    return ConnectError(
        f"nothing answers at {address} ({error.strerror}); is the server running? "
        "'rpcnb serve' starts one"
    )


def _listen_error(address: Address, error: OSError) -> Exception:
    if error.errno is None:
        return _too_long(address)
    return ConnectError(f"cannot listen at {address}: {error.strerror}")


def _too_long(address: Address) -> AddressError:
    length = len(os.fsencode(address.path))
    return AddressError(
        f"the path of {address} is too long for a Unix socket ({length} bytes; about 100 are "
        "possible); for example unix:///tmp/folder/rpcnb.sock"
    )
