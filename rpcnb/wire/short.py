"""Short messages: calls of plain values and refs, their results, and others that hold a few numbers.

Most messages are of these, and the general way (`Encoder`, `Decoder`, layouts) would take most of
their time: 7 µs of 9 for a call that is given an array. What is here takes a message only if nothing
about it is unusual, and leaves the rest to the general way, which also says what is wrong. What the
one sends the other understands. A ref that a caller passes back goes as its handle alone, since who
receives it has what the rest would describe.

Rules for this file: nothing raises; None, or no message, means *the general way*.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

from rpcnb.core.errors import DecodeError
from rpcnb.core.values import OWNED_REFS, PLAIN_TYPES, ArrayRef, Handle, IteratorRef, ObjectRef
from rpcnb.wire import fields as f
from rpcnb.wire.base import WireProtocol
from rpcnb.wire.codec import (
    FORMAT_ERRORS,
    INLINE_NBYTES,
    quick_extension,
    scalar_packer,
    short_unpacker,
    unpack_scalars,
    unpacker,
)
from rpcnb.wire.encoder import RECORD_CODES
from rpcnb.wire.layout import RECORDS
from rpcnb.wire.messages import CopyFromRemote, FreeHandles, Kind, Ping, Pong
from rpcnb.wire.quick import COMPILED_ITEMS, pack_call, pack_ref, pack_return

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from rpcnb.core.device import Device
    from rpcnb.core.dtype import DType
    from rpcnb.core.limits import Limits
    from rpcnb.wire.messages import Buffer, Message, Short, ShortCall, ShortReturn

Unpack: TypeAlias = "Callable[[Buffer], Any]"
Make: TypeAlias = "Callable[[int, list[Any]], Short | Message | None]"

_PLAIN = PLAIN_TYPES.issuperset
_CODES = {cls: RECORD_CODES[cls] for cls in OWNED_REFS}
_CLASSES: dict[int, type] = {code: cls for cls, code in _CODES.items()}
_SIMPLE_TYPES = PLAIN_TYPES | frozenset(OWNED_REFS)
_SIMPLE = _SIMPLE_TYPES.issuperset
_STR = frozenset({str}).issuperset
_NO_KWARGS: dict[str, Any] = {}
SHORT_NBYTES = INLINE_NBYTES + 128
"""The longest header of a short message: one long text or piece of data, and what is around it."""
_USUAL = 6
"""Fields of a contiguous array that may be written to: the last two have their defaults."""
_KNOWN = 512
"""Refs, and kinds of arrays, that a connection remembers the checks of."""


class ShortSending(WireProtocol):
    """The part of a protocol that encodes short messages.  Thread-safe.

    Parameters
    ----------
    limits : Limits
        Of what is sent.
    """

    def __init__(self, limits: Limits) -> None:
        # What fits into this has nothing in it that would have to travel beside the header.
        self._short_nbytes = min(SHORT_NBYTES, limits.frame_header, limits.string)
        self._items = limits.items
        self._pack_scalars = scalar_packer()
        # Nothing that the compiled half takes has more items than these, or is longer than a header.
        compiled = limits.items >= COMPILED_ITEMS
        self._pack_call = pack_call if compiled else None
        self._pack_return = pack_return if compiled else None
        self._pack_ref = pack_ref if compiled else None

    def quick_call(
        self, function: int, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> bytes | None:
        """Encode a call of plain values and refs; see `WireProtocol.quick_call`."""
        if self._pack_call is not None:
            header = self._pack_call(function, args, kwargs, self._short_nbytes, _CODES)
            if header is not None:
                return header
        given = args if _PLAIN(map(type, args)) else self._by_handle(args)
        if given is None or function < 0 or len(args) > self._items:
            return None
        if not kwargs:
            return self._quick_header((function, given))
        if len(kwargs) > self._items or not _STR(map(type, kwargs)):
            return None
        named: dict[str, Any] | None = kwargs
        if not _PLAIN(map(type, kwargs.values())):
            values = self._by_handle(kwargs.values())
            named = None if values is None else dict(zip(kwargs, values, strict=True))
        return None if named is None else self._quick_header((function, given, named))

    def quick_return(self, value: Any) -> bytes | None:
        """Encode a plain result, or a ref; see `WireProtocol.quick_return`."""
        if type(value) in PLAIN_TYPES:
            header = None
            if self._pack_return is not None:
                header = self._pack_return(value, self._short_nbytes)
            return self._quick_header((value,)) if header is None else header
        describe = _DESCRIPTIONS.get(type(value))
        if describe is None:
            return None
        code, fields = _CODES[type(value)], describe(value)
        if self._pack_ref is not None:
            header = self._pack_ref(code, fields, self._short_nbytes)
            if header is not None:
                return header
        content = self._quick_header(fields)
        return content and self._quick_header((quick_extension((code, content)),))

    def quick_free(self, handles: list[tuple[int, int, int]]) -> bytes | None:
        """Encode a `FreeHandles`; see `WireProtocol.quick_free`."""
        if 3 * len(handles) > self._items:
            return None
        return self._quick_header(([part for triple in handles for part in triple],))

    def _by_handle(self, values: Collection[Any]) -> tuple[Any, ...] | None:
        """Return values with each ref as its handle alone; None when one is neither plain nor a ref."""
        if not _SIMPLE(map(type, values)):
            return None
        pack = self._pack_scalars
        try:
            return tuple(
                [
                    quick_extension((_CODES[type(value)], pack((value.handle,))))
                    if type(value) in _CODES
                    else value
                    for value in values
                ]
            )
        except FORMAT_ERRORS:
            self._pack_scalars = scalar_packer()  # as below
            return None

    def _quick_header(self, fields: tuple[Any, ...]) -> bytes | None:
        # One packer for all threads: it runs no Python code, so none comes in between.
        try:
            header = self._pack_scalars(fields)
        except FORMAT_ERRORS:  # an int of 80 bits, say: the general way knows what to do about it
            header = None
        if header is not None and len(header) <= self._short_nbytes:
            return header
        self._pack_scalars = scalar_packer()  # the old one's buffer is large, or holds a part
        return None


def _describe_array(ref: ArrayRef) -> tuple[Any, ...]:
    """Return the fields as the layout has them; those of an unusual dtype no packer takes."""
    device = ref.device.type, ref.device.index
    usual = ref.handle, ref.shape, ref.dtype, device, ref.byte_offset, ref.base
    if ref.strides is None and ref.writeable:
        return usual
    return (*usual, ref.strides, ref.writeable)


_DESCRIPTIONS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    ArrayRef: _describe_array,
    ObjectRef: lambda ref: (ref.handle, ref.type_name, ref.summary),
    IteratorRef: lambda ref: (ref.handle, ref.name),
}
"""Refs that are results; the others are rare, or long."""


class ShortDecoder:
    """Decodes for one connection.  One thread at a time.

    Parameters
    ----------
    limits : Limits
        Of what is received.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # Bound to what they need and not to `self`, which they would keep from being freed.
        kind = lru_cache(_KNOWN)(partial(_array_kind, limits))
        ref = partial(_ref, limits, kind)
        # The same refs come again and again: programs pass one array to many calls.
        ref_again = lru_cache(_KNOWN)(ref)
        self.return_ref, self.call_ref = ref, ref_again
        """What makes refs of extensions, in a result and in a call."""
        self.trusted_nbytes = min(limits.items, limits.string)
        """Headers up to this length cannot hold more or longer items than the limits allow."""
        self.kinds: dict[int, tuple[Unpack, Unpack, Make]] = {
            int(Kind.RETURN): (short_unpacker(ref), unpacker(ref, limits), _return),
            int(Kind.CALL_FUNC): (short_unpacker(ref_again), unpacker(ref_again, limits), _call),
            int(Kind.FREE_HANDLES): (unpack_scalars, unpacker(ref, limits), partial(_free, limits)),
            int(Kind.COPY_FROM_REMOTE): (unpack_scalars, unpacker(ref, limits), _download),
            # In a burst one frame in 64 asks how far the other side is, and what follows in the same
            # receive would go the general way.
            int(Kind.PING): (_nothing, _nothing, lambda request, _: Ping(request)),
            int(Kind.PONG): (_nothing, _nothing, lambda request, _: Pong(request)),
        }
        """Kind -> what unpacks a trusted header, what unpacks a longer one (for 0.1 µs more), and what
        makes a message of the request id and the fields."""


def _nothing(header: Buffer) -> list[Any] | None:
    """Return the fields of a message without any; None when there are some."""
    return None if header else []


def _ref(limits: Limits, array_kind: Callable[..., Any], code: int, content: bytes) -> Any:
    """Decode a ref.

    Raises
    ------
    ValueError, TypeError
        It is something else, or takes the general way.
    """
    cls, fields = _CLASSES.get(code), unpack_scalars(content)
    if cls is None or type(fields) is not list or not fields:
        raise ValueError(code)
    try:
        if len(fields) == 1:
            return cls(f.natural(fields[0]))
        if cls is ArrayRef and len(fields) == _USUAL:
            handle, shape, dtype, device, offset, base = fields
            shape, dtype, device = array_kind(tuple(shape), dtype, *device)
            number = Handle(f.natural(handle))
            return ArrayRef(number, shape, dtype, device, f.natural(offset), f.natural(base))
        if cls is ObjectRef and len(fields) == 3:
            handle, name, summary = fields
            number = Handle(f.natural(handle))
            return ObjectRef(number, f.NAME.check(name, limits), f.SHOWN.check(summary, limits))
        return cls(*RECORDS[cls].from_wire(fields, limits))
    except DecodeError as error:
        raise ValueError(code) from error


def _array_kind(
    limits: Limits, shape: tuple[Any, ...], *dtype_and_device: Any
) -> tuple[tuple[int, ...], DType, Device]:
    """Check what arrays of one kind have in common; equal ones (True and 1) become the first."""
    dtype, *device = dtype_and_device
    checked = RECORDS[ArrayRef].from_wire([0, list(shape), dtype, device], limits)
    return checked[1], checked[2], checked[3]


def _return(request: int, fields: list[Any]) -> ShortReturn | None:
    """Return a result; None for what is not simple."""
    return (request, fields[0]) if len(fields) == 1 and type(fields[0]) in _SIMPLE_TYPES else None


def _call(request: int, fields: list[Any]) -> ShortCall | None:
    """Return a call; None for one with anything that is not simple."""
    if not 2 <= len(fields) <= 3:
        return None
    function, args = fields[0], fields[1]
    if (
        type(function) is not int
        or function < 0
        or type(args) is not list
        or not _SIMPLE(map(type, args))
    ):
        return None
    kwargs: Any = _NO_KWARGS  # compiled, a narrower type would raise for what is no dict
    if len(fields) == 3:
        kwargs = fields[2]
        if (
            type(kwargs) is not dict
            or not _STR(map(type, kwargs))
            or not _SIMPLE(map(type, kwargs.values()))
        ):
            return None
    return request, function, tuple(args), kwargs


def _download(request: int, fields: list[Any]) -> CopyFromRemote | None:
    """Return a request for a copy; None when it is no such thing."""
    if len(fields) != 3:
        return None
    try:
        return CopyFromRemote(request, *map(f.natural, fields))
    except DecodeError:
        return None


def _free(limits: Limits, request: int, fields: list[Any]) -> FreeHandles | None:
    """Return what is given up; None when it is no such thing."""
    if request or len(fields) != 1:
        return None
    try:
        return FreeHandles(f.HANDLES.check(fields[0], limits))
    except DecodeError:
        return None
