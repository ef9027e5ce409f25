"""Bulk copies in pieces: straight from and into the user's memory, overtaken by small messages."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import (
    ArrayMismatch,
    EncodeError,
    LocalProtocolError,
    TransportTimeout,
)
from rpcnb.core.values import PLAIN_TYPES, ArrayRef
from rpcnb.endpoint.connection import SEND_AHEAD
from rpcnb.session.base import CallStatus, HostBuffer
from rpcnb.wire.base import State
from rpcnb.wire.messages import CopyFromRemote, CopyToRemote, Ping

PIECES_AHEAD = 8
"""Pieces of bulk data that may be on their way."""
PIECES_A_PING = 4
"""After so many an acknowledgement is asked for: one for each costs a third of the piece (80 us)."""
CREDIT_POLL = 0.1
"""Seconds between looks whether anybody wants the rest."""

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rpcnb.core.values import Value
    from rpcnb.endpoint.connection import Connection
    from rpcnb.endpoint.pending import Pending


def host_view(buffer: HostBuffer, nbytes: int, *, writable: bool = False) -> memoryview:
    """Return the first `nbytes` of host memory as flat bytes.

    Raises
    ------
    EncodeError
        Not C-contiguous, or read-only where bytes are to be received.
    ArrayMismatch
        It holds fewer bytes.
    """
    view = memoryview(buffer)
    flat = view.format == "B" and view.ndim == 1 and view.c_contiguous
    if flat and view.nbytes == nbytes and nbytes and not (writable and view.readonly):
        return view  # as `rpcnb.remote` gives it: 1 us less
    if not view.c_contiguous or (writable and view.readonly):
        message = "host memory must be C-contiguous, and writable to receive into"
        raise EncodeError(message)
    view = view.cast("B") if view.nbytes else memoryview(bytearray())
    if nbytes < 0 or len(view) < nbytes:
        message = f"{nbytes:,} bytes were asked for; the host buffer holds {len(view):,}"
        raise ArrayMismatch(message)
    return view[:nbytes]


def slice_of(memory: memoryview, offset: int, nbytes: int) -> memoryview:
    """Return a part of an array's memory.

    Raises
    ------
    ArrayMismatch
        The part does not lie inside.
    """
    if offset < 0 or nbytes < 0 or offset + nbytes > len(memory):
        message = f"{nbytes:,} bytes at offset {offset:,} do not lie in {len(memory):,} bytes"
        raise ArrayMismatch(message)
    return memory[offset : offset + nbytes]


class Credits:
    """Keeps a sender of bulk data at most `PIECES_AHEAD` pieces ahead of its receiver.

    A receiver that is slow, or has no connection, so stops the sender; and so many bytes at most
    are sent again after a cut. The acknowledgement that is waited for is the answer to a PING
    behind every `PIECES_A_PING`.

    Parameters
    ----------
    connection : Connection
        What is sent on.
    over : callable
        Tells that nobody wants the rest any more.
    """

    def __init__(self, connection: Connection, over: Callable[[], bool]) -> None:
        self._connection = connection
        self._over = over
        self._out: deque[Pending] = deque()
        self._sent = 0

    def wait(self) -> bool:
        """Wait until another piece may be sent; False when there is no need."""
        while len(self._out) * PIECES_A_PING >= PIECES_AHEAD:
            ping = self._out.popleft()
            while not (ping.done or self._over()):
                with suppress(TransportTimeout):
                    self._connection.wait(ping, Deadline.after(CREDIT_POLL))
        return not self._over()

    def sent(self, rest: int) -> None:
        """Take note of a piece that was sent, with `rest` bytes to follow; ask where that helps."""
        self._sent += 1
        if self._sent % PIECES_A_PING or rest <= (PIECES_AHEAD - PIECES_A_PING) * SEND_AHEAD:
            return
        ping = self._connection.open_request()
        self._connection.send_request(ping, Ping(ping.id))
        self._out.append(ping)

    def close(self) -> None:
        """Forget what is not waited for."""
        for ping in self._out:
            self._connection.pending.pop(ping.id, None)


def send_pieces(
    connection: Connection, pending: Pending, source: memoryview, target: ArrayRef
) -> None:
    """Send all of `source` to `target`; its reply resolves `pending`.

    When the peer reports an error, or the copy is stopped, the rest is not sent: a last, empty
    piece says so.
    """
    try:
        if len(source) <= SEND_AHEAD:
            _send_piece(connection, pending, target, 0, source, last=True)
            pending.observer.progress(len(source), len(source), "")
        else:
            _send_pieces(connection, pending, source, target)
    except LocalProtocolError:
        if connection.protocol.state is State.OPEN:  # else another thread closes, and resolves it
            raise


def _send_pieces(
    connection: Connection, pending: Pending, source: memoryview, target: ArrayRef
) -> None:
    total, position, last = len(source), 0, False
    credit = Credits(connection, lambda: pending.done)
    try:
        while not last and credit.wait():
            piece = source[position : position + SEND_AHEAD]
            begin, position = position, position + len(piece)
            last = position >= total
            _send_piece(connection, pending, target, begin, piece, last=last)
            credit.sent(total - position)
            pending.observer.progress(position, total, "")
    finally:
        if not last and connection.reason is None:
            _send_piece(connection, pending, target, position, memoryview(b""), last=True)
        credit.close()


def _send_piece(
    connection: Connection,
    pending: Pending,
    target: ArrayRef,
    position: int,
    piece: memoryview,
    *,
    last: bool,
) -> None:
    offset = target.byte_offset + position
    message = CopyToRemote(pending.id, target.handle, offset, len(piece), last, piece)
    connection.outbox.send_bulk(connection.protocol.prepare(message))


def send_in_background(
    connection: Connection, pending: Pending, source: memoryview, target: ArrayRef
) -> None:
    """Send as `send_pieces` does; on a thread when it is more than one piece."""
    if len(source) <= SEND_AHEAD:
        send_pieces(connection, pending, source, target)
    else:
        threading.Thread(
            target=send_pieces,
            args=(connection, pending, source, target),
            name="rpcnb-upload",
            daemon=True,
        ).start()


def request_pieces(
    connection: Connection, pending: Pending, source: ArrayRef, target: memoryview
) -> None:
    """Ask for bytes of `source` to be sent into `target`."""
    if not len(target):
        del connection.pending[pending.id]
        pending.resolve(CallStatus.RETURN, 0)
        return
    pending.target = target
    message = CopyFromRemote(pending.id, source.handle, source.byte_offset, len(target))
    connection.send_request(pending, message)


def buffers_in(args: tuple[Value, ...], kwargs: Mapping[str, Value]) -> tuple[int, ...]:
    """Return the numbers of the buffers that the arguments of a call lie in."""
    values = (*args, *kwargs.values()) if kwargs else args
    if PLAIN_TYPES.issuperset(map(type, values)):
        return ()
    found: list[int] = []
    _collect(values, found)
    return tuple(found)


def _collect(values: tuple[Value, ...] | list[Value], found: list[int]) -> None:
    for value in values:
        if type(value) is ArrayRef:
            found.append(value.base)
        elif type(value) in (list, tuple):
            _collect(value, found)
        elif type(value) is dict:
            _collect(list(value.values()), found)
