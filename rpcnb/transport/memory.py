"""Both ends in one process: for tests, teaching, and a server in the notebook's own process.

Rules for this file: what a signal handler may do to a sender or receiver (see `Transport`) holds
here as well, so the steps that move bytes are plain statements, last in their method; a function
call after them would be a place for the handler to run.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from typing import TYPE_CHECKING

from rpcnb.core.errors import ConnectError, ConnectionClosed, TransportTimeout
from rpcnb.core.limits import MIB
from rpcnb.transport.base import Backend, Bytes, Listener
from rpcnb.transport.stream import StreamTransport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcnb.transport.address import Address

CAPACITY = 4 * MIB
"""Bytes held per direction before a sender waits."""
BACKLOG = 128
"""Connections held by a listener until they are accepted."""


class Pipe:
    """One direction: a bounded queue of chunks between one reader and one writer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._chunks: deque[memoryview] = deque()
        self._held = 0
        # The chunk in front belongs to the reader alone, and is read without the lock.
        self._front = memoryview(b"")
        self._reader_closed = False
        self._writer_closed = False
        self._reset = False
        self.written = 0

    def write(self, group: Sequence[Bytes]) -> int:
        """Append a copy of `group`; wait while there is no room for it."""
        chunk = (memoryview(b"".join(group)),)
        size = len(chunk[0])
        with self._lock:
            while self._held and self._held + size > CAPACITY and not self._broken():
                self._changed.wait()
            if self._broken():
                raise ConnectionClosed(self._why("it was closed"))
            self._changed.notify_all()  # seen only once the lock is free: the bytes are in by then
            self._chunks += chunk
            self._held += size
            self.written += size
        return size

    def read(self, buffer: memoryview) -> int:
        """Take what is there, at most one chunk; wait while nothing is."""
        if self._reader_closed or self._reset:
            raise ConnectionClosed(self._why("it was closed on this side"))
        if not self._front:
            self._fetch()
        count = min(len(buffer), len(self._front))
        buffer[:count] = self._front[:count]
        self._front = self._front[count:]
        return count

    def _fetch(self) -> None:
        """Make the next chunk the front one; leave it empty at the end of the stream."""
        with self._lock:
            while not self._ready():
                self._changed.wait()
            if self._reader_closed or self._reset:
                raise ConnectionClosed(self._why("it was closed on this side"))
            if not self._chunks:
                return
            chunk = self._chunks[0]
            size = len(chunk)
            self._changed.notify_all()
            self._front = chunk
            del self._chunks[0]
            self._held -= size

    def wait_readable(self, timeout: float | None) -> bool:
        """Wait until `read` would not block."""
        with self._lock:
            return self._changed.wait_for(self._ready, timeout)

    def close_reading(self) -> None:
        """Refuse what is written from now on, and drop what is held."""
        with self._lock:
            self._reader_closed = True
            self._chunks.clear()
            self._changed.notify_all()

    def close_writing(self, *, reset: bool) -> None:
        """End the stream, behind what is held or (`reset`) instead of it."""
        with self._lock:
            self._writer_closed = True
            self._reset = self._reset or reset
            self._changed.notify_all()

    def _ready(self) -> bool:
        return bool(
            self._front or self._chunks or self._reader_closed or self._writer_closed or self._reset
        )

    def _broken(self) -> bool:
        return self._reader_closed or self._writer_closed

    def _why(self, otherwise: str) -> str:
        if self._reset:
            return "the connection in memory was reset by its peer"
        return f"the connection in memory is gone: {otherwise}"


class MemoryTransport(StreamTransport):
    """One end of two pipes.

    Signal handlers that raise: as whole as `threading.Condition`, whose lock such an exception can
    leave in the wrong state (seen once in some thousand). Sessions hold SIGINT back meanwhile.
    """

    def __init__(self, incoming: Pipe, outgoing: Pipe, local: str, peer: str) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._local_address = local
        self._peer_address = peer
        self._closed = False

    @property
    def bytes_sent(self) -> int:  # type: ignore[override]  # read-only here, and exact
        return self._outgoing.written

    def _transmit(self, group: Sequence[Bytes]) -> int:
        if self._closed:
            message = f"the connection to {self._peer_address} was closed on this side"
            raise ConnectionClosed(message)
        return self._outgoing.write(group)

    def receive_into(self, buffer: memoryview) -> int:
        return self._incoming.read(buffer)

    def wait_readable(self, timeout: float | None) -> bool:
        if self._closed:
            message = f"the connection to {self._peer_address} was closed on this side"
            raise ConnectionClosed(message)
        return self._incoming.wait_readable(timeout)

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self._end(reset=False)

    def abort(self) -> None:
        self._end(reset=True)

    def _end(self, *, reset: bool) -> None:
        if not self._closed:
            self._closed = True
            self._outgoing.close_writing(reset=reset)
            self._incoming.close_reading()

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def local_address(self) -> str:
        return self._local_address

    @property
    def peer_address(self) -> str:
        return self._peer_address


class MemoryListener(Listener):
    """Accepts connections under a name of this process."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._changed = threading.Condition()
        self._waiting: deque[MemoryTransport] = deque()
        self._closed = False

    def accept(self, timeout: float | None = None) -> MemoryTransport:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout)
            if self._closed:
                message = f"the listener at {self._url} was closed"
                raise ConnectionClosed(message)
            if not self._waiting:
                message = f"no connection to {self._url} within {timeout} s"
                raise TransportTimeout(message)
            return self._waiting.popleft()

    def offer(self, transport: MemoryTransport) -> None:
        """Queue the far end of a new connection."""
        with self._changed:
            if self._closed or len(self._waiting) >= BACKLOG:
                reason = "it is closing" if self._closed else "too many wait to be accepted"
                message = f"nothing answers at {self._url}: {reason}"
                raise ConnectError(message)
            self._waiting.append(transport)
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            for transport in self._waiting:
                transport.abort()
            self._waiting.clear()
        with _names_lock:
            if _listeners.get(self._url) is self:
                del _listeners[self._url]

    @property
    def url(self) -> str:
        return self._url

    def fileno(self) -> int:
        return -1


_listeners: dict[str, MemoryListener] = {}
_names_lock = threading.Lock()
_numbers = itertools.count(1)


class MemoryBackend(Backend):
    """``memory://name``; listening without a name chooses one."""

    def connect(self, address: Address, timeout: float | None) -> MemoryTransport:  # noqa: ARG002 never waits
        listener = _listeners.get(str(address))
        if listener is None:
            message = f"nothing answers at {address}: no listener in this process has that name"
            raise ConnectError(message)
        near, far = memory_pair(listener.url)
        listener.offer(far)
        return near

    def listen(self, address: Address) -> MemoryListener:
        url = str(address) if address.host else f"memory://{next(_numbers)}"
        with _names_lock:
            if url in _listeners:
                message = f"{url} is taken in this process; choose another name"
                raise ConnectError(message)
            listener = _listeners[url] = MemoryListener(url)
        return listener


def memory_pair(url: str = "memory://pair") -> tuple[MemoryTransport, MemoryTransport]:
    """Return two connected transports; the first is the end that would have connected to `url`."""
    there, back = Pipe(), Pipe()
    client = f"{url}#{next(_numbers)}"
    return MemoryTransport(back, there, client, url), MemoryTransport(there, back, url, client)
