"""The values of TVM's RPC (0.21 and later), and their bytes.

An argument list is a count, then for each argument an ``i32`` type index and its payload; all
numbers are little-endian, nothing is aligned. A *return list* is an argument list whose first item
says what the others are: ``[70, tensor, pointer]`` is one tensor.

Rules for this file: bytes from the peer are checked before they are used, and whatever is wrong
with them raises `RemoteProtocolError`.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from rpcnb.core.errors import EncodeError, RemoteProtocolError
from rpcnb.core.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

I32, U32, I64, U64, F64 = Struct("<i"), Struct("<I"), Struct("<q"), Struct("<Q"), Struct("<d")
_DTYPE = Struct("<BBHi")
_DEVICE = Struct("<ii")
_TENSOR = Struct("<QiiiBBH")
_COUNTED = Struct("<IQ")
_TYPED_INT = Struct("<iq")
_INT_RANGE = range(-(1 << 63), 1 << 63)


class TypeIndex(IntEnum):
    """Type indices of tvm-ffi, as far as the protocol has a form for them."""

    NONE = 0
    INT = 1
    BOOL = 2
    FLOAT = 3
    POINTER = 4
    DTYPE = 5
    DEVICE = 6
    DLTENSOR = 7
    RAW_STR = 8
    RAW_BYTES = 9
    SMALL_STR = 11
    SMALL_BYTES = 12
    STR = 65
    BYTES = 66
    FUNCTION = 68
    SHAPE = 69
    TENSOR = 70
    ARRAY = 71
    MAP = 72
    MODULE = 73
    REMOTE_OBJECT = 115
    """Passes an object back to the side that holds it."""


FIRST_OBJECT = 64
"""Type indices from here on are objects, counted by reference."""
STRINGS = frozenset({TypeIndex.SMALL_STR, TypeIndex.STR})
BYTE_STRINGS = frozenset({TypeIndex.SMALL_BYTES, TypeIndex.BYTES})


class TVMPointer(NamedTuple):
    """An address over there; 0 is null."""

    value: int


class TVMDType(NamedTuple):
    """An element type as DLPack has it."""

    code: int
    """0 int, 1 uint, 2 float, 3 handle, 4 bfloat, 5 complex, 6 bool."""
    bits: int
    lanes: int = 1


class TVMDevice(NamedTuple):
    """A device; the numbers are DLPack's."""

    type: int
    number: int


class TVMTensor(NamedTuple):
    """A ``DLTensor``: metadata, and where the data is over there.  C order without gaps."""

    data: int
    device: TVMDevice
    dtype: TVMDType
    shape: tuple[int, ...]
    byte_offset: int = 0


class TVMHandle(NamedTuple):
    """A function, module or other object, passed back to the side that holds it."""

    type_index: int
    """`TypeIndex.FUNCTION`, `MODULE`, or `REMOTE_OBJECT` for everything else."""
    pointer: int


class TVMObject(NamedTuple):
    """Something returned that stays over there; the receiver must free `pointer` once."""

    type_index: int
    pointer: int
    tensor: TVMTensor | None = None


TVMValue: TypeAlias = Any
"""None, bool, int of 64 bits, float, str, bytes, or one of the classes above."""


# --- writing -----------------------------------------------------------------------------------


def encode_values(values: Sequence[TVMValue]) -> bytes:
    """Return the bytes of an argument list.

    Raises
    ------
    EncodeError
        TVM has no form for a value.
    """
    parts = [I32.pack(len(values))]
    for value in values:
        write = _WRITERS.get(type(value))
        if write is None:
            message = f"TVM's protocol has no form for a {type(value).__name__}"
            raise EncodeError(message)
        parts.append(write(value))
    return b"".join(parts)


def check_int(value: int) -> None:
    """Refuse what has no room in 64 bits.

    Raises
    ------
    EncodeError
        It has none.
    """
    if value not in _INT_RANGE:
        message = f"TVM's integers have 64 bits; this one needs {value.bit_length() + 1}"
        raise EncodeError(message)


def _write_int(value: int) -> bytes:
    check_int(value)
    return _TYPED_INT.pack(TypeIndex.INT, value)


def _write_str(value: str) -> bytes:
    data = value.encode("utf-8", "surrogateescape")
    if b"\0" in data:  # a C string would end there; the counted form does not
        return I32.pack(TypeIndex.STR) + _COUNTED.pack(TypeIndex.STR, len(data)) + data
    return I32.pack(TypeIndex.RAW_STR) + U64.pack(len(data)) + data


def _write_handle(value: TVMHandle) -> bytes:
    if value.type_index != TypeIndex.REMOTE_OBJECT:
        return I32.pack(value.type_index) + U64.pack(value.pointer)
    return I32.pack(value.type_index) + _COUNTED.pack(value.type_index, value.pointer)


def encode_tensor(tensor: TVMTensor) -> bytes:
    """Return the bytes of a tensor's metadata."""
    fixed = _TENSOR.pack(tensor.data, *tensor.device, len(tensor.shape), *tensor.dtype)
    shape = b"".join(map(I64.pack, tensor.shape))
    return fixed + shape + U64.pack(tensor.byte_offset)


_WRITERS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: I32.pack(TypeIndex.NONE),
    bool: lambda value: _TYPED_INT.pack(TypeIndex.BOOL, value),
    int: _write_int,
    float: lambda value: I32.pack(TypeIndex.FLOAT) + F64.pack(value),
    str: _write_str,
    bytes: lambda value: I32.pack(TypeIndex.RAW_BYTES) + U64.pack(len(value)) + value,
    TVMPointer: lambda value: I32.pack(TypeIndex.POINTER) + U64.pack(value.value),
    TVMDType: lambda value: I32.pack(TypeIndex.DTYPE) + _DTYPE.pack(*value, 0),
    TVMDevice: lambda value: I32.pack(TypeIndex.DEVICE) + _DEVICE.pack(*value),
    TVMTensor: lambda value: I32.pack(TypeIndex.DLTENSOR) + encode_tensor(value),
    TVMHandle: _write_handle,
}


# --- reading -----------------------------------------------------------------------------------


class Reader:
    """Reads a packet's body from its start; every step checks that the bytes are there."""

    def __init__(self, body: bytes | bytearray) -> None:
        self._body = body
        self.position = 0

    def unpack(self, form: Struct) -> tuple[Any, ...]:
        """Read a fixed number of bytes."""
        end = self.position + form.size
        if end > len(self._body):
            message = f"a packet of {len(self._body):,} bytes ends inside a value"
            raise RemoteProtocolError(message)
        fields = form.unpack_from(self._body, self.position)
        self.position = end
        return fields

    def number(self, form: Struct) -> int:
        """Read one integer."""
        (number,) = self.unpack(form)
        return int(number)

    def counted(self) -> bytes:
        """Read bytes that say how many they are."""
        count = self.number(U64)
        end = self.position + count
        if end > len(self._body):
            message = f"a packet of {len(self._body):,} bytes announces {count:,} more"
            raise RemoteProtocolError(message)
        data = bytes(self._body[self.position : end])
        self.position = end
        return data

    def tensor(self) -> TVMTensor:
        """Read a tensor's metadata."""
        data, kind, index, ndim, code, bits, lanes = self.unpack(_TENSOR)
        if not 0 <= ndim <= DEFAULT_LIMITS.ndim:
            message = f"a tensor of {ndim} dimensions"
            raise RemoteProtocolError(message)
        shape = tuple(self.number(I64) for _ in range(ndim))
        device, dtype = TVMDevice(kind, index), TVMDType(code, bits, lanes)
        return TVMTensor(data, device, dtype, shape, self.number(U64))

    def values(self) -> list[TVMValue]:
        """Read an argument list."""
        return [self._value() for _ in range(self.list_length())]

    def list_length(self) -> int:
        """Read how long a list is; each of its items has four bytes at least."""
        count = self.number(I32)
        if not 0 <= 4 * count <= len(self._body) - self.position:
            message = f"a list of {count:,} values cannot be in this packet"
            raise RemoteProtocolError(message)
        return count

    def _value(self) -> TVMValue:
        index = self.number(I32)
        read = _READERS.get(index)
        if read is None:
            message = f"a value of type index {index}, which has no form in TVM's protocol"
            raise RemoteProtocolError(message)
        return read(self, index)

    def end(self) -> None:
        """Check that nothing is left."""
        left = len(self._body) - self.position
        if left:
            message = f"{left:,} bytes too many in a packet"
            raise RemoteProtocolError(message)


def _expect_again(reader: Reader, index: int) -> None:
    """Read the type index that some forms repeat."""
    again = reader.number(U32)
    if again != index:
        message = f"type index {index} was expected again; {again} came"
        raise RemoteProtocolError(message)


def _read_object_str(reader: Reader, _index: int) -> str:
    _expect_again(reader, TypeIndex.STR)  # the short form says so, too
    return _text(reader.counted())


def _read_object_bytes(reader: Reader, _index: int) -> bytes:
    _expect_again(reader, TypeIndex.BYTES)
    return reader.counted()


def _read_remote_object(reader: Reader, index: int) -> TVMHandle:
    _expect_again(reader, index)
    return TVMHandle(index, reader.number(U64))


def _read_dtype(reader: Reader, _index: int) -> TVMDType:
    code, bits, lanes, _ = reader.unpack(_DTYPE)
    return TVMDType(code, bits, lanes)


def _read_handle(reader: Reader, index: int) -> TVMHandle:
    return TVMHandle(index, reader.number(U64))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


_READERS: dict[int, Callable[[Reader, int], TVMValue]] = {
    TypeIndex.NONE: lambda _reader, _index: None,
    TypeIndex.INT: lambda reader, _index: reader.number(I64),
    TypeIndex.BOOL: lambda reader, _index: reader.number(I64) != 0,
    TypeIndex.FLOAT: lambda reader, _index: reader.unpack(F64)[0],
    TypeIndex.POINTER: lambda reader, _index: TVMPointer(reader.number(U64)),
    TypeIndex.DTYPE: _read_dtype,
    TypeIndex.DEVICE: lambda reader, _index: TVMDevice(*reader.unpack(_DEVICE)),
    TypeIndex.DLTENSOR: lambda reader, _index: reader.tensor(),
    TypeIndex.RAW_STR: lambda reader, _index: _text(reader.counted()),
    TypeIndex.RAW_BYTES: lambda reader, _index: reader.counted(),
    TypeIndex.SMALL_STR: _read_object_str,
    TypeIndex.STR: _read_object_str,
    TypeIndex.SMALL_BYTES: _read_object_bytes,
    TypeIndex.BYTES: _read_object_bytes,
    TypeIndex.FUNCTION: _read_handle,
    TypeIndex.MODULE: _read_handle,
    TypeIndex.REMOTE_OBJECT: _read_remote_object,
}


def read_result(values: Sequence[TVMValue]) -> TVMValue:
    """Return the one value that the return list of a call stands for.

    Raises
    ------
    RemoteProtocolError
        It is none that a server may send.
    """
    match values:
        case [TypeIndex.TENSOR, TVMTensor() as tensor, TVMPointer() as pointer]:
            return TVMObject(TypeIndex.TENSOR, pointer.value, tensor)
        case [int(index), TVMPointer() as pointer] if index >= FIRST_OBJECT:
            return TVMObject(index, pointer.value)
        case [int(), value]:
            return value
        case _:
            pass
    message = f"a call returned a list of {len(values)} values, which means nothing"
    raise RemoteProtocolError(message)
