"""Between what a person passes and what may cross: `lower` on the way there, `lift` on the way back.

Rules for this file: plain values are recognised at C speed and never walked; everything that is
refused says what to write instead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from types import EllipsisType
from typing import TYPE_CHECKING, Any, TypeAlias

from rpcnb.core.device import Device
from rpcnb.core.errors import CodecError, EncodeError, ImplicitTransferError
from rpcnb.core.limits import DEFAULT_LIMITS, KIB
from rpcnb.core.values import (
    OWNED_REFS,
    PLAIN_TYPES,
    CallbackRef,
    DenseArray,
    DTypeValue,
    FunctionInfo,
    Handle,
    Value,
)
from rpcnb.remote.proxy import HandleProxy, Proxy
from rpcnb.session.space import RPCObjectRef

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote

SMALL_ARRAY = 64 * KIB
"""Bytes of the largest array that travels by value."""

Lent: TypeAlias = dict[int, Callable[..., object]]
"""The local functions lent for one call, by the handles their `CallbackRef` names."""

NOTHING_LENT: Lent = {}
"""Of calls that are known to lend nothing; never added to."""
_lent_handles = count(1)
_PROXIES = Proxy.classes

# Subclasses (IntEnum, StrEnum, …) arrive as what they are made of.
_PLAIN_BASES: dict[type, Callable[[Any], object]] = {
    int: int.__int__,
    float: float.__float__,
    complex: complex.__complex__,
    str: str.__str__,
    bytes: bytes.__bytes__,
}


def lower_call(
    remote: Remote, args: Sequence[object], kwargs: Mapping[str, object], lent: Lent
) -> tuple[Sequence[Value], Mapping[str, Value]]:
    """Lower the arguments of a call; `lent` receives the local functions among them.

    Raises
    ------
    EncodeError, ImplicitTransferError, InvalidHandle
        An argument cannot cross; a note says which.
    """
    given = args
    if kwargs:
        given = (*args, *kwargs.values())
        if PLAIN_TYPES.issuperset(map(type, given)):
            return args, kwargs
    lowered: list[Value] = []
    try:
        for value in given:
            kind = type(value)
            if kind in _PROXIES:  # as `lower`, without its call: 0.3 µs
                lowered.append(value.lowered_for(remote))  # type: ignore[attr-defined] # a Proxy
            elif kind in PLAIN_TYPES:
                lowered.append(value)
            else:
                lowered.append(lower(value, remote, lent))
    except (CodecError, ImplicitTransferError, LookupError) as error:
        place = (*range(len(args)), *kwargs)[len(lowered)]
        error.add_note(f"in argument {place!r} of the call")
        raise
    if not kwargs:
        return lowered, kwargs
    named = dict(zip(kwargs, lowered[len(args) :], strict=True))
    return lowered[: len(args)], named


def lower(  # noqa: PLR0911 -- one for each kind of value
    value: object, remote: Remote, lent: Lent, depth: int = 0
) -> Value:
    """Turn what a person passes into a value that may cross.

    Parameters
    ----------
    value : object
        A plain value, container, proxy, small NumPy array or scalar, dtype, or a local callable.
    remote : Remote
        Where it goes.
    lent : dict
        Receives the local callables, which the other side may call until the call has ended.

    Raises
    ------
    EncodeError
        It is none of these, or too deep.
    ImplicitTransferError
        An array of more than 64 KiB.
    InvalidHandle
        A proxy of another session, or freed.
    """
    if type(value) in _PROXIES:
        lowered: Value = value.lowered_for(remote)  # type: ignore[attr-defined] # a Proxy
        return lowered
    if type(value) in PLAIN_TYPES:
        return value
    if isinstance(value, list | tuple | dict):
        return _lower_container(value, remote, lent, depth)
    if isinstance(value, slice):
        parts = (value.start, value.stop, value.step)
        return slice(*(lower(part, remote, lent, depth) for part in parts))
    if isinstance(value, EllipsisType | Device):
        return value
    of_numpy = _lower_numpy(value)
    if of_numpy is not None:
        return of_numpy
    for base, convert in _PLAIN_BASES.items():
        if isinstance(value, base):
            return convert(value)
    if callable(value):
        return lend(value, lent)
    raise EncodeError(_refusal(value))


def _lower_container(
    value: list[object] | tuple[object, ...] | dict[object, object],
    remote: Remote,
    lent: Lent,
    depth: int,
) -> Value:
    if depth >= DEFAULT_LIMITS.depth:
        raise EncodeError(
            f"containers are nested deeper than {DEFAULT_LIMITS.depth}, or in a circle"
        )
    if isinstance(value, dict):
        keys = [lower(key, remote, lent, depth + 1) for key in value]
        values = [lower(item, remote, lent, depth + 1) for item in value.values()]
        return dict(zip(keys, values, strict=True))
    kind = list if isinstance(value, list) else tuple
    if PLAIN_TYPES.issuperset(map(type, value)):
        return value if type(value) is kind else kind(value)
    return kind(lower(item, remote, lent, depth + 1) for item in value)


def _lower_numpy(value: object) -> Value:
    """Return the value for something of NumPy's, or None."""
    if "numpy" not in sys.modules:  # then it is nothing of NumPy's, which takes long to import
        return None
    import numpy as np

    from rpcnb.session.dtypes import to_dtype

    if isinstance(value, np.ndarray):
        if isinstance(value, np.ma.MaskedArray):
            raise EncodeError("a masked array cannot cross; pass its data and its mask")
        if value.nbytes > SMALL_ARRAY:
            raise ImplicitTransferError(
                f"an array of {value.nbytes:,} bytes would be copied with this call; "
                "pass remote.array(x) instead, which may be used in many calls"
            )
        return DenseArray(to_dtype(value.dtype), value.shape, value.tobytes())
    if isinstance(value, np.generic):
        return DenseArray(to_dtype(value.dtype), (), value.tobytes(), is_scalar=True)
    if isinstance(value, np.dtype):
        return DTypeValue(to_dtype(value))
    if isinstance(value, type) and issubclass(value, np.generic):
        return DTypeValue(to_dtype(np.dtype(value)))
    return None


def lend(function: Callable[..., object], lent: Lent) -> CallbackRef:
    """Lend a local function to the other side for the length of one call."""
    handle = next(_lent_handles)
    lent[handle] = function
    return CallbackRef(Handle(handle), FunctionInfo(getattr(function, "__name__", "callback")))


def _refusal(value: object) -> str:
    name = type(value).__name__
    hints = {
        "set": "pass sorted(x) or list(x)",
        "frozenset": "pass sorted(x) or list(x)",
        "range": "pass list(x)",
        "generator": "pass list(x)",
        "bytearray": "pass bytes(x)",
        "memoryview": "pass bytes(x)",
    }
    hint = hints.get(name, "pass plain values, small arrays, proxies, or containers of them")
    return f"a {type(value).__module__}.{name} cannot cross a session; {hint}"


def lift(value: Value, remote: Remote, lent: Lent | None = None) -> object:
    """Turn a value that arrived into what a person gets.

    Every handle in it gets its owner before anything else is done, so that nothing is lost if a
    later step fails or is interrupted.
    """
    if type(value) in PLAIN_TYPES:
        return value
    if type(value) in HandleProxy.by_ref:
        return HandleProxy.by_ref[type(value)](remote, RPCObjectRef(remote.session, value))
    owners = {ref.handle: RPCObjectRef(remote.session, ref) for ref in _refs(value)}
    return _lift(value, remote, owners, lent or {})


def _refs(value: Value) -> Iterator[Any]:
    if isinstance(value, OWNED_REFS):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _refs(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _refs(item)


def _lift(  # noqa: PLR0911 -- one for each kind of value
    value: Value, remote: Remote, owners: dict[int, RPCObjectRef], lent: Lent
) -> object:
    proxy = HandleProxy.by_ref.get(type(value))
    if proxy is not None:
        return proxy(remote, owners[value.handle])
    match value:
        case list() | tuple():
            return type(value)(_lift(item, remote, owners, lent) for item in value)
        case dict():
            return {
                _lift(key, remote, owners, lent): _lift(item, remote, owners, lent)
                for key, item in value.items()
            }
        case DenseArray():
            return _lift_array(value)
        case DTypeValue():
            from rpcnb.session.dtypes import to_numpy_dtype

            return to_numpy_dtype(value.dtype)
        case CallbackRef():
            return lent[value.handle]
        case _:
            return value


def _lift_array(value: DenseArray) -> object:
    import numpy as np

    from rpcnb.session.dtypes import to_numpy_dtype

    # Copied: the buffer may belong to whoever received it, and the result is writable.
    array = np.frombuffer(value.data, to_numpy_dtype(value.dtype)).reshape(value.shape)
    return array[()] if value.is_scalar else array.copy()
