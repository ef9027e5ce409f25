"""Calls that do not return from C are ended with their process, and nothing else is."""

from __future__ import annotations

import json
import threading
from time import monotonic
from typing import TYPE_CHECKING

import psutil
import pytest

from rpcnb.core.errors import ConnectError, SessionError, WorkerDied
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.serving.server import Server
from rpcnb.endpoint.share_links import narrowed
from rpcnb.remote.client import Remote
from rpcnb.session.functions import FunctionRegistry

if TYPE_CHECKING:
    from rpcnb.remote.future import RemoteFuture

STUCK = {
    "t.grip": 3600,
    "t.backtrack": 60,
    "t.multiply": 10**8,
    "t.stubborn": 3600,
    "t.deaf": 3600,
}
"""Functions that do not stop: three with the interpreter's lock, so that nothing is heard meanwhile,
the others without it."""
SHORT = 0.1
"""Seconds to wait for a confirmation that does not come."""


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def start(tmp_path, eventually):
    """Give a function that starts a call and returns when it runs."""

    def start(here: Remote, name: str, argument: float) -> RemoteFuture:
        path = tmp_path / "runs"
        call = here.functions["t.run_and_say"].submit(name, argument, str(path))
        assert eventually(path.exists)
        path.unlink()
        return call

    return start


@pytest.mark.parametrize("name", STUCK)
def test_a_call_that_does_not_stop_is_ended_with_its_process(server, remote, start, name) -> None:
    with server.connect() as bystander, Remote(server.connect()) as here:
        echo, pid = remote(bystander, "t.echo"), here.functions["t.pid"]()
        other = here.functions["t.echo"]
        assert other(0) == 0
        stuck, behind = start(here, name, STUCK[name]), other.submit(1)
        began = monotonic()
        assert stuck.cancel(SHORT, kill=True) is True
        assert monotonic() - began < 6.0
        for call in (stuck, behind):
            with pytest.raises(WorkerDied, match="was killed, as its client asked for") as died:
                call.result(5)
            assert died.value.signal == 9
        with pytest.raises(WorkerDied, match="connect again"):
            other(2)
        assert not psutil.pid_exists(pid), "it was reaped"
        assert echo(3) == 3
    with Remote(server.connect()) as again:
        assert again.functions["t.echo"](4) == 4


def test_a_call_that_stops_when_asked_costs_nothing_else(server, start) -> None:
    with Remote(server.connect()) as here:
        pid = here.functions["t.pid"]
        before = pid()
        call = start(here, "t.loop", 3600)
        assert call.cancel(20.0, kill=True) is True
        assert call.cancelled()
        assert pid() == before, "the session lives on"


def test_who_waits_is_told_while_another_thread_kills(server, remote) -> None:
    session = server.connect()
    grip = remote(session, "t.grip")
    killing = threading.Timer(SHORT, session.kill)
    killing.start()
    with pytest.raises(WorkerDied, match="as its client asked for"):
        grip(3600)
    killing.join(5)
    assert session.closed
    with pytest.raises(WorkerDied):
        session.kill()


def test_what_the_call_started_ends_with_it_and_its_folder_is_gone(
    own_server, eventually, start
) -> None:
    with Remote(own_server.connect()) as here:
        child = psutil.Process(here.functions["t.spawn"]())
        here.upload(b"x", "file")  # the folder is made when it is first needed
        assert len(own_server.session_folders()) == 1
        start(here, "t.grip", 3600).cancel(SHORT, kill=True)
        assert eventually(lambda: gone(child))
        assert own_server.workers() == []
        assert own_server.session_folders() == []


def test_a_gateway_passes_it_on_and_lives(start_server, tmp_path, remote) -> None:
    with (
        start_server() as far,
        Server(
            url=f"unix://{tmp_path}/near.sock",
            registry=FunctionRegistry(),
            in_process=False,
            open_next=far.connect,
            connection_file=tmp_path / "near.json",
        ) as near,
        open_session(near.url, token=near.token) as session,
    ):
        grip, echo = session.get_function("t.grip"), remote(session, "t.echo")
        killing = threading.Timer(SHORT, session.kill)
        killing.start()
        with pytest.raises(WorkerDied, match="process on srv was killed"):
            session.call_func(grip, (3600,))
        killing.join(5)
        assert far.workers() == []
        with pytest.raises(WorkerDied):
            echo(1)
        assert session.ping() < 5.0, "its own process was not killed"


def test_only_its_own_client_ends_a_session_whatever_its_role(tmp_path) -> None:
    log = tmp_path / "audit.log"
    with Server(
        url=f"unix://{tmp_path}/s.sock",
        registry=FunctionRegistry(),
        in_process=False,
        audit_log=log,
        connection_file=tmp_path / "s.json",
    ) as server:
        link = narrowed(server.token, "role=inspector")
        with (
            open_session(server.url, token=server.token) as one,
            open_session(server.url, token=link) as other,
        ):
            true_id = other.agreement.session_id
            object.__setattr__(other.agreement, "session_id", one.agreement.session_id)
            with pytest.raises(SessionError, match="another client"):
                other.kill()
            assert one.ping() < 5.0
        with open_session(server.url, token=link) as inspector:
            inspector.kill()
            assert inspector.closed
    told = [json.loads(line) for line in log.read_text().splitlines()]
    killed = [line for line in told if line["event"] == "session killed"]
    assert [line["session"] for line in killed] == [inspector.agreement.session_id.hex()]
    ended = {line["session"]: line["code"] for line in told if line["event"] == "session ended"}
    assert ended[killed[0]["session"]] == -9
    assert ended[true_id.hex()] != -9


def test_a_server_that_is_gone_kills_nobody(own_server) -> None:
    session = own_server.connect()
    own_server.kill()
    with pytest.raises(ConnectError):
        session.kill()
    session.shutdown()
