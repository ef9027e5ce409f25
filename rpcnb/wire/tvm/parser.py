"""`TVMWire`: received bytes to packets of TVM's protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from rpcnb.core.errors import LimitExceeded, RemoteProtocolError
from rpcnb.core.limits import KIB, MIB
from rpcnb.wire.tvm.dialect import NEW, OLD
from rpcnb.wire.tvm.packets import OLD_NOTHING, Code, CopyAck, CopyTo, Packet, Skipped, decode
from rpcnb.wire.tvm.values import I32, U64, Reader, TVMTensor

if TYPE_CHECKING:
    from collections.abc import Generator

    from rpcnb.wire.messages import Buffer

LARGEST_PACKET = 1024 * MIB
"""Bytes of a packet that is kept in memory as a whole; payloads of copies go elsewhere."""
_SCRATCH = 64 * KIB
_COPY_FIXED = 24
"""Bytes before the shape of a copy's tensor."""

Sink: TypeAlias = Callable[[TVMTensor | None, int], memoryview | None]
"""Given the tensor (None on the side that asked) and a number of bytes, returns writable flat
memory of that size for the payload of a copy; or None to let it go by."""

_Want: TypeAlias = int | memoryview
"""What the parser waits for: so many bytes, or memory to be filled."""


def fresh(_tensor: TVMTensor | None, nbytes: int) -> memoryview:
    """Be the sink that gives new memory."""
    return memoryview(bytearray(nbytes))


class TVMWire:
    """Turns received bytes into packets.  Not thread-safe: one reader at a time.

    Bytes are put into one buffer of fixed size; what is missing of a large payload is received
    straight into its destination. Memory is taken as bytes arrive, never because a length said so.

    Parameters
    ----------
    sink : callable
        Where payloads of copies go.
    largest : int [bytes]
        Of a packet other than a copy.
    """

    def __init__(self, sink: Sink = fresh, largest: int = LARGEST_PACKET) -> None:
        self.sink = sink
        self.packets_received = 0
        self.dialect = NEW
        """As the first answer of the server shows it."""
        self._largest = largest
        self._scratch = memoryview(bytearray(_SCRATCH))
        self._start = self._end = 0
        self._direct: memoryview | None = None
        self._complete: list[Packet] = []
        self._failure: RemoteProtocolError | None = None
        self._parser = self._parse()
        self._want: _Want = next(self._parser)

    def receive_buffer(self) -> memoryview:
        """Return where the next received bytes must be put: writable and not empty."""
        return self._scratch[self._end :] if self._direct is None else self._direct

    def received(self, nbytes: int) -> list[Packet]:
        """Take note of `nbytes` put into the last `receive_buffer`; return complete packets.

        Raises
        ------
        RemoteProtocolError
            The bytes have no meaning; nothing more can be received.
        """
        if self._failure is not None:
            raise self._failure
        if self._direct is None:
            self._end += nbytes
        else:
            self._direct = self._direct[nbytes:] if nbytes < len(self._direct) else None
        try:
            if self._direct is None:
                self._advance()
        except RemoteProtocolError as error:
            self._failure = error
            raise
        complete, self._complete = self._complete, []
        return complete

    def receive_data(self, data: Buffer) -> list[Packet]:
        """Feed bytes that are already in memory: for tests, recordings and traces."""
        packets: list[Packet] = []
        rest = memoryview(data)
        while rest:
            target = self.receive_buffer()
            nbytes = min(len(target), len(rest))
            target[:nbytes] = rest[:nbytes]
            packets.extend(self.received(nbytes))
            rest = rest[nbytes:]
        return packets

    def _advance(self) -> None:
        """Give the parser what it wants as long as it is there."""
        if isinstance(self._want, memoryview):  # filled by now
            self._want = next(self._parser)
        while True:
            here = self._end - self._start
            if isinstance(self._want, int):
                if here < self._want:
                    break
                end = self._start + self._want
                data = bytes(self._scratch[self._start : end])
                self._start = end
                self._want = self._parser.send(data)
            else:
                count = min(here, len(self._want))
                self._want[:count] = self._scratch[self._start : self._start + count]
                self._start += count
                if count < len(self._want):
                    self._direct = self._want[count:]
                    break
                self._want = next(self._parser)
        self._scratch[: self._end - self._start] = self._scratch[self._start : self._end]
        self._start, self._end = 0, self._end - self._start

    def _parse(self) -> Generator[_Want, bytes, None]:
        while True:
            (length,) = U64.unpack((yield U64.size))
            if length == 0:
                continue
            if length < I32.size:
                message = f"a packet of {length} bytes has no room for its code"
                raise RemoteProtocolError(message)
            (code,) = I32.unpack((yield I32.size))
            nbytes = length - I32.size
            if code == Code.COPY_ACK:
                payload = yield from self._payload(None, nbytes)
                self._emit(CopyAck(payload))
            elif code == Code.COPY_TO_REMOTE:
                yield from self._copy_to(nbytes)
            else:
                body = yield from self._body(nbytes)
                if code == Code.RETURN and body == OLD_NOTHING and not self.packets_received:
                    self.dialect = OLD
                self._emit(decode(code, body, self.dialect))

    def _emit(self, packet: Packet) -> None:
        self.packets_received += 1
        self._complete.append(packet)

    def _body(self, nbytes: int) -> Generator[_Want, bytes, bytes | bytearray]:
        if nbytes > self._largest:
            raise LimitExceeded("TVM packet", nbytes, self._largest)
        if nbytes <= _SCRATCH // 2:
            return (yield nbytes)
        body = bytearray()
        while len(body) < nbytes:
            piece = bytearray(min(MIB, nbytes - len(body)))
            yield memoryview(piece)
            body += piece
        return body

    def _payload(
        self, tensor: TVMTensor | None, nbytes: int
    ) -> Generator[_Want, bytes, memoryview | Skipped]:
        target = self.sink(tensor, nbytes)
        if target is None:
            yield from self._skip(nbytes)
            return Skipped(nbytes)
        if nbytes:
            yield target
        return target

    @staticmethod
    def _skip(nbytes: int) -> Generator[_Want, bytes, None]:
        piece = memoryview(bytearray(min(_SCRATCH, nbytes)))
        while nbytes:
            yield piece[: min(nbytes, len(piece))]
            nbytes -= min(nbytes, len(piece))

    def _copy_to(self, nbytes: int) -> Generator[_Want, bytes, None]:
        if nbytes < _COPY_FIXED:
            message = f"a copy of {nbytes} bytes has no room for its tensor"
            raise RemoteProtocolError(message)
        start = yield _COPY_FIXED
        rest = 8 * int.from_bytes(start[16:20], "little", signed=True) + 16
        if not 16 <= rest <= nbytes - _COPY_FIXED or rest > _SCRATCH // 2:
            message = "a copy whose tensor has more dimensions than fit"
            raise RemoteProtocolError(message)
        reader = Reader(start + (yield rest))
        tensor, announced = reader.tensor(), reader.number(U64)
        if announced != nbytes - _COPY_FIXED - rest:
            message = (
                f"a copy announces {announced:,} bytes and has {nbytes - _COPY_FIXED - rest:,}"
            )
            raise RemoteProtocolError(message)
        payload = yield from self._payload(tensor, announced)
        self._emit(CopyTo(tensor, payload))
