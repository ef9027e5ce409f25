"""Sessions whose connections, clients and workers are ended at random instants.

Small amounts by default, so that every commit is tried; the amounts of the promise with
``-m nightly``. Every test prints what a failure needs to be repeated: its seed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from pathlib import Path
from time import monotonic

import psutil
import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import OutcomeUnknown, RpcnbError, WorkerDied
from rpcnb.endpoint.client.connect import open_session
from rpcnb.testing import Fault, FaultProxy

sys.path.insert(0, str(Path(__file__).parent))
from leavers import CLIENTS  # beside this file, which is no package

WAIT = 60.0
MIB = 1 << 20


def amounts(commit: int, night: int):
    return pytest.mark.parametrize(
        "amount",
        [
            commit,
            pytest.param(night, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)]),
        ],
    )


@pytest.fixture(autouse=True)
def by_socket(monkeypatch) -> None:
    monkeypatch.setenv("RPCNB_SHARED_MEMORY", "off")


class Client(threading.Thread):
    """Increases the counter of its own session, over a way of its own."""

    def __init__(self, server, share: int, seed: int, pauses: tuple[float, float]) -> None:
        super().__init__(daemon=True)
        self.acknowledged, self.unknown = 0, 0
        self.counted: list[int] = []
        self.resumed = 0
        self._server, self._share, self._pauses = server, share, pauses
        self._numbers = random.Random(seed)

    def run(self) -> None:
        with (
            FaultProxy(self._server.url) as way,
            open_session(way.url, token=self._server.token) as session,
        ):
            increase = session.get_function("t.increase")
            until = monotonic() + self._numbers.uniform(*self._pauses)
            for number in range(self._share):
                if monotonic() > until:  # beside the call, and so now and then in the middle of it
                    cut = self._numbers.choice((way.cut, way.reset))
                    threading.Timer(self._numbers.uniform(0, 0.0005), cut).start()
                    until = monotonic() + self._numbers.uniform(*self._pauses)
                try:
                    session.call_func(increase, (number,))
                    self.acknowledged += 1
                except OutcomeUnknown:
                    self.unknown += 1
            self.counted = session.call_func(session.get_function("t.counted"))
            self.resumed = session.statistics()["connections"] - 1


@amounts(1_000, 10_000)
def test_increments_of_8_clients_with_cuts_run_once_each(own_server, amount) -> None:
    pauses = (0.001, 0.01) if amount == 1_000 else (0.05, 0.3)
    share = amount // 8
    if amount > 1_000:
        share *= 20  # so that the cuts of the promise, every 50 to 300 ms, come in between
    clients = [Client(own_server, share, seed, pauses) for seed in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(WAIT * 10)
    assert not any(client.is_alive() for client in clients)
    calls = sum(client.counted[0] for client in clients)
    different = sum(client.counted[1] for client in clients)
    acknowledged = sum(client.acknowledged for client in clients)
    unknown = sum(client.unknown for client in clients)
    resumed = sum(client.resumed for client in clients)
    print(f"{acknowledged=} {unknown=} {calls=} duplicates={calls - different} {resumed=}")
    assert calls == different, "duplicates"
    assert acknowledged <= calls <= acknowledged + unknown
    assert acknowledged + unknown == 8 * share
    assert resumed >= 8


@pytest.mark.parametrize("direction", ["up", "down"])
@amounts(10, 250)
def test_copies_of_64_mib_with_cuts_arrive_whole(own_server, amount, direction) -> None:
    numbers, nbytes = random.Random(amount), 64 * MIB
    content = numbers.randbytes(nbytes)
    done = 0
    while done < amount:
        count = min(10, amount - done)
        faults = [
            Fault(numbers.choice(("cut", "reset")), numbers.randrange(nbytes // 12), direction)
            for _ in range(count)
        ]
        with (
            FaultProxy(own_server.url, lambda n, f=faults: f[n : n + 1]) as way,
            open_session(way.url, token=own_server.token) as session,
        ):
            array = session.get_device_api(CPU).alloc_data(CPU, (nbytes,), "|u1")
            back = bytearray(nbytes)
            session.copy_to_remote(content, array, nbytes)
            session.copy_from_remote(array, back, nbytes)
            assert back == content
            assert way.faults == count
            again = way.nbytes[direction] - nbytes
            print(f"{count} cuts, {again / MIB / count:.2f} MiB again a cut")
            assert again <= count * 2 * MIB + MIB // 4  # headers, handshakes, other calls
        done += count


SPARE = 4
"""Descriptors that a worker takes which was forked ahead: it may be there or not."""


def descriptors(server) -> list[int]:
    """Return how many the broker and the zygote have open; these close a moment after a worker."""
    return [psutil.Process(server.pid).num_fds(), server.zygote.num_fds()]


def has_closed_them(server, before: list[int]) -> bool:
    """Tell whether there are no more than before: one left by each of ten would be seen."""
    return all(now <= then + SPARE for now, then in zip(descriptors(server), before, strict=True))


@amounts(50, 500)
def test_killed_clients_leave_nothing(own_server, eventually, amount) -> None:
    with own_server.connect() as bystander:
        echo = bystander.get_function("t.echo")
        before = descriptors(own_server)
        client = own_server.client(CLIENTS)
        client.process.stdin.write(f'[{amount}, "killed"]\n')
        client.process.stdin.flush()
        answers = 0
        while not client.has_spoken():
            answers += 1
            assert bystander.call_func(echo, (answers,)) == answers
        assert client.hear() == ["done"]
        assert client.end() == ""
        assert eventually(lambda: len(own_server.workers()) == 1, timeout=10.0)
        assert eventually(lambda: has_closed_them(own_server, before))
    assert eventually(lambda: own_server.session_folders() == [])
    assert eventually(lambda: own_server.workers() == [])
    assert answers > amount


def call_for_ever(session, function) -> None:
    while True:
        session.call_func(function, (0.001,))


@amounts(50, 500)
def test_killed_workers_end_calls_at_once_and_leave_nothing(own_server, eventually, amount) -> None:
    numbers = random.Random(amount)
    before = descriptors(own_server)
    slowest = 0.0
    with own_server.connect() as bystander:
        echo = bystander.get_function("t.echo")
        for _ in range(amount):
            session = own_server.connect()
            pid = session.call_func(session.get_function("t.pid"))
            sleep = session.get_function("t.sleep")
            killed_at = []

            def kill(pid: int = pid, killed_at: list[float] = killed_at) -> None:
                killed_at.append(monotonic())
                os.kill(pid, signal.SIGKILL)

            killer = threading.Timer(numbers.uniform(0, 0.02), kill)
            killer.start()
            with pytest.raises(WorkerDied) as died:
                call_for_ever(session, sleep)
            slowest = max(slowest, monotonic() - killed_at[0])
            killer.join()
            assert died.value.signal == signal.SIGKILL
            with pytest.raises(RpcnbError):
                session.get_function("t.echo")
            session.shutdown()
            assert bystander.call_func(echo, (1,)) == 1
    print(f"told within {slowest:.3f} s")
    assert eventually(lambda: own_server.workers() == [])
    assert own_server.session_folders() == []
    assert eventually(lambda: has_closed_them(own_server, before))


@amounts(25, 500)
def test_sessions_outlive_killed_brokers(start_server, eventually, amount) -> None:
    numbers = random.Random(amount)
    with start_server(grace=20.0) as server:
        way = FaultProxy(server.url)
        session = open_session(way.url, token=server.token)
        increase, pid = session.get_function("t.increase"), session.get_function("t.pid")
        worker, done = session.call_func(pid), [0]
        stop = threading.Event()

        def call() -> None:
            while not stop.is_set():
                session.call_func(increase, (done[0],))
                done[0] += 1

        calling = threading.Thread(target=call, daemon=True)
        calling.start()
        for _ in range(amount):
            threading.Event().wait(numbers.uniform(0, 0.05))
            before = done[0]
            server.restart()
            way.cut()  # so that it takes the new broker
            assert eventually(lambda n=before: done[0] > n + 10, timeout=20.0)
            with server.connect() as other:
                assert other.call_func(other.get_function("t.echo"), (1,)) == 1
        stop.set()
        calling.join(WAIT)
        assert not calling.is_alive()
        assert session.call_func(pid) == worker
        counted = session.call_func(session.get_function("t.counted"))
        assert counted == [done[0], done[0]]
        session.shutdown()
        assert eventually(lambda: server.workers() == [])
        way.close()  # not before: its goodbye may still be on this way
        server.end()
        assert eventually(lambda: gone(server.zygote))
        assert eventually(lambda: server.left_behind() == []), server.left_behind()
        print(f"{amount} brokers killed: {done[0]} increments, none twice, none lost")


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_workers_of_a_broker_that_nobody_follows_end(start_server, eventually) -> None:
    with start_server(grace=0.5) as server:
        session = server.connect()
        worker = psutil.Process(session.call_func(session.get_function("t.pid")))
        server.kill()
        assert eventually(lambda: gone(worker), timeout=10.0)
        assert eventually(lambda: gone(server.zygote))
        assert list((server.temp / "tmp").iterdir()) == []
        session.shutdown()
