"""Tests of `rpcnb.endpoint.tvm.trace`: packets as lines, while somebody looks."""

from __future__ import annotations

import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import SessionError
from rpcnb.endpoint.tvm import trace as module
from rpcnb.endpoint.tvm.trace import Trace, trace
from rpcnb.remote.client import Remote
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.local import LocalSession


def test_both_directions_are_kept_in_order_while_it_is_on(tvm_peer, tvm_session) -> None:
    tvm_peer.functions["echo"] = lambda value: (1, value)
    with Trace(tvm_session) as trace:
        echo = tvm_session.get_function("echo")
        tvm_session.call_func(echo, (41,))
    tvm_session.call_func(echo, (42,))
    texts = [("→" if line.outgoing else "←", line.text) for line in trace.lines]
    assert texts == [
        ("→", "GET_GLOBAL_FUNC args=('echo')"),
        ("←", "Result values=(0x1)"),
        ("→", "Call function=1 args=(41)"),
        ("←", "Result values=(1, 41)"),
    ]
    assert len(trace) == 4
    assert "→ Call function=1 args=(41)" in repr(trace)
    times = [line.seconds for line in trace.lines]
    assert times == sorted(times)


def test_copies_and_releases_are_seen_too(tvm_session) -> None:
    array = tvm_session.get_device_api(CPU).alloc_data(CPU, (4,), "<f4")
    with Trace(tvm_session) as trace:
        tvm_session.copy_to_remote(bytes(16), array, 16)
        tvm_session.copy_from_remote(array, bytearray(16), 16)
        tvm_session.free_handle(array.handle, array.type_code)
        tvm_session.get_function("absent")
    text = repr(trace)
    for part in ("→ CopyTo", "<16 bytes>", "→ CopyFrom", "← CopyAck", "→ DEV_FREE_DATA"):
        assert part in text


def test_a_long_trace_shows_its_end(tvm_session, monkeypatch) -> None:
    monkeypatch.setattr(module, "_SHOWN", 2)
    trace = Trace(tvm_session)
    assert repr(trace) == "<no packets yet>"
    with trace:
        for _ in range(3):
            tvm_session.get_function("absent")
    assert repr(trace).splitlines()[0] == "… 4 lines before"
    assert len(repr(trace).splitlines()) == 3


def test_other_sessions_have_none() -> None:
    with (
        LocalSession(FunctionRegistry()) as session,
        pytest.raises(SessionError, match="does not speak TVM"),
    ):
        trace(Remote(session))
