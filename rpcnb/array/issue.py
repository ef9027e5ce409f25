"""The side over there of operations that nobody waits for.

``rpcnb.array.issue`` runs an operation and binds its result to the handle that the caller chose, so
that the caller's next operation may name it at once: calls of a session's default stream run in
order. It is an ordinary function, which gateways pass on without knowing it; and it takes and
returns plain scalars wherever it can, which cross on the express lanes of both ends.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rpcnb.array.host import SMALL, Host, small_content
from rpcnb.array.replies import write_reply
from rpcnb.core.device import CPU
from rpcnb.core.errors import EncodeError
from rpcnb.core.values import TypeCode
from rpcnb.session.backend import backend_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rpcnb.session.backend import ArrayBackend, ArrayDescription
    from rpcnb.session.local import LocalSession

_ARRAY = TypeCode.ARRAY


def serve(session: LocalSession) -> Callable[..., Any]:
    """Return the builtin ``rpcnb.array.issue`` of a session."""
    return Issuer(session).issue


class Issuer:
    """Runs operations whose results are bound to promised handles.  Thread-safe."""

    def __init__(self, session: LocalSession) -> None:
        self._handles = session.handles
        self._backends = session.backends
        self._host = Host(session.backends)

    def issue(
        self, promised: int, name: str, arrays: int, /, *operands: Any, **options: Any
    ) -> bytes | None:
        """Run one operation of the table.

        Parameters
        ----------
        promised : int
            Handle to bind the result to; 0 for an operation that returns nothing.
        name : str
            Of a row.
        arrays : int
            Bit `i` says that operand `i` is the handle of an array.

        Returns
        -------
        bytes
            What `replies.read_reply` reads; None for an operation that returns nothing.
        """
        try:
            args: Sequence[Any] = operands
            if arrays:
                get = self._handles.get
                args = [
                    get(one, _ARRAY) if arrays >> i & 1 else one for i, one in enumerate(operands)
                ]
            value, parts = self._host.run(name, args, options)
            return self._bind(promised, value, parts) if promised else None
        except BaseException as error:
            if promised:
                self._handles.fail(promised, f"{type(error).__name__}: {error}")
            raise

    def _bind(self, promised: int, value: Any, parts: Sequence[Any]) -> bytes:
        if isinstance(value, np.generic):
            value = np.asarray(value)
        backend = backend_of(self._backends, value)
        if backend is None:
            raise EncodeError(f"a {type(value).__name__} is no array, as was promised")
        description = backend.describe(value)
        content = small_content(value, parts)
        if content is None and type(value) is not np.ndarray and description.device == CPU:
            content = _content_elsewhere(backend, description, value, parts)
        reply = write_reply(description, content)
        self._handles.bind(promised, value, _ARRAY)
        return reply


def _content_elsewhere(
    backend: ArrayBackend, description: ArrayDescription, value: Any, parts: Sequence[Any]
) -> bytes | None:
    """Do as `small_content`, for an array of another library than NumPy."""
    if math.prod(description.shape) > SMALL:
        return None
    bases = [backend.describe(part).base for part in parts if backend.owns(part)]
    if description.base in bases:  # a view
        return None
    content: bytes = backend.to_host(value).tobytes()
    return content
