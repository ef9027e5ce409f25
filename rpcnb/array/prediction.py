"""`Prediction`: what is known of a result before it is there, and what its rules have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rpcnb.array.methods import ArrayMethods
from rpcnb.array.trials import UnpredictableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rpcnb.array.table import Operation


Shape = tuple[int, ...]


class Prediction(NamedTuple):
    """What is known of a result before it is there."""

    shape: Shape
    dtype: np.dtype[Any]
    aliases: bool = False
    """It may lie in the memory of an operand."""


_ZEROS = bytearray(4096)


def bound(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments by name, those of a method with ``self``."""
    names = operation.names
    if len(args) > len(names) or not set(kwargs) <= set(names):
        raise UnpredictableError
    return {**dict(zip(names, args, strict=False)), **kwargs}


def axes_of(axis: Any, ndim: int) -> frozenset[int]:
    """Return the axes that `axis` names, counted from the front; unpredictable where it names none."""
    if axis is None:
        return frozenset(range(ndim))
    given = axis if type(axis) is tuple else (axis,)
    if any(type(one) is not int or not -ndim <= one < ndim for one in given):
        raise UnpredictableError
    found = frozenset(one % ndim for one in given)
    if len(found) != len(given):
        raise UnpredictableError
    return found


def hollow(value: Any) -> Any:
    """Return an array without memory in place of one over there."""
    if isinstance(value, ArrayMethods):
        shape = value.shape
        return np.ndarray(shape, value.dtype, _ZEROS, strides=(0,) * len(shape))
    return value
