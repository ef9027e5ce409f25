"""What dtype an operation gives, asked of NumPy itself, with arrays of one element.

Each question is asked once: `dtype_of` remembers the answer, also that there is none.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from rpcnb.array.compat import numpy_namespace
from rpcnb.array.methods import ArrayMethods

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.array.table import Operation


class UnpredictableError(Exception):
    """Nothing is known: the operation must be waited for."""


_SMALL_INT = range(128)
_CACHED = 4096
_known: dict[tuple[Any, ...], np.dtype[Any] | None] = {}
"""Operation and dtypes -> dtype of its result; None where it raises."""


def function_of(operation: Operation) -> Callable[..., Any]:
    """Return what runs an operation on host arrays."""
    if operation.name.startswith("method."):
        short = operation.short_name
        return lambda array, *args, **kwargs: getattr(array, short)(*args, **kwargs)
    found: Any = numpy_namespace()
    for part in operation.name.split("."):
        found = getattr(found, part)
    function: Callable[..., Any] = found
    return function


def dtype_of(key: tuple[Any, ...], run: Callable[[], Any]) -> np.dtype[Any]:
    """Return the dtype of what `run` returns, which depends on `key` only."""
    try:
        found = _known[key]
    except KeyError:
        found = _try(run)
        if len(_known) >= _CACHED:
            _known.clear()
        _known[key] = found
    if found is None:
        raise UnpredictableError
    return found


def _try(run: Callable[[], Any]) -> np.dtype[Any] | None:
    try:
        with np.errstate(all="ignore"):
            dtype = run().dtype
    except Exception:  # noqa: BLE001 -- it raises over there too, and there it is seen
        return None
    return dtype if isinstance(dtype, np.dtype) else None


@cache
def one_of(dtype: np.dtype[Any]) -> Any:
    """Return the array of one element, a one, that stands for any array of a dtype."""
    return np.ones(1, dtype)


def sample_of(value: Any) -> tuple[Any, Any]:
    """Return what stands for an operand in a key, and in a trial."""
    if isinstance(value, ArrayMethods):
        return value.dtype, one_of(value.dtype)
    kind = type(value)
    if kind is int:
        if value in _SMALL_INT:  # fits every dtype that holds integers
            return int, 1
        return value, value
    if kind is float or kind is bool or kind is complex or value is None:
        return kind, value
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return (kind, value.dtype), kind(1)
    raise UnpredictableError
