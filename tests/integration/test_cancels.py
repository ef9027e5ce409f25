"""Requests are cancelled at random instants: each ends once, at once, and nothing of it comes later.

Calls that wait, that run Python, that are in a loop of NumPy's, that let their process hear nothing,
and copies on their way. 200 by default, 2,000 every night.
"""

from __future__ import annotations

import random
import threading
from time import monotonic

import pytest

from rpcnb.core.device import CPU
from rpcnb.session.base import CallStatus

PROMISED = 1.0
"""Seconds until a request that was cancelled has ended."""
PATIENCE = 20.0
NBYTES = 32 << 20
KILL_AFTER = 0.05
"""Seconds until the process of a call that was cancelled and goes on is killed; a person's are 5."""
LATEST = 0.01
"""Seconds within which the instant lies."""


class Outcome:
    """How one request ended; a callback."""

    def __init__(self) -> None:
        self.all: list[tuple[CallStatus, object]] = []
        self.ended = threading.Event()

    def __call__(self, status, value) -> None:
        self.all.append((status, value))
        self.ended.set()


class Canceller:
    """Starts requests of one session, and cancels them."""

    def __init__(self, session, connect, seed: int) -> None:
        self.session, self.numbers = session, random.Random(seed)
        self.connect = connect
        names = ("echo", "increase", "loop", "sleep", "sort")
        self.functions = {name: session.get_function(f"t.{name}") for name in names}
        self.array = session.get_device_api(CPU).alloc_data(CPU, (NBYTES,), "|u1")
        self.memory = bytearray(NBYTES)
        self.outcomes: list[Outcome] = []
        self.slowest = 0.0
        self.increased = 0
        self.killed = 0

    def call(self, name: str, *args) -> tuple[int, Outcome]:
        """Start a call; return its number and what will become of it."""
        outcome = Outcome()
        self.session.async_call_func(self.functions[name], args, {}, outcome)
        return self._latest(), outcome

    def _latest(self) -> int:
        return max(self.session._connection.pending, default=0)  # none: it has ended

    def cancel(self, number: int, outcome: Outcome) -> CallStatus:
        """Cancel something a moment from now; return how it ended."""
        threading.Event().wait(self.numbers.uniform(0, LATEST))
        began = monotonic()
        self.session.cancel_call(number)
        assert outcome.ended.wait(PATIENCE)
        self.slowest = max(self.slowest, monotonic() - began)
        self.outcomes.append(outcome)
        return outcome.all[0][0]

    def one_that_waits(self) -> None:
        """What waits behind a call that does not end has not begun, and never begins."""
        front = self.call("sleep", 60.0)
        waiting = [self.call("increase", self.increased + n) for n in range(3)]
        chosen = waiting.pop(self.numbers.randrange(3))
        assert self.cancel(*chosen) is CallStatus.CANCELLED
        assert self.cancel(*front) is CallStatus.CANCELLED
        for _, outcome in waiting:
            assert outcome.ended.wait(PATIENCE)
            assert outcome.all[0][0] is CallStatus.RETURN
        self.increased += 2
        self.outcomes += [outcome for _, outcome in waiting]

    def one_that_runs(self) -> None:
        assert self.cancel(*self.call("loop", 60.0)) is CallStatus.CANCELLED

    def one_that_may_be_over(self) -> None:
        number, outcome = self.call("sleep", LATEST / 2)
        status = self.cancel(number, outcome)
        assert outcome.all[0] == (status, LATEST / 2 if status is CallStatus.RETURN else None)

    def one_in_numpy(self) -> None:
        assert self.cancel(*self.call("sort", 60.0)) is CallStatus.CANCELLED

    def one_that_hears_nothing(self) -> None:
        """What holds the interpreter's lock in C is ended with its process, a session of its own."""
        with self.connect() as session:
            grip, echo = (session.get_function(f"t.{name}") for name in ("grip", "echo"))
            outcomes = [Outcome(), Outcome()]
            session.async_call_func(grip, (3600,), {}, outcomes[0])
            session.async_call_func(echo, (1,), {}, outcomes[1])
            threading.Event().wait(self.numbers.uniform(0, LATEST))
            began = monotonic()
            session.cancel_call(max(session._connection.pending) - 1)
            if not outcomes[0].ended.wait(KILL_AFTER):  # else it had not begun
                session.kill()
            for outcome in outcomes:
                assert outcome.ended.wait(PATIENCE)
            self.slowest = max(self.slowest, monotonic() - began)
            self.killed += outcomes[0].all[0][0] is CallStatus.LOST
            self.outcomes += outcomes

    def an_upload(self) -> None:
        self._copy(self.session.async_copy_to_remote, self.memory, self.array)

    def a_download(self) -> None:
        self._copy(self.session.async_copy_from_remote, self.array, self.memory)

    def _copy(self, start, source, target) -> None:
        outcome = Outcome()
        start(source, target, NBYTES, outcome)
        assert self.cancel(self._latest(), outcome) in {CallStatus.CANCELLED, CallStatus.RETURN}


KINDS = (
    Canceller.one_that_waits,
    Canceller.one_that_runs,
    Canceller.one_that_may_be_over,
    Canceller.one_in_numpy,
    Canceller.one_that_hears_nothing,
    Canceller.an_upload,
    Canceller.a_download,
)


def cancel_many(server, remote, eventually, amount: int) -> None:
    with server.connect() as session:
        canceller, echo = Canceller(session, server.connect, amount), remote(session, "t.echo")
        statistics = remote(session, "rpcnb.statistics")
        handles = statistics()["handles"]
        for case in range(amount):
            KINDS[case % len(KINDS)](canceller)
            assert echo(case) == case, "the next answer is the right one"
        assert eventually(lambda: statistics()["calls_running"] == 1), "only the one that asks"
        assert session.statistics()["calls_in_flight"] == 0
        assert statistics()["handles"] == handles
        assert remote(session, "t.counted")()[0] == canceller.increased, "a cancelled call ran"
        assert [len(outcome.all) for outcome in canceller.outcomes if len(outcome.all) != 1] == []
        canceller.memory[:] = random.Random(1).randbytes(1 << 16) * (NBYTES >> 16)
        back = bytearray(NBYTES)
        session.copy_to_remote(canceller.memory, canceller.array, NBYTES)
        session.copy_from_remote(canceller.array, back, NBYTES)
        assert back == canceller.memory
    statuses = [outcome.all[0][0] for outcome in canceller.outcomes]
    stopped = statuses.count(CallStatus.CANCELLED)
    print(
        f"{amount}: {stopped} cancelled of {len(statuses)}, {canceller.killed} killed, slowest {canceller.slowest:.3f} s"
    )
    assert stopped > amount // 2
    assert canceller.killed > amount // len(KINDS) // 2
    assert canceller.slowest < PROMISED


@pytest.mark.slow
def test_200_requests_that_are_cancelled_end_once_and_at_once(server, remote, eventually) -> None:
    cancel_many(server, remote, eventually, 200)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_2000_requests_that_are_cancelled_end_once_and_at_once(server, remote, eventually) -> None:
    cancel_many(server, remote, eventually, 2000)
