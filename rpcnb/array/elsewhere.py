"""NumPy's methods and names on libraries that spell them differently, in the standard's terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

UFUNCS = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh",
    "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "conjugate": "conj",
    "invert": "bitwise_invert", "left_shift": "bitwise_left_shift", "mod": "remainder",
    "power": "pow", "right_shift": "bitwise_right_shift", "rint": "round",
    "true_divide": "divide",
}  # fmt: skip
"""NumPy's names of ufuncs -> the standard's, where they differ."""


def _reshape(xp: Any, x: Any, *shape: Any) -> Any:
    return xp.reshape(x, tuple(shape[0]) if isinstance(shape[0], list | tuple) else shape)


def _transpose(xp: Any, x: Any, *axes: Any) -> Any:
    if axes and isinstance(axes[0], list | tuple):
        axes = tuple(axes[0])
    return xp.permute_dims(x, axes or tuple(reversed(range(x.ndim))))


def _squeeze(xp: Any, x: Any, axis: Any = None) -> Any:
    if axis is None:
        axis = tuple(i for i, n in enumerate(x.shape) if n == 1)
    return xp.squeeze(x, axis=axis)


def _astype(xp: Any, x: Any, dtype: Any, *, copy: bool = True) -> Any:
    wanted = getattr(xp, np.dtype(dtype).name) if isinstance(dtype, str) else dtype
    return xp.astype(x, wanted, copy=copy)


_METHODS: dict[str, Callable[..., Any]] = {
    "astype": _astype,
    "conj": lambda xp, x: xp.conj(x),
    "cumprod": lambda xp, x, axis=None: xp.cumulative_prod(_flat(xp, x, axis), axis=axis or 0),
    "cumsum": lambda xp, x, axis=None: xp.cumulative_sum(_flat(xp, x, axis), axis=axis or 0),
    "dot": lambda xp, x, y: xp.matmul(x, y),
    "flatten": lambda xp, x: xp.reshape(x, (-1,), copy=True),
    "ravel": lambda xp, x: xp.reshape(x, (-1,)),
    "reshape": _reshape,
    "squeeze": _squeeze,
    "std": lambda xp, x, axis=None, ddof=0, keepdims=False: xp.std(
        x, axis=axis, correction=ddof, keepdims=keepdims
    ),
    "swapaxes": lambda xp, x, axis1, axis2: xp.moveaxis(x, (axis1, axis2), (axis2, axis1)),
    "transpose": _transpose,
    "var": lambda xp, x, axis=None, ddof=0, keepdims=False: xp.var(
        x, axis=axis, correction=ddof, keepdims=keepdims
    ),
}
_AS_FUNCTION = frozenset(
    [
        "all",
        "any",
        "argmax",
        "argmin",
        "clip",
        "max",
        "mean",
        "min",
        "nonzero",
        "prod",
        "round",
        "searchsorted",
        "sum",
        "take",
    ]
)


def _flat(xp: Any, x: Any, axis: Any) -> Any:
    return xp.reshape(x, (-1,)) if axis is None else x


def method_elsewhere(xp: Any, name: str) -> Callable[..., Any]:
    """Return what does, on the standard's namespace `xp`, what NumPy's method of that name does.

    Raises
    ------
    NotImplementedError
        There is nothing in the standard.
    """
    if name in _METHODS:
        method = _METHODS[name]
        return lambda x, *args, **kwargs: method(xp, x, *args, **kwargs)
    if name not in _AS_FUNCTION:
        raise NotImplementedError(f"{name}() runs on NumPy arrays; use the functions of remote.xp")
    function: Callable[..., Any] = getattr(xp, name)
    if name in {"clip", "round", "searchsorted"}:
        return function
    if name == "take":
        return lambda x, indices, axis=None: function(x, indices, axis=axis)
    return lambda x, axis=None, **kwargs: (
        function(x, axis=axis, **kwargs) if name != "nonzero" else function(x)
    )


def ufunc_elsewhere(xp: Any, name: str, method: str) -> Callable[..., Any]:
    """Return the standard's function for a ufunc.

    Raises
    ------
    NotImplementedError
        There is nothing in the standard, or a method of the ufunc is asked for.
    """
    function: Callable[..., Any] | None = getattr(xp, UFUNCS.get(name, name), None)
    if method != "__call__" or function is None:
        raise NotImplementedError(f"np.{name}.{method} runs on NumPy arrays only")
    return function


_FLOATS = frozenset(["empty", "eye", "ones", "zeros", "linspace", "fft.fftfreq", "fft.rfftfreq"])


def creation_dtype(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return the dtype that NumPy gives a new array where none is asked for.

    Other libraries have defaults of their own (PyTorch's is float32), and the namespace says that
    there is one: None where the operation makes no array from nothing.
    """
    if name in _FLOATS:
        numbers = [one for one in args if type(one) is complex]
        return np.result_type(np.float64, *numbers)
    if name == "full":
        return np.asarray(kwargs.get("fill_value", args[-1])).dtype
    if name == "arange":
        values = {**kwargs, **dict(zip(("start", "stop", "step"), args, strict=False))}
        bounds: list[Any] = [values[key] for key in ("start", "stop", "step") if key in values]
        return np.asarray([bound for bound in bounds if bound is not None]).dtype
    return None
