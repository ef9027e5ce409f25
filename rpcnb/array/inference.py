"""What an operation will return, told on this side: shape and dtype, by the rule its row names.

An operation whose result is known need not be waited for. A rule that is in any doubt raises, and
the operation is then run the ordinary way: the other side says at the call what is wrong. So what
can still fail later depends on values only: a singular matrix, memory that is not there.

Rules for these rules: shapes are computed, dtypes are asked of NumPy itself, with arrays of one
element; so is the shape of a view, with an array of that shape and no memory. Every answer is
compared with what arrives.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rpcnb.array import creation_rules, value_rules, view_rules
from rpcnb.array.methods import ArrayMethods
from rpcnb.array.table import operations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rpcnb.array.prediction import Prediction
    from rpcnb.array.table import Operation


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


RULES: dict[str, Callable[[Operation, Sequence[Any], Mapping[str, Any]], Prediction]] = {
    "along": value_rules.along,
    "astype": view_rules.astype,
    "copied": creation_rules.copied,
    "created": creation_rules.created,
    "determinant": value_rules.determinant,
    "elementwise": value_rules.elementwise,
    "flattened": view_rules.flattened,
    "getitem": view_rules.getitem,
    "joined": value_rules.joined,
    "matmul": value_rules.matmul,
    "reduction": value_rules.reduction,
    "reshape": view_rules.reshape,
    "ufunc": value_rules.ufunc,
    "view": view_rules.view,
    "written": value_rules.written,
}
"""Name in a row -> rule."""
