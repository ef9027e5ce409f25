"""Rules of new arrays: their shapes are arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rpcnb.array.prediction import Prediction, Shape, bound
from rpcnb.array.trials import UnpredictableError
from rpcnb.core.device import CPU

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rpcnb.array.table import Operation


def created(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict a new array whose shape is given."""
    named = bound(operation, args, kwargs)
    if named.pop("device", None) is not None:
        raise UnpredictableError
    dtype = named.pop("dtype", None)
    fill = [named["fill_value"]] if "fill_value" in named else []
    if not all(type(one) in {bool, int, float, complex} for one in fill):
        raise UnpredictableError
    like = named.get("x")
    if like is not None:
        shape, base = like.shape, like.dtype
    else:
        shape, base = _SHAPES[operation.name](named), None
    if any(type(n) is not int or n < 0 for n in shape):
        raise UnpredictableError
    if dtype is None:
        dtype = base if base is not None else _DEFAULTS[operation.name](named)
    found = np.dtype(dtype)
    if found.kind not in "biufc" or (operation.name == "arange" and found not in _RANGES):
        raise UnpredictableError
    if fill:
        np.full(1, fill[0], found)  # raises where the value does not fit
    return Prediction(shape, found)


_RANGES = frozenset(map(np.dtype, ("i8", "f4", "f8")))


def _given_shape(named: Mapping[str, Any]) -> Shape:
    shape = named["shape"]
    return (shape,) if type(shape) is int else tuple(shape)


def _square_shape(named: Mapping[str, Any]) -> Shape:
    rows, columns = named["n_rows"], named.get("n_cols")
    return (rows, rows if columns is None else columns)


def _range_shape(named: Mapping[str, Any]) -> Shape:
    start, stop, step = named["start"], named.get("stop"), named.get("step", 1)
    if stop is None:
        start, stop = 0, start
    # How others are rounded, and what fits, is NumPy's affair.
    if any(type(one) is not int or abs(one) >= 1 << 52 for one in (start, stop, step)):
        raise UnpredictableError
    return (len(range(start, stop, step)),)


def _spaced_shape(named: Mapping[str, Any]) -> Shape:
    if not {type(named["start"]), type(named["stop"])} <= {int, float}:
        raise UnpredictableError
    return (named["num"],)


_SHAPES: dict[str, Callable[[Mapping[str, Any]], Shape]] = {
    **dict.fromkeys(("empty", "full", "ones", "zeros"), _given_shape),
    "arange": _range_shape,
    "eye": _square_shape,
    "linspace": _spaced_shape,
}
_DEFAULTS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    **dict.fromkeys(("empty", "eye", "ones", "zeros"), lambda _: np.float64),
    "arange": lambda _: np.int64,
    "full": lambda named: np.asarray(named["fill_value"]).dtype,
    "linspace": lambda _: np.float64,
}


def copied(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict a copy, also one of a small host array to there."""
    del operation, kwargs
    if len(args) > 1 and args[1] not in {None, CPU}:
        raise UnpredictableError
    if args[0].dtype.kind not in "biufc":
        raise UnpredictableError
    return Prediction(args[0].shape, args[0].dtype)
