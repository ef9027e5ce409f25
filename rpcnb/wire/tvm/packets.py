"""The packets of TVM's RPC protocol: what they are, and their bytes.

``u64`` length, ``i32`` code, body. There are no request ids: replies come in the order of the
requests. There is no proof of identity either, so that a TVM server trusts everybody who reaches
its port, and so do we when we speak to one.

Values are written in one of two ways, see `rpcnb.wire.tvm.dialect`.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from rpcnb.core.errors import RemoteProtocolError
from rpcnb.wire.tvm.dialect import NEW, Dialect
from rpcnb.wire.tvm.values import (
    I32,
    U64,
    Reader,
    TVMTensor,
    TVMValue,
    encode_tensor,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.wire.messages import Buffer

VERSION = "0.8.0"
"""What every TVM from 0.8 to 0.27 says, whichever dialect it speaks."""
_HEAD = Struct("<Qi")
_CALL = Struct("<QiQ")
OLD_NOTHING = I32.pack(1) + I32.pack(4)
"""A return of nothing as it was before 0.21; today it would be a pointer without its address."""


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


class Skipped(NamedTuple):
    """Stands for a payload that was let go by."""

    nbytes: int


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
    payload: Buffer | Skipped


class Result(NamedTuple):
    """The answer to anything that went well, save a copy to this side."""

    values: tuple[TVMValue, ...]


class Raised(NamedTuple):
    """The answer to anything else."""

    message: str


class CopyAck(NamedTuple):
    """The bytes that `CopyFrom` asked for.  Received, they are where the sink wanted them."""

    payload: Buffer | Skipped


Packet: TypeAlias = (
    Shutdown | InitServer | Call | SystemCall | CopyFrom | CopyTo | Result | Raised | CopyAck
)


# --- writing -----------------------------------------------------------------------------------


def encode(packet: Packet, dialect: Dialect = NEW) -> tuple[Buffer, ...]:  # noqa: PLR0911 -- one for each packet
    """Return the buffers to send, in order: one, or two where there is bulk data.

    Raises
    ------
    EncodeError
        A value has no form in TVM's protocol.
    """
    match packet:
        case Call(function, args):
            body = dialect.encode_values(args)
            return (_CALL.pack(12 + len(body), Code.CALL_FUNC, function) + body,)
        case SystemCall(code, args):
            return (_packet(code, dialect.encode_values(args)),)
        case Result(values):
            return (_packet(Code.RETURN, dialect.encode_values(values)),)
        case Raised(message):
            return (_packet(Code.EXCEPTION, dialect.encode_values([message.replace("\0", "\\0")])),)
        case CopyFrom(tensor, nbytes):
            return (_packet(Code.COPY_FROM_REMOTE, encode_tensor(tensor) + U64.pack(nbytes)),)
        case CopyTo(tensor, payload):
            assert not isinstance(payload, Skipped)  # which is only ever received
            body = encode_tensor(tensor) + U64.pack(len(payload))
            return (_packet(Code.COPY_TO_REMOTE, body, len(payload)), payload)
        case CopyAck(payload):
            assert not isinstance(payload, Skipped)
            return (_packet(Code.COPY_ACK, b"", len(payload)), payload)
        case InitServer(constructor, version):
            name = version.encode()
            body = U64.pack(len(name)) + name + dialect.encode_values(constructor)
            return (_packet(Code.INIT_SERVER, body),)
        case Shutdown():
            return (_packet(Code.SHUTDOWN, b""),)


def _packet(code: int, body: bytes, more: int = 0) -> bytes:
    return _HEAD.pack(4 + len(body) + more, code) + body


# --- reading -----------------------------------------------------------------------------------


def decode(code: int, body: bytes | bytearray, dialect: Dialect = NEW) -> Packet:
    """Return the packet of a code and a body.

    Raises
    ------
    RemoteProtocolError
        There is no such code, or the body is not its.
    """
    read = _READERS.get(code)
    if read is None:
        message = f"a packet of code {code}, which TVM's protocol does not have"
        raise RemoteProtocolError(message)
    reader = Reader(body)
    packet = read(reader, dialect)
    reader.end()
    return packet


def _read_raised(reader: Reader, dialect: Dialect) -> Raised:
    values = dialect.read_values(reader)
    return Raised(str(values[0]) if values else "")


def _read_init(reader: Reader, dialect: Dialect) -> InitServer:
    version = reader.counted().decode("utf-8", "replace")
    return InitServer(tuple(dialect.read_values(reader)), version)


def _read_call(reader: Reader, dialect: Dialect) -> Call:
    return Call(reader.number(U64), tuple(dialect.read_values(reader)))


def _read_system_call(code: Code) -> Callable[[Reader, Dialect], Packet]:
    return lambda reader, dialect: SystemCall(code, tuple(dialect.read_values(reader)))


_READERS: dict[int, Callable[[Reader, Dialect], Packet]] = {
    **{code: _read_system_call(code) for code in SYSTEM_CALLS},
    Code.SHUTDOWN: lambda _reader, _dialect: Shutdown(),
    Code.INIT_SERVER: _read_init,
    Code.CALL_FUNC: _read_call,
    Code.RETURN: lambda reader, dialect: Result(tuple(dialect.read_values(reader))),
    Code.EXCEPTION: _read_raised,
    Code.COPY_FROM_REMOTE: lambda reader, _: CopyFrom(reader.tensor(), reader.number(U64)),
}
