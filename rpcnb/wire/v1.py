"""Version 1 of the wire protocol, as a `WireProtocol`.

What happens to received bytes: they are put into one buffer of fixed size, from which whole small
frames are decoded where they lie. Only when a payload has not arrived in full, the rest of it is
received straight into its destination: for a piece of a bulk copy the memory that the endpoint's
`sink` names, for anything else a buffer of its own. So bulk bytes are not copied here, save the
few that came together with their header.

Measured on two shared cores of a virtual machine, CPython 3.11, in µs, the best of five:

================================= ================ ========
message                           prepare + frame  received
================================= ================ ========
``CallFunc(1, 2, (1,))``          3.2 (quick: 0.8) 1.1
one text and one keyword          4.6 (quick: 1.1) 1.6
one `ArrayRef` as argument        8.7 (quick: 1.5) 1.5
``Return(1, 3)``                  2.5 (quick: 0.5) 0.8
``Return`` of an `ArrayRef`       7.8 (quick: 1.2) 2.7
================================= ================ ========
"""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from rpcnb.core.errors import (
    DecodeError,
    EncodeError,
    ErrorInfo,
    LocalProtocolError,
    RemoteProtocolError,
)
from rpcnb.core.limits import DEFAULT_LIMITS, Limits
from rpcnb.wire.base import PayloadSink, Prepared, State, fresh_buffer
from rpcnb.wire.codec import FORMAT_ERRORS, pack
from rpcnb.wire.decoder import Decoder
from rpcnb.wire.encoder import Encoder, unsendable
from rpcnb.wire.fields import natural
from rpcnb.wire.frames import FIXED, FIXED_NBYTES, Fixed, check_sizes
from rpcnb.wire.journal import TRIMMED_AFTER
from rpcnb.wire.layout import MESSAGES
from rpcnb.wire.messages import (
    KIND_OF,
    Buffer,
    CopyData,
    CopyToRemote,
    FreeHandles,
    Kind,
    Message,
    Raised,
    Short,
    Side,
    in_full,
)
from rpcnb.wire.quick import COMPILED_ITEMS, pack_frame, unpack_frame
from rpcnb.wire.short import ShortDecoder, ShortSending
from rpcnb.wire.state import Direction, steps
from rpcnb.wire.text import sendable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CLASS_OF: dict[int, Callable[..., Message]] = {kind: cls for cls, kind in KIND_OF.items()}
_NO_ID = frozenset({Kind.FREE_HANDLES, Kind.GOODBYE})
BULK = frozenset({Kind.COPY_TO_REMOTE, Kind.COPY_DATA})
_OPEN = State.OPEN  # looking a member up in its class costs more than the test it is for
_CHECKS = {int(kind): layout.from_wire for kind, layout in MESSAGES.items()}
_FORGET: Callable[[bytes], None] = deque[bytes](maxlen=0).append
_NOTHING: tuple[Message, ...] = ()
WINDOW = 16 * 1024
"""Bytes received at once where a frame begins: room for 250 small ones. What comes of a payload in
the same receive is copied once more, so more room would make bulk data slower (128 KiB: by a tenth)."""


class WireV1(ShortSending):
    """One side of one connection.

    Parameters
    ----------
    side : Side
        Which messages are to be sent and received.
    epoch : int
        Which connection of its session this is; both sides know it from the handshake.
    limits : Limits
        Applied to what is received, and to what is sent, so that the peer need not refuse it.
    sink : callable, optional
        Where the payloads of bulk copies go.
    """

    def __init__(
        self,
        side: Side,
        *,
        epoch: int = 1,
        limits: Limits = DEFAULT_LIMITS,
        sink: PayloadSink | None = None,
    ) -> None:
        super().__init__(limits)
        self.side = side
        self.state = State.OPEN
        self.sink = fresh_buffer if sink is None else sink
        self.frames_sent = 0
        self.frames_received = 0
        self._epoch = epoch
        self._limits = limits
        self._may_send = steps(side, Direction.SEND)
        self._may_receive = steps(side, Direction.RECEIVE)
        self._acked = 0
        self._note = _FORGET
        self._watches_acks = False
        """Whether `_acknowledged` wants to be called when something has arrived."""
        short = ShortDecoder(limits)
        self._trusted_nbytes = short.trusted_nbytes
        self._pack_frame = pack_frame
        self._unpack_frame = unpack_frame if limits.items >= COMPILED_ITEMS else None
        self._short = {
            kind: decode
            for kind, decode in short.kinds.items()
            if self._may_receive[_OPEN].get(kind) is _OPEN
        }
        self._call_ref = short.call_ref if Kind.CALL_FUNC in self._short else None
        self._return_ref = short.return_ref if Kind.RETURN in self._short else None
        self._handles = FreeHandles if Kind.FREE_HANDLES in self._short else None
        self._decoder = Decoder(limits)
        self._window = self._buffer = memoryview(
            bytearray(WINDOW)
        )  # grows with the first large header
        self._start = self._end = 0  # what is in the buffer and not yet decoded
        self._needed = FIXED_NBYTES  # bytes from _start before looking again makes sense
        self._payload: _Payload | None = None

    # --- sending ---------------------------------------------------------------------------------

    def prepare(self, message: Message) -> Prepared:
        """Encode a message; see `WireProtocol.prepare`.  Thread-safe."""
        kind = KIND_OF[type(message)]
        try:
            if kind is Kind.COPY_FROM_REMOTE:
                return Prepared(kind, message.id, pack([*map(natural, message[1:])]), (), 0)  # type: ignore[union-attr] # it has one
            if kind in BULK:
                return self._prepare_bulk(kind, message)
            return self._prepare(kind, message)
        except (DecodeError, TypeError, ValueError) as error:
            raise EncodeError(f"{unsendable(message, self._limits)}{error}") from error

    def _prepare(self, kind: Kind, message: Message) -> Prepared:
        values: Any = sendable(message, self._limits)
        request = 0
        if kind not in _NO_ID:
            request, values = values[0], values[1:]
        layout = MESSAGES[kind]
        if kind is Kind.RAISED:
            (error,) = values
            values = [getattr(error, name) for name in layout.names]
        encoder = Encoder(self._limits)
        header = encoder.header(layout.to_wire(values), layout.outer)
        return Prepared(kind, request, header, tuple(encoder.payload), encoder.nbytes)

    def _prepare_bulk(self, kind: Kind, message: Any) -> Prepared:
        payload = memoryview(message.payload).cast("B")
        if payload.nbytes != message.nbytes:
            raise EncodeError(f"{payload.nbytes} bytes in a piece of {message.nbytes}")
        check_sizes(0, payload.nbytes, self._limits)
        # As the layouts have it, in a quarter of the time: most of an upload of 64 KiB is Python.
        numbers = [natural(number) for number in message[1:-3]]
        parts = (payload,) if payload.nbytes else ()
        header = pack([*numbers, bool(message.last)])
        return Prepared(kind, message.id, header, parts, payload.nbytes)

    def frame(self, prepared: Prepared) -> Sequence[Buffer]:
        """Give a prepared message its place in the stream; see `WireProtocol.frame`."""
        kind, request, header, payload, payload_nbytes = prepared
        after = self._may_send[self.state].get(kind)
        if after is None:
            raise LocalProtocolError(
                f"a {self.side.name.lower()} sends no {kind.name} when {self.state.name.lower()}"
            )
        sequence = self.frames_sent + 1
        try:
            fixed = FIXED.pack(
                kind,
                0,
                self._epoch,
                len(header),
                request,
                sequence,
                self.frames_received,
                payload_nbytes,
            )
        except struct.error as error:
            raise LocalProtocolError(f"{request!r} is not a request id") from error
        self.frames_sent = sequence
        if after is State.CLOSING:
            self.state = after
        if payload:
            return self._note_payload((fixed + header, *payload))
        data = fixed + header
        self._note(data)
        return (data if sequence % TRIMMED_AFTER else self._spaced(data),)

    def _note_payload(self, buffers: tuple[Buffer, ...]) -> Sequence[Buffer]:
        """Take note of the newest frame, which has a payload; see `ResumableV1`."""
        return buffers

    def _acknowledged(self) -> None:
        """Look what has arrived over there; likewise."""

    def _spaced(self, data: bytes) -> bytes:
        """Return the newest frame, `TRIMMED_AFTER` after the last one that came here; likewise."""
        return data

    def quick_frame(self, kind: Kind, request: int, header: bytes) -> bytes | None:
        """Give a quick header its place in the stream; see `WireProtocol.quick_frame`."""
        if self.state is not _OPEN:
            return None
        sequence = self.frames_sent = self.frames_sent + 1
        epoch, nbytes, received = self._epoch, len(header), self.frames_received
        if self._pack_frame is not None:
            data = self._pack_frame(kind, epoch, request, sequence, received, header)
        else:
            data = FIXED.pack(kind, 0, epoch, nbytes, request, sequence, received, 0) + header
        self._note(data)
        return data if sequence % TRIMMED_AFTER else self._spaced(data)

    # --- receiving -------------------------------------------------------------------------------

    def receive_buffer(self) -> memoryview:
        """Return where the next received bytes must be put; see `WireProtocol.receive_buffer`."""
        if self._payload is not None:
            return self._payload.rest
        return self._buffer[self._end :] if self._end else self._window

    def received(self, nbytes: int) -> Sequence[Message]:
        """Take note of received bytes; return complete messages; see `WireProtocol.received`."""
        return [in_full(message) for message in self.received_short(nbytes)]

    def received_short(self, nbytes: int) -> Sequence[Message | Short]:
        """Take note of received bytes; see `WireProtocol.received_short`.

        Most receives bring short messages and nothing else, which takes a third of the time here (0.8 µs
        of 2.6). A frame is taken only if everything is as it should be. The rest of the buffer, from
        `_start` to `_end`, is left to the general way, which also says what is wrong.
        """
        if self._payload is not None:
            return self._go_on(nbytes, [])
        messages: list[Message | Short] = []
        buffer, start, end = self._buffer, self._start, self._end + nbytes
        while end - start >= FIXED_NBYTES:
            if self._unpack_frame is not None and self._take_compiled(start, end, messages):
                start = self._start
                continue
            fixed = FIXED.unpack_from(buffer, start)
            kind, flags, epoch, header_nbytes, request, sequence, ack, payload_nbytes = fixed
            body = start + FIXED_NBYTES
            stop = body + header_nbytes
            if (
                stop > end
                or header_nbytes > self._short_nbytes
                or payload_nbytes
                or flags
                or epoch != self._epoch
                or sequence != self.frames_received + 1
                or not self._acked <= ack <= self.frames_sent
                or self.state is not _OPEN
            ):
                break
            decode = self._short.get(kind)
            if decode is None:
                break
            unpack, unpack_long, make = decode
            try:
                trusted = header_nbytes <= self._trusted_nbytes
                fields = (unpack if trusted else unpack_long)(buffer[body:stop])
            except FORMAT_ERRORS:
                break
            message = make(request, fields) if type(fields) is list else None
            if message is None:
                break
            self._acked = ack
            self.frames_received = sequence
            messages.append(message)
            start = stop
        if self._watches_acks:
            self._acknowledged()
        if start == end:
            self._start = self._end = 0
            self._needed = FIXED_NBYTES
            return messages
        self._start = self._end = start
        return self._go_on(end - start, messages)

    def _take_compiled(self, start: int, end: int, messages: list[Message | Short]) -> bool:
        """Take the frame at `start`, and set `_start` to its end; False for one that is not usual."""
        unpack = self._unpack_frame
        if unpack is None or self.state is not _OPEN:
            return False
        sequence = self.frames_received + 1
        found = unpack(
            self._buffer,
            start,
            end,
            self._epoch,
            sequence,
            self._acked,
            self.frames_sent,
            self._short_nbytes,
            self._call_ref,
            self._return_ref,
            self._handles,
        )
        if found is None:
            return False
        self._start, self._acked, message = found
        self.frames_received = sequence
        messages.append(message)
        return True

    def _go_on(self, nbytes: int, messages: list[Message | Short]) -> Sequence[Message | Short]:
        """Take note of received bytes in the general way; return what is complete behind `messages`."""
        try:
            if self._payload is not None:
                self._payload.rest = self._payload.rest[nbytes:]
                return _NOTHING if self._payload.rest else (self._complete(self._payload),)
            self._end += nbytes
            fits = self._end < len(self._buffer)
            if messages or not fits or self._end - self._start >= self._needed:
                messages += self._parse()  # which says what it needs, and makes room for it
        except RemoteProtocolError:
            self.state = State.CLOSED
            raise
        except DecodeError as error:
            self.state = State.CLOSED
            raise RemoteProtocolError(str(error)) from error
        return messages

    def receive_eof(self) -> None:
        """Take note that nothing more comes; see `WireProtocol.receive_eof`."""
        before, self.state = self.state, State.CLOSED
        cut = self._payload is not None or self._end > self._start
        if cut and before is not State.CLOSED:
            raise RemoteProtocolError("the connection ended in the middle of a frame")

    def _parse(self) -> list[Message]:
        """Decode what is complete in the buffer, and make room for what is not."""
        messages: list[Message] = []
        buffer, start, end = self._buffer, self._start, self._end
        needed = FIXED_NBYTES
        while end - start >= FIXED_NBYTES:
            fixed = FIXED.unpack_from(buffer, start)
            kind, _, _, header_nbytes, request, sequence, _, payload_nbytes = fixed
            after = self._check(fixed)
            body = start + FIXED_NBYTES
            header_end = body + header_nbytes
            if header_end > end:
                needed += header_nbytes
                break
            header = buffer[body:header_end]
            start = header_end
            if payload_nbytes or kind in BULK:
                payload = self._begin_payload(Fixed(*fixed), bytes(header))
                start += payload.take(buffer[start:end])
                if payload.rest:  # everything that was in the buffer is taken
                    break
                messages.append(self._complete(payload))
            else:
                messages.append(self._message(kind, request, header, b""))
                self._arrived(sequence, after)
        self._keep(start, needed)
        return messages

    def _check(self, fixed: tuple[int, ...]) -> State:
        """Check the fixed part of a frame; return the state that follows it."""
        kind, flags, epoch, header_nbytes, _, sequence, ack, payload_nbytes = fixed
        after = self._may_receive[self.state].get(kind)
        if after is None:
            name = _CLASS_OF[kind].__name__ if kind in _CLASS_OF else f"kind {kind:#04x}"
            raise RemoteProtocolError(f"{name} is not allowed when {self.state.name.lower()}")
        if flags or epoch != self._epoch:
            raise RemoteProtocolError(f"flags {flags} and epoch {epoch}, not 0 and {self._epoch}")
        if sequence != self.frames_received + 1:
            expected = self.frames_received + 1
            raise RemoteProtocolError(f"frame {sequence} where {expected} was expected")
        if not self._acked <= ack <= self.frames_sent:
            raise RemoteProtocolError(f"frame {ack} acknowledged, of {self.frames_sent} sent")
        check_sizes(header_nbytes, payload_nbytes, self._limits)
        self._acked = ack
        if self._watches_acks:
            self._acknowledged()
        return after

    def _arrived(self, sequence: int, after: State) -> None:
        self.frames_received = sequence
        # Only a change is written: another thread may be saying goodbye at this moment.
        if after is not self.state and after is State.CLOSED:
            self.state = after

    def _keep(self, start: int, needed: int) -> None:
        """Keep what was not decoded, with room behind it for what it needs."""
        if start == self._end:
            self._start = self._end = 0
        elif start + needed > len(self._buffer) or self._end == len(self._buffer):
            rest = bytes(self._buffer[start : self._end])
            if needed > len(self._buffer):
                self._make_room()
            self._buffer[: len(rest)] = rest
            self._start, self._end = 0, len(rest)
        else:
            self._start = start
        self._needed = needed

    def _make_room(self) -> None:
        """Have a buffer for the largest frame without payload: few sessions ever need it."""
        self._buffer = memoryview(bytearray(FIXED_NBYTES + self._limits.frame_header + WINDOW))
        self._window = self._buffer[:WINDOW]

    def _begin_payload(self, fixed: Fixed, header: bytes) -> _Payload:
        """Find the place for a payload; a value is decoded when all of it is there."""
        if fixed.kind not in BULK:
            target = memoryview(bytearray(fixed.payload_nbytes))
            return self._expect(_Payload(fixed, target, header))
        piece = self._piece(fixed, header)
        target = self.sink(piece)
        if target.nbytes != piece.nbytes:
            raise ValueError(f"the sink gave {target.nbytes} bytes for {piece.nbytes}")
        return self._expect(_Payload(fixed, target.cast("B"), piece))

    def _expect(self, payload: _Payload) -> _Payload:
        self._payload = payload
        return payload

    def _complete(self, payload: _Payload) -> Message:
        fixed, body = payload.fixed, payload.body
        self._payload = None
        if isinstance(body, bytes):
            message = self._message(fixed.kind, fixed.id, body, payload.target)
        else:
            message = body._replace(payload=payload.target)
        # What was allowed when it began is not where another thread has ended the connection since.
        state = self.state
        self._arrived(fixed.sequence, self._may_receive[state].get(fixed.kind, state))
        return message

    def _message(self, kind: int, request: int, header: Buffer, payload: Buffer) -> Message:
        """Decode one message that is no piece of a bulk copy."""
        try:
            values = _CHECKS[kind](self._decoder.fields(header, payload), self._limits)
        except DecodeError as error:
            raise RemoteProtocolError(f"in {_CLASS_OF[kind].__name__}: {error}") from error
        if kind in _NO_ID:
            if request:
                raise RemoteProtocolError(f"{_CLASS_OF[kind].__name__} with a request id")
            return _CLASS_OF[kind](*values)
        if kind == Kind.RAISED:
            return Raised(request, ErrorInfo(*values))
        return _CLASS_OF[kind](request, *values)

    def _piece(self, fixed: Fixed, header: bytes) -> CopyToRemote | CopyData:
        layout = MESSAGES[fixed.kind]  # type: ignore[index] # kinds are ints
        values = layout.from_wire(self._decoder.fields(header), self._limits)
        if fixed.kind == Kind.COPY_DATA:
            offset, last = values
            return CopyData(fixed.id, offset, fixed.payload_nbytes, last)
        target, offset, last = values
        return CopyToRemote(fixed.id, target, offset, fixed.payload_nbytes, last)


class _Payload:
    """A payload of which a part has arrived."""

    __slots__ = ("body", "fixed", "rest", "target")

    def __init__(
        self, fixed: Fixed, target: memoryview, body: bytes | CopyToRemote | CopyData
    ) -> None:
        self.fixed = fixed
        self.target = target
        self.rest = target
        """The part of `target` that has not arrived."""
        self.body = body
        """The header of a value's message, or the piece that lacks its payload."""

    def take(self, data: memoryview) -> int:
        """Copy what came along with the header; return how much that was."""
        nbytes = min(len(data), len(self.rest))
        self.rest[:nbytes] = data[:nbytes]
        self.rest = self.rest[nbytes:]
        return nbytes
