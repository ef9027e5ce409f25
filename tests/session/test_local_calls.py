"""How calls of a `LocalSession` run; what they promise is in the suite, run by `test_local`."""

from __future__ import annotations

import random
import threading
import time
import weakref
from typing import TYPE_CHECKING, Self

import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import DeviceError
from rpcnb.core.events import EVENTS, CallChanged, CallPhase
from rpcnb.core.values import TypeCode
from rpcnb.session.base import CallStatus
from rpcnb.session.calls import CURRENT_CALL
from rpcnb.session.functions import FunctionRegistry
from rpcnb.session.interrupts import SignalInterrupter
from rpcnb.session.local import LocalSession
from rpcnb.session.observer import CallObserver, CallOptions, RunningCall
from rpcnb.session.streams import PumpedStream
from rpcnb.testing.session_cases import new_key
from rpcnb.testing.session_functions import _BOARD, register_all

if TYPE_CHECKING:
    from rpcnb.core.values import FunctionRef
    from rpcnb.session.calls import CallContext
    from rpcnb.session.execution import Call

WAIT = 20.0


@pytest.fixture
def registry() -> FunctionRegistry:
    registry = FunctionRegistry()
    register_all(registry)
    return registry


@pytest.fixture
def session(registry):
    with LocalSession(registry) as session:
        yield session


def look_up(session: LocalSession, function) -> FunctionRef:
    """Offer a function and return its ref."""
    session.registry.add(function.__name__, function, override=True)
    ref = session.get_function(function.__name__)
    assert ref is not None
    return ref


class Worker:
    """Pumps a session's default stream on this thread, as a worker's main thread does."""

    def __init__(self, registry: FunctionRegistry) -> None:
        self.bell = threading.Semaphore(0)
        self.interrupter = SignalInterrupter()
        self.stream = PumpedStream(self.bell.release)
        self.session = LocalSession(
            registry, name="worker", default_stream=self.stream, interrupter=self.interrupter
        )

    def __enter__(self) -> Self:
        self.interrupter.install()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.session.shutdown()
        self.interrupter.uninstall()

    def pump_until(self, condition) -> None:
        while not condition():
            assert self.bell.acquire(timeout=WAIT)
            self.stream.run_pending()


class Ends:
    """Collects how calls ended."""

    def __init__(self) -> None:
        self.ends: list[tuple[CallStatus, object]] = []

    def __call__(self, status: CallStatus, value: object) -> None:
        self.ends.append((status, value))


def test_a_worker_runs_calls_on_its_main_thread_and_stops_a_sleeping_one(registry) -> None:
    def sleep_long(seconds: float) -> None:
        running.set()
        time.sleep(seconds)

    running = threading.Event()
    ends = Ends()
    with Worker(registry) as worker:
        ref = look_up(worker.session, sleep_long)

        def call_and_cancel() -> None:
            call = worker.session.async_call_func(ref, (WAIT,), None, ends)
            running.wait(WAIT)
            call.cancel()

        canceller = threading.Thread(target=call_and_cancel)
        canceller.start()
        start = time.monotonic()
        worker.pump_until(lambda: ends.ends)
        canceller.join(WAIT)
    assert ends.ends == [(CallStatus.CANCELLED, None)]
    assert time.monotonic() - start < WAIT / 2


def test_an_idle_worker_runs_a_call_at_once_and_it_can_be_cancelled_meanwhile(registry) -> None:
    class Canceller(CallObserver):
        def begun(self, call: RunningCall) -> None:
            timers.append(threading.Timer(0.05, call.cancel))
            timers[0].start()

    timers: list[threading.Timer] = []
    with Worker(registry) as worker:
        ref = look_up(worker.session, time.sleep)
        outcome = worker.session.call_at_once(ref, (WAIT,), {}, Canceller())
        timers[0].join(WAIT)
        assert worker.session.statistics()["calls_running"] == 0
    assert outcome == (CallStatus.CANCELLED, None)


def test_a_call_at_once_ends_as_any_other(registry) -> None:
    with Worker(registry) as worker:
        echo, fail = (worker.session.get_function(f"test.{name}") for name in ("echo", "fail"))
        assert worker.session.call_at_once(echo, (5,), {}, CallObserver()) == (CallStatus.RETURN, 5)
        status, info = worker.session.call_at_once(fail, ("ValueError", "no"), {}, CallObserver())
        assert (status, info.type_name) == (CallStatus.EXCEPTION, "ValueError")
        assert worker.stream.idle


class Reports(CallObserver):
    """Keeps what a call reports, and notices by itself when it takes long."""

    started_after = None

    def __init__(self) -> None:
        self.done: list[float] = []

    def progress(self, done: float, total: float | None, description: str) -> None:
        self.done.append(done)


def test_calls_at_once_use_one_object_as_long_as_nobody_else_has_it(registry) -> None:
    def note() -> None:
        used.append(id(CURRENT_CALL.get()))

    def keep() -> None:
        note()
        kept.append(CURRENT_CALL.get())

    used: list[int] = []
    kept: list[CallContext | None] = []
    with Worker(registry) as worker:
        refs = [look_up(worker.session, function) for function in (note, keep)]
        for which in (0, 0, 1, 0, 0):
            outcome = worker.session.call_at_once(refs[which], (), {}, Reports())
            assert outcome == (CallStatus.RETURN, None)
    assert used[0] == used[1] == used[2]
    assert used[3] == used[4] != used[2], "kept by a function: it is not used again"
    assert worker.session.statistics()["calls"] == 5


def test_who_keeps_a_call_neither_reports_for_the_next_ones_nor_stops_them(registry) -> None:
    def keep() -> None:
        kept.append(CURRENT_CALL.get())

    def disturb(which: int) -> int:
        kept[which].progress(1.0, None, "")
        kept[which].stop(CallStatus.CANCELLED)
        return which

    kept: list[Call] = []
    observers = [Reports() for _ in range(20)]
    with Worker(registry) as worker:
        keeping, disturbing = (look_up(worker.session, function) for function in (keep, disturb))
        for number, observer in enumerate(observers):
            if number % 2:
                outcome = worker.session.call_at_once(disturbing, (number // 2,), {}, observer)
                assert outcome == (CallStatus.RETURN, number // 2)
            else:
                worker.session.call_at_once(keeping, (), {}, observer)
    assert [observer.done for observer in observers] == [[]] * 20


def test_the_last_call_keeps_nothing_alive(registry) -> None:
    class Thing:
        pass

    def closed_over(thing: Thing):
        def lend() -> None:
            assert thing

        return lend

    thing = Thing()
    gone = weakref.ref(thing)
    lend = closed_over(thing)
    with Worker(registry) as worker:
        observer = Reports()
        unobserved = weakref.ref(observer)
        ref = look_up(worker.session, lend)
        worker.session.call_at_once(ref, (), {}, observer)
        worker.session.free_handle(ref.handle, TypeCode.FUNCTION)
        registry.remove("lend")
        del lend, thing, observer
        assert gone() is None
        assert unobserved() is None


def test_what_would_have_to_wait_is_not_called_at_once(registry) -> None:
    observer = CallObserver()
    with Worker(registry) as worker:
        session, ran = worker.session, []
        echo = session.get_function("test.echo")

        def attempt() -> None:
            ran.append(session.call_at_once(echo, (1,), {}, observer))

        inside = look_up(session, attempt)
        assert session.call_at_once(inside, (), {}, observer) is not None
        elsewhere = threading.Thread(target=attempt)
        elsewhere.start()
        elsewhere.join(WAIT)
        session.free_handle(echo.handle, TypeCode.FUNCTION)
        attempt()
    assert ran == [None, None, None]


def test_a_functions_own_keyboard_interrupt_is_an_error_in_a_worker(registry) -> None:
    ends = Ends()
    with Worker(registry) as worker:
        ref = worker.session.get_function("test.fail")
        worker.session.async_call_func(ref, ("KeyboardInterrupt", "own"), None, ends)
        worker.pump_until(lambda: ends.ends)
    status, info = ends.ends[0]
    assert status is CallStatus.EXCEPTION
    assert info.type_name == "KeyboardInterrupt"
    assert info.hops == ("worker",)


@pytest.mark.slow
@pytest.mark.parametrize("main_thread", [True, False])
def test_cancels_at_random_instants_hit_their_call_or_nothing(registry, main_thread) -> None:
    def busy(number: int) -> int:
        time.sleep(0)
        return number + sum(range(50)) - 1225

    ends: dict[int, Ends] = {}
    chance = random.Random(4)
    with Worker(registry) as worker:
        session = worker.session if main_thread else LocalSession(registry)
        ref = look_up(session, busy)

        def make_calls() -> None:
            for number in range(1500):
                ends[number] = Ends()
                call = session.async_call_func(ref, (number,), None, ends[number])
                sum(range(chance.randrange(3000)))
                if number % 2:
                    call.cancel()

        caller = threading.Thread(target=make_calls)
        caller.start()
        if main_thread:
            worker.pump_until(lambda: not caller.is_alive() and worker.stream.idle)
        caller.join(WAIT)
        drained = threading.Event()
        session.async_stream_wait(CPU, 0, lambda *_: drained.set())
        worker.stream.run_pending()
        assert drained.wait(WAIT)
        session.shutdown()
    for number, one in ends.items():
        allowed = [[(CallStatus.RETURN, number)], [(CallStatus.CANCELLED, None)]]
        assert one.ends in (allowed if number % 2 else allowed[:1])


def test_a_function_may_call_its_own_session(session) -> None:
    inner = session.get_function("test.add_one")

    def outer_call(number: int) -> int:
        return session.call_func(inner, (number,)) * 10

    assert session.call_func(look_up(session, outer_call), (1,)) == 20
    ends = Ends()
    done = threading.Event()
    session.async_call_func(
        look_up(session, outer_call), (2,), None, lambda *end: (ends(*end), done.set())
    )
    assert done.wait(WAIT)
    assert ends.ends == [(CallStatus.RETURN, 30)]


def test_cancelling_a_call_stops_the_call_inside_it_too(session) -> None:
    inner = session.get_function("test.wait")
    after: list[str] = []
    key = new_key()

    def outer_wait() -> None:
        try:
            session.call_func(inner, (new_key(), key))
        finally:
            after.append("cleaned")
        after.append("never")

    ends, done = Ends(), threading.Event()
    call = session.async_call_func(
        look_up(session, outer_wait), (), None, lambda *end: (ends(*end), done.set())
    )
    assert _BOARD[key].wait(WAIT)
    call.cancel()
    assert done.wait(WAIT)
    assert ends.ends == [(CallStatus.CANCELLED, None)]
    assert after == ["cleaned"]


def test_views_see_every_phase_of_a_call(session) -> None:
    echo, fail = session.get_function("test.echo"), session.get_function("test.fail")
    with EVENTS.subscribe() as subscription:
        session.call_func(echo, (1,))
        with pytest.raises(ValueError, match="why"):
            session.call_func(fail, ("ValueError", "why"))
        events = [event for event in subscription.drain() if isinstance(event, CallChanged)]
    assert [(event.phase, event.detail) for event in events] == [
        (CallPhase.SENT, ""),
        (CallPhase.STARTED, ""),
        (CallPhase.FINISHED, ""),
        (CallPhase.SENT, ""),
        (CallPhase.STARTED, ""),
        (CallPhase.FAILED, "ValueError: why"),
    ]
    assert {event.session for event in events} == {session.table_index}


def test_an_unknown_stream_is_refused(session) -> None:
    echo = session.get_function("test.echo")
    with pytest.raises(DeviceError, match="no stream 9"):
        session.call_func(echo, (1,), options=CallOptions(stream=9))
    ends = Ends()
    session.async_call_func(echo, (1,), None, ends, options=CallOptions(stream=9))
    session.async_stream_wait(CPU, 9, ends)
    assert [status for status, _ in ends.ends] == [CallStatus.EXCEPTION] * 2
