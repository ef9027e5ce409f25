"""Small copies as calls: a call has an express lane through both ends, a copy has none.

A copy is a series of pieces, received straight into the array, overtaken by other messages and
stopped half way. For a few bytes all this costs twice what a call costs (66 us against 30), which
carries them in its arguments or its result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.core.answers import expect
from rpcnb.core.errors import ArrayMismatch, RpcnbError
from rpcnb.core.events import EVENTS
from rpcnb.core.values import ArrayRef
from rpcnb.session.small_copies import MOST

if TYPE_CHECKING:
    from rpcnb.core.values import DenseArray, FunctionRef
    from rpcnb.endpoint.client.client_connection import ClientConnection
    from rpcnb.session.base import RPCSession


class SmallCopies:
    """Copies of one session that are calls: ``rpcnb.array.read``, ``write``, ``from_bytes``.  Thread-safe.

    Only when nothing is under way: a call waits for the calls before it, a copy only for those that
    were given its array.
    """

    def __init__(self, session: RPCSession, connection: ClientConnection) -> None:
        self._session = session
        self._connection = connection
        self._functions: dict[str, FunctionRef | None] = {}

    def write(self, source: memoryview, target: ArrayRef) -> bool:
        """Copy all of `source` to `target`; False when it has to be done as usual."""
        function = self._suited("rpcnb.array.write", len(source))
        if function is None:
            return False
        self._session.call_func(function, (target.handle, target.byte_offset, bytes(source)))
        return True

    def read(self, source: ArrayRef, target: memoryview) -> bool:
        """Fill `target` from `source`; False when it has to be done as usual."""
        nbytes = len(target)
        function = self._suited("rpcnb.array.read", nbytes)
        if function is None:
            return False
        data = self._session.call_func(function, (source.handle, source.byte_offset, nbytes))
        if type(data) is not bytes or len(data) != nbytes:
            raise ArrayMismatch(f"{nbytes} bytes were asked for, and other things came")
        target[:] = data
        return True

    def make(self, value: DenseArray) -> ArrayRef | None:
        """Make an array of the host's memory with that content; None when it has to be done as usual."""
        function = self._suited("rpcnb.array.from_bytes", len(value.data))
        if function is None or not isinstance(value.dtype, str):
            return None
        array = self._session.call_func(function, (bytes(value.data), value.dtype, *value.shape))
        return expect(array, ArrayRef, "an array")

    def _suited(self, name: str, nbytes: int) -> FunctionRef | None:
        if not 0 < nbytes <= MOST or self._connection.requests_under_way or EVENTS.subscriptions:
            return None
        if name not in self._functions:
            try:
                self._functions[name] = self._session.get_function(name)
            except RpcnbError:  # a role that may not
                self._functions[name] = None
        return self._functions[name]
