"""A header, and what came beside it, to fields whose values are of the closed set.

Rules for this file: whatever the bytes are, the outcome is fields or a `DecodeError`, and memory
in proportion to the bytes. Nothing is looked up by a name that was received.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from rpcnb.core.errors import DecodeError
from rpcnb.wire.codec import COMPLEX, FORMAT_ERRORS, PLACE, Code, unpacker
from rpcnb.wire.encoder import RECORD_CODES, SLICE_PARTS
from rpcnb.wire.layout import RECORDS, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.limits import Limits
    from rpcnb.wire.messages import Buffer

_DOCUMENTS_BESIDES_CONTAINERS = 4
"""A whole header beside itself, a record, a field of it, its text beside it."""


class Decoder:
    """Decodes the headers of one connection, one at a time.  Not thread-safe."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._depth = 0
        self._used = 0
        self._payload = memoryview(b"")
        self._objects = 0
        self._most_objects = limits.objects + limits.objects // 16  # lists of pieces come on top
        self._unpack_small = self._unpack = unpacker(self._extension, limits)
        self._unpack_large = unpacker(self._extension, limits, self._count)

    def fields(self, header: Buffer, payload: Buffer = b"") -> list[Any]:
        """Return the fields in a header.

        What they are is still to be checked, by the layout they belong to.

        Raises
        ------
        DecodeError
            Header and payload are not what an `Encoder` makes.
        """
        if not header and not payload:
            return []
        self._payload = memoryview(payload)
        self._used = self._depth = self._objects = 0
        # A header alone is too small to make much of: its containers need not be counted.
        self._unpack = self._unpack_large if payload else self._unpack_small
        try:
            fields = self._unpack(header)
        except DecodeError:
            raise
        except FORMAT_ERRORS as error:
            raise DecodeError(f"not a document: {str(error) or type(error).__name__}") from error
        finally:
            used, self._payload = len(self._payload), memoryview(b"")
        if type(fields) is not list or self._used != used:
            raise DecodeError("a header that is no list, or a payload it does not explain")
        return fields

    def _count(self, container: Any) -> Any:
        """Charge a container to the message: for one byte it may take 64 bytes of memory."""
        self._objects += 1 + len(container)
        if self._objects > self._most_objects:
            raise DecodeError(f"more than {self.limits.objects:,} items in one message")
        return container

    def items(self, content: Buffer) -> list[Any]:
        """Return the list that a piece of content holds."""
        items = self._unpack(content)
        if type(items) is not list:
            raise DecodeError("content that is not a list")
        return items

    def chunks(self, content: Buffer) -> list[Any]:
        """Return the long list that a piece of content holds in pieces."""
        chunks = self.items(content)
        if any(type(chunk) is not list for chunk in chunks):
            raise DecodeError("a long container that is not in pieces")
        return list(chain.from_iterable(chunks))

    def _extension(self, code: int, content: Buffer) -> Any:
        if code == Code.OUT_OF_LINE:
            code, content = self._beside(content)
        decode = _DECODERS.get(code)
        if decode is None:
            raise DecodeError(f"unknown extension {code}")
        if self._depth > self.limits.depth + _DOCUMENTS_BESIDES_CONTAINERS:
            raise DecodeError("documents are nested too deep")
        self._depth += 1
        value = decode(self, content)
        self._depth -= 1  # not after an exception: that ends the header, and the next starts at 0
        return value

    def _beside(self, place: Buffer) -> tuple[int, memoryview]:
        code, offset, nbytes = PLACE.unpack(place)
        # As many bytes as there are may be referred to in total: else a small frame could name the
        # same megabytes a thousand times.
        self._used += nbytes
        if self._used > len(self._payload) or offset + nbytes > len(self._payload):
            raise DecodeError("a reference beyond the payload")
        return code, self._payload[offset : offset + nbytes]


def _tuple(decoder: Decoder, content: Buffer) -> tuple[Any, ...]:
    return tuple(decoder.items(content))


def _long_tuple(decoder: Decoder, content: Buffer) -> tuple[Any, ...]:
    return tuple(decoder.chunks(content))


def _pairs(decoder: Decoder, content: Buffer) -> dict[Any, Any]:
    flat = decoder.chunks(content)
    keys = flat[::2]
    # Keys made to collide cost quadratic time in a dict. In a set of hashes they are one.
    if len(flat) % 2 or 2 * len(set(map(hash, keys))) < len(keys):
        raise DecodeError("keys without values, or made to collide")
    return dict(zip(keys, flat[1::2], strict=True))


def _slice(decoder: Decoder, content: Buffer) -> slice:
    parts = decoder.items(content)
    if len(parts) != 3 or not SLICE_PARTS.issuperset(map(type, parts)):
        raise DecodeError("this is not a slice")
    return slice(*parts)


def _ellipsis(_decoder: Decoder, content: Buffer) -> Any:
    if content:
        raise DecodeError("an Ellipsis with content")
    return ...


def _int(_decoder: Decoder, content: Buffer) -> int:
    return int.from_bytes(content, "little", signed=True)


def _complex(_decoder: Decoder, content: Buffer) -> complex:
    return complex(*COMPLEX.unpack(content))


def _str(_decoder: Decoder, content: Buffer) -> str:
    return str(content, "utf-8")


def _bytes(_decoder: Decoder, content: Buffer) -> bytes:
    return bytes(content)


def _data(_decoder: Decoder, content: Buffer) -> memoryview:
    return memoryview(content)


def _record(cls: type) -> _Decode:
    from_wire = RECORDS[cls].from_wire

    def decode(decoder: Decoder, content: Buffer) -> Any:
        value = cls(*from_wire(decoder.items(content), decoder.limits))
        verify(value, decoder.limits)
        return value

    return decode


_Decode: TypeAlias = "Callable[[Decoder, Buffer], Any]"

_DECODERS: dict[int, _Decode] = {
    Code.DOCUMENT: Decoder.items,
    Code.STR: _str,
    Code.BYTES: _bytes,
    Code.DATA: _data,
    Code.TUPLE: _tuple,
    Code.LONG_LIST: Decoder.chunks,
    Code.LONG_TUPLE: _long_tuple,
    Code.PAIRS: _pairs,
    Code.INT: _int,
    Code.COMPLEX: _complex,
    Code.SLICE: _slice,
    Code.ELLIPSIS: _ellipsis,
    **{code: _record(cls) for cls, code in RECORD_CODES.items()},
}
