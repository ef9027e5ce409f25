"""Records as lists of fields: which class has which, in which order, for refs and messages alike.

A list may end early: fields that have their default at the end are not sent. That is also how the
format grows: a new field goes to the end of a table, with a default.

Rules for this file: tables. How a field is checked stands in `rpcnb.wire.fields`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rpcnb.core.device import CPU, Device, DeviceType
from rpcnb.core.dtype import element_count, itemsize_of
from rpcnb.core.errors import DecodeError, ErrorInfo
from rpcnb.core.values import (
    ArrayRef,
    CallbackRef,
    DenseArray,
    DTypeValue,
    FunctionInfo,
    FunctionRef,
    IteratorRef,
    ModuleRef,
    ObjectRef,
)
from rpcnb.wire import fields as f
from rpcnb.wire.messages import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcnb.core.limits import Limits


class Raw(NamedTuple):
    """Bytes of an array on their way to the encoder, which sends them beside the header."""

    data: memoryview


class Entry(NamedTuple):
    """One field of a record."""

    name: str
    kind: f.FieldKind
    default: Any = NotImplemented
    """What it is when the list ends before it; `NotImplemented` where it must be there."""


class Layout:
    """The fields of one class in wire order."""

    def __init__(self, *entries: Entry) -> None:
        self.names = tuple(entry.name for entry in entries)
        self.plain = tuple(entry.kind.plain for entry in entries)
        self.check = tuple(entry.kind.check for entry in entries)
        self.defaults = tuple(entry.default for entry in entries)
        self.required = self.defaults.count(NotImplemented)
        self.outer = -1 if f.ARGS.plain in self.plain else 0
        """Depth at which encoding starts: the list of arguments is not itself a value."""

    def to_wire(self, values: Sequence[Any]) -> list[Any]:
        """Return fields as lists, dicts, scalars and values, without defaults at the end."""
        count = len(values)
        while count > self.required and _is_default(values[count - 1], self.defaults[count - 1]):
            count -= 1
        pairs = zip(self.plain, values[:count], strict=False)  # the list may end early
        return [plain(value) for plain, value in pairs]

    def from_wire(self, items: list[Any], limits: Limits) -> list[Any]:
        """Check decoded fields and return all of them.

        Raises
        ------
        DecodeError
            Too few, too many, or one is not what it must be.
        """
        count = len(items)
        if not self.required <= count <= len(self.check):
            raise DecodeError(f"{count} fields where {len(self.check)} were expected")
        pairs = zip(self.check, items, strict=False)
        checked = [check(item, limits) for check, item in pairs]
        checked.extend(self.defaults[count:])
        return checked


def _is_default(value: Any, default: Any) -> bool:
    if value is default:
        return True
    # The type too: True == 1 and 0.0 == 0, but they are different values.
    return default is not None and type(value) is type(default) and bool(value == default)


def _array_bytes(data: Any) -> Raw:
    return Raw(memoryview(data).cast("B"))


def _array_data(value: Any, _limits: Limits) -> bytes | memoryview:
    if type(value) is not bytes and type(value) is not memoryview:
        raise DecodeError(f"{type(value).__name__} where array data was expected")
    return value


def _error_text(value: Any, limits: Limits) -> str:
    text: str = f.TEXT.check(value, limits)
    if len(text) > limits.error_text:
        raise DecodeError(f"text of an error of {len(text)} characters")
    return text


ERROR_TEXT = f.FieldKind(f.TEXT.plain, _error_text)
_HANDLE = Entry("handle", f.NATURAL)
_NAMES = f.tuple_of(f.NAME)

RECORDS: dict[type, Layout] = {
    FunctionRef: Layout(_HANDLE, Entry("info", f.FUNCTION_INFO, FunctionInfo(""))),
    ArrayRef: Layout(
        _HANDLE,
        Entry("shape", f.SHAPE, ()),
        Entry("dtype", f.DTYPE, "|u1"),
        Entry("device", f.DEVICE, CPU),
        Entry("byte_offset", f.NATURAL, 0),
        Entry("base", f.NATURAL, 0),
        Entry("strides", f.STRIDES, None),
        Entry("writeable", f.BOOL, default=True),
    ),
    ModuleRef: Layout(
        _HANDLE, Entry("name", f.NAME, ""), Entry("names", _NAMES, ()), Entry("doc", f.SHOWN, "")
    ),
    ObjectRef: Layout(_HANDLE, Entry("type_name", f.NAME, "object"), Entry("summary", f.SHOWN, "")),
    IteratorRef: Layout(_HANDLE, Entry("name", f.NAME, "")),
    CallbackRef: Layout(_HANDLE, Entry("info", f.FUNCTION_INFO, FunctionInfo("callback"))),
    DTypeValue: Layout(Entry("dtype", f.DTYPE)),
    Device: Layout(
        Entry("type", f.DEVICE_TYPE, DeviceType.CPU),
        Entry("index", f.NATURAL, 0),
    ),
    DenseArray: Layout(
        Entry("dtype", f.DTYPE),
        Entry("shape", f.SHAPE),
        Entry("data", f.FieldKind(_array_bytes, _array_data)),
        Entry("is_scalar", f.BOOL, default=False),
    ),
    ErrorInfo: Layout(
        Entry("type_name", ERROR_TEXT),
        Entry("message", ERROR_TEXT),
        Entry("known", ERROR_TEXT, ""),
        Entry("args", f.tuple_of(f.SCALAR), ()),
        Entry("traceback", ERROR_TEXT, ""),
        Entry("hops", _NAMES, ()),
    ),
}
"""Refs and the other values of `rpcnb.core.values`; fields in the order of their class."""


def verify(value: Any, limits: Limits) -> None:
    """Check what no field can check alone.

    Raises
    ------
    DecodeError
        Sizes that do not belong together.
    """
    if type(value) is DenseArray:
        nbytes = itemsize_of(value.dtype, limits) * element_count(value.shape, limits)
        have = memoryview(value.data).nbytes
        if have != nbytes:
            raise DecodeError(f"{have} bytes of data for an array of {nbytes} bytes")
    elif (
        type(value) is ArrayRef
        and value.strides is not None
        and len(value.strides) != len(value.shape)
    ):
        raise DecodeError(f"{len(value.strides)} strides for {len(value.shape)} dimensions")


_ARGS = Entry("args", f.ARGS, ())

MESSAGES: dict[Kind, Layout] = {
    Kind.GET_FUNCTION: Layout(Entry("name", f.TEXT)),
    Kind.CALL_FUNC: Layout(
        Entry("function", f.NATURAL),
        _ARGS,
        Entry("kwargs", f.KWARGS, {}),
        Entry("stream", f.NATURAL, 0),
        Entry("timeout", f.OPTIONAL_NUMBER, None),
        Entry("parent", f.NATURAL, 0),
    ),
    Kind.COPY_TO_REMOTE: Layout(
        Entry("target", f.NATURAL),
        Entry("offset", f.NATURAL, 0),
        Entry("last", f.BOOL, default=False),
    ),
    Kind.COPY_FROM_REMOTE: Layout(
        Entry("source", f.NATURAL), Entry("offset", f.NATURAL), Entry("nbytes", f.NATURAL)
    ),
    Kind.DEVICE_CALL: Layout(Entry("device", f.TEXT), Entry("operation", f.TEXT), _ARGS),
    Kind.STREAM_WAIT: Layout(Entry("device", f.TEXT), Entry("stream", f.NATURAL, 0)),
    Kind.RETURN: Layout(Entry("value", f.VALUE, None), Entry("elapsed", f.NUMBER, 0.0)),
    Kind.RAISED: RECORDS[ErrorInfo],
    Kind.STOPPED: Layout(Entry("reason", f.REASON, 0)),
    Kind.COPY_DATA: Layout(Entry("offset", f.NATURAL, 0), Entry("last", f.BOOL, default=False)),
    Kind.CANCEL: Layout(),
    Kind.FREE_HANDLES: Layout(Entry("handles", f.HANDLES, ())),
    Kind.STARTED: Layout(),
    Kind.PROGRESS: Layout(
        Entry("done", f.NUMBER),
        Entry("total", f.OPTIONAL_NUMBER, None),
        Entry("description", f.SHOWN, ""),
    ),
    Kind.OUTPUT: Layout(Entry("stream", f.OUTPUT), Entry("text", f.PRINTED)),
    Kind.PING: Layout(),
    Kind.PONG: Layout(),
    Kind.GOODBYE: Layout(
        Entry("reason", f.SHOWN, ""),
        Entry("error", f.BOOL, default=False),
        Entry("keep", f.BOOL, default=False),
    ),
}
"""Kind of message -> its fields after the id, which stands in the frame's fixed part.

`CopyToRemote` and `CopyData` send no `nbytes`: it is the payload's length in the fixed part.
"""
