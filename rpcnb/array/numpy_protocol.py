"""NumPy's functions called with remote arrays: run over there if they are in the table.

Nothing is forwarded by its name alone. ``np.save`` and ``np.copyto`` would succeed over there,
writing to a file or a copy that nobody sees.
"""

from __future__ import annotations

import sys
from functools import cache, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from rpcnb.array import metadata
from rpcnb.array.table import operations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rpcnb.array.methods import ArrayMethods

_CREATION = ("arange", "array", "asarray", "empty", "eye", "full", "linspace", "ones", "zeros")
"""Functions with ``like=``: made by the namespace."""


@cache
def functions() -> dict[Any, str]:
    """Return function of NumPy's -> name in the table."""
    found: dict[Any, str] = {}
    for operation in operations().values():
        if operation.group == "numpy" and operation.name.startswith("numpy."):
            path = operation.name.split(".")[1:]
            try:
                found[reduce(getattr, path, np)] = operation.name
            except AttributeError:  # a function that this NumPy does not have
                continue
    return found


@cache
def _numpy_ufuncs() -> dict[np.ufunc, str]:
    return {one: name for name, one in vars(np).items() if isinstance(one, np.ufunc)}


@cache
def _special_ufuncs() -> dict[np.ufunc, str]:
    content = vars(sys.modules["scipy.special"])
    return {one: name for name, one in content.items() if isinstance(one, np.ufunc)}


def ufunc_name(ufunc: np.ufunc) -> str | None:
    """Return the name of a ufunc of NumPy's or SciPy's, by identity; None for any other."""
    name = _numpy_ufuncs().get(ufunc)
    if name is None and "scipy.special" in sys.modules:
        name = _special_ufuncs().get(ufunc)
    return name


def run_ufunc(
    array: ArrayMethods,
    ufunc: np.ufunc,
    method: str,
    inputs: Sequence[Any],
    options: dict[str, Any],
) -> Any:
    """Answer `__array_ufunc__`."""
    name = ufunc_name(ufunc)
    out = options.pop("out", ())
    out = out if isinstance(out, tuple) else (out,)
    remote = type(array)
    if any(one is not None and not isinstance(one, remote) for one in out) or (
        method == "at" and not isinstance(inputs[0], remote)
    ):
        array.permit(f"np.{ufunc.__name__} writes to a host array")
        return _here(ufunc, method, inputs, options, out, remote)
    if name is None:
        array.permit(f"{ufunc.__name__} runs here")
        return _here(ufunc, method, inputs, options, out, remote)
    if any(one is None for one in out):
        raise TypeError("out must name an array for every result, or none")
    value = array.engine.run("ufunc", (name, method, inputs, options, out), {})
    if out:
        return out if len(out) > 1 else out[0]
    return value


def _here(  # noqa: PLR0917 -- what __array_ufunc__ is given
    ufunc: np.ufunc,
    method: str,
    inputs: Sequence[Any],
    options: dict[str, Any],
    out: Sequence[Any],
    remote: Any,
) -> Any:
    """Run a ufunc on downloads, which the policy allows."""
    host = [one.to_numpy() if isinstance(one, remote) else one for one in inputs]
    if out:
        options["out"] = tuple(out)
    return getattr(ufunc, method)(*host, **options)


def run_function(
    array: ArrayMethods, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    """Answer `__array_function__`."""
    here = _ANSWERED_HERE.get(function)
    if here is not None:
        return here(*args, **kwargs)
    remote = type(array)
    out = kwargs.get("out")
    if out is not None and not isinstance(out, remote):
        array.permit(f"np.{function.__name__} writes to a host array")
        return _on_host(function, args, kwargs, remote)
    name = functions().get(function)
    if name is not None:
        return array.engine.run(name, args, kwargs)
    if function.__name__ in _CREATION and getattr(np, function.__name__, None) is function:
        return _create(array, function.__name__, args, kwargs)
    array.permit(f"np.{function.__name__} runs here")
    return _on_host(function, args, kwargs, remote)


def _create(array: ArrayMethods, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    options = {key: value for key, value in kwargs.items() if key in {"dtype", "device", "copy"}}
    function = getattr(array.engine.namespace, "asarray" if name == "array" else name)
    if name in {"ones", "zeros", "empty"} and len(args) > 1:
        options["dtype"], args = args[1], args[:1]
    return function(*args, **options)


def _on_host(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], remote: Any
) -> Any:
    """Run a function on downloads, which the policy allows."""

    def download(value: Any) -> Any:
        if isinstance(value, remote):
            return value.to_numpy()
        if type(value) in {list, tuple}:
            return type(value)(map(download, value))
        return value

    return function(*map(download, args), **{key: download(one) for key, one in kwargs.items()})


def _complex(x: Any) -> bool:
    return bool(metadata.dtype_of(x).kind == "c")


_ANSWERED_HERE: dict[Any, Callable[..., Any]] = {
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a, axis=None: a.size if axis is None else a.shape[axis],
    np.result_type: metadata.result_type,
    np.can_cast: lambda from_, to, casting="safe": np.can_cast(
        metadata.dtype_of(from_), to, casting
    ),
    np.iscomplexobj: _complex,
    np.isrealobj: lambda x: not _complex(x),
    np.copy: lambda a, order="K", subok=False: a.copy(),  # noqa: ARG005 -- order is the copy's own
    np.shares_memory: lambda a, b, max_work=None: a.shares_memory(b),  # noqa: ARG005
    np.may_share_memory: lambda a, b, max_work=None: a.shares_memory(b),  # noqa: ARG005
    np.array_repr: lambda arr, *_, **__: repr(arr),
    np.array_str: lambda a, *_, **__: str(a),
}
