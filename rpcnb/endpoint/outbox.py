"""Sending: small messages never wait behind a bulk copy, and never for each other's thread.

A thread that wants to send appends to a queue and then *tries* to take the send lock. Whoever
holds it sends what others queued, too, so a small message costs no hand-over between threads, and
a thread that sends gigabytes carries the others' messages between its pieces. Nothing here blocks
on a lock except a bulk sender, so a signal handler may send as well.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from rpcnb.core.errors import LocalProtocolError, TransportError
from rpcnb.session.timers import TIMERS
from rpcnb.transport.sockets import wait_for_any
from rpcnb.wire.base import Prepared, short_message
from rpcnb.wire.messages import FreeHandles, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcnb.transport.base import Transport
    from rpcnb.wire.base import WireProtocol
    from rpcnb.wire.messages import Buffer

_SHORT = frozenset({Kind.CALL_FUNC, Kind.RETURN, Kind.FREE_HANDLES})
FREE_BATCH = 1000
"""Handles given up in one message; a list in a header holds 1,024 items."""
HELD_MESSAGES = 32
"""Most results kept back while `Outbox.holding`."""
HELD_SECONDS = 0.001
"""How long at most."""
JOIN_LIMIT = 64 * 1024
"""Bytes up to which queued frames are joined into one buffer: copying them costs less than the
system's bookkeeping for many buffers."""


class Outbox:
    """The sending half of a connection.  Thread-safe.

    Parameters
    ----------
    transport, protocol
        Of the connection; `protocol.frame` is only called with the send lock held.
    released : deque
        Handles that finalizers gave up; they ride along with the next message, never before one
        that was queued earlier.
    failed : callable
        Told that the transport did not take something. Nothing else happens: what the peer said
        before it left is still to be read, and whoever reads finds out that it left.
    """

    def __init__(
        self,
        transport: Transport,
        protocol: WireProtocol,
        released: deque[tuple[int, int, int]],
        failed: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._protocol = protocol
        self._released = released
        self._failed = failed
        # Bound once: these are on the path of every call.
        self._frame = protocol.frame
        self._quick_frame = protocol.quick_frame
        self._send_one = transport.send_one
        self._queue: deque[Prepared] = deque()
        self._lock = threading.Lock()
        self._sent_before = transport.bytes_sent
        self.holding = False
        """Keep results back to send many at once; to be followed by `flush`."""
        self._timed = False
        self._full = 0

    @property
    def nbytes(self) -> int:
        """Bytes sent so far."""
        return self._transport.bytes_sent - self._sent_before

    def is_idle(self) -> bool:
        """Tell whether nobody is sending, nothing waits, and the system would take some bytes."""
        number = self._transport.fileno()
        return not (self._queue or self._lock.locked()) and (
            number < 0 or wait_for_any([number], 0, writing=True)
        )

    def send_quick(self, kind: Kind, request: int, header: bytes) -> bool:
        """Send what `WireProtocol.quick_call` made, unless others wait or are sending.

        The express lane of plain calls and their results.

        Returns
        -------
        bool
            False when it must take the general way: it was not sent.
        """
        if self.holding:
            if self.hold(short_message((kind, request, header, (), 0))):
                self.flush()
            return True
        if self._queue or not self._lock.acquire(False):  # a keyword would cost 0.05 µs
            return False
        try:
            released = self.take_released() if self._released else None
            if released is not None and self._queue:  # which may use what was given up since
                self._queue.append(released)
                return False
            rider = b""
            if released is not None:
                rider = self._short_frame(released) or b"".join(self._frame(released))
            data = self._quick_frame(kind, request, header)
            if data is None:
                if rider:
                    self._send_one(rider)
                return False
            self._send_one(rider + data if rider else data)
        except TransportError:
            self._failed()
        finally:
            self._lock.release()
        if self._queue:
            self.flush()
        return True

    def send(self, prepared: Prepared) -> None:
        """Send a message, or leave it to the thread that is sending now."""
        if self._queue or not self._lock.acquire(blocking=False):
            self._queue.append(prepared)
        else:  # nobody sends: the usual case, without the queue (0.6 µs of a call)
            try:
                if self._released:  # before this message, and behind what others queued
                    self._queue_released()
                    self._queue.append(prepared)
                    self._send_queue()
                else:
                    self._transmit(self._frame(prepared))
            finally:
                self._lock.release()
        if self._queue:
            self.flush()

    def hold(self, prepared: Prepared, most: int = HELD_MESSAGES) -> bool:
        """Leave a message for what is sent next, or for a millisecond; `most` may wait so.

        Returns
        -------
        bool
            Whether enough are held by now: `flush` them.
        """
        self._queue.append(prepared)
        return self.attend(most)

    def keep(self, prepared: Prepared, most: int) -> bool:
        """Do the first step of `hold`, in which an interrupt does no harm.

        Returns
        -------
        bool
            Whether the other step, `attend`, is needed: once for many.
        """
        self._queue.append(prepared)
        return not self._timed or len(self._queue) >= most

    def attend(self, most: int) -> bool:
        """Do the other step of `hold`, and return the same."""
        if len(self._queue) >= most:
            self._full += 1
            return True
        if not self._timed:
            self._look_later()
        return False

    def hold_back(self, prepared: Prepared) -> None:
        """Leave a message until something else is sent, or `flush` is called."""
        self._queue.append(prepared)

    def _look_later(self) -> None:
        self._timed = True
        full = self._full
        TIMERS.call_later(HELD_SECONDS, lambda: self._look_after(full))

    def _look_after(self, full: int) -> None:
        """Send what is held back behind a call that takes long.  On the timers' thread."""
        self._timed = False
        if self._queue and self._full != full:  # sent meanwhile, and more has come
            self._look_later()
        elif self._queue:
            # Sending may block, and deadlines depend on the timers.
            threading.Thread(target=self._flush_quietly, name="rpcnb-send", daemon=True).start()

    def _flush_quietly(self) -> None:
        with suppress(LocalProtocolError):  # closed, as the reader will notice
            self.flush()

    def flush(self) -> None:
        """Send what is queued, unless another thread is at it.

        The loop closes the gap in which that thread has looked for the last time but still holds
        the lock.
        """
        while self._queue and self._lock.acquire(blocking=False):
            try:
                self._drain()
            finally:
                self._lock.release()

    def send_bulk(self, prepared: Prepared) -> None:
        """Send one piece of bulk data, after what is queued; block until it is sent."""
        with self._lock:
            if self._queue:
                self._drain()
            self._transmit(self._protocol.frame(prepared))
            if self._queue:
                self._drain()
        if self._queue:
            self.flush()

    def begin(self, transport: Transport) -> None:
        """Send by this transport from now on.  Nobody may be sending."""
        self._sent_before = transport.bytes_sent - self.nbytes
        self._transport = transport
        self._send_one = transport.send_one

    def restart(
        self,
        transport: Transport,
        resume: Callable[[], Sequence[Buffer]],
        ready: Callable[[], None],
    ) -> None:
        """Go on over another transport.

        Parameters
        ----------
        transport : Transport
            Nothing else sends on it.
        resume : callable
            Returns what is to be sent first; called when nobody is sending.
        ready : callable
            Called before that is sent: what comes may be read meanwhile.
        """
        with self._lock:
            again = resume()
            self.begin(transport)
            ready()
            if again:
                self._transmit(again)
        self.flush()

    def _drain(self) -> None:
        """Send all that is queued.  Call with the lock held."""
        while self._queue:
            # Behind what is queued by now: that may use what was given up since.
            self._queue_released()
            self._send_queue()

    def _send_queue(self) -> None:
        while self._queue:
            self._transmit(self._collect())

    def _queue_released(self) -> None:
        released = self.take_released()
        if released is not None:
            self._queue.append(released)

    def _transmit(self, buffers: Sequence[Buffer]) -> None:
        try:
            if len(buffers) == 1:
                self._send_one(buffers[0])  # type: ignore[arg-type] # a lone frame is bytes
            else:
                self._transport.send(buffers)
        except TransportError:
            self._failed()

    def take_released(self) -> Prepared | None:
        """Return a message that gives up handles, as many as fit; None when there are none."""
        if not self._released:
            return None
        batch: list[tuple[int, int, int]] = []
        try:
            while self._released and len(batch) < FREE_BATCH:
                batch.append(self._released.popleft())
        except IndexError:  # another thread was quicker
            pass
        if not batch:
            return None
        header = self._protocol.quick_free(batch)
        if header is None:
            return self._protocol.prepare(FreeHandles(tuple(batch)))
        return short_message((Kind.FREE_HANDLES, 0, header, (), 0))

    def _short_frame(self, prepared: Prepared) -> bytes | None:
        """Return the frame of a short message without payload; None for anything else."""
        kind, request, header, payload, _ = prepared
        return None if payload or kind not in _SHORT else self._quick_frame(kind, request, header)

    def _collect(self) -> list[Buffer]:
        buffers: list[Buffer] = []
        total = 0
        while self._queue and total < JOIN_LIMIT:
            prepared = self._queue.popleft()
            data = self._short_frame(prepared)
            if data is None:
                frames = self._frame(prepared)
                buffers.extend(frames)
                total += sum(map(len, frames))
            else:
                buffers.append(data)
                total += len(data)
        return [b"".join(buffers)] if total < JOIN_LIMIT else buffers
