"""The serving side of bulk copies: into and out of the memory of whatever session is served."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from rpcnb.core.errors import RpcnbError, describe_exception
from rpcnb.core.values import ArrayRef, Handle
from rpcnb.endpoint.connection import SEND_AHEAD
from rpcnb.endpoint.transfer import Credits, slice_of
from rpcnb.session.base import CallStatus
from rpcnb.wire.messages import CopyData, CopyFromRemote, CopyToRemote, Raised

if TYPE_CHECKING:
    from rpcnb.core.values import Value
    from rpcnb.endpoint.serving.serving import Serving


class Upload:
    """One upload under way."""

    __slots__ = ("direct", "error", "received", "unconfirmed")

    def __init__(self) -> None:
        self.error: tuple[CallStatus, Value] | None = None
        """The first thing that went wrong; the rest of the pieces go nowhere."""
        self.direct = False
        """The current piece was received straight into the array."""
        self.received = 0
        self.unconfirmed = 1
        """Pieces handed to the session and not yet answered, and one for the last piece."""


class Uploads:
    """Uploads of one peer.  Used by the reading thread; confirmations come from any thread."""

    def __init__(self, dispatcher: Serving) -> None:
        self._dispatcher = dispatcher
        self._open: dict[int, Upload] = {}
        self._stopped: set[int] = set()

    def _upload(self, request_id: int) -> Upload:
        upload = self._open.get(request_id)
        if upload is None:
            upload = self._open[request_id] = Upload()
        return upload

    def target(self, message: CopyToRemote) -> memoryview:
        """Return the array's own memory where that can be addressed, else scratch memory."""
        upload = self._upload(message.id)
        upload.direct = False
        if upload.error is None and message.id not in self._stopped:
            try:
                memory = self._dispatcher.session.host_memory(Handle(message.target))
                if memory is not None:
                    view = slice_of(memory, message.offset, message.nbytes)
                    upload.direct = True
                    return view
            except RpcnbError as error:
                upload.error = (CallStatus.EXCEPTION, describe_exception(error, ""))
        return memoryview(bytearray(message.nbytes))

    def receive(self, message: CopyToRemote) -> None:
        """Take note of a piece whose bytes have arrived."""
        upload = self._upload(message.id)
        upload.received += message.nbytes
        if message.id in self._stopped:
            if message.last:
                self._stopped.discard(message.id)
                del self._open[message.id]
            return
        if not upload.direct and message.nbytes and upload.error is None:
            upload.unconfirmed += 1
            array = ArrayRef(Handle(message.target), byte_offset=message.offset)
            self._dispatcher.session.async_copy_to_remote(
                message.payload,
                array,
                message.nbytes,
                lambda status, value: self._confirm(message.id, upload, status, value),
            )
        if message.last:
            self._confirm(message.id, upload, CallStatus.RETURN, None)

    def _confirm(self, request_id: int, upload: Upload, status: CallStatus, value: Value) -> None:
        if status is not CallStatus.RETURN and upload.error is None:
            upload.error = (status, value)
        upload.unconfirmed -= 1
        if upload.unconfirmed == 0 and self._open.pop(request_id, None) is not None:
            if request_id in self._stopped:  # after its last piece; the peer was told so
                self._stopped.discard(request_id)
                return
            outcome = upload.error or (CallStatus.RETURN, upload.received)
            self._dispatcher.reply(request_id, *outcome)

    def stop(self, request_id: int) -> bool:
        """Ignore the rest of an upload; False when there is none of that id."""
        if request_id not in self._open:
            return False
        self._stopped.add(request_id)
        return True


class Downloads:
    """Downloads of one peer: small ones at once, large ones on a thread of their own."""

    def __init__(self, dispatcher: Serving) -> None:
        self._dispatcher = dispatcher
        self._open: set[int] = set()

    def start(self, message: CopyFromRemote) -> None:
        """Start sending."""
        if message.nbytes <= SEND_AHEAD and self._dispatcher.is_local:
            self._send(message)
        else:
            self._open.add(message.id)
            self._dispatcher.run_in_lane(lambda: self._send(message))

    def stop(self, request_id: int) -> bool:
        """Send no more of a download; False when there is none of that id."""
        if request_id not in self._open:
            return False
        self._open.discard(request_id)
        return True

    def _send(self, message: CopyFromRemote) -> None:
        connection = self._dispatcher.connection
        try:
            self._send_pieces(message)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the peer is told
            info = describe_exception(error, traceback.format_exc())
            connection.post(Raised(message.id, info))
        finally:
            self._open.discard(message.id)

    def _send_pieces(self, message: CopyFromRemote) -> None:
        connection, session = self._dispatcher.connection, self._dispatcher.session
        memory = session.host_memory(Handle(message.source))
        if memory is not None:
            memory = slice_of(memory, message.offset, message.nbytes)
        if memory is not None and message.nbytes <= SEND_AHEAD:
            copy = CopyData(message.id, 0, message.nbytes, last=True, payload=memory)
            connection.outbox.send_bulk(connection.protocol.prepare(copy))
            return
        credit = Credits(connection, lambda: message.id not in self._open)
        try:
            for position in range(0, message.nbytes, SEND_AHEAD):
                if position and not credit.wait():
                    return
                nbytes = min(SEND_AHEAD, message.nbytes - position)
                if memory is not None:
                    piece = memory[position : position + nbytes]
                else:
                    array = ArrayRef(Handle(message.source), byte_offset=message.offset + position)
                    piece = memoryview(bytearray(nbytes))
                    session.copy_from_remote(array, piece, nbytes)
                rest = message.nbytes - position - nbytes
                copy = CopyData(message.id, position, nbytes, not rest, piece)
                connection.outbox.send_bulk(connection.protocol.prepare(copy))
                credit.sent(rest)
        finally:
            credit.close()
