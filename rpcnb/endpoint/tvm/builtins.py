"""The functions ``rpcnb.*`` of a TVM session: files, modules, timing and arrays, in TVM's terms.

Our own servers register them; a TVM server has its own under other names, or none. What it has
none for is not found, which proxies say in their own words.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from rpcnb.core.device import CPU, Device
from rpcnb.core.dtype import element_count, itemsize_of
from rpcnb.core.errors import ArrayMismatch, EncodeError, FunctionNotFound, SessionError
from rpcnb.core.values import ArrayRef, DenseArray, DTypeValue, FunctionRef, ModuleRef, Value
from rpcnb.endpoint.tvm.values import nbytes_of, pack_scalar, scalar
from rpcnb.wire.tvm.dialect import NEW
from rpcnb.wire.tvm.packets import Call

if TYPE_CHECKING:
    from rpcnb.core.dtype import DType
    from rpcnb.endpoint.tvm.session import TVMSession

Builtin: TypeAlias = Callable[..., Value]

TOGETHER = 200
"""Requests sent before an answer is read: few enough for the answers to fit into the buffers."""


def find(session: TVMSession, name: str) -> Builtin | None:
    """Return one of the functions, or None."""
    function = _FUNCTIONS.get(name)
    return None if function is None else partial(function, session)


def call(session: TVMSession, name: str, *args: Value) -> Value:
    """Call a function of the server by its name.

    Raises
    ------
    FunctionNotFound
        This server has none of that name.
    """
    function = session.get_function(name)
    if function is None:
        raise FunctionNotFound(name)
    try:
        return session.call_func(function, args)
    finally:
        session.free_handle(function.handle, function.type_code)


def functions(session: TVMSession) -> Value:
    """Return the names of all the server's functions; of nothing more does TVM tell.

    There are thousands, and each is asked for by its number: many requests go together, as the
    network's delay would otherwise be paid for each.
    """
    name_of = call(session, "ffi.FunctionListGlobalNamesFunctor")
    try:
        pointer = session.held(name_of).pointer
        total = int(session.call_func(name_of, (-1,)))
        requests = [Call(pointer, (number,)) for number in range(total)]
        names: list[str] = []
        for start in range(0, total, TOGETHER):
            asked = requests[start : start + TOGETHER]
            answers = session.link.ask(*asked, what="the list of functions")
            names += [str(session.read_result(session.values_of(answer))) for answer in answers]
    finally:
        session.free_handle(name_of.handle, name_of.type_code)
    nothing = {"parameters": None, "returns": "", "doc": "", "is_generator": False}
    return [{"name": name, "is_async": False} | nothing for name in names]


# --- files and modules -------------------------------------------------------------------------


def upload(session: TVMSession, name: str, offset: int, data: bytes, truncate: bool) -> None:  # noqa: FBT001 -- as over there
    """Write a whole file, which is all that TVM can."""
    if offset or not truncate:
        message = "a TVM server writes whole files only"
        raise EncodeError(message)
    call(session, "tvm.rpc.server.upload", name, data)


def download(session: TVMSession, name: str, offset: int, nbytes: int | None) -> bytes:
    """Read a file; all of it moves, whatever part is asked for."""
    content: bytes = call(session, "tvm.rpc.server.download", name)
    return content[offset:] if nbytes is None else content[offset : offset + nbytes]


def listdir(session: TVMSession, path: str) -> Value:
    """List a folder: TVM's C++ server does, its Python server does not; names are all it says."""
    names = str(call(session, "tvm.rpc.server.listdir", path))
    return [[name, False, 0] for name in names.split(",") if name]


def remove(session: TVMSession, name: str) -> None:
    """Remove a file."""
    call(session, "tvm.rpc.server.remove", name)


def load_module(session: TVMSession, name: str) -> Value:
    """Load a compiled module that was uploaded; ``""`` is what is linked into the server."""
    if not name:
        place = "ffi" if session.link.wire.dialect is NEW else "runtime"
        return call(session, f"{place}.SystemLib")
    return call(session, "tvm.rpc.server.load_module", name)


def module_function(session: TVMSession, module: ModuleRef, name: str) -> FunctionRef:
    """Look a function up in a module and in those it imports."""
    found = call(session, "tvm.rpc.server.ModuleGetFunction", module, name, True)
    if not isinstance(found, FunctionRef):
        raise FunctionNotFound(name)
    held = session.held(found)
    held.module = session.held(module)
    held.ref = ref = FunctionRef(found.handle, type(found.info)(name))
    return ref


def time_evaluator(
    session: TVMSession, function: FunctionRef, number: int, repeat: int, min_repeat_ms: float
) -> FunctionRef:
    """Return a function that measures another over there, the network excluded."""
    held = session.held(function)
    found = getattr(held.ref, "info").name  # noqa: B009 -- a FunctionRef's, checked by `held`
    module = None if held.module is None else held.module.ref
    if found == "function":
        message = "TVM measures functions by name only, and this one was returned by another"
        raise EncodeError(message)
    measure = call(
        session, "runtime.RPCTimeEvaluator", module, found, int(CPU.type), CPU.index,
        number, repeat, int(min_repeat_ms), 0, 0, 1, 0, "",
    )  # fmt: skip
    return session.holdings.add_local("time_evaluator", partial(_measure, session, measure))


def _measure(session: TVMSession, measure: FunctionRef, *args: Value) -> Value:
    data: bytes = session.call_func(measure, args)
    return list(struct.unpack(f"<{len(data) // 8}d", data))


# --- arrays ------------------------------------------------------------------------------------


def create(  # noqa: PLR0917 -- as over there
    session: TVMSession,
    kind: str,
    shape_or_args: tuple[int, ...] | list[float],
    dtype: DTypeValue | None,
    device: Device,
    fill: Value,
) -> ArrayRef:
    """Make an array of zeros, ones or one value; TVM has nothing for it, so its bytes move."""
    values = {"empty": 0, "zeros": 0, "ones": 1, "full": fill}
    if kind not in values:
        message = f"a TVM server makes no {kind!r}; make it here and upload it: remote.array(x)"
        raise EncodeError(message)
    shape = tuple(map(int, shape_or_args))
    value = values[kind]
    element = _dtype_of(value) if dtype is None else dtype.dtype
    array = session.get_device_api(device).alloc_data(device, shape, element)  # type: ignore[union-attr] # allow_missing is off
    if kind != "empty":
        _fill(session, array, value)
    return array


def _dtype_of(value: Value) -> DType:
    if isinstance(value, DenseArray):
        return value.dtype
    names = {bool: "|b1", int: "<i8", float: "<f8"}
    return names.get(type(value), "<f8")


def _fill(session: TVMSession, array: ArrayRef, value: Value) -> None:
    number = scalar(value) if isinstance(value, DenseArray) else value
    nbytes = nbytes_of(session.tensor(array))
    if number == 0:
        data = bytes(nbytes)
    else:
        kind = array.dtype[1] if isinstance(array.dtype, str) else ""
        element = pack_scalar(float(number) if kind == "f" else number, array.dtype)
        data = element * element_count(array.shape)
    session.copy_to_remote(data, array, nbytes)


def copy(session: TVMSession, array: ArrayRef) -> ArrayRef:
    """Copy an array over there."""
    api = session.get_device_api(array.device)
    assert api is not None  # allow_missing is off
    made = api.alloc_data(array.device, array.shape, array.dtype)
    api.copy_data(array, made)
    return made


def view(session: TVMSession, array: ArrayRef, index: Value) -> ArrayRef:
    """Return part of an array without a copy.

    TVM passes arrays without gaps only, so a view is a run of memory: integers for leading
    dimensions, then one slice without a step.
    """
    shape, offset = run_of(array, index if isinstance(index, tuple) else (index,))
    tensor = session.tensor(array)
    parts = tensor._replace(shape=shape, byte_offset=tensor.byte_offset + offset)
    return session.holdings.add_view(array, parts)


def run_of(array: ArrayRef, index: tuple[Value, ...]) -> tuple[tuple[int, ...], int]:
    """Return shape and offset in bytes of the run of memory that an index selects."""
    rest, offset = list(array.shape), 0
    stride = itemsize_of(array.dtype) * element_count(array.shape)
    for position, part in enumerate(index):
        later = index[position + 1 :]
        if part is Ellipsis and all(item == slice(None) for item in later):
            break
        if not rest or type(part) not in {int, slice}:
            raise _no_run(index)
        length = rest.pop(0)
        stride = stride // length if length else 0
        if isinstance(part, slice):
            start, stop, step = part.indices(length)
            kept = max(0, stop - start)
            if step != 1 or not all(item in (slice(None), Ellipsis) for item in later):
                raise _no_run(index)
            return (kept, *rest), offset + start * stride
        if not -length <= part < length:
            message = f"index {part} is out of bounds for a dimension of {length}"
            raise ArrayMismatch(message)
        offset += (part % length) * stride
    return tuple(rest), offset


def _no_run(index: tuple[Value, ...]) -> ArrayMismatch:
    return ArrayMismatch(
        f"TVM has arrays without gaps only, and {index!r} leaves some; "
        "index leading dimensions with integers or one slice without a step"
    )


def assign(session: TVMSession, array: ArrayRef, index: Value, value: Value) -> None:
    """Write a number or an array into part of another."""
    part = view(session, array, index)
    made: ArrayRef | None = None
    try:
        if isinstance(value, DenseArray) and not value.is_scalar:
            value = made = session.make_array(value)
        if isinstance(value, ArrayRef):
            session.get_device_api(array.device).copy_data(value, part)  # type: ignore[union-attr] # allow_missing is off
        else:
            _fill(session, part, value)
    finally:
        for array_ref in (part, made):
            if array_ref is not None:
                session.free_handle(array_ref.handle, array_ref.type_code)


def put(session: TVMSession, value: DenseArray, device: Device) -> ArrayRef:
    """Upload a small array."""
    return session.make_array(value, device)


def array_call(session: TVMSession, operation: str, *args: Value) -> Value:
    """Run an operation on arrays: those that only move bytes.

    Raises
    ------
    SessionError
        Any other: a TVM server runs what was compiled for it, and has no arithmetic of its own.
    """
    run = _OPERATIONS.get(operation)
    if run is None:
        message = (
            f"{session.name} is a TVM server, which has no {operation!r} of its own; download the "
            "array with a.to_numpy(), or call a function that the server has"
        )
        raise SessionError(message)
    return run(session, *args)


def text(_session: TVMSession, array: ArrayRef, *_: object) -> str:
    """Describe an array for `print`, which must not fail; its values are not asked for."""
    shape = ", ".join(map(str, array.shape))
    return f"array {array.dtype}[{shape}] on {array.device}; a.to_numpy() downloads its values"


def statistics(session: TVMSession) -> Value:
    """Return counters; of this side, as TVM counts nothing."""
    roots = {
        id(held.base or held): held.base or held for held in list(session.holdings.table.values())
    }
    nbytes = sum(nbytes_of(held.tensor) for held in roots.values() if held.tensor is not None)
    own = sum(held.run is not None for held in list(session.holdings.table.values()))
    return {
        "handles": len(session.holdings) - own,
        "nbytes": nbytes,
        "calls": session.calls,
        "bad_frees": session.holdings.bad_frees,
        "uptime": time.monotonic() - session.began,
        "name": session.name,
        "pid_here": os.getpid(),
    }


_OPERATIONS: dict[str, Builtin] = {
    "copy": copy,
    "getitem": view,
    "put": put,
    "setitem": assign,
    "text": text,
}
"""By their names in `rpcnb.array`."""

_FUNCTIONS: dict[str, Builtin] = {
    "rpcnb.array.assign": assign,
    "rpcnb.array.call": array_call,
    "rpcnb.array.copy": copy,
    "rpcnb.array.create": create,
    "rpcnb.array.view": view,
    "rpcnb.download": download,
    "rpcnb.functions": functions,
    "rpcnb.listdir": listdir,
    "rpcnb.load_module": load_module,
    "rpcnb.module_function": module_function,
    "rpcnb.remove": remove,
    "rpcnb.statistics": statistics,
    "rpcnb.time_evaluator": time_evaluator,
    "rpcnb.upload": upload,
}
