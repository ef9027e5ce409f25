"""Many at once, some of which misbehave: nobody else notices, and nothing is left of anybody."""

from __future__ import annotations

import signal
import threading
from time import monotonic

import psutil
import pytest

from rpcnb.core.errors import RpcnbError, WorkerDied

FINE = 61
"""Clients that behave: 64 in all, with those that hang, exit and crash."""
ROUNDS = 20

ELSEWHERE = """
import numpy as np
echo, pid = remote("t.echo"), remote("t.pid")
say("ready")
sys.stdin.readline()
wrong = [n for n in range({rounds}) if echo(n * 1000 + os.getpid()) != n * 1000 + os.getpid()]
say(wrong, pid())
"""


class Clients:
    """Threads of this process, each with a session of its own."""

    def __init__(self, server, remote, count: int) -> None:
        self.server, self.remote = server, remote
        self.wrong: list[object] = []
        self.pids: list[int] = []
        self.seconds: list[float] = []
        self.all_in = threading.Barrier(count + 1)
        self.threads = [threading.Thread(target=self.run, args=(n,)) for n in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, number: int) -> None:
        try:
            with self.server.connect() as session:
                echo = self.remote(session, "t.echo")
                self.pids.append(self.remote(session, "t.pid")())
                self.all_in.wait(30.0)
                for turn in range(ROUNDS):
                    began = monotonic()
                    if echo([number, turn]) != [number, turn]:
                        self.wrong.append((number, turn))
                    self.seconds.append(monotonic() - began)
        except Exception as error:
            self.wrong.append((number, error))
            raise


def test_of_64_clients_one_hangs_one_exits_one_crashes_and_the_rest_notice_nothing(
    own_server, remote, eventually
) -> None:
    server = own_server
    before = {process.pid for process in server.workers()}
    elsewhere = [server.client(ELSEWHERE.format(rounds=ROUNDS)) for _ in range(3)]
    for program in elsewhere:
        assert program.hear() == ["ready"]
    here = Clients(server, remote, FINE - len(elsewhere))
    hanging, leaving, crashing = (server.connect() for _ in range(3))
    hang = remote(hanging, "t.hang")
    threading.Thread(target=pytest.raises, args=(RpcnbError, hang), daemon=True).start()
    leave, crash = remote(leaving, "t.exit"), remote(crashing, "t.crash")
    here.all_in.wait(30.0)
    for program in elsewhere:
        program.process.stdin.write("go\n")
        program.process.stdin.flush()

    with pytest.raises(WorkerDied) as left:
        leave(7)
    with pytest.raises(WorkerDied) as crashed:
        crash()
    assert (left.value.exit_code, left.value.signal) == (7, None)
    assert (crashed.value.exit_code, crashed.value.signal) == (None, signal.SIGSEGV)
    for _ in range(2):  # they can come back
        with server.connect() as session:
            assert remote(session, "t.echo")("again") == "again"

    for thread in here.threads:
        thread.join(40.0)
    assert here.wrong == []
    assert len(here.seconds) == len(here.threads) * ROUNDS
    answers = [program.hear() for program in elsewhere]
    assert [wrong for wrong, _ in answers] == [[]] * len(elsewhere)
    pids = here.pids + [pid for _, pid in answers]
    assert len(set(pids)) == FINE, "each session has a process of its own"

    hanging.shutdown()
    for program in elsewhere:
        assert program.end() == ""
    assert eventually(lambda: not server.workers(), timeout=15.0), "workers were left"
    assert {process.pid for process in server.workers()} == before
    assert server.session_folders() == []
    server.end()
    assert server.left_behind() == []


def test_sessions_come_and_go_without_leaving_descriptors_or_memory(
    own_server, remote, eventually, no_leaked_fds
) -> None:
    server = own_server
    processes = (psutil.Process(server.pid), server.zygote)

    def come_and_go(times: int) -> None:
        for number in range(times):
            with server.connect() as session:
                assert remote(session, "t.echo")(number) == number
        assert eventually(lambda: not server.workers(), timeout=10.0)

    come_and_go(30)
    fds = [process.num_fds() for process in processes]
    threads = [process.num_threads() for process in processes]
    memory = sum(process.memory_info().rss for process in processes)
    come_and_go(200)
    assert eventually(
        lambda: all(p.num_fds() <= before for p, before in zip(processes, fds, strict=True))
    ), "descriptors were left"
    assert eventually(
        lambda: all(p.num_threads() <= n for p, n in zip(processes, threads, strict=True))
    ), "threads were left"
    grown = sum(process.memory_info().rss for process in processes) - memory
    assert grown < 4 << 20, f"200 sessions left {grown:,} bytes in the server"


def test_what_a_call_started_ends_with_its_session(own_server, remote, eventually) -> None:
    with own_server.connect() as session:
        child = psutil.Process(remote(session, "t.spawn")())
        assert child.is_running()
    assert eventually(
        lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, timeout=10.0
    )


def test_a_server_with_all_its_sessions_refuses_in_words(start_server, remote) -> None:
    # 256 is the limit; each takes a process, so the test counts what a refusal says, at a smaller
    # one that a server in this process is given.
    from rpcnb.core.limits import Limits
    from rpcnb.endpoint.client.connect import open_session
    from rpcnb.endpoint.serving.server import Server

    with Server(in_process=True, limits=Limits(sessions=2)) as server:
        sessions = [open_session(server.url, token=server.token) for _ in range(2)]
        with pytest.raises(RpcnbError, match="2 sessions open, its limit"):
            open_session(server.url, token=server.token)
        for session in sessions:
            session.shutdown()
