"""TVM's RPC protocol (0.21 and later) without I/O: bytes to packets and back.

First a greeting (`Greeting`), then packets: ``u64`` length, ``i32`` code, body. There are no
request ids: replies come in the order of the requests. There is no proof of identity either, so
that a TVM server trusts everybody who reaches its port, and so do we when we speak to one.

The dialect before 0.21 has the same greeting, version string and codes, and another encoding of
values. The first reply tells the two apart, see `decode`; the old one is not spoken.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from rpcnb.core.errors import HandshakeError, LimitExceeded, RemoteProtocolError
from rpcnb.core.limits import KIB, MIB
from rpcnb.wire.tvm_values import (
    I32,
    U64,
    Reader,
    TVMPointer,
    TVMTensor,
    TVMValue,
    encode_tensor,
    encode_values,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from rpcnb.wire.messages import Buffer

MAGIC = 0x000FF271
DUPLICATE_KEY, NO_MATCH = MAGIC + 1, MAGIC + 2
VERSION = "0.8.0"
"""What every TVM from 0.8 to 0.27 says, whichever dialect it speaks."""
LONGEST_KEY = 4 * KIB
LARGEST_PACKET = 1024 * MIB
"""Bytes of a packet that is kept in memory as a whole; payloads of copies go elsewhere."""
_SCRATCH = 64 * KIB
_HEAD = Struct("<Qi")
_CALL = Struct("<QiQ")
_COPY_FIXED = 24
"""Bytes before the shape of a copy's tensor."""
_OLD_NOTHING = I32.pack(1) + I32.pack(4)
"""A return of nothing as it was before 0.21; here it would be a pointer without its address."""


class Code(IntEnum):
    """What a packet is."""

    SHUTDOWN = 1
    INIT_SERVER = 2
    CALL_FUNC = 3
    RETURN = 4
    EXCEPTION = 5
    COPY_FROM_REMOTE = 6
    COPY_TO_REMOTE = 7
    COPY_ACK = 8
    GET_GLOBAL_FUNC = 9
    FREE_HANDLE = 10
    DEV_SET_DEVICE = 11
    DEV_GET_ATTR = 12
    DEV_ALLOC_DATA = 13
    DEV_FREE_DATA = 14
    DEV_STREAM_SYNC = 15
    COPY_AMONG_REMOTE = 16
    DEV_ALLOC_DATA_WITH_SCOPE = 17
    DEV_CREATE_STREAM = 18
    DEV_FREE_STREAM = 19
    DEV_SET_STREAM = 20
    DEV_GET_CURRENT_STREAM = 21


SYSTEM_CALLS = frozenset(code for code in Code if code >= Code.GET_GLOBAL_FUNC)
"""Their body is one argument list; they are answered by a Return of one value."""


class Shutdown(NamedTuple):
    """The end, from either side; also what a server sends whose process ends."""


class InitServer(NamedTuple):
    """Must be the first request; names a function over there that makes the session to serve."""

    constructor: tuple[TVMValue, ...] = ()
    version: str = VERSION


class Call(NamedTuple):
    """Call a function."""

    function: int
    args: tuple[TVMValue, ...] = ()


class SystemCall(NamedTuple):
    """One of `SYSTEM_CALLS`."""

    code: Code
    args: tuple[TVMValue, ...] = ()


class CopyFrom(NamedTuple):
    """Send bytes of a tensor; answered by a `CopyAck`."""

    tensor: TVMTensor
    nbytes: int


class CopyTo(NamedTuple):
    """Write bytes into a tensor.  Received, the payload is where the sink wanted it."""

    tensor: TVMTensor
    payload: Buffer


class Result(NamedTuple):
    """The answer to anything that went well, save a copy to this side."""

    values: tuple[TVMValue, ...]


class Raised(NamedTuple):
    """The answer to anything else."""

    message: str


class CopyAck(NamedTuple):
    """The bytes that `CopyFrom` asked for.  Received, they are where the sink wanted them."""

    payload: Buffer


Packet: TypeAlias = (
    Shutdown | InitServer | Call | SystemCall | CopyFrom | CopyTo | Result | Raised | CopyAck
)


# --- writing -----------------------------------------------------------------------------------


def encode(packet: Packet) -> tuple[Buffer, ...]:  # noqa: PLR0911 -- one for each packet
    """Return the buffers to send, in order: one, or two where there is bulk data.

    Raises
    ------
    EncodeError
        A value has no form in TVM's protocol.
    """
    match packet:
        case Call(function, args):
            body = encode_values(args)
            return (_CALL.pack(12 + len(body), Code.CALL_FUNC, function) + body,)
        case SystemCall(code, args):
            return (_packet(code, encode_values(args)),)
        case Result(values):
            return (_packet(Code.RETURN, encode_values(values)),)
        case Raised(message):
            return (_packet(Code.EXCEPTION, encode_values([message.replace("\0", "\\0")])),)
        case CopyFrom(tensor, nbytes):
            return (_packet(Code.COPY_FROM_REMOTE, encode_tensor(tensor) + U64.pack(nbytes)),)
        case CopyTo(tensor, payload):
            body = encode_tensor(tensor) + U64.pack(len(payload))
            return (_packet(Code.COPY_TO_REMOTE, body, len(payload)), payload)
        case CopyAck(payload):
            return (_packet(Code.COPY_ACK, b"", len(payload)), payload)
        case InitServer(constructor, version):
            name = version.encode()
            body = U64.pack(len(name)) + name + encode_values(constructor)
            return (_packet(Code.INIT_SERVER, body),)
        case Shutdown():
            return (_packet(Code.SHUTDOWN, b""),)


def _packet(code: int, body: bytes, more: int = 0) -> bytes:
    return _HEAD.pack(4 + len(body) + more, code) + body


# --- reading -----------------------------------------------------------------------------------

Sink: TypeAlias = Callable[[TVMTensor | None, int], memoryview]
"""Given the tensor (None on the side that asked) and a number of bytes, returns writable flat
memory of that size for the payload of a copy."""

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
                self._emit(decode(code, body))

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
    ) -> Generator[_Want, bytes, memoryview]:
        target = self.sink(tensor, nbytes)
        if nbytes:
            yield target
        return target

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


def decode(code: int, body: bytes | bytearray) -> Packet:
    """Return the packet of a code and a body.

    Raises
    ------
    RemoteProtocolError
        There is no such code, or the body is not its.
    HandshakeError
        It comes from a server that speaks the dialect before 0.21.
    """
    if code == Code.RETURN and body == _OLD_NOTHING:
        message = (
            "this TVM server is older than 0.21 and encodes values in another way, which rpcnb "
            "does not speak; install TVM 0.21 or newer over there"
        )
        raise HandshakeError(message)
    read = _READERS.get(code)
    if read is None:
        message = f"a packet of code {code}, which TVM's protocol does not have"
        raise RemoteProtocolError(message)
    reader = Reader(body)
    packet = read(reader)
    reader.end()
    return packet


def _read_raised(reader: Reader) -> Raised:
    values = reader.values()
    return Raised(str(values[0]) if values else "")


def _read_init(reader: Reader) -> InitServer:
    version = reader.counted().decode("utf-8", "replace")
    return InitServer(tuple(reader.values()), version)


def _read_system_call(code: Code) -> Callable[[Reader], Packet]:
    return lambda reader: SystemCall(code, tuple(reader.values()))


_READERS: dict[int, Callable[[Reader], Packet]] = {
    **{code: _read_system_call(code) for code in SYSTEM_CALLS},
    Code.SHUTDOWN: lambda _: Shutdown(),
    Code.INIT_SERVER: _read_init,
    Code.CALL_FUNC: lambda reader: Call(reader.number(U64), tuple(reader.values())),
    Code.RETURN: lambda reader: Result(tuple(reader.values())),
    Code.EXCEPTION: _read_raised,
    Code.COPY_FROM_REMOTE: lambda reader: CopyFrom(reader.tensor(), reader.number(U64)),
}


# --- greeting ----------------------------------------------------------------------------------


class Greeting:
    """The client's half of the first bytes: magic and key there, magic and key back.

    Parameters
    ----------
    key : str
        What the server is called; ``client:`` is put before it.
    timeout : float [s], optional
        After which the server ends the session, whatever it does.
    """

    def __init__(self, key: str, timeout: float | None = None) -> None:
        options = "" if timeout is None else f" -timeout={timeout:g}"
        text = f"client:{key}{options}".encode()
        self.key = key
        self.sends = I32.pack(MAGIC) + I32.pack(len(text)) + text
        """The bytes to send first."""
        self.server_key: str | None = None
        """What the server says of itself; None until it has."""
        self._data = b""

    @property
    def missing(self) -> int:
        """Bytes to receive next, never more than belong to the greeting; 0 when it is done."""
        if self.server_key is not None:
            return 0
        if len(self._data) < 8:
            # One at a time would be slow, eight at once would wait for ever after a refusal.
            return 4 - len(self._data) % 4
        return 8 + self._key_nbytes() - len(self._data)

    def receive(self, data: bytes) -> None:
        """Take note of received bytes, at most `missing`.

        Raises
        ------
        HandshakeError
            Not a TVM server, or it does not accept the key.
        """
        self._data += data
        if len(self._data) == 4:
            self._check_answer()
        elif len(self._data) >= 8 and len(self._data) == 8 + self._key_nbytes():
            self.server_key = self._data[8:].decode("utf-8", "replace")

    def _key_nbytes(self) -> int:
        (nbytes,) = I32.unpack_from(self._data, 4)
        if not 0 <= nbytes <= LONGEST_KEY:
            message = f"a TVM server announced a key of {nbytes:,} bytes"
            raise HandshakeError(message)
        return int(nbytes)

    def _check_answer(self) -> None:
        (answer,) = I32.unpack(self._data)
        if answer == MAGIC:
            return
        reasons = {
            NO_MATCH: f"the TVM server has no key {self.key!r}; give the right one: tvm://…?key=K",
            DUPLICATE_KEY: f"the TVM proxy already has a client with the key {self.key!r}",
        }
        message = reasons.get(answer, "what answers there is no TVM server")
        raise HandshakeError(message)


# --- for people --------------------------------------------------------------------------------


def describe(packet: Packet) -> str:
    """Return one line about a packet, for traces: bounded, without control characters."""
    name = packet.code.name if isinstance(packet, SystemCall) else type(packet).__name__
    fields: list[str] = []
    for field, value in zip(packet._fields, packet, strict=True):
        if field != "code":
            fields.append(f"{field}={_short(value)}")
    return " ".join([name, *fields])


def _short(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value):,} bytes>"
    if isinstance(value, TVMPointer):
        return f"{value.value:#x}"
    if isinstance(value, TVMTensor):
        return f"<tensor {value.shape} at {value.data:#x}+{value.byte_offset}>"
    if type(value) is tuple:
        shown = ", ".join(map(_short, value[:4]))
        return f"({shown}{', …' if len(value) > 4 else ''})"
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
