"""Hypothesis strategies for everything that may cross a session, and exact comparison.

``==`` is not enough here: ``-0.0 == 0.0``, ``True == 1``, and a NaN equals nothing.
"""

from __future__ import annotations

import struct
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from rpcnb.core.device import Device, DeviceType
from rpcnb.core.dtype import DType, Field, RecordDType, element_count, itemsize_of
from rpcnb.core.errors import ErrorInfo
from rpcnb.core.values import (
    ArrayRef,
    CallbackRef,
    DenseArray,
    DTypeValue,
    FunctionInfo,
    FunctionRef,
    Handle,
    IteratorRef,
    ModuleRef,
    ObjectRef,
    Parameter,
    TypeCode,
)
from rpcnb.core.visible import printable_output, visible
from rpcnb.wire import messages as m
from rpcnb.wire.state import CLIENT_SENDS, SERVER_SENDS

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

BITS64 = st.integers(0, 2**64 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SHOWN = TEXT.map(visible).filter(lambda text: len(text) < 256)
"""Text that is shown to people arrives as it can be shown."""
FLOATS = BITS64.map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]) | st.floats()
"""All of them: each NaN has a payload."""
INTS = st.integers() | st.integers(-(2**300), 2**300) | st.integers(2**63 - 2, 2**64 + 2)
NATURALS = st.integers(0, 2**63 - 1)

DTYPES: list[DType] = [
    "|b1",
    "|u1",
    "<i8",
    ">f4",
    "<c16",
    "<f2",
    "|S3",
    "<U2",
    "<M8[ns]",
    "<m8[25us]",
    "|V0",
    RecordDType(16, (Field("x", "<f8", 0), Field("é", "<i2", 8, (2, 2)))),
    RecordDType(4, (Field("inner", RecordDType(2, (Field("a", "|i1", 1),)), 2),)),
]
_DEVICES = st.builds(Device, st.sampled_from(DeviceType), st.integers(0, 9))
_SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)
_PARAMETERS = st.builds(Parameter, SHOWN, st.integers(0, 4), st.none() | SHOWN, SHOWN)
_FUNCTIONS = st.builds(
    FunctionInfo,
    SHOWN,
    st.none() | st.lists(_PARAMETERS, max_size=3).map(tuple),
    SHOWN,
    SHOWN,
    st.booleans(),
    st.booleans(),
)


@st.composite
def dense_arrays(draw: st.DrawFn) -> DenseArray:
    """Return a strategy for small arrays by value."""
    dtype, shape = draw(st.sampled_from(DTYPES)), draw(_SHAPES)
    nbytes = itemsize_of(dtype) * element_count(shape)
    data = draw(st.binary(min_size=nbytes, max_size=nbytes))
    return DenseArray(dtype, shape, data, draw(st.booleans()))


@st.composite
def array_refs(draw: st.DrawFn) -> ArrayRef:
    """Return a strategy for remote arrays."""
    shape = draw(_SHAPES)
    steps = st.lists(st.integers(-(2**63), 2**63 - 1), min_size=len(shape), max_size=len(shape))
    return ArrayRef(
        Handle(draw(NATURALS)),
        shape,
        draw(st.sampled_from(DTYPES)),
        draw(_DEVICES),
        draw(NATURALS),
        draw(NATURALS),
        draw(st.none() | steps.map(tuple)),
        draw(st.booleans()),
    )


SCALARS = st.none() | st.booleans() | INTS | FLOATS | TEXT | st.binary(max_size=40)
_COMPLEX = st.builds(complex, FLOATS, FLOATS)
_STEPS = st.none() | INTS
_LARGE = st.sampled_from(
    ["\0é" * 4000, b"\xff" * 5000, list(range(1025)), ("",) * 3000, dict.fromkeys(range(1500), ())]
)
_LEAVES = (
    SCALARS
    | _COMPLEX
    | st.just(...)
    | st.builds(slice, _STEPS, _STEPS, _STEPS)
    | st.builds(DTypeValue, st.sampled_from(DTYPES))
    | _DEVICES
    | dense_arrays()
    | array_refs()
    | st.builds(FunctionRef, NATURALS, _FUNCTIONS)
    | st.builds(ModuleRef, NATURALS, SHOWN, st.lists(SHOWN, max_size=3).map(tuple), SHOWN)
    | st.builds(ObjectRef, NATURALS, SHOWN, SHOWN)
    | st.builds(IteratorRef, NATURALS, SHOWN)
    | st.builds(CallbackRef, NATURALS, _FUNCTIONS)
    | _LARGE
)
_KEYS = st.recursive(
    SCALARS | _COMPLEX, lambda keys: st.lists(keys, max_size=2).map(tuple), max_leaves=3
)


def values() -> SearchStrategy[Any]:
    """Return a strategy for the closed set of values, containers included."""
    return st.recursive(
        _LEAVES,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.lists(inner, max_size=4).map(tuple)
            | st.dictionaries(_KEYS, inner, max_size=4)
        ),
        max_leaves=8,
    )


def errors() -> SearchStrategy[ErrorInfo]:
    """Return a strategy for errors as data."""
    args = st.lists(SCALARS.filter(lambda arg: type(arg) is not int), max_size=3).map(tuple)
    hops = st.lists(SHOWN, max_size=2).map(tuple)
    return st.builds(ErrorInfo, TEXT, TEXT, TEXT, args, TEXT, hops)


def messages(side: m.Side) -> SearchStrategy[m.Message]:
    """Return a strategy for everything that `side` may send, except goodbye."""
    kinds = sorted(CLIENT_SENDS if side is m.Side.CLIENT else SERVER_SENDS)
    return st.one_of([_MESSAGES[kind] for kind in kinds])


_ARGS = st.lists(values(), max_size=3).map(tuple)
_SECONDS = st.floats(0, 1e9)
_TRIPLES = st.tuples(NATURALS, st.sampled_from(list(map(int, TypeCode))), st.integers(1, 9))
_PIECES = st.binary(max_size=300)

_MESSAGES: dict[m.Kind, SearchStrategy[Any]] = {
    m.Kind.GET_FUNCTION: st.builds(m.GetFunction, BITS64, TEXT),
    m.Kind.CALL_FUNC: st.builds(
        m.CallFunc,
        BITS64,
        NATURALS,
        _ARGS,
        st.dictionaries(TEXT, values(), max_size=2),
        NATURALS,
        st.none() | _SECONDS,
        NATURALS,
    ),
    m.Kind.COPY_TO_REMOTE: st.builds(
        lambda request, target, offset, last, data: m.CopyToRemote(
            request, target, offset, len(data), last, data
        ),
        BITS64,
        NATURALS,
        NATURALS,
        st.booleans(),
        _PIECES,
    ),
    m.Kind.COPY_FROM_REMOTE: st.builds(m.CopyFromRemote, BITS64, NATURALS, NATURALS, NATURALS),
    m.Kind.DEVICE_CALL: st.builds(m.DeviceCall, BITS64, TEXT, TEXT, _ARGS),
    m.Kind.STREAM_WAIT: st.builds(m.StreamWait, BITS64, TEXT, NATURALS),
    m.Kind.RETURN: st.builds(m.Return, BITS64, values(), _SECONDS),
    m.Kind.RAISED: st.builds(m.Raised, BITS64, errors()),
    m.Kind.STOPPED: st.builds(m.Stopped, BITS64, st.sampled_from([0, 1])),
    m.Kind.COPY_DATA: st.builds(
        lambda request, offset, last, data: m.CopyData(request, offset, len(data), last, data),
        BITS64,
        NATURALS,
        st.booleans(),
        _PIECES,
    ),
    m.Kind.CANCEL: st.builds(m.Cancel, BITS64),
    m.Kind.FREE_HANDLES: st.builds(m.FreeHandles, st.lists(_TRIPLES, max_size=400).map(tuple)),
    m.Kind.STARTED: st.builds(m.Started, BITS64),
    m.Kind.PROGRESS: st.builds(m.Progress, BITS64, _SECONDS, st.none() | _SECONDS, SHOWN),
    m.Kind.OUTPUT: st.builds(
        m.Output,
        BITS64,
        st.sampled_from(["stdout", "stderr", "warning"]),
        TEXT.map(printable_output),
    ),
    m.Kind.PING: st.builds(m.Ping, BITS64),
    m.Kind.PONG: st.builds(m.Pong, BITS64),
    m.Kind.GOODBYE: st.builds(m.Goodbye, SHOWN, st.booleans()),
}

EXAMPLES: dict[m.Kind, m.Message] = {
    m.Kind.GET_FUNCTION: m.GetFunction(1, "f"),
    m.Kind.CALL_FUNC: m.CallFunc(1, 2, (3, "x" * 5000), {"k": (1.5, [None])}, 0, 2.5),
    m.Kind.COPY_TO_REMOTE: m.CopyToRemote(1, 2, 0, 3, last=True, payload=b"abc"),
    m.Kind.COPY_FROM_REMOTE: m.CopyFromRemote(1, 2, 0, 3),
    m.Kind.DEVICE_CALL: m.DeviceCall(1, "cpu:0", "alloc_data", ((2, 3), "<f4")),
    m.Kind.STREAM_WAIT: m.StreamWait(1, "cpu:0", 7),
    m.Kind.RETURN: m.Return(1, DenseArray("<f8", (1000,), bytes(8000)), 0.25),
    m.Kind.RAISED: m.Raised(1, ErrorInfo("ValueError", "no", "ValueError", ("no",), "Traceback")),
    m.Kind.STOPPED: m.Stopped(1, 1),
    m.Kind.COPY_DATA: m.CopyData(1, 0, 3, last=True, payload=b"abc"),
    m.Kind.CANCEL: m.Cancel(1),
    m.Kind.FREE_HANDLES: m.FreeHandles(((1, 2, 1), (5, 1, 3))),
    m.Kind.STARTED: m.Started(1),
    m.Kind.PROGRESS: m.Progress(1, 3.0, 10.0, "training"),
    m.Kind.OUTPUT: m.Output(1, "stdout", "hello\n"),
    m.Kind.PING: m.Ping(1),
    m.Kind.PONG: m.Pong(1),
    m.Kind.GOODBYE: m.Goodbye("done"),
}
"""One of each kind."""

_RAW = (bytearray, memoryview)


def same(a: Any, b: Any) -> bool:
    """Tell whether two values or messages are the same: types, NaN payloads, signs, order."""
    if type(a) in _RAW or type(b) in _RAW:  # array data: which buffer holds it does not matter
        return bytes(a) == bytes(b)
    if type(a) is not type(b):
        return False
    if type(a) is float:
        return struct.pack("<d", a) == struct.pack("<d", b)
    if type(a) is complex:
        return same(a.real, b.real) and same(a.imag, b.imag)
    return _same_parts(a, b)


def _same_parts(a: Any, b: Any) -> bool:
    if type(a) is slice:
        return same((a.start, a.stop, a.step), (b.start, b.stop, b.step))
    if type(a) is dict:
        return same(list(a.items()), list(b.items()))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return bool(a == b)
