"""The values of TVM's RPC as they were before 0.21, and their bytes.

Other type codes, and another order: a count, then all ``i32`` type codes, then all payloads. The
greeting, the packets and their codes are those of today. Written from streams of TVM 0.16's own
client and server (``tests/data/tvm/session_0_16.txt``).
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING, Any

from rpcnb.core.errors import EncodeError, RemoteProtocolError
from rpcnb.wire.tvm.values import (
    F64,
    I32,
    I64,
    U64,
    TVMDevice,
    TVMDType,
    TVMHandle,
    TVMObject,
    TVMPointer,
    TVMTensor,
    TypeIndex,
    check_int,
    encode_tensor,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcnb.wire.tvm.values import Reader, TVMValue

_DTYPE = Struct("<BBHi")
_DEVICE = Struct("<ii")
_OBJECT = Struct("<IQ")
_REMOTE = 9
"""What an object that goes back to its owner says again."""


class OldCode(IntEnum):
    """Type codes."""

    INT = 0
    UINT = 1
    FLOAT = 2
    POINTER = 3
    NULL = 4
    DTYPE = 5
    DEVICE = 6
    DLTENSOR = 7
    OBJECT = 8
    MODULE = 9
    FUNCTION = 10
    STR = 11
    BYTES = 12
    TENSOR = 13
    BOOL = 15
    """Late versions only; earlier ones send integers, and so do we."""


TODAY = {
    OldCode.OBJECT: TypeIndex.REMOTE_OBJECT,
    OldCode.MODULE: TypeIndex.MODULE,
    OldCode.FUNCTION: TypeIndex.FUNCTION,
    OldCode.TENSOR: TypeIndex.TENSOR,
}
"""What is counted by reference -> its type index of today."""
_THEN: dict[int, OldCode] = {index: code for code, index in TODAY.items()}


def old_code(type_index: int) -> OldCode:
    """Return the code of something that is counted by reference, by its type index of today."""
    return _THEN.get(type_index, OldCode.OBJECT)


# --- writing -----------------------------------------------------------------------------------


def encode_values(values: Sequence[TVMValue]) -> bytes:
    """Return the bytes of an argument list.

    Raises
    ------
    EncodeError
        TVM has no form for a value.
    """
    codes, payloads = [], []
    for value in values:
        write = _WRITERS.get(type(value))
        if write is None:
            message = f"TVM's protocol has no form for a {type(value).__name__}"
            raise EncodeError(message)
        code, payload = write(value)
        codes.append(I32.pack(code))
        payloads.append(payload)
    return b"".join([I32.pack(len(codes)), *codes, *payloads])


def _write_int(value: int) -> tuple[OldCode, bytes]:
    check_int(value)
    return OldCode.INT, I64.pack(value)


def _write_str(value: str) -> tuple[OldCode, bytes]:
    data = value.encode("utf-8", "surrogateescape")
    return OldCode.STR, U64.pack(len(data)) + data


def _write_handle(value: TVMHandle) -> tuple[OldCode, bytes]:
    code = old_code(value.type_index)
    if code is OldCode.OBJECT:
        return code, _OBJECT.pack(_REMOTE, value.pointer)
    return code, U64.pack(value.pointer)


_WRITERS: dict[type, Callable[[Any], tuple[OldCode, bytes]]] = {
    type(None): lambda _: (OldCode.NULL, b""),
    bool: _write_int,
    int: _write_int,
    float: lambda value: (OldCode.FLOAT, F64.pack(value)),
    str: _write_str,
    bytes: lambda value: (OldCode.BYTES, U64.pack(len(value)) + value),
    TVMPointer: lambda value: (OldCode.POINTER, U64.pack(value.value)),
    TVMDType: lambda value: (OldCode.DTYPE, _DTYPE.pack(*value, 0)),
    TVMDevice: lambda value: (OldCode.DEVICE, _DEVICE.pack(*value)),
    TVMTensor: lambda value: (OldCode.DLTENSOR, encode_tensor(value)),
    TVMHandle: _write_handle,
}


# --- reading -----------------------------------------------------------------------------------


def read_values(reader: Reader) -> list[TVMValue]:
    """Read an argument list."""
    codes = [reader.number(I32) for _ in range(reader.list_length())]
    return [_read_value(reader, code) for code in codes]


def _read_value(reader: Reader, code: int) -> TVMValue:
    read = _READERS.get(code)
    if read is None:
        message = f"a value of type code {code}, which has no form in TVM's protocol before 0.21"
        raise RemoteProtocolError(message)
    return read(reader)


def _read_object(reader: Reader) -> TVMHandle:
    again, pointer = reader.unpack(_OBJECT)
    if again != _REMOTE:
        message = f"an object of type {again} was passed by value"
        raise RemoteProtocolError(message)
    return TVMHandle(TypeIndex.REMOTE_OBJECT, pointer)


def _read_dtype(reader: Reader) -> TVMDType:
    code, bits, lanes, _ = reader.unpack(_DTYPE)
    return TVMDType(code, bits, lanes)


_READERS: dict[int, Callable[[Reader], TVMValue]] = {
    OldCode.INT: lambda reader: reader.number(I64),
    OldCode.UINT: lambda reader: reader.number(U64),
    OldCode.FLOAT: lambda reader: reader.unpack(F64)[0],
    OldCode.POINTER: lambda reader: TVMPointer(reader.number(U64)),
    OldCode.NULL: lambda _: None,
    OldCode.DTYPE: _read_dtype,
    OldCode.DEVICE: lambda reader: TVMDevice(*reader.unpack(_DEVICE)),
    OldCode.DLTENSOR: lambda reader: reader.tensor(),
    OldCode.OBJECT: _read_object,
    OldCode.MODULE: lambda reader: TVMHandle(TypeIndex.MODULE, reader.number(U64)),
    OldCode.FUNCTION: lambda reader: TVMHandle(TypeIndex.FUNCTION, reader.number(U64)),
    OldCode.STR: lambda reader: reader.counted().decode("utf-8", "surrogateescape"),
    OldCode.BYTES: lambda reader: reader.counted(),
    OldCode.BOOL: lambda reader: reader.number(I64) != 0,
}


def read_result(values: Sequence[TVMValue]) -> TVMValue:
    """Return the one value that the return list of a call stands for.

    Raises
    ------
    RemoteProtocolError
        It is none that a server may send.
    """
    match values:
        case [OldCode.TENSOR, TVMTensor() as tensor, TVMPointer() as pointer]:
            return TVMObject(TypeIndex.TENSOR, pointer.value, tensor)
        case [int(code), TVMPointer() as pointer] if code in TODAY:
            return TVMObject(TODAY[OldCode(code)], pointer.value)
        case [int(), value]:
            return value
        case _:
            message = f"a call returned a list of {len(values)} values, which means nothing"
            raise RemoteProtocolError(message)
