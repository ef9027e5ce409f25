"""What an operation will return, told on this side: shape and dtype, by the rule its row names.

An operation whose result is known need not be waited for. A rule that is in any doubt raises, and
the operation is then run the ordinary way: the other side says at the call what is wrong. So what
can still fail later depends on values only: a singular matrix, memory that is not there.

Rules for this file: shapes are computed, dtypes are asked of NumPy itself, with arrays of one
element; so is the shape of a view, with an array of that shape and no memory. Every answer is
compared with what arrives.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rpcnb.array.methods import ArrayMethods
from rpcnb.array.table import Operation, operations
from rpcnb.array.trials import UnpredictableError, dtype_of, function_of, one_of, sample_of
from rpcnb.core.device import CPU
from rpcnb.session.array_functions import is_basic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Shape = tuple[int, ...]


class Prediction(NamedTuple):
    """What is known of a result before it is there."""

    shape: Shape
    dtype: np.dtype[Any]
    aliases: bool = False
    """It may lie in the memory of an operand."""


_ZEROS = bytearray(4096)


def predict(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], *, on_numpy: bool = True
) -> Prediction | None:
    """Return what an operation will return; None where it must be waited for.

    Parameters
    ----------
    name : str
        Of a row.
    args, kwargs
        As the user gave them.
    on_numpy : bool
        Whether the arrays over there are NumPy's. Other libraries promote dtypes in their own ways:
        of them it is only told what one floating dtype gives.
    """
    operation = operations()[name]
    rule = RULES.get(operation.rule)
    if rule is None or (not on_numpy and not _is_common(name, args, kwargs)):
        return None
    try:
        found = rule(operation, args, kwargs)
    except Exception:  # noqa: BLE001 -- the other side knows better, and says so at the call
        return None
    return found if math.prod(found.shape) < 1 << 62 else None


def _is_common(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Tell whether every library gives such operands the same dtype and shape as NumPy does."""
    if name == "getitem":
        return _has_no_negative_step(args[1])
    arrays = [one for one in _flat((*args, *kwargs.values())) if isinstance(one, ArrayMethods)]
    dtypes = {array.dtype for array in arrays}
    if len(dtypes) > 1 or not all(dtype in _FLOATS for dtype in dtypes):
        return False
    scalars = [one for one in args if isinstance(one, bool | int | float | complex | np.generic)]
    return not scalars or (
        name in _WITH_SCALARS and all(type(one) in {int, float} for one in scalars)
    )


_FLOATS = frozenset({np.dtype("f4"), np.dtype("f8")})
_WITH_SCALARS = frozenset(
    [
        "add",
        "subtract",
        "multiply",
        "divide",
        "pow",
        "equal",
        "not_equal",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "reshape",
        "permute_dims",
        "expand_dims",
        "full",
        "zeros",
        "ones",
        "eye",
        "arange",
    ]
)


def _has_no_negative_step(key: Any) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    return not any(isinstance(part, slice) and (part.step or 1) < 0 for part in parts)


def _flat(values: Sequence[Any]) -> Sequence[Any]:
    found: list[Any] = []
    for value in values:
        found.extend(_flat(value) if isinstance(value, list | tuple) else (value,))
    return found


# --- element by element ---------------------------------------------------------------------------


def _elementwise(
    operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Prediction:
    function = operation.name
    if kwargs:
        named = _bound(operation, args, kwargs)
        args = [named.get(name) for name in operation.signature.parameters]
    return _mapped(function, args, lambda: function_of(operation))


def _ufunc(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
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


def _bound(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments by name, those of a method with ``self``."""
    names = operation.names
    if len(args) > len(names) or not set(kwargs) <= set(names):
        raise UnpredictableError
    return {**dict(zip(names, args, strict=False)), **kwargs}


_NO_OPTION = frozenset({"x", "self", "axis", "keepdims", "correction", "ddof"})


def _reduction(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    array, named = args[0], _bound(operation, args, kwargs)
    axis, keepdims = named.get("axis"), named.get("keepdims", False)
    degrees = named.get("correction", named.get("ddof", 0))
    if type(keepdims) is not bool or type(degrees) not in {int, float}:
        raise UnpredictableError
    dtype = named.get("dtype")
    if named.get("out") is not None or not _NO_OPTION | {"dtype", "out"} >= set(named):
        raise UnpredictableError
    axes = _axes(axis, array.ndim)
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


def _axes(axis: Any, ndim: int) -> frozenset[int]:
    if axis is None:
        return frozenset(range(ndim))
    given = axis if type(axis) is tuple else (axis,)
    if any(type(one) is not int or not -ndim <= one < ndim for one in given):
        raise UnpredictableError
    found = frozenset(one % ndim for one in given)
    if len(found) != len(given):
        raise UnpredictableError
    return found


def _along(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict what works along one axis and keeps the shape."""
    array, named = args[0], _bound(operation, args, kwargs)
    if not {"x", "axis", "descending", "stable"} >= set(named) or not array.ndim:
        raise UnpredictableError
    _axes(named.get("axis", -1), array.ndim)
    key = (operation.name, array.dtype)
    return Prediction(
        array.shape, dtype_of(key, lambda: function_of(operation)(one_of(array.dtype)))
    )


# --- views ------------------------------------------------------------------------------------------


def _hollow(value: Any) -> Any:
    """Return an array without memory in place of one over there."""
    if isinstance(value, ArrayMethods):
        shape = value.shape
        return np.ndarray(shape, value.dtype, _ZEROS, strides=(0,) * len(shape))
    return value


def _view(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    found = function_of(operation)(*map(_hollow, args), **kwargs)
    return Prediction(found.shape, found.dtype, aliases=True)


def _getitem(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    del operation, kwargs
    array, key = args
    if not is_basic(key):
        raise UnpredictableError
    found = _hollow(array)[key]
    return Prediction(found.shape, found.dtype, aliases=True)


def _reshape(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    if operation.name == "reshape":
        named = _bound(operation, args, kwargs)
        if named.get("copy") is False:  # whether a view will do depends on the strides
            raise UnpredictableError
        found = _hollow(args[0]).reshape(named["shape"])
        return Prediction(found.shape, found.dtype, aliases=named.get("copy") is None)
    return _view(operation, args, kwargs)


def _flattened(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    array, named = args[0], _bound(operation, args, kwargs)
    if named.get("order", "C") not in {"C", "F", "A", "K"}:
        raise UnpredictableError
    aliases = operation.short_name == "ravel"
    return Prediction((math.prod(array.shape),), array.dtype, aliases)


def _astype(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    array, named = args[0], _bound(operation, args, kwargs)
    copy = named.get("copy", True)
    if not {"x", "self", "dtype", "copy"} >= set(named) or type(copy) is not bool:
        raise UnpredictableError
    wanted = np.dtype(named["dtype"])
    if wanted.kind not in "biufc" or (array.dtype.kind == "c" and wanted.kind != "c"):
        raise UnpredictableError
    key = (operation.name, array.dtype, wanted)
    found = dtype_of(key, lambda: function_of(operation)(one_of(array.dtype), wanted))
    return Prediction(array.shape, found, aliases=not copy)


# --- several arrays in one --------------------------------------------------------------------------


def _joined(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    named = _bound(operation, args, kwargs)
    arrays, axis = named["arrays"], named.get("axis", 0)
    if not arrays or not all(isinstance(array, ArrayMethods) for array in arrays):
        raise UnpredictableError
    hollow = [np.ndarray((0,), array.dtype) for array in arrays]
    dtype = np.concatenate(hollow).dtype
    shapes = [array.shape for array in arrays]
    if operation.name == "concat" and axis is None:
        return Prediction((sum(map(math.prod, shapes)),), dtype)
    new = operation.name == "stack"
    (place,) = _axes((axis,), len(shapes[0]) + new)
    rests = {(shape[:place], shape[place + (not new) :]) for shape in shapes}
    if len(rests) > 1 or len(set(map(len, shapes))) > 1:
        raise UnpredictableError
    (rest,) = rests
    length = len(arrays) if new else sum(shape[place] for shape in shapes)
    return Prediction((*rest[0], length, *rest[1]), dtype)


def _matmul(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
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


def _determinant(
    operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Prediction:
    (array,) = args
    if array.ndim < 2 or array.shape[-1] != array.shape[-2] or kwargs:
        raise UnpredictableError
    run = function_of(operation)
    found = dtype_of((operation.name, array.dtype), lambda: run(one_of(array.dtype).reshape(1, 1)))
    return Prediction(array.shape[:-2], found)


# --- new arrays -------------------------------------------------------------------------------------


def _created(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    named = _bound(operation, args, kwargs)
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


def _copied(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict a copy, also one of a small host array to there."""
    del operation, kwargs
    if len(args) > 1 and args[1] not in {None, CPU}:
        raise UnpredictableError
    if args[0].dtype.kind not in "biufc":
        raise UnpredictableError
    return Prediction(args[0].shape, args[0].dtype)


# --- what writes, and returns nothing ---------------------------------------------------------------


def _written(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Tell that ``x += y`` or ``x[key] = y`` can only fail over there for want of memory."""
    del kwargs
    if operation.name == "setitem":
        array, key, value = args
        target = _getitem(operation, (array, key), {}).shape
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


RULES: dict[str, Callable[[Operation, Sequence[Any], Mapping[str, Any]], Prediction]] = {
    "along": _along,
    "astype": _astype,
    "copied": _copied,
    "created": _created,
    "determinant": _determinant,
    "elementwise": _elementwise,
    "flattened": _flattened,
    "getitem": _getitem,
    "joined": _joined,
    "matmul": _matmul,
    "reduction": _reduction,
    "reshape": _reshape,
    "ufunc": _ufunc,
    "view": _view,
    "written": _written,
}
"""Name in a row -> rule."""
