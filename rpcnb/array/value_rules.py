"""Rules of operations that compute: their dtypes are asked of NumPy, with arrays of one element."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rpcnb.array.methods import ArrayMethods
from rpcnb.array.prediction import Prediction, Shape, axes_of, bound
from rpcnb.array.trials import UnpredictableError, dtype_of, function_of, one_of, sample_of
from rpcnb.array.view_rules import getitem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rpcnb.array.table import Operation


# --- element by element ---------------------------------------------------------------------------


def elementwise(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict a function of arrays and scalars, element by element."""
    function = operation.name
    if kwargs:
        named = bound(operation, args, kwargs)
        args = [named.get(name) for name in operation.signature.parameters]
    return _mapped(function, args, lambda: function_of(operation))


def ufunc(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict a call of a NumPy ufunc that gives one array."""
    name, method, inputs, options, out = args
    ufunc = getattr(np, name, None)
    if method != "__call__" or options or out or kwargs or not isinstance(ufunc, np.ufunc):
        raise UnpredictableError
    if ufunc.nout != 1 or ufunc.signature is not None:
        raise UnpredictableError
    return _mapped(f"{operation.name}.{name}", inputs, lambda: ufunc)


def _mapped(
    name: str, operands: Sequence[Any], function: Callable[[], Callable[..., Any]]
) -> Prediction:
    """Predict a function that takes operands element by element, and broadcasts them."""
    shape: Shape | None = None
    key: list[Any] = [name]
    samples = []
    for operand in operands:
        if isinstance(operand, ArrayMethods):
            if shape is None:
                shape = operand.shape
            elif shape != operand.shape:
                shape = np.broadcast_shapes(shape, operand.shape)
        part, sample = sample_of(operand)
        key.append(part)
        samples.append(sample)
    if shape is None:
        raise UnpredictableError
    return Prediction(shape, dtype_of(tuple(key), lambda: function()(*samples)), name in _ALIASING)


_ALIASING = frozenset({"real", "imag", "conj", "clip", "positive", "round"})
"""Functions that may return an operand, or a view of it, where there is nothing to do."""


# --- reductions and scans -------------------------------------------------------------------------


_NO_OPTION = frozenset({"x", "self", "axis", "keepdims", "correction", "ddof"})


def reduction(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict what takes axes away, or leaves them at length 1."""
    array, named = args[0], bound(operation, args, kwargs)
    axis, keepdims = named.get("axis"), named.get("keepdims", False)
    degrees = named.get("correction", named.get("ddof", 0))
    if type(keepdims) is not bool or type(degrees) not in {int, float}:
        raise UnpredictableError
    dtype = named.get("dtype")
    if named.get("out") is not None or not _NO_OPTION | {"dtype", "out"} >= set(named):
        raise UnpredictableError
    axes = axes_of(axis, array.ndim)
    short = operation.short_name
    if short in _NOT_EMPTY and (0 in array.shape or (short[:3] == "arg" and type(axis) is tuple)):
        raise UnpredictableError
    options = {} if dtype is None else {"dtype": np.dtype(dtype)}
    if options and short in _MEANS and options["dtype"].kind not in "fc":
        raise UnpredictableError
    found = dtype_of(
        (operation.name, array.dtype, options.get("dtype")),
        lambda: function_of(operation)(one_of(array.dtype), **options),
    )
    if keepdims:
        shape = tuple(1 if i in axes else n for i, n in enumerate(array.shape))
    else:
        shape = tuple(n for i, n in enumerate(array.shape) if i not in axes)
    return Prediction(shape, found)


_MEANS = frozenset({"mean", "std", "var"})
_NOT_EMPTY = frozenset({"min", "max", "argmin", "argmax"})


def along(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict what works along one axis and keeps the shape."""
    array, named = args[0], bound(operation, args, kwargs)
    if not {"x", "axis", "descending", "stable"} >= set(named) or not array.ndim:
        raise UnpredictableError
    axes_of(named.get("axis", -1), array.ndim)
    key = (operation.name, array.dtype)
    return Prediction(
        array.shape, dtype_of(key, lambda: function_of(operation)(one_of(array.dtype)))
    )


# --- several arrays in one ------------------------------------------------------------------------


def joined(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict several arrays one behind the other."""
    named = bound(operation, args, kwargs)
    arrays, axis = named["arrays"], named.get("axis", 0)
    if not arrays or not all(isinstance(array, ArrayMethods) for array in arrays):
        raise UnpredictableError
    hollow = [np.ndarray((0,), array.dtype) for array in arrays]
    dtype = np.concatenate(hollow).dtype
    shapes = [array.shape for array in arrays]
    if operation.name == "concat" and axis is None:
        return Prediction((sum(map(math.prod, shapes)),), dtype)
    new = operation.name == "stack"
    (place,) = axes_of((axis,), len(shapes[0]) + new)
    rests = {(shape[:place], shape[place + (not new) :]) for shape in shapes}
    if len(rests) > 1 or len(set(map(len, shapes))) > 1:
        raise UnpredictableError
    (rest,) = rests
    length = len(arrays) if new else sum(shape[place] for shape in shapes)
    return Prediction((*rest[0], length, *rest[1]), dtype)


def matmul(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict a matrix product."""
    x, y = args
    if kwargs or not (isinstance(x, ArrayMethods) and isinstance(y, ArrayMethods)):
        raise UnpredictableError
    left = (1, *x.shape) if x.ndim == 1 else x.shape
    right = (*y.shape, 1) if y.ndim == 1 else y.shape
    if len(left) < 2 or len(right) < 2 or left[-1] != right[-2]:
        raise UnpredictableError
    shape = np.broadcast_shapes(left[:-2], right[:-2])
    shape += (left[-2],) * (x.ndim > 1) + (right[-1],) * (y.ndim > 1)
    run = function_of(operation)
    samples = [one_of(one.dtype).reshape(1, 1) for one in (x, y)]
    return Prediction(shape, dtype_of((operation.name, x.dtype, y.dtype), lambda: run(*samples)))


def determinant(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict one number for each matrix."""
    (array,) = args
    if array.ndim < 2 or array.shape[-1] != array.shape[-2] or kwargs:
        raise UnpredictableError
    run = function_of(operation)
    found = dtype_of((operation.name, array.dtype), lambda: run(one_of(array.dtype).reshape(1, 1)))
    return Prediction(array.shape[:-2], found)


# --- what writes, and returns nothing -------------------------------------------------------------


def written(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Tell that ``x += y`` or ``x[key] = y`` can only fail over there for want of memory."""
    del kwargs
    if operation.name == "setitem":
        array, key, value = args
        target = getitem(operation, (array, key), {}).shape
        name = "setitem"
    else:
        name, array, value = args
        target = array.shape
    if not array.writeable_known or name == "imatmul":
        raise UnpredictableError
    shape = value.shape if isinstance(value, ArrayMethods) else ()
    if np.broadcast_shapes(shape, target) != target:
        raise UnpredictableError
    part, sample = sample_of(value)
    run = _assigned if name == "setitem" else _changed
    dtype_of((name, array.dtype, part), lambda: run(name, np.ones(1, array.dtype), sample))
    return Prediction((), array.dtype)


def _assigned(_: str, array: Any, value: Any) -> Any:
    array[:] = value
    return array


def _changed(name: str, array: Any, value: Any) -> Any:
    done = getattr(array, f"__{name}__")(value)
    if done is not array:
        raise UnpredictableError
    return done
