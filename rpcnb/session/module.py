"""A session as a module: the seed's ``CreateRPCSessionModule`` and ``RPCModuleGetSession``.

In the seed's world everything that offers functions by name is a module; the one of a session
offers whatever the session registered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpcnb.session.space import RPCObjectRef

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.values import Value
    from rpcnb.session.base import RPCSession

KIND = "rpc"
CLOSE = "CloseRPCConnection"
"""Name under which the module gives a function that ends its session."""


class RPCSessionModule:
    """All functions of one session, which it keeps alive.

    Attributes
    ----------
    kind : str
        ``"rpc"``.
    """

    kind = KIND

    def __init__(self, session: RPCSession) -> None:
        self._session = session
        self.table_index = session.table_index
        """Index of the session in the session table."""

    def get_function(self, name: str) -> Callable[..., Value] | None:
        """Return a function of the session; None when there is none.

        Takes and returns values; the handle is freed when the function is collected.
        """
        session = self._session
        if name == CLOSE:
            return session.shutdown
        ref = session.get_function(name)
        if ref is None:
            return None
        owner = RPCObjectRef(session, ref)

        def function(*args: Value, **kwargs: Value) -> Value:
            return session.call_func(owner.ref, args, kwargs)

        function.__name__ = function.__qualname__ = name
        function.__doc__ = ref.info.doc
        return function

    def __repr__(self) -> str:
        return f"<RPCSessionModule of {self._session.name!r}>"


def create_rpc_session_module(session: RPCSession) -> RPCSessionModule:
    """Enter a session into the session table and wrap it as a module."""
    return RPCSessionModule(session)


def rpc_module_get_session(module: Any) -> RPCSession:
    """Return the session behind a module that `create_rpc_session_module` made.

    Raises
    ------
    TypeError
        It is of another kind.
    """
    if not isinstance(module, RPCSessionModule):
        kind = getattr(module, "kind", type(module).__name__)
        raise TypeError(f"this is a module of kind {kind!r}, not {KIND!r}: there is no session")
    return module._session  # noqa: SLF001 -- the one friend of the class
