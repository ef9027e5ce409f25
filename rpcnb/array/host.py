"""The side where the arrays are: runs operations on the arrays' own library.

What it is asked for is looked up in the table; nothing outside the table can be named. It runs on
`array_api_compat`'s view of the library an operand belongs to, so that the same rows serve NumPy,
PyTorch and CuPy. NumPy's own functions, ufuncs and methods are served for NumPy arrays.
"""

from __future__ import annotations

import operator
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import array_api_compat
import numpy as np

from rpcnb.array.compat import numpy_namespace
from rpcnb.array.elsewhere import creation_dtype, method_elsewhere, ufunc_elsewhere
from rpcnb.array.look import array_figures, array_look
from rpcnb.array.planes import array_planes
from rpcnb.array.random import METHODS
from rpcnb.array.statistics import array_statistics, array_text
from rpcnb.array.table import operations
from rpcnb.core.device import CPU, Device
from rpcnb.core.errors import DeviceError, EncodeError, PermissionDenied
from rpcnb.session import array_functions
from rpcnb.session.backend import ArrayBackend, backend_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rpcnb.session.local import LocalSession

numpy_namespace()  # else it would be loaded by the first operation of every worker
OPERATIONS = operations()
SMALL = 8
"""Elements of the largest result whose content comes with the reply."""
_INLINED = "biufc"

IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, name)
    for name in (
        "iadd", "iand", "ifloordiv", "ilshift", "imatmul", "imod", "imul", "ior", "ipow",
        "irshift", "isub", "itruediv", "ixor",
    )
}  # fmt: skip


def _generator(seed: Any = None) -> np.random.Generator:
    """Return a generator; the first one loads ``numpy.random``."""
    return np.random.default_rng(seed)


def serve(session: LocalSession) -> Callable[..., Any]:
    """Return the builtin ``rpcnb.array.call`` of a session."""
    return Host(session.backends).call


class Host:
    """Runs operations.  Thread-safe.

    Parameters
    ----------
    backends : sequence of ArrayBackend
        Of the session; the first is for what has no operand and names no device.
    """

    def __init__(self, backends: Sequence[ArrayBackend]) -> None:
        self._backends = backends
        self._own: dict[str, Callable[..., Any]] = {
            "getitem": self._getitem,
            "setitem": partial(array_functions.assign_any, backends),
            "copy": partial(array_functions.copy, backends),
            "library": lambda: _namespace_of(backends[0]).__name__.rpartition(".")[2],
            "rows": lambda x, start, stop: [x[i] for i in range(start, stop)],
            "put": self._put,
            "item": lambda x: x.item(),
            "inplace": _in_place,
            "ufunc": self._ufunc,
            "random": self._draw,
            "random.default_rng": _generator,
            "text": lambda x: array_text(self._to_host(x)),
            "statistics": lambda x: array_statistics(self._to_host(x)),
            "planes": lambda x, side: array_planes(self._to_host(x), side),
            "look": lambda x, *how: array_look(self._to_host(x), *how),
            "figures": lambda x: array_figures(self._to_host(x)),
        }

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Run one operation of the table.

        Returns
        -------
        object
            An array; a tuple of an array and its content as bytes, where it is small and nobody
            else can write to it; a list of such, for operations with several results; or a value.

        Raises
        ------
        PermissionDenied
            It is not in the table.
        """
        return self._result(*self.run(name, args, kwargs))

    def run(
        self, name: str, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[Any, Sequence[Any]]:
        """Run one operation; return what it returned, and the operands that this may be."""
        own = self._own.get(name)
        if own is not None:
            return own(*args, **kwargs), () if name == "put" else args
        if name not in OPERATIONS:
            raise PermissionDenied(f"{name!r} is no array operation")
        library = self._library(args, kwargs)
        prefix, _, short = name.rpartition(".")
        run = _FINDERS.get(prefix, _standard)(library, prefix, short)
        if not array_api_compat.is_numpy_namespace(library):
            if kwargs.get("dtype") is None:
                dtype = creation_dtype(name, args, kwargs)
                kwargs = kwargs if dtype is None else {**kwargs, "dtype": dtype}
            args = tuple(_adapt(arg, library) for arg in args)
            kwargs = {key: _adapt(arg, library) for key, arg in kwargs.items()}
        return run(*args, **kwargs), (*args, *kwargs.values()) if kwargs else args

    # --- which library ------------------------------------------------------------------------------

    def _library(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Return the namespace for an operation; take the device out of its options if NumPy's."""
        device = kwargs.get("device")
        for operand in _leaves(args):
            backend = backend_of(self._backends, operand)
            if backend is not None:
                found = array_api_compat.array_namespace(operand)
                break
        else:
            backend = self._backend_for(CPU if device is None else Device.parse(device))
            found = _namespace_of(backend)
        if device is not None:
            self._place(backend, Device.parse(device), found, kwargs)
        return found

    def _place(
        self, backend: ArrayBackend, device: Device, library: Any, kwargs: dict[str, Any]
    ) -> None:
        if device not in backend.devices():
            raise DeviceError(f"there is no device {device} for these arrays")
        kwargs["device"] = "cpu" if array_api_compat.is_numpy_namespace(library) else str(device)

    def _backend_for(self, device: Device) -> ArrayBackend:
        for backend in self._backends:
            if device in backend.devices():
                return backend
        raise DeviceError(f"there is no device {device} here")

    def _to_host(self, array: Any) -> Any:
        backend = backend_of(self._backends, array)
        if backend is None:
            raise EncodeError(f"a {type(array).__name__} is no array of this session")
        return backend.to_host(array)

    def _draw(
        self,
        generator: Any,
        device: Device | None,
        name: str,
        args: Sequence[Any],
        kwargs: dict[str, Any],
    ) -> Any:
        """Call a method of a generator; what it draws becomes an array of the device's library."""
        if type(generator) is not np.random.Generator or name not in METHODS:
            raise PermissionDenied(f"{name!r} is no method of a random generator")
        operands = [self._for_numpy(arg) for arg in args]
        drawn = getattr(generator, name)(*operands, **kwargs)
        if name == "shuffle" and operands[0] is not args[0]:
            array_functions.assign(self._backends, args[0], ..., operands[0])
        if drawn is None or isinstance(drawn, bytes):
            return drawn
        return self._put(drawn, device)

    def _for_numpy(self, value: Any) -> Any:
        """Return an array of another library as NumPy's, anything else as it is."""
        backend = None if isinstance(value, np.ndarray) else backend_of(self._backends, value)
        return value if backend is None else backend.to_host(value)

    def _put(self, host: Any, device: Device | None) -> Any:
        where = CPU if device is None else Device.parse(device)
        return self._backend_for(where).from_host(np.asarray(host), where)

    # --- indexing -----------------------------------------------------------------------------------

    def _getitem(self, array: Any, key: Any) -> Any:
        """Return a view for basic indexing, a copy for any other."""
        if array_functions.is_basic(key):
            return array_functions.view(self._backends, array, key)
        library = array_api_compat.array_namespace(array)
        if not array_api_compat.is_numpy_namespace(library):
            key = _adapt(key, library)
        return array[key]

    def _ufunc(
        self,
        name: str,
        method: str,
        inputs: Sequence[Any],
        options: dict[str, Any],
        out: Sequence[Any],
    ) -> Any:
        """Run a method of a ufunc; on another library than NumPy, the standard's function."""
        library = self._library(inputs, {})
        if array_api_compat.is_numpy_namespace(library):
            return _ufunc(name, method, inputs, options, out)
        if options or out:
            raise NotImplementedError("options of ufuncs are for NumPy arrays")
        function = ufunc_elsewhere(library, name, method)
        return function(*(_adapt(one, library) for one in inputs))

    # --- results ------------------------------------------------------------------------------------

    def _result(self, value: Any, args: Sequence[Any]) -> Any:
        if isinstance(value, np.generic):
            value = np.asarray(value)
        if isinstance(value, tuple | list):
            return [self._result(item, args) for item in value]
        content = small_content(value, args)
        return value if content is None else (value, content)


def small_content(value: Any, args: Sequence[Any]) -> bytes | None:
    """Return the content of a result that is small and that nobody else can write to, else None."""
    if type(value) is np.ndarray and value.size <= SMALL and _is_own(value, args):
        return value.tobytes()
    return None


def _is_own(array: Any, args: Sequence[Any]) -> bool:
    return (
        array.base is None
        and array.dtype.kind in _INLINED
        and not any(array is operand for operand in args)
    )


def _leaves(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _leaves(value)
        else:
            yield value


@cache
def _namespace_of(backend: ArrayBackend) -> Any:
    device = backend.devices()[0]
    return array_api_compat.array_namespace(backend.empty((0,), "|u1", device))


def _adapt(value: Any, library: Any) -> Any:
    """Turn NumPy's dtypes and small arrays among the operands into those of another library."""
    if isinstance(value, np.dtype):
        return getattr(library, value.name)
    if isinstance(value, np.ndarray | np.generic):
        return library.asarray(value)
    if isinstance(value, list | tuple):
        return type(value)(_adapt(item, library) for item in value)
    return value


# --- where the functions are ---------------------------------------------------------------------


def _standard(library: Any, prefix: str, name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(getattr(library, prefix) if prefix else library, name)
    return found


def _numpy_function(library: Any, prefix: str, name: str) -> Callable[..., Any]:
    _only_numpy(library, f"{prefix}.{name}")
    found: Any = np
    for part in f"{prefix}.{name}".split(".")[1:]:
        found = getattr(found, part)
    function: Callable[..., Any] = found
    return function


def _method(library: Any, _prefix: str, name: str) -> Callable[..., Any]:
    if not array_api_compat.is_numpy_namespace(library):
        return method_elsewhere(library, name)
    return lambda array, /, *args, **kwargs: getattr(array, name)(*args, **kwargs)


def _special(library: Any, _: str, name: str) -> Callable[..., Any]:
    _only_numpy(library, f"scipy.special.{name}")
    function: Callable[..., Any] = getattr(import_module("scipy.special"), name)
    return function


def _scipy_fft(library: Any, _: str, name: str) -> Callable[..., Any]:
    _only_numpy(library, f"scipy.fft.{name}")
    function: Callable[..., Any] = getattr(import_module("scipy.fft"), name)
    return function


def _only_numpy(library: Any, name: str) -> None:
    if not array_api_compat.is_numpy_namespace(library):
        raise NotImplementedError(f"{name} runs on NumPy arrays; use the functions of remote.xp")


_FINDERS: dict[str, Callable[[Any, str, str], Callable[..., Any]]] = {
    "numpy": _numpy_function,
    "numpy.linalg": _numpy_function,
    "numpy.fft": _numpy_function,
    "method": _method,
    "special": _special,
    "scipy.fft": _scipy_fft,
}


# --- the rest ----------------------------------------------------------------------------------------


def _in_place(name: str, x: Any, y: Any) -> None:
    done = IN_PLACE[name](x, y)
    if done is not x:  # Python made a new object, since the array has no such operator
        raise TypeError(f"{name} cannot work in place on a {type(x).__name__}")


def _ufunc(
    name: str, method: str, inputs: Sequence[Any], options: dict[str, Any], out: Sequence[Any]
) -> Any:
    """Run a method of a ufunc; `out` are arrays to write to, and then nothing is returned."""
    found = getattr(np, name, None)
    if not isinstance(found, np.ufunc):
        found = getattr(import_module("scipy.special"), name, None)
    if not isinstance(found, np.ufunc) or method not in UFUNC_METHODS:
        raise PermissionDenied(f"{name}.{method} is no ufunc")
    run = found if method == "__call__" else getattr(found, method)
    if out:
        run(*inputs, **options, out=tuple(out) if len(out) > 1 else out[0])
        return None
    return run(*inputs, **options)


UFUNC_METHODS = frozenset({"__call__", "reduce", "accumulate", "reduceat", "outer", "at"})
