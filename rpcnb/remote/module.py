"""`RemoteModule`: the functions of a module over there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.core.answers import expect
from rpcnb.core.errors import FunctionNotFound
from rpcnb.core.values import FunctionInfo
from rpcnb.remote.function import RemoteFunction
from rpcnb.remote.proxy import HandleProxy

if TYPE_CHECKING:
    from rpcnb.remote.client import Remote
    from rpcnb.session.space import RPCObjectRef


class RemoteModule(HandleProxy):
    """A module over there; its functions are attributes.

    Their names came with the module. A function is looked up over there when it is first called,
    and shows its signature from then on.
    """

    def __init__(self, remote: Remote, owner: RPCObjectRef) -> None:
        super().__init__(remote, owner)
        self.__name__ = owner.ref.name
        self.__doc__ = owner.ref.doc
        self._names = frozenset(owner.ref.names)
        self._functions: dict[str, RemoteFunction] = {}

    def __getattr__(self, name: str) -> RemoteFunction:
        # `_names` itself is missing while __init__ has not run, as in a half-made copy.
        if name.startswith("_") or (self._names and name not in self._names):
            raise AttributeError(f"the remote module {self.__name__!r} offers no {name!r}")
        function = self._functions.get(name)
        if function is None:
            info = FunctionInfo(f"{self.__name__}.{name}")
            function = RemoteFunction(self._remote, None, info, find=lambda: self._find(name))
            if not self._names:
                self._fetch_now(function, name)
            self._functions[name] = function
        return function

    def _fetch_now(self, function: RemoteFunction, name: str) -> None:
        """Look a name up in a module that does not list its functions, as TVM's do not."""
        try:
            function.fetch()
        except FunctionNotFound:
            raise AttributeError(
                f"the remote module {self.__name__!r} offers no {name!r}"
            ) from None

    def _find(self, name: str) -> RemoteFunction:
        found = self._remote.builtin("rpcnb.module_function")(self, name)
        return expect(found, RemoteFunction, "a function")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._names})

    def __repr__(self) -> str:
        return f"<RemoteModule {self.__name__} ({len(self._names)} functions) {self._where()}>"
