"""What one field of a message or of a record may hold, checked in both directions.

A peer is never trusted to have sent the type a field is declared with. The same checks run before
sending, so that a mistake of ours is an error here and not the end of the connection.

Rules for this file: no msgpack, no bytes; checks raise `DecodeError` (the encoder turns it into
an `EncodeError`), and return what they were given, made immutable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rpcnb.core.device import Device, DeviceType
from rpcnb.core.dtype import DType, Field, RecordDType, element_count, itemsize_of
from rpcnb.core.errors import DecodeError
from rpcnb.core.values import (
    PLAIN_TYPES,
    ArrayRef,
    CallbackRef,
    DenseArray,
    DTypeValue,
    FunctionInfo,
    FunctionRef,
    IteratorRef,
    ModuleRef,
    ObjectRef,
    Parameter,
    TypeCode,
)
from rpcnb.core.visible import printable_output, shortened

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.limits import Limits

LEAVES = PLAIN_TYPES | {
    slice,
    type(Ellipsis),
    DTypeValue,
    Device,
    DenseArray,
    FunctionRef,
    ArrayRef,
    ModuleRef,
    ObjectRef,
    IteratorRef,
    CallbackRef,
}
"""Values that contain no other values."""

_INT64 = 1 << 63
_INTS = frozenset({int})
_NAME_LENGTH, _SHOWN_LENGTH = 256, 16 * 1024
"""Characters of a name, and of documentation or another longer text, that are shown."""
_OUTPUTS = frozenset({"stdout", "stderr", "warning"})
_TYPE_CODES = frozenset(map(int, TypeCode))


class FieldKind(NamedTuple):
    """How one kind of field goes to the wire and comes back."""

    plain: Callable[[Any], Any]
    """Field -> lists, dicts and scalars for the encoder."""
    check: Callable[[Any, Limits], Any]
    """What was decoded -> field."""


def _one_of(types: frozenset[type], what: str) -> FieldKind:
    def check(value: Any, _limits: Limits | None = None) -> Any:
        if type(value) not in types:
            raise DecodeError(f"{type(value).__name__} where {what} was expected")
        return value

    return FieldKind(check, check)


def natural(value: Any, _limits: Limits | None = None) -> int:
    """Check a handle, an offset or a count: 0 … 2⁶³ - 1."""
    if type(value) is not int or not 0 <= value < _INT64:
        raise DecodeError(f"{type(value).__name__} where a count or handle was expected")
    return value


def number(value: Any, _limits: Limits | None = None) -> float:
    """Check a float, or an int of 64 bits."""
    if type(value) is float or (type(value) is int and -_INT64 <= value < _INT64):
        return value
    raise DecodeError(f"{type(value).__name__} where a number was expected")


def _optional_number(value: Any, _limits: Limits | None = None) -> float | None:
    return None if value is None else number(value)


def check_value(value: Any, limits: Limits) -> Any:
    """Check that what was decoded is a value of the closed set, and not nested too deep."""
    if type(value) not in LEAVES:
        _check_container(value, limits.depth)
    return value


def _check_container(value: Any, depth: int) -> None:
    kind = type(value)
    parts: tuple[Any, ...]
    if kind is dict:
        parts = (value.keys(), value.values())
    elif kind is list or kind is tuple:
        parts = (value,)
    else:
        raise DecodeError(f"{kind.__name__} is not a value")
    if depth == 0:
        raise DecodeError("containers are nested too deep")
    for items in parts:
        if not LEAVES.issuperset(map(type, items)):
            for item in items:
                if type(item) not in LEAVES:
                    _check_container(item, depth - 1)


def _check_args(value: Any, limits: Limits) -> tuple[Any, ...]:
    items = _list(value)
    if not PLAIN_TYPES.issuperset(map(type, items)):
        for item in items:
            check_value(item, limits)
    return tuple(items)


def _named(value: Any) -> dict[str, Any]:
    if type(value) is not dict or not all(type(key) is str for key in value):
        raise DecodeError("keyword arguments that are no dict of names")
    return value


def _check_kwargs(value: Any, limits: Limits) -> dict[str, Any]:
    named = _named(value)
    for item in named.values():
        check_value(item, limits)
    return named


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise DecodeError(f"{type(value).__name__} where a list was expected")
    return value


def shown(length: int) -> FieldKind:
    """Return the kind of text that people are shown: bounded, and nothing in it acts or hides."""

    def check(value: Any, limits: Limits) -> str:
        if type(value) is str and len(value) <= length and value.isprintable():
            return value  # as below: most names are
        return shortened(TEXT.check(value, limits), length)

    return FieldKind(TEXT.plain, check)


def tuple_of(inner: FieldKind) -> FieldKind:
    """Return the kind of a tuple of fields of one kind."""
    return FieldKind(
        lambda value: [inner.plain(item) for item in value],
        lambda value, limits: tuple([inner.check(item, limits) for item in _list(value)]),
    )


def optional(inner: FieldKind) -> FieldKind:
    """Return the kind of a field that may also be None."""
    return FieldKind(
        lambda value: None if value is None else inner.plain(value),
        lambda value, limits: None if value is None else inner.check(value, limits),
    )


def record_of(cls: Callable[..., Any], **kinds: FieldKind) -> FieldKind:
    """Return the kind of a small fixed record, all of whose fields are sent."""

    def plain(value: Any) -> list[Any]:
        return [kind.plain(getattr(value, name)) for name, kind in kinds.items()]

    def check(value: Any, limits: Limits) -> Any:
        items = _list(value)
        if len(items) != len(kinds):
            raise DecodeError(f"{len(items)} fields where {len(kinds)} were expected")
        pairs = zip(kinds.values(), items, strict=True)
        return cls(*[kind.check(item, limits) for kind, item in pairs])

    return FieldKind(plain, check)


def _dtype_plain(dtype: DType) -> Any:
    itemsize_of(dtype)
    return _dtype_parts(dtype)


def _dtype_parts(dtype: DType) -> Any:
    if not isinstance(dtype, RecordDType):
        return dtype
    fields = [[f.name, _dtype_parts(f.dtype), f.offset, list(f.shape)] for f in dtype.fields]
    return [dtype.itemsize, fields]


def _dtype_check(value: Any, limits: Limits) -> DType:
    dtype = _read_dtype(value, limits, 0)
    itemsize_of(dtype, limits)
    return dtype


def _read_dtype(value: Any, limits: Limits, depth: int) -> DType:
    if type(value) is str:
        return value
    parts = _list(value)
    if depth > limits.depth or len(parts) != 2:
        raise DecodeError("this is not a structured dtype")
    itemsize, fields = natural(parts[0]), _list(parts[1])
    return RecordDType(itemsize, tuple([_read_field(field, limits, depth) for field in fields]))


def _read_field(value: Any, limits: Limits, depth: int) -> Field:
    if len(_list(value)) != 4:
        raise DecodeError("this is not a field of a structured dtype")
    name, dtype, offset, shape = value
    TEXT.check(name, limits)
    inner = _read_dtype(dtype, limits, depth + 1)
    return Field(name, inner, natural(offset), SHAPE.check(shape, limits))


def _shape_plain(shape: tuple[int, ...]) -> list[int]:
    element_count(shape)
    return list(shape)


def _shape_check(value: Any, limits: Limits) -> tuple[int, ...]:
    shape = tuple(_list(value))
    element_count(shape, limits)
    return shape


def _strides_check(value: Any, limits: Limits) -> tuple[int, ...]:
    strides = tuple(_list(value))
    if len(strides) > limits.ndim or not all(
        type(step) is int and -_INT64 <= step < _INT64 for step in strides
    ):
        raise DecodeError("these are not strides")
    return strides


def _device_type_check(value: Any, _limits: Limits) -> DeviceType:
    if type(value) is not int or value not in _DEVICE_TYPES:
        raise DecodeError("this is not a kind of device")
    return DeviceType(value)


def _device_check(value: Any, limits: Limits) -> Device:
    if len(_list(value)) != 2:
        raise DecodeError("this is not a device")
    return Device(_device_type_check(value[0], limits), natural(value[1]))


def _handles_plain(value: Any) -> list[int]:
    flat = [int(part) for triple in value for part in triple]  # type codes may be enum members
    _triples(flat)
    return flat


def _handles_check(value: Any, _limits: Limits) -> tuple[tuple[int, int, int], ...]:
    flat = _list(value)
    if (
        not _INTS.issuperset(map(type, flat))
        or not 0 <= min(flat, default=0) <= max(flat, default=0) < _INT64
    ):
        raise DecodeError("what is given up is named by counts and handles")
    return _triples(flat)


def _triples(flat: list[int]) -> tuple[tuple[int, int, int], ...]:
    if len(flat) % 3 or not _TYPE_CODES.issuperset(flat[1::3]) or 0 in flat[2::3]:
        raise DecodeError("these are not handles, type codes and counts")
    return tuple(zip(flat[::3], flat[1::3], flat[2::3], strict=True))


def _output_check(value: Any, _limits: Limits | None = None) -> str:
    if type(value) is not str or value not in _OUTPUTS:
        raise DecodeError("this is not the name of an output stream")
    return value


def _same(value: Any) -> Any:
    return value


_DEVICE_TYPES = frozenset(map(int, DeviceType))

NATURAL = FieldKind(natural, natural)
NUMBER = FieldKind(number, number)
OPTIONAL_NUMBER = FieldKind(_optional_number, _optional_number)
TEXT = _one_of(frozenset({str}), "text")
NAME = shown(_NAME_LENGTH)
SHOWN = shown(_SHOWN_LENGTH)
PRINTED = FieldKind(TEXT.plain, lambda value, limits: printable_output(TEXT.check(value, limits)))
"""What a call printed: nothing in it acts on a terminal, save colours and writing over a line."""
BOOL = _one_of(frozenset({bool}), "a truth value")
SCALAR = _one_of(PLAIN_TYPES, "a plain scalar")
OUTPUT = FieldKind(_output_check, _output_check)
REASON = FieldKind(lambda reason: natural(int(reason)), natural)
VALUE = FieldKind(_same, check_value)
ARGS = FieldKind(list, _check_args)
KWARGS = FieldKind(_named, _check_kwargs)
SHAPE = FieldKind(_shape_plain, _shape_check)
STRIDES = optional(FieldKind(list, _strides_check))
DTYPE = FieldKind(_dtype_plain, _dtype_check)
DEVICE_TYPE = FieldKind(int, _device_type_check)
DEVICE = FieldKind(lambda device: [int(device.type), device.index], _device_check)
HANDLES = FieldKind(_handles_plain, _handles_check)
PARAMETER = record_of(Parameter, name=NAME, kind=NATURAL, default=optional(NAME), annotation=NAME)
FUNCTION_INFO = record_of(
    FunctionInfo,
    name=NAME,
    parameters=optional(tuple_of(PARAMETER)),
    returns=NAME,
    doc=SHOWN,
    is_generator=BOOL,
    is_async=BOOL,
)
