"""Many sessions at once: each is its own process, all are answered, and nothing is left of them.

By default 40; every night 1,000, 50 of which are busy while the others are idle.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from time import monotonic

import psutil
import pytest

BUSY_CALLS = 200
MIB = 1024


def private_kib(process: psutil.Process) -> int:
    """Return what a process has in memory that it shares with nobody."""
    text = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(map(int, re.findall(r"Private_\w+: +(\d+)", text)))


def be_busy(echoes) -> list[float]:
    """Let sessions call, each on a thread of its own; return how long each call took."""
    seconds: list[float] = []

    def work(echo) -> None:
        for number in range(BUSY_CALLS):
            began = monotonic()
            assert echo(number) == number
            seconds.append(monotonic() - began)

    threads = [threading.Thread(target=work, args=(echo,)) for echo in echoes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(seconds)


def run(server, remote, eventually, amount: int, busy: int) -> dict[str, float]:
    """Open so many sessions, use them, close them; return figures."""
    broker = psutil.Process(server.pid)
    with server.connect() as session:
        remote(session, "t.echo")(0)
    assert eventually(lambda: server.workers() == [], timeout=10.0)
    files, threads = broker.num_fds(), broker.num_threads()
    began = monotonic()
    sessions = [server.connect() for _ in range(amount)]
    opened = monotonic() - began
    try:
        pids = {remote(session, "t.pid")() for session in sessions}
        workers = server.workers()
        assert pids == {worker.pid for worker in workers}
        assert len(pids) == amount
        seconds = be_busy([remote(session, "t.echo") for session in sessions[:busy]])
        assert len(seconds) == busy * BUSY_CALLS
        idle = sorted(map(private_kib, workers[busy:]))
    finally:
        began = monotonic()
        for session in sessions:
            session.shutdown()
    assert eventually(lambda: server.workers() == [], timeout=60.0)
    ended = monotonic() - began
    assert eventually(lambda: server.session_folders() == [], timeout=10.0)
    assert eventually(lambda: broker.num_fds() <= files + 2, timeout=10.0)
    assert eventually(lambda: broker.num_threads() <= threads + 2, timeout=10.0)
    figures = {
        "opened [s]": opened,
        "p99 of a call [ms]": 1e3 * seconds[int(0.99 * len(seconds))],
        "idle, private [MiB]": idle[len(idle) // 2] / MIB,
        "all gone [s]": ended,
    }
    print({name: round(value, 2) for name, value in figures.items()})
    return figures


@pytest.mark.slow
def test_40_sessions_at_once_are_all_served_and_leave_nothing(own_server, remote, eventually):
    assert run(own_server, remote, eventually, 40, 4)["idle, private [MiB]"] < 8


@pytest.mark.nightly
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_1000_sessions_at_once_are_all_served_and_leave_nothing(
    start_server, remote, eventually, host
) -> None:
    with start_server(host=host, limits={"sessions": 1_100}) as server:
        figures = run(server, remote, eventually, 1_000, 50)
    assert figures["p99 of a call [ms]"] < 500
    assert figures["idle, private [MiB]"] < 8
