"""What a call and a copy consist of, counted instead of timed: the same on every machine.

Frames and bytes are the session's own counters, system calls those that a transport in between
passes on, Python functions what `sys.setprofile` sees on this thread, memory what `tracemalloc`
sees.  ``tests/benchmarks/test_counts.py`` holds the limits.
"""

from __future__ import annotations

import sys
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rpcnb import Remote
from rpcnb.endpoint.client.connect import greet
from rpcnb.endpoint.client.socket_session import SocketSession
from rpcnb.endpoint.credentials import secret_of
from rpcnb.transport.base import Bytes, Transport
from rpcnb.wire.handshake import Intent
from rpcnb.wire.messages import Side
from rpcnb.wire.v1 import WireV1

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class CountedTransport(Transport):
    """Passes everything on to another transport, and counts it."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner
        self.sends = 0
        self.receives = 0

    @property
    def bytes_sent(self) -> int:  # type: ignore[override] # counted where it is sent
        return self._inner.bytes_sent

    def send(self, buffers: Sequence[Bytes]) -> int:
        self.sends += 1
        return self._inner.send(buffers)

    def send_one(self, data: bytes) -> None:
        self.sends += 1
        self._inner.send_one(data)

    def receive_into(self, buffer: memoryview) -> int:
        count = self._inner.receive_into(buffer)
        self.receives += 1
        return count

    def wait_readable(self, timeout: float | None) -> bool:
        return self._inner.wait_readable(timeout)

    def fileno(self) -> int:
        return self._inner.fileno()

    def close(self) -> None:
        self._inner.close()

    def abort(self) -> None:
        self._inner.abort()

    @property
    def closed(self) -> bool:
        return self._inner.closed

    @property
    def local_address(self) -> str:
        return self._inner.local_address

    @property
    def peer_address(self) -> str:
        return self._inner.peer_address


@dataclass(frozen=True, slots=True)
class Counts:
    """What went over one connection during something."""

    frames_sent: int
    frames_received: int
    bytes_sent: int
    bytes_received: int
    sends: int
    """Times the transport was asked to send; one system call each unless its buffers are full."""
    receives: int


class CountedRemote:
    """A connected `Remote` whose connection is counted.

    Parameters
    ----------
    server : dict
        Its ``url`` and ``token``.
    shared : bool
        Whether large arrays may lie in shared memory.
    """

    def __init__(self, server: dict[str, Any], *, shared: bool = False) -> None:
        inner, agreement = greet(server["url"], secret_of(server["token"]), 10.0, Intent.NEW)
        self.transport = CountedTransport(inner)
        protocol = WireV1(Side.CLIENT, epoch=agreement.epoch)
        self._session = SocketSession(self.transport, protocol, agreement)
        if not shared:
            self._session.memory.close()
        self.remote = Remote(self._session)

    def count(self, action: Callable[[], object]) -> Counts:
        """Return what `action` makes of the connection."""
        before = self._now()
        action()
        return Counts(*(now - then for now, then in zip(self._now(), before, strict=True)))

    def _now(self) -> list[int]:
        known = self._session.statistics()
        names = ("frames_sent", "frames_received", "bytes_sent", "bytes_received")
        transport = (self.transport.sends, self.transport.receives)
        return [*(int(str(known[name])) for name in names), *transport]


def python_calls(action: Callable[[], object]) -> int:
    """Return how many Python functions `action` calls on this thread, itself included."""
    found = 0

    def note(_: object, event: str, __: object) -> None:
        nonlocal found
        found += event == "call"

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return found


def peak_bytes(action: Callable[[], object]) -> int:
    """Return how much more memory than before was in use at once during `action`."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        action()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak - before
