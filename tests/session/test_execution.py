"""One call: stopping it, waiting for it, telling how it ended."""

from __future__ import annotations

import signal
import threading

import pytest

from rpcnb.session.base import CallStatus
from rpcnb.session.calls import CURRENT_CALL
from rpcnb.session.execution import Call, Waiter, current_gate, tell
from rpcnb.session.interrupts import ThreadGate
from rpcnb.session.observer import CallObserver, CallOptions, RunningCall

WAIT = 10.0


def test_the_first_to_stop_a_call_says_how_it_ends() -> None:
    call = Call(1, "f")
    stopped: list[int] = []
    call.stopper = lambda: stopped.append(1)
    call.stop(CallStatus.DEADLINE)
    call.cancel()
    assert call.stop_status is CallStatus.DEADLINE
    assert stopped == [1]


def test_an_ended_call_is_not_stopped() -> None:
    call = Call(1, "f")
    call.leave()
    call.cancel()
    assert call.stop_status is None


def test_a_deadline_stops_a_call() -> None:
    call = Call(1, "f")
    stopped = threading.Event()
    call.stopper = stopped.set
    call.limit_time(CallOptions(timeout=0.0))
    assert stopped.wait(WAIT)
    assert call.stop_status is CallStatus.DEADLINE


def test_an_observer_is_told_of_a_call_that_does_not_end_at_once() -> None:
    class Observer(CallObserver):
        def started(self) -> None:
            told.set()

    told = threading.Event()
    call = Call(1, "f", Observer())
    call.enter(None, None)
    assert told.wait(WAIT)
    call.leave()


def test_only_the_own_thread_has_a_gate() -> None:
    call = Call(1, "f")
    gate = call.gate = ThreadGate()
    token = CURRENT_CALL.set(call)
    assert current_gate() is gate
    gate.thread += 1
    assert current_gate() is None
    CURRENT_CALL.reset(token)
    assert current_gate() is None


def test_ctrl_c_while_waiting_cancels_and_waits_for_the_end() -> None:
    waiter = Waiter()

    class Running(RunningCall):
        def cancel(self) -> None:
            waiter.callback(CallStatus.CANCELLED, None)

    main = threading.get_ident()
    timer = threading.Timer(0.02, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        waiter.wait(Running())
    timer.join(WAIT)


def test_a_callback_that_raises_hurts_nobody() -> None:
    told: list[CallStatus] = []

    def callback(status: CallStatus, value: object) -> None:
        told.append(status)
        raise RuntimeError

    tell(callback, CallStatus.RETURN, 1)
    assert told == [CallStatus.RETURN]
