"""``rpcnb.array.*``: array operations every local session offers, over whatever backends it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from rpcnb.core.device import CPU, Device
from rpcnb.core.errors import DeviceError, EncodeError
from rpcnb.core.values import DenseArray
from rpcnb.session.backend import ArrayBackend, backend_of
from rpcnb.session.dtypes import to_dtype
from rpcnb.session.marshal import dense_to_numpy

Backends = Sequence[ArrayBackend]


def array_functions(backends: Backends) -> dict[str, Callable[..., Any]]:
    """Return name -> function.  They take and return arrays of the backends, not refs."""
    functions = (view, assign, create, copy, from_bytes)
    return {
        f"rpcnb.array.{function.__name__}": partial(function, backends) for function in functions
    }


def view(backends: Backends, array: Any, index: Any) -> Any:
    """Return a part of an array that shares its memory.

    Parameters
    ----------
    array : array
    index : int, slice, Ellipsis, None, or tuple of these
        NumPy's basic indexing, which never copies. A single element is an array of no dimensions.

    Raises
    ------
    TypeError
        Any other index.
    IndexError
        It lies outside.
    """
    check_index(index)
    return _owner(backends, array).view(array, index)


def assign(backends: Backends, array: Any, index: Any, value: Any) -> None:
    """Set a part of an array, as ``array[index] = value``.

    Parameters
    ----------
    array : array
    index : int, slice, Ellipsis, None, or tuple of these
    value : scalar or array
        An array of any of the backends; cast and broadcast as NumPy does.

    Raises
    ------
    ArrayMismatch
        It cannot be broadcast or cast, or the array is read-only.
    """
    check_index(index)
    backend = _owner(backends, array)
    source = backend_of(backends, value)
    if source is not None and source is not backend:
        value = backend.from_host(source.to_host(value), backend.describe(array).device)
    backend.assign(array, index, value)


def assign_any(backends: Backends, array: Any, index: Any, value: Any) -> None:
    """Do as `assign`, with any index the library takes: arrays of integers, masks, lists."""
    if is_basic(index):
        assign(backends, array, index, value)
    else:
        _owner(backends, array).assign(array, index, value)


def create(  # noqa: PLR0917 -- called by position from elsewhere
    backends: Backends,
    kind: str,
    args: int | Sequence[Any],
    dtype: Any = None,
    device: Device | str = CPU,
    fill: Any = None,
) -> Any:
    """Make an array without sending its data.

    Parameters
    ----------
    kind : str
        ``empty``, ``zeros``, ``ones``, ``full`` or ``arange``.
    args : int or sequence
        The shape; for ``arange`` what NumPy's takes: stop, or start, stop and step.
    dtype : dtype, optional
    device : Device or str
    fill : scalar
        For ``full``.

    Raises
    ------
    DeviceError
        There is no such device, or not enough memory on it.
    """
    device = Device.parse(device)
    wanted = args if isinstance(args, list | tuple) else (args,)
    spelling = None if dtype is None else to_dtype(np.dtype(dtype))
    for backend in backends:
        if device in backend.devices():
            return backend.create(kind, wanted, spelling, device, fill)
    raise DeviceError(f"there is no device {device} here")


def from_bytes(backends: Backends, data: bytes, dtype: str, *shape: int) -> Any:
    """Make an array in the host's memory of its content in C order.

    Raises
    ------
    DecodeError
        The content is not as long as shape and dtype ask for, or the dtype is none.
    """
    host = dense_to_numpy(DenseArray(dtype, shape, data))
    backend = next(backend for backend in backends if CPU in backend.devices())
    return host if backend.owns(host) else backend.from_host(host, CPU)


def copy(backends: Backends, array: Any) -> Any:
    """Return a copy of an array in new memory, in C order."""
    return _owner(backends, array).duplicate(array)


def check_index(index: Any) -> None:
    """Raise TypeError unless an index is one of basic indexing, which gives views and no copies."""
    for part in index if type(index) is tuple else (index,):
        if not _is_basic_part(part):
            raise TypeError(
                "arrays are indexed with int, slice, ... and None here, "
                f"not with {type(part).__name__}"
            )


def is_basic(index: Any) -> bool:
    """Tell whether an index is one of basic indexing, which gives views and no copies."""
    return all(map(_is_basic_part, index)) if type(index) is tuple else _is_basic_part(index)


def _is_basic_part(part: Any) -> bool:
    if part is None or part is Ellipsis or type(part) is int:
        return True
    return type(part) is slice and all(
        bound is None or type(bound) is int for bound in (part.start, part.stop, part.step)
    )


def _owner(backends: Backends, array: Any) -> ArrayBackend:
    backend = backend_of(backends, array)
    if backend is None:
        raise EncodeError(f"a {type(array).__name__} is no array of this session")
    return backend
