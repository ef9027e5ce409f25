"""One end vanishes: the other is told, and nothing is left.

The servers here keep a session for half a second only; connections that come back are the subject of
test_resume.py.
"""

from __future__ import annotations

import os
import signal
import threading
from time import monotonic

import psutil
import pytest

from rpcnb.core.errors import OutcomeUnknown, RpcnbError, SessionClosed, WorkerDied
from rpcnb.session.observer import CallObserver

BUSY = """
class Watch(CallObserver):
    def started(self): say("running")
remote("rpcnb.upload")("notes.txt", 0, b"so that there is a folder", True)
pid = remote("t.pid")()
say(pid)
{call}
"""


class WhenItRuns(CallObserver):
    """Does something when a call has begun."""

    def __init__(self, do) -> None:
        self.started = do


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(
    "call",
    ["time.sleep(60)", 'remote("t.sleep")(60, observer=Watch())', 'remote("t.hang")()'],
    ids=["idle", "sleeping", "computing"],
)
def test_when_a_client_is_killed_its_worker_ends_and_its_folder_is_gone(
    own_server, eventually, call
) -> None:
    client = own_server.client(BUSY.format(call=call))
    worker = psutil.Process(*client.hear())
    assert len(own_server.session_folders()) == 1
    client.kill()
    began = monotonic()
    assert eventually(lambda: gone(worker), timeout=10.0), "the worker lives on"
    assert eventually(lambda: own_server.session_folders() == []), "its folder was left"
    assert monotonic() - began < 3.0


def test_a_worker_whose_call_cannot_be_stopped_is_ended_after_its_client(
    start_server, eventually
) -> None:
    with start_server(stuck_after=1.0) as server:
        client = server.client(BUSY.format(call='remote("t.stubborn")(300, observer=Watch())'))
        worker = psutil.Process(*client.hear())
        assert client.hear() == ["running"]
        client.kill()
        assert eventually(lambda: gone(worker), timeout=20.0), "the worker lives on"
        assert eventually(lambda: server.session_folders() == [])


LEAVE = """
from rpcnb.core.values import CallbackRef, FunctionInfo
class Lender(CallObserver):
    def call_back(self, callback, args, kwargs):
        session.shutdown()
        time.sleep(60)
say(remote("t.pid")())
call = remote("t.call_stubbornly")
threading.Thread(
    target=lambda: call(CallbackRef(1, FunctionInfo("mine")), 300, observer=Lender()), daemon=True
).start()
time.sleep(60)
"""


def test_a_worker_that_learns_of_the_end_within_a_call_is_ended_all_the_same(
    start_server, eventually
) -> None:
    with start_server(stuck_after=1.0) as server:
        worker = psutil.Process(*server.client(LEAVE).hear())
        assert eventually(lambda: gone(worker), timeout=20.0), "the worker lives on"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_when_a_worker_is_killed_its_client_learns_the_signal(own_server, remote, number) -> None:
    with own_server.connect() as session:
        pid, sleep = remote(session, "t.pid")(), remote(session, "t.sleep")
        threading.Timer(0.2, os.kill, (pid, number)).start()
        began = monotonic()
        with pytest.raises(WorkerDied, match=f"killed by {number.name}") as died:
            sleep(60)
        assert died.value.signal == number
        assert monotonic() - began < 1.2, "told within a second"
        with pytest.raises(WorkerDied):
            sleep(0)
    assert own_server.session_folders() == []


def test_when_the_server_is_killed_workers_end_and_clients_are_told(
    own_server, remote, eventually
) -> None:
    session = own_server.connect()
    sleep = remote(session, "t.sleep")
    workers = own_server.workers()
    assert len(workers) == 1
    threading.Timer(0.2, own_server.process.kill).start()
    began = monotonic()
    with pytest.raises((OutcomeUnknown, SessionClosed), match="srv"):
        sleep(60)
    assert monotonic() - began < 5.0
    assert eventually(lambda: all(map(gone, [*workers, own_server.zygote])), timeout=10.0)
    assert list((own_server.temp / "tmp").iterdir()) == []
    with pytest.raises(RpcnbError):
        own_server.connect()


def test_when_the_zygote_is_killed_workers_end_and_the_server_says_so(
    own_server, remote, eventually
) -> None:
    session = own_server.connect()
    sleep = remote(session, "t.sleep")
    workers = own_server.workers()
    threading.Timer(0.2, own_server.zygote.kill).start()
    with pytest.raises(RpcnbError):
        sleep(60)
    assert eventually(lambda: all(map(gone, workers)))
    with pytest.raises(RpcnbError, match="restart the server"):
        own_server.connect()
    own_server.end()
    assert own_server.left_behind() == []


def test_a_peer_that_resets_the_connection_is_gone(own_server, eventually) -> None:
    session = own_server.connect()
    session.get_function("t.echo")
    session._connection.recovery = None
    session._connection.transport.abort()
    assert eventually(lambda: own_server.workers() == [], timeout=10.0)
    assert eventually(lambda: session.closed)


def test_closing_a_server_tells_clients_whose_calls_run(own_server, remote) -> None:
    session = own_server.connect()
    sleep = remote(session, "t.sleep")
    threading.Timer(0.2, own_server.process.stdin.close).start()
    began = monotonic()
    with pytest.raises(RpcnbError, match="the server is stopping"):
        sleep(60)
    assert monotonic() - began < 5.0
    own_server.process.wait(10.0)
    own_server.process.stdin = None
    assert own_server.end() == ""
    assert own_server.left_behind() == []


def test_calls_that_run_may_finish_when_a_server_drains(start_server, remote, eventually) -> None:
    with start_server(drain=20.0) as server:
        session = server.connect()
        sleep = remote(session, "t.sleep")
        idle = server.connect()
        remote(idle, "t.sleep")(0)  # a worker that has no session yet ends without a word
        began = monotonic()
        # Not after a while: on a busy machine the call would not have begun, and be refused.
        assert sleep(1.0, observer=WhenItRuns(server.process.stdin.close)) == 1.0
        assert eventually(lambda: session.closed)
        with pytest.raises(RpcnbError, match="the server is stopping"):
            sleep(0)
        assert eventually(lambda: idle.closed), "its own thread has to hear of it"
        server.process.wait(10.0)
        assert monotonic() - began < 15.0, "nobody waited until the time for running calls was up"
        server.process.stdin = None
        assert server.left_behind() == []


def test_a_server_that_drains_ends_calls_whose_time_is_up(start_server, remote) -> None:
    with start_server(drain=0.5) as server:
        session = server.connect()
        sleep = remote(session, "t.sleep")
        threading.Timer(0.2, server.process.stdin.close).start()
        with pytest.raises(RpcnbError, match="the server is stopping"):
            sleep(60)
        server.process.wait(10.0)
        server.process.stdin = None


def test_a_server_with_a_stuck_worker_still_closes(start_server, remote) -> None:
    with start_server(kill_after=1.0) as server:
        session = server.connect()
        stubborn = remote(session, "t.stubborn")
        threading.Thread(
            target=pytest.raises, args=(RpcnbError, stubborn, 300), daemon=True
        ).start()
        assert session.ping() < 1.0
        began = monotonic()
        server.end()
        assert monotonic() - began < 6.0, "a second for the worker, then it is killed"
        assert server.left_behind() == []


def test_a_forked_child_of_a_client_cannot_disturb_its_parent(server) -> None:
    client = server.client("""
echo = remote("t.echo")
echo(1)
child = os.fork()
if child == 0:
    try:
        echo(2)
    except SessionClosed as error:
        say("child", str(error))
    session.shutdown()
    os._exit(0)
os.waitpid(child, 0)
say("parent", [echo(n) for n in range(100)] == list(range(100)))
""")
    kind, text = client.hear()
    assert kind == "child"
    assert "belongs to the process that was forked" in text
    assert client.hear() == ["parent", True]
    assert client.end() == ""


def test_a_child_that_outlives_a_client_does_not_hold_its_session(own_server, eventually) -> None:
    client = own_server.client("""
import subprocess
child = os.fork()
if child == 0:
    time.sleep(60)
    os._exit(0)
say(child)
time.sleep(60)
""")
    child = psutil.Process(*client.hear())
    assert len(own_server.workers()) == 1
    client.kill()
    assert eventually(lambda: own_server.workers() == [], timeout=10.0)
    child.kill()
