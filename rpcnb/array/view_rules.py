"""Rules of views, other shapes and other dtypes of the same elements."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rpcnb.array.prediction import Prediction, bound, hollow
from rpcnb.array.trials import UnpredictableError, dtype_of, function_of, one_of
from rpcnb.session.array_functions import is_basic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rpcnb.array.table import Operation


def view(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict a view, by making it of an array without memory."""
    found = function_of(operation)(*map(hollow, args), **kwargs)
    return Prediction(found.shape, found.dtype, aliases=True)


def getitem(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict a basic index."""
    del operation, kwargs
    array, key = args
    if not is_basic(key):
        raise UnpredictableError
    found = hollow(array)[key]
    return Prediction(found.shape, found.dtype, aliases=True)


def reshape(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict another shape of the same elements."""
    if operation.name == "reshape":
        named = bound(operation, args, kwargs)
        if named.get("copy") is False:  # whether a view will do depends on the strides
            raise UnpredictableError
        found = hollow(args[0]).reshape(named["shape"])
        return Prediction(found.shape, found.dtype, aliases=named.get("copy") is None)
    return view(operation, args, kwargs)


def flattened(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict all elements in one row."""
    array, named = args[0], bound(operation, args, kwargs)
    if named.get("order", "C") not in {"C", "F", "A", "K"}:
        raise UnpredictableError
    aliases = operation.short_name == "ravel"
    return Prediction((math.prod(array.shape),), array.dtype, aliases)


def astype(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Prediction:
    """Predict the same shape of another dtype."""
    array, named = args[0], bound(operation, args, kwargs)
    copy = named.get("copy", True)
    if not {"x", "self", "dtype", "copy"} >= set(named) or type(copy) is not bool:
        raise UnpredictableError
    wanted = np.dtype(named["dtype"])
    if wanted.kind not in "biufc" or (array.dtype.kind == "c" and wanted.kind != "c"):
        raise UnpredictableError
    key = (operation.name, array.dtype, wanted)
    found = dtype_of(key, lambda: function_of(operation)(one_of(array.dtype), wanted))
    return Prediction(array.shape, found, aliases=not copy)
