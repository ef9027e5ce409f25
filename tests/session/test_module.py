from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rpcnb.core.values import FunctionInfo, FunctionRef, Handle, TypeCode
from rpcnb.session.base import RPCSession
from rpcnb.session.module import create_rpc_session_module, rpc_module_get_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Session(RPCSession):
    """A session with one function, which returns its arguments."""

    def __init__(self) -> None:
        self.held: list[int] = []
        self.closed = False

    def get_function(self, name: str) -> FunctionRef | None:
        if name != "echo":
            return None
        self.held.append(1)
        return FunctionRef(Handle(1), FunctionInfo("echo", doc="Says it again."))

    def call_func(  # type: ignore[override]
        self, func: FunctionRef, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return func.handle, args, kwargs

    def free_handle(self, handle: Handle, type_code: TypeCode, count: int = 1) -> None:
        self.held.remove(handle)

    def shutdown(self) -> None:
        self.closed = True

    copy_to_remote = copy_from_remote = get_device_api = is_local_session = None  # type: ignore[assignment]


def test_a_module_leads_back_to_its_session() -> None:
    session = Session()
    module = create_rpc_session_module(session)
    assert module.kind == "rpc"
    assert rpc_module_get_session(module) is session
    assert RPCSession.get(module.table_index) is session


@pytest.mark.parametrize("module", [SimpleNamespace(kind="llvm"), SimpleNamespace(kind="rpc"), 3])
def test_other_modules_have_no_session(module: object) -> None:
    with pytest.raises(TypeError, match="there is no session"):
        rpc_module_get_session(module)


def test_a_function_is_called_and_its_handle_freed_with_it() -> None:
    session = Session()
    function = create_rpc_session_module(session).get_function("echo")
    assert function is not None
    assert function(1, two=2) == (1, (1,), {"two": 2})
    assert (function.__name__, function.__doc__) == ("echo", "Says it again.")
    assert session.held == [1]
    del function
    gc.collect()
    assert session.held == []


def test_a_missing_function_is_none() -> None:
    assert create_rpc_session_module(Session()).get_function("nope") is None


def test_the_reserved_name_ends_the_session() -> None:
    session = Session()
    close: Callable[[], object] | None
    close = create_rpc_session_module(session).get_function("CloseRPCConnection")
    assert close is not None
    close()
    assert session.closed


def test_a_module_shows_whose_it_is() -> None:
    assert repr(create_rpc_session_module(Session())) == "<RPCSessionModule of ''>"
