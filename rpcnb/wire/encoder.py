"""Values of the closed set to a header, and what goes beside it."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

from rpcnb.core.device import Device
from rpcnb.core.errors import DecodeError, EncodeError, LimitExceeded
from rpcnb.core.values import (
    ArrayRef,
    CallbackRef,
    DenseArray,
    DTypeValue,
    FunctionRef,
    IteratorRef,
    ModuleRef,
    ObjectRef,
)
from rpcnb.wire.codec import INLINE_NBYTES, PLACE, SCALARS, Code, extension, pack, type_name
from rpcnb.wire.layout import RECORDS, Raw, verify
from rpcnb.wire.messages import CallFunc, DeviceCall

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from rpcnb.core.limits import Limits
    from rpcnb.wire.messages import Buffer, Message

RECORD_CODES: dict[type, Code] = {
    DTypeValue: Code.DTYPE,
    Device: Code.DEVICE,
    DenseArray: Code.ARRAY,
    FunctionRef: Code.FUNCTION_REF,
    ArrayRef: Code.ARRAY_REF,
    ModuleRef: Code.MODULE_REF,
    ObjectRef: Code.OBJECT_REF,
    IteratorRef: Code.ITERATOR_REF,
    CallbackRef: Code.CALLBACK_REF,
}
"""Values that are records of fields, each an extension of its own."""

SLICE_PARTS = frozenset({type(None), int})
_INT64 = 1 << 63
_KEYS = SCALARS - {int, complex}
_SHORT = INLINE_NBYTES // 4  # characters, each of which UTF-8 may need four bytes for


class Encoder:
    """Encodes the fields of one message."""

    __slots__ = ("limits", "nbytes", "objects", "payload")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.payload: list[Buffer] = []
        """What goes beside the header, in order."""
        self.nbytes = 0
        """Bytes of that."""
        self.objects = 0
        """Items of all containers so far."""

    def header(self, fields: list[Any], depth: int = 0) -> bytes:
        """Return the header for `fields`, having put what is large into `payload`.

        Parameters
        ----------
        fields : list
            As `Layout.to_wire` gives them.
        depth : int
            -1 when a field is a container that is not itself a value, as arguments are.

        Raises
        ------
        EncodeError
            Something is not of the closed set.
        LimitExceeded
            The payload is larger than a frame's may be.
        """
        if not fields:
            return b""
        header = pack([self.value(item, depth) for item in fields])
        if len(header) > self.limits.frame_header:
            header = pack(self.beside(Code.DOCUMENT, header))
        return header

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return something that `pack` packs, for one value inside `depth` containers."""
        kind = type(value)
        if kind in SCALARS:
            return value
        encode = _ENCODERS.get(kind)
        if encode is None:
            raise EncodeError(f"{type_name(kind)} cannot be sent by value")
        return encode(self, value, depth)

    def items(self, items: Collection[Any], depth: int) -> list[Any]:
        """Return what one container inside `depth` others holds, encoded."""
        if depth >= self.limits.depth:
            raise EncodeError(f"containers nested more than {self.limits.depth} deep")
        self._charge(1 + len(items))
        if SCALARS.issuperset(map(type, items)):
            return list(items)
        return [self.value(item, depth + 1) for item in items]

    def _charge(self, objects: int) -> None:
        self.objects += objects
        if self.objects > self.limits.objects:
            raise EncodeError(
                f"more than {self.limits.objects:,} items cannot be sent at once; "
                "an array can hold them"
            )

    def record(self, code: Code, fields: list[Any]) -> Any:
        """Return an extension whose content is a list of encoded fields."""
        self._charge(1 + len(fields))
        return self.document(code, fields)

    def chunks(self, items: Sequence[Any], depth: int) -> list[list[Any]]:
        """Return the same in pieces, for a container longer than a document may announce."""
        size = self.limits.items
        if len(items) > size * size:
            raise EncodeError(
                f"{len(items):,} items cannot be sent by value (limit: {size * size:,}); "
                "an array can hold them"
            )
        starts = range(0, len(items), size)
        return [self.items(items[start : start + size], depth) for start in starts]

    def document(self, code: Code, content: Any) -> Any:
        """Return an extension whose content is a document, beside the header if it is large."""
        data = pack(content)
        return extension(code, data) if len(data) <= INLINE_NBYTES else self.beside(code, data)

    def beside(self, code: Code, data: Buffer) -> Any:
        """Put content into the payload; return the extension that says where."""
        place = PLACE.pack(code, self.nbytes, len(data))
        self.payload.append(data)
        self.nbytes += len(data)
        if self.nbytes > self.limits.frame_payload:
            raise LimitExceeded("frame payload", self.nbytes, self.limits.frame_payload)
        return extension(Code.OUT_OF_LINE, place)


def _str(encoder: Encoder, value: str, _depth: int) -> Any:
    if len(value) <= _SHORT:
        return value
    try:
        data = value.encode()
    except UnicodeEncodeError as error:
        raise EncodeError("text with lone surrogates cannot be sent") from error
    return value if len(data) <= INLINE_NBYTES else encoder.beside(Code.STR, data)


def _bytes(encoder: Encoder, value: bytes, _depth: int) -> Any:
    return value if len(value) <= INLINE_NBYTES else encoder.beside(Code.BYTES, value)


def _raw(encoder: Encoder, value: Raw, _depth: int) -> Any:
    small = value.data.nbytes <= INLINE_NBYTES
    return bytes(value.data) if small else encoder.beside(Code.DATA, value.data)


def _list(encoder: Encoder, value: list[Any], depth: int) -> Any:
    if len(value) > encoder.limits.items:
        return encoder.document(Code.LONG_LIST, encoder.chunks(value, depth))
    return encoder.items(value, depth)


def _tuple(encoder: Encoder, value: tuple[Any, ...], depth: int) -> Any:
    if len(value) > encoder.limits.items:
        return encoder.document(Code.LONG_TUPLE, encoder.chunks(value, depth))
    return encoder.document(Code.TUPLE, encoder.items(value, depth))


def _dict(encoder: Encoder, value: dict[Any, Any], depth: int) -> Any:
    # As pairs where a key would have to be an extension: two tuples that hold NaNs are two keys,
    # but their encodings are equal, and one would be lost in a dict of encoded keys.
    if len(value) <= encoder.limits.items and all(map(_is_plain_key, value)):
        return dict(zip(value, encoder.items(value.values(), depth), strict=True))
    flat = list(chain.from_iterable(value.items()))
    return encoder.document(Code.PAIRS, encoder.chunks(flat, depth))


def _is_plain_key(key: Any) -> bool:
    kind = type(key)
    if kind is str or kind is bytes:
        return len(key) <= _SHORT
    return kind in _KEYS or (kind is int and -_INT64 <= key < _INT64)


def _slice(encoder: Encoder, value: slice, _depth: int) -> Any:
    parts = [value.start, value.stop, value.step]
    if not SLICE_PARTS.issuperset(map(type, parts)):
        raise EncodeError("a slice of anything but ints and None cannot be sent")
    return encoder.record(Code.SLICE, parts)


def _ellipsis(_encoder: Encoder, _value: Any, _depth: int) -> Any:
    return extension(Code.ELLIPSIS, b"")


def _record(encoder: Encoder, value: Any, _depth: int) -> Any:
    cls = type(value)
    layout = RECORDS[cls]
    try:
        verify(value, encoder.limits)
        fields = layout.to_wire([getattr(value, name) for name in layout.names])
    except (DecodeError, AttributeError, TypeError, ValueError) as error:
        raise EncodeError(f"this {cls.__name__} cannot be sent: {error}") from error
    return encoder.record(RECORD_CODES[cls], [encoder.value(item) for item in fields])


_Encode: TypeAlias = "Callable[[Encoder, Any, int], Any]"

_ENCODERS: dict[type, _Encode] = {
    str: _str,
    bytes: _bytes,
    list: _list,
    tuple: _tuple,
    dict: _dict,
    slice: _slice,
    type(Ellipsis): _ellipsis,
    Raw: _raw,
    **dict.fromkeys(RECORD_CODES, _record),
}


def unsendable(message: Message, limits: Limits) -> str:
    """Say which argument cannot be encoded: only asked once one cannot."""
    if not isinstance(message, CallFunc | DeviceCall):
        return ""
    named: list[tuple[str, Any]] = [(f"argument {i}", a) for i, a in enumerate(message.args)]
    if isinstance(message, CallFunc):
        named += [(f"argument {name!r}", value) for name, value in message.kwargs.items()]
    for name, value in named:
        try:
            pack(Encoder(limits).value(value))
        except EncodeError:
            return f"{name}: "
    return ""
