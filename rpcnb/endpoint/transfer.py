"""Bulk copies in pieces: straight from and into the user's memory, overtaken by small messages."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rpcnb.core.errors import ArrayMismatch, EncodeError, TransportError
from rpcnb.core.values import PLAIN_TYPES, ArrayRef
from rpcnb.endpoint.connection import SEND_AHEAD
from rpcnb.session.base import CallStatus, HostBuffer
from rpcnb.wire.messages import CallFunc, CopyFromRemote, CopyToRemote

if TYPE_CHECKING:
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


def send_pieces(
    connection: Connection, pending: Pending, source: memoryview, target: ArrayRef
) -> None:
    """Send all of `source` to `target`; its reply resolves `pending`.

    When the peer reports an error, or the copy is stopped, the rest is not sent: a last, empty
    piece says so.
    """
    total, position = len(source), 0
    try:
        while True:
            piece = b"" if pending.done else source[position : position + SEND_AHEAD]
            begin, position = position, position + len(piece)
            last = position >= total or pending.done
            message = CopyToRemote(
                pending.id, target.handle, target.byte_offset + begin, len(piece), last, piece
            )
            connection.outbox.send_bulk(connection.protocol.prepare(message))
            pending.observer.progress(position, total, "")
            if last:
                return
    except TransportError as error:
        connection.end(error)


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


def buffers_in(message: CallFunc) -> tuple[int, ...]:
    """Return the numbers of the buffers that the arguments of a call lie in."""
    values = (*message.args, *message.kwargs.values()) if message.kwargs else message.args
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
