"""Where msgpack is: one document to bytes and back, and the numbers of its extensions.

Everything that msgpack has no type for is an extension (`Code`) whose content is either a few
fixed bytes or one msgpack document of its own. Content of more than `INLINE_NBYTES` goes to the
frame's payload, and an `OUT_OF_LINE` extension says where it lies there; so headers stay small,
large strings and arrays are never copied through msgpack, and a list of any length is a document
in the payload whose containers obey the same limits as a header's.

Rules for this file: the only one that imports msgpack. One `unpackb` per document, never a
streaming `Unpacker`: reusing one after an error has crashed interpreters (CVE-2026-57585).
"""

from __future__ import annotations

import struct
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import msgpack

from rpcnb.core.errors import EncodeError
from rpcnb.core.limits import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.wire.messages import Buffer

OLDEST_MSGPACK = (1, 2, 4)
"""Older ones leak memory on hostile input: CVE-2026-114613."""

INLINE_NBYTES = 4096
"""Content up to this size stays in the document it belongs to."""

SCALARS = frozenset({type(None), bool, int, float, complex})
"""Types that `pack` takes as they are, whatever the value."""

PLACE = struct.Struct("<BII")
"""Content of `Code.OUT_OF_LINE`: the code that was meant, offset in the payload, length."""

COMPLEX = struct.Struct("<dd")

FORMAT_ERRORS = (ValueError, TypeError, OverflowError, RuntimeError, struct.error)
"""What msgpack and conversions raise for objects or bytes they cannot take."""


class Code(IntEnum):
    """The numbers of the extensions."""

    OUT_OF_LINE = 0
    DOCUMENT = 1
    STR = 2
    BYTES = 3
    DATA = 4
    """Bytes of an array: decoded as a view of the payload."""
    TUPLE = 5
    LONG_LIST = 6
    """A list of lists, to be chained; so are the next two."""
    LONG_TUPLE = 7
    PAIRS = 8
    """A dict as key, value, key, value …"""
    INT = 9
    """Little-endian two's complement: an int beyond 64 bits."""
    COMPLEX = 10
    SLICE = 11
    ELLIPSIS = 12
    DTYPE = 16
    DEVICE = 17
    ARRAY = 18
    FUNCTION_REF = 24
    ARRAY_REF = 25
    MODULE_REF = 26
    OBJECT_REF = 27
    ITERATOR_REF = 28
    CALLBACK_REF = 29


def require_msgpack(version: tuple[int, ...]) -> None:
    """Refuse a msgpack that is not safe to point at a peer.

    Raises
    ------
    ImportError
        It is older than `OLDEST_MSGPACK`.
    """
    if version < OLDEST_MSGPACK:
        have, need = (".".join(map(str, numbers)) for numbers in (version, OLDEST_MSGPACK))
        raise ImportError(f"rpcnb needs msgpack {need} or newer, not {have}")


require_msgpack(msgpack.version)

_packers: list[msgpack.Packer] = []
# Packers at rest, because making one costs more than packing a small header. Taking one out makes
# this safe between threads and for a `default` that packs. One that raised is not put back (its
# buffer holds half a document), nor one whose buffer grew large.
_LARGEST_AT_REST = 64 * 1024


def pack(document: Any) -> bytes:
    """Return one document: what msgpack knows, extensions, big ints and complex numbers.

    Raises
    ------
    EncodeError
        It contains anything else, or text with lone surrogates.
    """
    try:
        packer = _packers.pop()
    except IndexError:
        packer = msgpack.Packer(default=_scalar, strict_types=True, buf_size=INLINE_NBYTES)
    try:
        data: bytes = packer.pack(document)
    except UnicodeEncodeError as error:
        raise EncodeError("text with lone surrogates cannot be sent") from error
    except EncodeError:
        raise
    except FORMAT_ERRORS as error:
        raise EncodeError(str(error)) from error
    if len(data) <= _LARGEST_AT_REST:
        _packers.append(packer)
    return data


def scalar_packer() -> Callable[[Any], bytes]:
    """Return a packer for one thread at a time, to be thrown away after the first error.

    It takes what msgpack knows and nothing else: without the pool and `_scalar`, 0.1 µs less.
    """
    pack_scalars: Callable[[Any], bytes] = msgpack.Packer(buf_size=INLINE_NBYTES).pack
    return pack_scalars


unpack_scalars: Callable[[Buffer], Any] = msgpack.unpackb
"""Unpack a short document: no length in it can be more than there are bytes, which the caller has
checked. What is of no scalar type comes out as something that no message may hold. `unpacker` with
its limits takes 0.12 µs more."""


def short_unpacker(decode: Callable[[int, bytes], Any]) -> Callable[[Buffer], Any]:
    """Return what `unpack_scalars` is, but that `decode` makes something of extensions."""
    return partial(msgpack.unpackb, ext_hook=decode)


def extension(code: Code, content: bytes) -> Any:
    """Return an object that `pack` packs as an extension."""
    return msgpack.ExtType(code, content)


quick_extension: Callable[[tuple[Code, bytes | None]], Any] = partial(
    tuple.__new__, msgpack.ExtType
)
"""`extension` of a pair, unchecked, which takes 0.1 µs less of 0.3; packers refuse what is no pair of
these types."""


def _scalar(value: Any) -> Any:
    """Encode the scalars that msgpack asks about: ints beyond 64 bits and complex numbers."""
    if type(value) is int:
        if value.bit_length() >= 8 * DEFAULT_LIMITS.string:
            raise EncodeError(f"an int of {value.bit_length():,} bits cannot be sent")
        content = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return extension(Code.INT, content)
    if type(value) is complex:
        return extension(Code.COMPLEX, COMPLEX.pack(value.real, value.imag))
    raise EncodeError(f"{type_name(type(value))} cannot be sent by value")


def type_name(cls: type) -> str:
    """Return a class's name as a person would look for it."""
    builtin = cls.__module__ == "builtins"
    return cls.__qualname__ if builtin else f"{cls.__module__}.{cls.__qualname__}"


def unpacker(
    ext_hook: Callable[[int, bytes], Any],
    limits: Limits,
    count: Callable[[Any], Any] | None = None,
) -> Callable[[Buffer], Any]:
    """Return what unpacks one document, every length in it checked before it is believed.

    `count` is given each container when it is complete, and returns it, or raises.
    """
    return partial(
        msgpack.unpackb,
        ext_hook=ext_hook,
        list_hook=count,
        object_hook=count,
        strict_map_key=False,
        max_array_len=limits.items,
        max_map_len=limits.items,
        max_str_len=limits.string,
        max_bin_len=limits.string,
        max_ext_len=limits.string,
    )
