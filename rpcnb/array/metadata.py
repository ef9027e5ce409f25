"""Functions of the namespace that need no data: answered here, without a message."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from rpcnb.core.device import Device

DType: TypeAlias = Any

VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")
"""Versions of the standard that may be asked for; the last is the one implemented."""

DTYPES: dict[str, type[np.generic]] = {
    "bool": np.bool,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "uint16": np.uint16,
    "uint32": np.uint32,
    "uint64": np.uint64,
    "float32": np.float32,
    "float64": np.float64,
    "complex64": np.complex64,
    "complex128": np.complex128,
}
"""The standard's dtypes. NumPy's scalar types, for a `numpy.dtype` equals None."""

CONSTANTS = {"e": math.e, "inf": math.inf, "nan": math.nan, "newaxis": None, "pi": math.pi}


@dataclass(frozen=True)
class FloatLimits:
    """Limits of a floating-point dtype, as Python numbers."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class IntegerLimits:
    """Limits of an integer dtype, as Python numbers."""

    bits: int
    max: int
    min: int
    dtype: np.dtype[Any]


def dtype_of(value: Any) -> np.dtype[Any]:
    """Return the dtype of an array, or the one a dtype-like names."""
    found = getattr(value, "dtype", None)
    return found if isinstance(found, np.dtype) else np.dtype(value)


def finfo(type: Any, /) -> FloatLimits:  # noqa: A002 -- the standard's name
    """Return the limits of a floating-point dtype, or of an array's."""
    limits = np.finfo(dtype_of(type))
    return FloatLimits(
        limits.bits,
        float(limits.eps),
        float(limits.max),
        float(limits.min),
        float(limits.smallest_normal),
        np.dtype(limits.dtype),
    )


def iinfo(type: Any, /) -> IntegerLimits:  # noqa: A002 -- the standard's name
    """Return the limits of an integer dtype, or of an array's."""
    limits = np.iinfo(dtype_of(type))
    return IntegerLimits(limits.bits, int(limits.max), int(limits.min), np.dtype(limits.dtype))


def can_cast(from_: Any, to: DType, /) -> bool:
    """Return whether a dtype, or an array's, casts to another without loss."""
    return bool(np.can_cast(dtype_of(from_), dtype_of(to)))


def isdtype(dtype: DType, kind: Any) -> bool:
    """Return whether a dtype is of a kind: a dtype, the name of a kind, or a tuple of these."""
    return bool(np.isdtype(np.dtype(dtype), kind))


def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """Return the dtype that an operation on all of them has."""
    plain = (bool, int, float, complex)
    return np.result_type(
        *(one if type(one) in plain else dtype_of(one) for one in arrays_and_dtypes)
    )


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """Return the shape that several shapes broadcast to."""
    return np.broadcast_shapes(*shapes)


class NamespaceInfo:
    """What ``__array_namespace_info__()`` returns."""

    def __init__(self, devices: tuple[Device, ...]) -> None:
        self._devices = devices

    def capabilities(self) -> dict[str, Any]:
        """Return what the namespace can do."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Device:
        """Return where arrays are made unless told otherwise."""
        return self._devices[0]

    def devices(self) -> tuple[Device, ...]:
        """Return where arrays can be made."""
        return self._devices

    def default_dtypes(self, *, device: Device | None = None) -> dict[str, DType]:
        """Return the dtypes that arrays have unless told otherwise."""
        del device
        return {
            "real floating": np.float64,
            "complex floating": np.complex128,
            "integral": np.int64,
            "indexing": np.int64,
        }

    def dtypes(self, *, device: Device | None = None, kind: Any = None) -> dict[str, DType]:
        """Return the dtypes there are, or those of a kind."""
        del device
        if kind is None:
            return dict(DTYPES)
        if kind == ():
            return {}
        return {name: dtype for name, dtype in DTYPES.items() if isdtype(dtype, kind)}


FUNCTIONS = {
    "can_cast": can_cast,
    "finfo": finfo,
    "iinfo": iinfo,
    "isdtype": isdtype,
    "result_type": result_type,
    "broadcast_shapes": broadcast_shapes,
}
"""Name in the table -> what answers it."""


def check_version(api_version: str | None) -> None:
    """Raise ValueError unless a version of the standard is one of those released."""
    if api_version is not None and api_version not in VERSIONS:
        known = ", ".join(VERSIONS)
        raise ValueError(f"there is no version {api_version!r} of the standard; known: {known}")
