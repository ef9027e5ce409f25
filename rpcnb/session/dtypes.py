"""NumPy's dtypes as core dtypes, and back; and the bytes of arrays of any of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from rpcnb.core.dtype import DType, Field, RecordDType, itemsize_of
from rpcnb.core.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CACHED = 256
"""Dtypes remembered in each direction; a program uses a handful."""


@lru_cache(_CACHED)
def to_dtype(dtype: np.dtype[Any]) -> DType:
    """Return the core spelling of a NumPy dtype.

    Byte order, units, offsets and padding are kept; ``metadata`` is not, as it may hold anything.

    Raises
    ------
    EncodeError
        Arrays of it cannot cross: it holds Python objects or variable-length strings, has no
        meaning of its own (raw void, a dtype of another library), or is beyond the limits.
    """
    spelling = _record(dtype) if dtype.names is not None else _typestr(dtype)
    try:
        itemsize_of(spelling)
        same = to_numpy_dtype(spelling) == dtype
    except DecodeError as error:
        raise EncodeError(f"arrays of dtype {dtype!r} cannot cross a session: {error}") from None
    if not same:  # a dtype of another library which looks like one of NumPy's
        raise _refusal(dtype, "its type string does not describe it")
    return spelling


def _typestr(dtype: np.dtype[Any]) -> str:
    if dtype.hasobject and dtype.kind == "O":
        raise _refusal(dtype, "it holds Python objects")
    if dtype.kind == "T":
        raise _refusal(dtype, "its strings lie elsewhere; convert with a.astype('U')")
    if dtype.subdtype is not None:
        raise _refusal(dtype, "a sub-array is a field of a record, or belongs to the shape")
    if dtype.kind == "V":
        raise _refusal(dtype, f"raw bytes say nothing about themselves; use 'S{dtype.itemsize}'")
    return dtype.str


def _record(dtype: np.dtype[Any]) -> RecordDType:
    fields = []
    for name in dtype.names or ():
        assert dtype.fields is not None  # a dtype with names has them
        inner, offset, *title = dtype.fields[name]
        if title:
            raise _refusal(dtype, f"field {name!r} has a title")
        shape: tuple[int, ...] = ()
        if inner.subdtype is not None:
            inner, shape = inner.subdtype
        fields.append(Field(name, to_dtype(inner), offset, shape))
    return RecordDType(dtype.itemsize, tuple(fields))


def _refusal(dtype: np.dtype[Any], why: str) -> EncodeError:
    return EncodeError(f"arrays of dtype {dtype!r} cannot cross a session: {why}")


@lru_cache(_CACHED)
def to_numpy_dtype(dtype: DType) -> np.dtype[Any]:
    """Return the NumPy dtype of a core spelling.

    Raises
    ------
    DecodeError
        Not a dtype, or one this machine's NumPy does not have (such as 16-byte floats).
    """
    itemsize_of(dtype)
    try:
        made = np.dtype(dtype) if isinstance(dtype, str) else _structured(dtype)
    except (TypeError, ValueError) as error:
        raise DecodeError(f"{dtype!r} is not a dtype here: {error}") from None
    if made.kind == "V" and made.names is None:
        raise DecodeError(f"{dtype!r} is not a dtype that may cross a session: raw bytes")
    return made


def _structured(dtype: RecordDType) -> np.dtype[Any]:
    formats = [(to_numpy_dtype(entry.dtype), entry.shape) for entry in dtype.fields]
    return np.dtype(
        {
            "names": [entry.name for entry in dtype.fields],
            "formats": formats,
            "offsets": [entry.offset for entry in dtype.fields],
            "itemsize": dtype.itemsize,
        }
    )


def raw_bytes(array: NDArray[Any]) -> memoryview:
    """Return the memory of a C-contiguous array as flat bytes; writable where the array is."""
    if array.nbytes == 0:
        return memoryview(bytearray())
    try:
        return memoryview(array).cast("B")  # type: ignore[arg-type] # in NumPy's stubs from 3.12 on
    except (
        ValueError
    ):  # a dtype that buffers do not know; for others this takes three times as long
        return np.asarray(array).reshape(-1).view(np.uint8).data
