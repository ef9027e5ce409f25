"""Tests of `rpcnb.endpoint.serving.serving_connection`: a thread that serves as a worker's main thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import PermissionDenied
from rpcnb.core.roles import Grant, Role
from rpcnb.endpoint.client.socket_session import SocketSession
from rpcnb.endpoint.serving.dispatch import Dispatcher
from rpcnb.endpoint.serving.due import DueQueue
from rpcnb.endpoint.serving.gate import GatedDispatcher
from rpcnb.endpoint.serving.serving_connection import ServingConnection
from rpcnb.session.base import CallStatus
from rpcnb.session.calls import CURRENT_CALL
from rpcnb.session.local import LocalSession
from rpcnb.session.observer import CallObserver
from rpcnb.session.streams import PumpedStream
from rpcnb.transport.memory import memory_pair
from rpcnb.wire.handshake import Agreement, Intent
from rpcnb.wire.messages import Side
from rpcnb.wire.v1 import WireV1

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 10.0


class CountingQueue(DueQueue):
    """Counts what is queued."""

    queued = 0

    def put(self, message) -> None:
        self.queued += 1
        super().put(message)


class Worker:
    """One thread that serves, and a client."""

    def __init__(self, registry, serve=Dispatcher) -> None:
        self._make_dispatcher = serve
        near, self._far = memory_pair()
        self._is_ready = threading.Event()
        self.due = CountingQueue(1000)
        self.thread = threading.Thread(target=self._serve, args=(registry,))
        self.thread.start()
        assert self._is_ready.wait(WAIT)
        agreement = Agreement(bytes(16), 1, "", "here", 1, Intent.NEW)
        self.client = SocketSession(near, WireV1(Side.CLIENT), agreement)

    def _serve(self, registry) -> None:
        stream = PumpedStream(lambda: self.due.put(stream.run_pending))  # this thread's
        self.session = LocalSession(registry, default_stream=stream)
        self.dispatcher = dispatcher = self._make_dispatcher(self.session, due=self.due)
        connection = ServingConnection(self._far, WireV1(Side.SERVER), dispatcher)
        self.connection = dispatcher.connection = connection
        connection.ensure_background()
        self._is_ready.set()
        connection.serve(self.due)


@pytest.fixture
def worker(registry) -> Iterator[Worker]:
    worker = Worker(registry)
    yield worker
    worker.client.shutdown()
    worker.thread.join(WAIT)
    assert not worker.thread.is_alive(), "the end of the connection ends the serving"
    worker.session.shutdown()


def test_a_lone_call_runs_without_being_queued(worker) -> None:
    echo = worker.client.get_function("t.echo")
    assert worker.client.call_func(echo, (0,)) == 0
    queued = worker.due.queued
    assert [worker.client.call_func(echo, (n,)) for n in range(20)] == list(range(20))
    assert queued <= 1, "the first one asks where the function runs"
    assert worker.due.queued == queued


def test_calls_run_on_the_serving_thread_in_the_order_in_which_they_came(worker, registry) -> None:
    ran: list[tuple[int, str]] = []
    name = worker.thread.name
    registry.add("t.note", lambda n: ran.append((n, threading.current_thread().name)))
    note = worker.client.get_function("t.note")
    ended = threading.Semaphore(0)
    for number in range(200):
        if number % 3:
            worker.client.async_call_func(note, (number,), {}, lambda *_: ended.release())
        else:
            worker.client.call_func(note, (number,))
            ended.release()
    for _ in range(200):
        assert ended.acquire(timeout=WAIT)
    assert ran == [(number, name) for number in range(200)]


def test_what_a_call_reads_meanwhile_is_served_after_it(worker, registry) -> None:
    running, go = threading.Event(), threading.Event()
    registry.add("t.wait", lambda: (running.set(), go.wait(WAIT))[1])
    wait, echo = map(worker.client.get_function, ("t.wait", "t.echo"))
    told: list[object] = []
    ended = threading.Semaphore(0)

    def tell(_status, value) -> None:
        told.append(value)
        ended.release()

    worker.client.async_call_func(wait, (), {}, tell)
    assert running.wait(WAIT)
    for number in (1, 2):
        worker.client.async_call_func(echo, (number,), {}, tell)
    assert worker.client.ping() < WAIT, "the background thread reads"
    go.set()
    for _ in range(3):
        assert ended.acquire(timeout=WAIT)
    assert told == [True, 1, 2]


def test_what_is_given_up_during_a_call_is_freed_behind_it(worker, registry) -> None:
    running, go = threading.Event(), threading.Event()
    held: list[object] = []

    def look() -> int:
        running.set()
        go.wait(WAIT)
        held.append(worker.session.statistics()["handles"])
        return 1

    registry.add("t.look", look)
    function, echo = map(worker.client.get_function, ("t.look", "t.echo"))
    array = worker.client.call_func(worker.client.get_function("t.zeros"), (8,))
    before = worker.session.statistics()["handles"]
    ended = threading.Event()
    worker.client.async_call_func(function, (), {}, lambda *_: ended.set())
    assert running.wait(WAIT)
    worker.client.free_handle(array.handle, array.type_code)
    worker.client.flush_released()
    assert worker.client.ping() < WAIT, "who reads has read that, too"
    go.set()
    assert ended.wait(WAIT)
    assert held == [before]
    assert worker.client.call_func(echo, (1,)) == 1
    assert worker.session.statistics()["handles"] == before - 1


def test_a_connection_that_has_ended_serves_nothing(registry) -> None:
    worker = Worker(registry)
    worker.client.shutdown()
    worker.thread.join(WAIT)
    assert not worker.thread.is_alive()
    worker.connection.serve(worker.due)
    worker.session.shutdown()


def test_each_call_of_a_narrowed_client_comes_to_the_gate(registry) -> None:
    refused: list[str] = []

    def gated(session, due) -> GatedDispatcher:
        grant = Grant(Role.EXECUTOR)
        return GatedDispatcher(session, grant, lambda what, _: refused.append(what), due)

    worker = Worker(registry, gated)
    try:
        echo = worker.client.get_function("t.echo")
        assert [worker.client.call_func(echo, (n,)) for n in range(3)] == [0, 1, 2]
        worker.dispatcher._grant = Grant(Role.INSPECTOR)
        worker.dispatcher._given.clear()
        with pytest.raises(PermissionDenied, match="needs the role executor"):
            worker.client.call_func(echo, (3,))
        assert len(refused) == 1
    finally:
        worker.client.shutdown()
        worker.thread.join(WAIT)
        worker.session.shutdown()


class Reports(CallObserver):
    def __init__(self) -> None:
        self.done: list[float] = []

    def progress(self, done: float, total: float | None, description: str) -> None:
        self.done.append(done)


def test_who_keeps_a_served_call_neither_reports_for_the_next_ones_nor_stops_them(
    worker, registry
) -> None:
    def keep() -> None:
        kept.append(CURRENT_CALL.get().observer)

    def disturb() -> str:
        for served in kept:
            served.progress(1.0, None, "")
            served.cancel()
        return "undisturbed"

    kept: list[CallObserver] = []
    registry.add("t.keep", keep)
    registry.add("t.disturb", disturb)
    functions = [worker.client.get_function(name) for name in ("t.keep", "t.disturb")]
    observers = [Reports() for _ in range(20)]
    values = [
        worker.client.call_func(functions[number % 2], (), observer=observer)
        for number, observer in enumerate(observers)
    ]
    assert values == [None, "undisturbed"] * 10
    assert len(set(map(id, kept))) == 10
    assert [observer.done for observer in observers] == [[]] * 20


class Passing(LocalSession):
    """Stands for a session further on, which makes a call at once, or another way."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.ways: list[str] = []

    def is_local_session(self) -> bool:
        return False

    def call_at_once(self, _function, args, *_):
        self.ways.append("at once")
        return None if len(self.ways) == 3 else (CallStatus.RETURN, args[0])

    def async_call_func(self, *args, **kwargs):
        self.ways.append("started")
        return super().async_call_func(*args, **kwargs)


def test_a_lone_call_is_passed_on_by_the_thread_that_read_it(registry) -> None:
    passing: list[Passing] = []

    def gateway(session, due) -> Dispatcher:
        del session, due
        passing.append(Passing(registry))
        return Dispatcher(passing[0])

    worker = Worker(registry, gateway)
    try:
        echo = worker.client.get_function("t.echo")
        assert [worker.client.call_func(echo, (n,)) for n in range(4)] == [0, 1, 2, 3]
        # The first one asks nobody, and the third was refused the short way.
        assert passing[0].ways == ["started", "at once", "at once", "started", "at once"]
    finally:
        worker.client.shutdown()
        worker.thread.join(WAIT)
        worker.session.shutdown()
        passing[0].shutdown()
