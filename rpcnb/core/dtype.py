"""Element types as data: what may describe an array on the wire, checked without NumPy.

A dtype is written as NumPy's ``__array_interface__`` type string (``"<f4"``, ``"|b1"``,
``"<M8[ns]"``, ``"|S10"``, ``">U5"``), or for a record as a `RecordDType`. Object dtypes have no
spelling here, so they can neither be sent nor received.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TypeAlias

from rpcnb.core.errors import DecodeError
from rpcnb.core.frozen import frozen
from rpcnb.core.limits import DEFAULT_LIMITS, Limits

_TYPESTR = re.compile(
    r"(?P<order>[<>|])(?P<kind>[biufcSUVmM])(?P<size>\d{1,6})"
    r"(?P<unit>\[(\d{1,9})?(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)(/\d{1,9})?\])?"
)
_SIZES = {
    "b": (1,),
    "i": (1, 2, 4, 8),
    "u": (1, 2, 4, 8),
    "f": (2, 4, 8, 16),
    "c": (8, 16, 32),
    "m": (8,),
    "M": (8,),
}


@frozen
class Field:
    """One field of a record."""

    name: str
    dtype: DType
    offset: int
    """Bytes from the start of the record."""
    shape: tuple[int, ...] = ()
    """Shape of a sub-array field; empty for a single element."""


@frozen
class RecordDType:
    """A structured dtype."""

    itemsize: int
    """Bytes of one record, padding included."""
    fields: tuple[Field, ...]


DType: TypeAlias = str | RecordDType


@cache
def short_spelling(dtype: DType) -> str:
    """Write a dtype for a person, as in ``f32[4, 4]``; its byte order only where it is big-endian."""
    if isinstance(dtype, RecordDType):
        return "record"
    found = re.fullmatch(r"[<|]?(>?)([iufc])(\d+)", dtype)
    if found is None:
        return "bool" if dtype.endswith("b1") else dtype.lstrip("<|")
    return f"{found[1]}{found[2]}{8 * int(found[3])}"


def itemsize_of(dtype: DType, limits: Limits = DEFAULT_LIMITS, *, depth: int = 0) -> int:
    """Return the bytes one element takes, having checked that `dtype` is allowed.

    Raises
    ------
    DecodeError
        Not a dtype, one that cannot cross (object), or beyond the limits.

    Notes
    -----
    Fields must lie inside their record. They may overlap, as NumPy's may.
    """
    size = _record_size(dtype, limits, depth) if isinstance(dtype, RecordDType) else _size(dtype)
    if size > limits.dtype_itemsize:
        message = f"elements of {size} bytes exceed the limit of {limits.dtype_itemsize}"
        raise DecodeError(message)
    return size


def _size(dtype: str) -> int:
    match = _TYPESTR.fullmatch(dtype) if type(dtype) is str else None
    if match is None:
        message = f"{dtype!r} is not a dtype that may cross a session"
        raise DecodeError(message)
    kind, count = match["kind"], int(match["size"])
    if count not in _SIZES.get(kind, (count,)) or (match["unit"] and kind not in "mM"):
        message = f"{dtype!r} is not a dtype"
        raise DecodeError(message)
    return count * 4 if kind == "U" else count


def _record_size(dtype: RecordDType, limits: Limits, depth: int) -> int:
    if depth > limits.depth or len(dtype.fields) > limits.dtype_fields:
        message = "this structured dtype is nested too deep or has too many fields"
        raise DecodeError(message)
    for entry in dtype.fields:
        count = element_count(entry.shape, limits)
        size = itemsize_of(entry.dtype, limits, depth=depth + 1) * count
        if entry.offset < 0 or entry.offset + size > dtype.itemsize:
            message = f"field {entry.name!r} lies outside its record of {dtype.itemsize} bytes"
            raise DecodeError(message)
    return dtype.itemsize


def element_count(shape: tuple[int, ...], limits: Limits = DEFAULT_LIMITS) -> int:
    """Return the number of elements of an array of that shape.

    Raises
    ------
    DecodeError
        A dimension is negative or not an int, there are too many, or the product is beyond 2⁶³.
    """
    if len(shape) > limits.ndim:
        message = f"{len(shape)} dimensions exceed the limit of {limits.ndim}"
        raise DecodeError(message)
    count = 1
    for dimension in shape:
        if type(dimension) is not int or dimension < 0:
            message = f"{dimension!r} is not a dimension"
            raise DecodeError(message)
        count *= dimension
    if count >= 1 << 63:
        message = "an array of that shape cannot exist"
        raise DecodeError(message)
    return count
