"""Tests of `rpcnb.endpoint.tvm.worker`: TVM clients served by a server's workers."""

from __future__ import annotations

import os
import threading

import pytest

from rpcnb.core.errors import DeadlineExceeded, OutcomeUnknown, RpcnbError
from rpcnb.endpoint.serving.server import Server
from rpcnb.endpoint.tvm.connect import TVMAddress, connect_tvm
from rpcnb.endpoint.tvm.server import TVMServer
from rpcnb.endpoint.tvm.worker import PROTOCOL
from rpcnb.session.functions import FunctionRegistry
from rpcnb.wire.tvm.packets import Call, Code

WAIT = 10.0


@pytest.fixture
def registry(release):
    registry = FunctionRegistry()
    registry.add("t.pid", os.getpid)
    registry.add("t.end", lambda: os._exit(3))
    registry.add("t.wait", lambda: release.wait(WAIT))
    return registry


@pytest.fixture
def release():
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def serving(registry, release, tmp_path):
    """Give a function that serves TVM clients from workers, or from threads: it gives the port."""
    opened = []

    def start(**options) -> int:
        server = Server(registry=registry, connection_file=tmp_path / "server.json", **options)
        opened.append(server.start())
        tvm = TVMServer(lambda transport, seconds: server.host(transport, PROTOCOL, seconds), "k")
        opened.append(tvm)
        return tvm.port

    yield start
    release.set()
    for one in reversed(opened):
        one.close()


def connect(port: int, timeout: float | None = None):
    return connect_tvm(TVMAddress("127.0.0.1", port, "k", timeout), WAIT)


def call(session, name):
    return session.call_func(session.get_function(name))


@pytest.mark.parametrize("in_process", [False, True])
def test_each_client_has_a_worker(serving, in_process) -> None:
    port = serving(in_process=in_process)
    with connect(port) as one, connect(port) as two:
        pids = {call(one, "t.pid"), call(two, "t.pid")}
    assert pids == {os.getpid()} if in_process else len(pids - {os.getpid()}) == 2


@pytest.mark.parametrize("in_process", [False, True])
def test_a_session_over_its_time_is_told_so(serving, in_process) -> None:
    port = serving(in_process=in_process)
    with connect(port, timeout=0.1) as session, pytest.raises(DeadlineExceeded, match=r"0\.1s"):
        call(session, "t.wait")
    with connect(port) as session:
        assert call(session, "t.pid")


def test_a_worker_that_dies_ends_its_own_session_only(serving) -> None:
    port = serving(in_process=False)
    with connect(port) as one, connect(port) as two:
        with pytest.raises(OutcomeUnknown):
            call(one, "t.end")
        assert call(two, "t.pid")


def test_cells_do_not_run_for_who_proved_nothing(serving) -> None:
    with connect(serving(in_process=False, allow_exec=True)) as session:
        pointer = session.system_call(Code.GET_GLOBAL_FUNC, "rpcnb.cell.run")
        (answer,) = session.link.ask(Call(pointer.value, ("1",)), what="a cell")
    assert "runs no cells" in answer.message


def test_a_server_that_was_not_started_hosts_nobody(registry) -> None:
    with pytest.raises(RpcnbError, match="not started"):
        Server(registry=registry).host(None, PROTOCOL)
