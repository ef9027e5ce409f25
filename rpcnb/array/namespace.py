"""`ArrayNamespace`: the functions of the array API standard, running over there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rpcnb.array import metadata
from rpcnb.array.methods import ArrayMethods
from rpcnb.array.table import Operation, described, operations

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.array.methods import Engine

_PARTS = ("linalg", "fft", "special")


class ArrayNamespace:
    """The Python array API standard 2025.12 on the arrays of one session, and ``special``.

    Functions take and return remote arrays. `asarray` uploads, nothing else does. Questions about
    dtypes and shapes are answered here; every other function is one message, whose answer is waited
    for only where shape and dtype of the result cannot be told beforehand.

    Parameters
    ----------
    engine : Engine
        Runs the operations.
    name : str
        What to call it in texts.
    """

    __array_api_version__ = metadata.VERSIONS[-1]

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.__name__ = name
        content = vars(self)
        content |= metadata.CONSTANTS | metadata.DTYPES | metadata.FUNCTIONS
        content |= {part: NamespacePart(f"{name}.{part}") for part in _PARTS}
        for operation in operations().values():
            if operation.group in _PARTS:
                target = vars(content[operation.group])
            elif operation.group in _TOP:
                target = content
            else:
                continue
            if operation.short_name not in target and not hasattr(type(self), operation.name):
                target[operation.short_name] = function_of(operation, engine)

    def __array_namespace_info__(self) -> metadata.NamespaceInfo:
        return metadata.NamespaceInfo(self._engine.devices())

    def asarray(
        self, obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None
    ) -> Any:
        """Upload numbers, or take a remote array as it is.

        Parameters
        ----------
        obj : array-like
            A remote array; or a number, nested sequence or NumPy array, which is uploaded.
        dtype : dtype, optional
        device : Device, optional
        copy : bool, optional
            True for new memory in any case; False for a `ValueError` where it would be needed.
        """
        if isinstance(obj, ArrayMethods):
            return self._convert(obj, dtype, copy)
        if isinstance(obj, list | tuple) and _holds_arrays(obj):
            parts = [self.asarray(item, dtype=dtype) for item in obj]
            kind = metadata.result_type(*parts)
            return self._engine.run("stack", ([self._convert(p, kind, None) for p in parts],), {})
        if copy is False:
            raise ValueError("what is here can only be copied over there; leave copy=False out")
        host = np.asarray(obj, dtype=None if dtype is None else metadata.dtype_of(dtype))
        if host.dtype.kind == "O":
            raise TypeError(f"{type(obj).__name__} is no array of numbers")
        return self._engine.upload(host, device)

    def _convert(self, array: Any, dtype: Any, copy: object) -> Any:
        if dtype is None or metadata.dtype_of(dtype) == array.dtype:
            return self._engine.run("copy", (array,), {}) if copy else array
        if copy is False:
            raise ValueError(f"{array.dtype} becomes {np.dtype(dtype)} only by copying")
        return self._engine.run("astype", (array, metadata.dtype_of(dtype)), {})

    def from_dlpack(self, x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
        """Upload an array of another library; take a remote array as it is."""
        if not isinstance(x, ArrayMethods):
            x = np.from_dlpack(x)
        return self.asarray(x, device=device, copy=copy)

    def __repr__(self) -> str:
        return f"<{self.__name__}: array API {self.__array_api_version__}>"


class NamespacePart:
    """``linalg``, ``fft`` or ``special``."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __repr__(self) -> str:
        return f"<{self.__name__}>"


_TOP = frozenset(
    ("creation", "metadata", "elementwise", "reduction", "views", "manipulation")
)  # fmt: skip


def function_of(operation: Operation, engine: Engine) -> Callable[..., Any]:
    """Return a function that runs an operation, with its real signature and documentation."""
    name, run = operation.name, engine.run

    def function(*args: Any, **kwargs: Any) -> Any:
        return run(name, args, kwargs)

    return described(function, operation, operation.signature)


def _holds_arrays(items: list[Any] | tuple[Any, ...]) -> bool:
    return any(
        isinstance(item, ArrayMethods) or (isinstance(item, list | tuple) and _holds_arrays(item))
        for item in items
    )
