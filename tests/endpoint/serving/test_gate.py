"""Tests of `rpcnb.endpoint.serving.gate`: every role against every operation, from the tables."""

from __future__ import annotations

import re
import time
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from rpcnb.core.device import CPU, DeviceAttr
from rpcnb.core.errors import PermissionDenied, RpcnbError
from rpcnb.core.roles import Grant, Role
from rpcnb.core.values import ArrayRef, FunctionRef, Handle
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.credentials import secret_of, token_of
from rpcnb.endpoint.serving.gate import (
    BUILTINS,
    CELLS,
    MESSAGES,
    ROLES,
    GatedDispatcher,
    needed_role,
)
from rpcnb.endpoint.serving.server import Server
from rpcnb.endpoint.share_links import derived, narrowed
from rpcnb.session.base import CallStatus, raise_or_return
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession
from rpcnb.wire.messages import CallFunc, DeviceCall, Request

SECURITY_MD = Path(__file__).parents[3] / "SECURITY.md"


def make_registry() -> FunctionRegistry:
    registry = FunctionRegistry()
    for role in Role:
        registry.add(f"t.{role}", lambda role=role: str(role), role=str(role))
    registry.add("stats.load", lambda: 0.5, role="inspector")
    registry.add("t.array", lambda: np.zeros(4), role="reader")
    registry.add("t.maker", lambda: lambda: "made")
    registry.add("t.apply", lambda function: function(), role="inspector")
    return registry


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RPCNB_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        with Server(registry=make_registry(), in_process=True) as server:
            yield server


def call_for_ever(session, name):
    while True:
        call(session, name)


def holding(server, caveats):
    return open_session(server.url, token=narrowed(server.token, caveats))


def call(session, name, *args):
    return session.call_func(session.get_function(name), args)


def outcome(use) -> str:
    try:
        use()
    except PermissionDenied:
        return "refused"
    except RpcnbError:
        return "let through"  # and it did not like what it got
    return "let through"


def stream_wait(session) -> None:
    done: Future[tuple[CallStatus, object]] = Future()
    session.async_stream_wait(CPU, 0, lambda *ended: done.set_result(ended))
    raise_or_return(*done.result(10.0))


def uses(session):
    """Return what a peer may send, as ways to send it; handles that name nothing will do."""
    array = ArrayRef(Handle(10**6), (4,), "<f8")
    api = session.get_device_api(CPU, allow_missing=True)
    return {
        "GetFunction": lambda: session.get_function("rpcnb.functions"),
        "CopyFromRemote": lambda: session.copy_from_remote(array, bytearray(32), 32),
        "CopyToRemote": lambda: session.copy_to_remote(bytes(32), array, 32),
        "StreamWait": lambda: stream_wait(session),
        "DeviceCall get_attr": lambda: api.get_attr(CPU, DeviceAttr.EXIST),
        "DeviceCall kill": lambda: session.ask(lambda n: DeviceCall(n, "cpu:0", "kill", ())),
        "DeviceCall": lambda: api.create_stream(CPU),
        **{name: lambda name=name: call(session, name) for name in BUILTINS},
        f"{CELLS}*": lambda: session.get_function("rpcnb.cell.run"),
    }


@pytest.mark.parametrize("role", list(Role))
def test_a_role_may_do_what_the_table_says_and_nothing_else(server, role) -> None:
    with holding(server, f"role={role};expires={int(time.time()) + 1000}") as session:
        found = {name: outcome(use) for name, use in uses(session).items()}
    expected = {name: "let through" if role >= ROLES[name] else "refused" for name in found}
    assert found == expected


def test_every_request_has_its_row_and_every_row_is_tried(server) -> None:
    assert set(MESSAGES) == set(Request.__args__)
    with holding(server, "role=reader") as session:
        tried = set(uses(session))
    assert set(ROLES) - tried == {"CallFunc"}  # as every builtin's call


def test_security_md_has_the_table_in_force() -> None:
    text = SECURITY_MD.read_text(encoding="utf-8")
    stated = dict(
        re.findall(r"^\| `([\w.* ]+)` \| (inspector|reader|executor|exec) \|", text, re.MULTILINE)
    )
    assert stated == {name: str(role) for name, role in ROLES.items()}


@pytest.mark.parametrize("role", list(Role))
def test_a_registered_function_takes_the_role_it_was_registered_with(server, role) -> None:
    with holding(server, f"role={role}") as session:
        for needed in Role:
            if role >= needed:
                assert call(session, f"t.{needed}") == str(needed)
            else:
                with pytest.raises(PermissionDenied, match=f"needs the role {needed}; .* {role}$"):
                    session.get_function(f"t.{needed}")


def test_who_may_not_upload_changes_nothing(server) -> None:
    with holding(server, "role=reader") as session:
        array = call(session, "t.array")
        with pytest.raises(PermissionDenied, match="CopyToRemote needs the role executor"):
            session.copy_to_remote(np.ones(4), array, 32)
        target = np.full(4, 7.0)
        session.copy_from_remote(array, target, 32)
        assert target.tolist() == [0.0] * 4


def test_functions_come_by_name_or_not_at_all(server) -> None:
    with holding(server, "role=inspector") as session:
        for number in range(1, 50):
            with pytest.raises(PermissionDenied):
                session.call_func(FunctionRef(Handle(number)), ())
        known = session.get_function("stats.load")
        assert session.call_func(known, ()) == 0.5
        session.free_handle(known.handle, 1)
        with pytest.raises(RpcnbError):
            session.call_func(known, ())


def test_an_executor_may_call_what_a_call_returned(server) -> None:
    with holding(server, "role=executor") as session:
        assert session.call_func(call(session, "t.maker"), ()) == "made"


def test_a_link_for_some_functions_shows_and_calls_no_others(server) -> None:
    with holding(server, "role=executor;functions=stats.*,t.maker") as session:
        listed = {entry["name"] for entry in call(session, "rpcnb.functions")}
        assert listed == {"stats.load", "t.maker"}
        assert call(session, "stats.load") == 0.5
        with pytest.raises(PermissionDenied, match="not among those that this link is for"):
            session.get_function("t.executor")
        with pytest.raises(PermissionDenied, match="not asked for by name"):
            session.call_func(call(session, "t.maker"), ())


def test_a_link_ends_in_the_middle_of_a_session(server) -> None:
    caveats = f"role=executor;expires={int(time.time()) + 2}"
    with holding(server, caveats) as session:
        assert call(session, "t.executor") == "executor"
        with pytest.raises(RpcnbError) as end:
            call_for_ever(session, "t.executor")
    assert "this link has expired" in str(end.value)
    with pytest.raises(RpcnbError, match="expired"):
        holding(server, caveats)


def test_a_request_after_the_end_is_refused_whatever_the_clock_of_the_connection_says() -> None:
    said = []
    session = LocalSession(FunctionRegistry())
    dispatcher = GatedDispatcher(session, Grant(Role.READER), lambda *_: None)
    dispatcher._grant = Grant(Role.READER, (), time.time() - 1)
    dispatcher.reply = lambda number, status, value: said.append(value.message)
    dispatcher.on_call(CallFunc(1, 1))
    assert said == ["this link has expired; ask for a new one"]
    session.shutdown()


def test_a_made_up_link_proves_nothing(server) -> None:
    secret = secret_of(server.token)
    wider = narrowed(server.token, "role=inspector").replace("role=inspector", "role=executor")
    dropped = ".".join(narrowed(server.token, "role=inspector").split(".")[:3])
    for forged in (wider, dropped, token_of(derived(secret, "role=inspector"))):
        with pytest.raises(RpcnbError, match="does not know this secret"):
            open_session(server.url, token=forged)


def test_a_link_with_a_caveat_that_nobody_knows_opens_nothing(server) -> None:
    secret = derived(secret_of(server.token), "colour=red")
    keyid, text = secret_of(server.token).keyid.decode(), token_of(secret)
    with pytest.raises(RpcnbError, match="cannot be understood"):
        open_session(server.url, token=f"{keyid}.{text}..colour=red")


def test_share_makes_the_link(server) -> None:
    link = server.share("inspector", "stats.*", 60.0)
    with open_session(link) as session:
        assert call(session, "stats.load") == 0.5
        with pytest.raises(PermissionDenied):
            session.get_function("t.inspector")


def test_what_no_table_names_takes_an_executor() -> None:
    session = LocalSession(make_registry())
    assert needed_role(session, "rpcnb.upload") is Role.EXECUTOR
    assert needed_role(session, "rpcnb.cell.get") is Role.EXEC
    assert needed_role(session, "no.such") is Role.EXECUTOR
    session.shutdown()


def test_the_owner_meets_no_gate(server) -> None:
    with open_session(server.url, token=server.token) as session:
        assert call(session, "t.exec") == "exec"
