"""Each role, with each operation, on handles of its own, another session's, nobody's and dropped ones."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import PermissionDenied, RpcnbError
from rpcnb.core.roles import Role
from rpcnb.core.values import (
    ArrayRef,
    FunctionRef,
    Handle,
    IteratorRef,
    ModuleRef,
    ObjectRef,
    TypeCode,
)
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.serving.gate import BUILTINS, CELLS, MESSAGES
from rpcnb.endpoint.serving.server import Server
from rpcnb.endpoint.share_links import narrowed
from rpcnb.session.builtins import ELSEWHERE, session_functions
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession
from rpcnb.wire import messages as m

OTHERS = 2000
"""Arrays of the session that nobody else may touch."""
KINDS = {
    "array": lambda h: ArrayRef(h, (4,), "<f8"),
    "function": FunctionRef,
    "object": ObjectRef,
    "module": ModuleRef,
    "iterator": IteratorRef,
    "number": int,
}


def array(session):
    return session.call_func(session.get_function("t.array"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    registry = FunctionRegistry()
    registry.add("t.array", lambda: np.zeros(4), role="inspector")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RPCNB_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        with Server(registry=registry, in_process=True) as server:
            yield server


@pytest.fixture(scope="module")
def other(server):
    """Give the arrays of a session that must stay as they are."""
    with open_session(server.url, token=server.token) as session:
        arrays = [array(session) for _ in range(OTHERS)]
        yield arrays[-1]
        for one in (arrays[0], arrays[-1]):
            target = np.ones(4)
            session.copy_from_remote(one, target, 32)
            assert target.tolist() == [0.0] * 4


def builtins() -> list[str]:
    session = LocalSession(FunctionRegistry())
    try:
        return sorted({*session_functions(session), *ELSEWHERE})
    finally:
        session.shutdown()


def uses(handle: int):
    """Return what can be done with a handle: what, the least role for it, and how."""
    number = Handle(handle)
    ref = ArrayRef(number, (4,), "<f8")
    api = lambda s: s.get_device_api(CPU, allow_missing=True)  # noqa: E731 -- asks nothing by itself
    yield (
        "CopyFromRemote",
        MESSAGES[m.CopyFromRemote],
        lambda s: s.copy_from_remote(ref, bytearray(32), 32),
    )
    yield "CopyToRemote", MESSAGES[m.CopyToRemote], lambda s: s.copy_to_remote(bytes(32), ref, 32)
    yield "copy_data", MESSAGES[m.DeviceCall], lambda s: api(s).copy_data(ref, ref)
    yield "CallFunc", Role.EXECUTOR, lambda s: s.call_func(FunctionRef(number), ())
    for name, (kind, make) in product(builtins(), KINDS.items()):
        args = (make(number),) if kind != "number" else (handle, 0, 32)
        role = Role.EXEC if name.startswith(CELLS) else BUILTINS.get(name, Role.EXECUTOR)
        yield (
            f"{name} of {kind}",
            role,
            lambda s, name=name, args=args: s.call_func(s.get_function(name), args),
        )


def outcome(session, use) -> str:
    try:
        use(session)
    except PermissionDenied as error:
        return "refused" if "needs the role" in str(error) else "error"
    except RpcnbError:
        return "error"
    return "done"


def handles_for(session, foreign: int) -> dict[str, int]:
    dropped = array(session).handle
    session.free_handle(dropped, TypeCode.ARRAY)
    own = array(session).handle
    return {"own": own, "dropped": dropped, "unknown": 10**6, "foreign": foreign}


def test_every_operation_on_every_handle_is_as_the_table_says(server, other) -> None:
    seen = Counter()
    wrong = []
    for role in Role:
        token = narrowed(server.token, f"role={role}")
        with open_session(server.url, token=token) as session:
            for whose, handle in handles_for(session, other.handle).items():
                for what, needed, use in uses(handle):
                    found = outcome(session, use)
                    seen[found] += 1
                    allowed = {"refused"} if role < needed else {"error"}
                    if role >= needed and whose == "own":
                        allowed = {"error", "done"}
                    if found not in allowed:
                        wrong.append((str(role), whose, what, found))
            session.free_handle(other.handle, TypeCode.ARRAY)  # says nothing of what is not its own
            assert session.ping() >= 0
    assert wrong == []
    print(seen)
    assert seen.total() > 1500
    assert min(seen.values()) > 8
