"""One call: stopping it, waiting for it, telling how it ended."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from rpcnb.session.base import CallStatus
from rpcnb.session.calls import CURRENT_CALL
from rpcnb.session.execution import Call, Waiter, current_gate, tell
from rpcnb.session.interrupts import SignalGate, SignalInterrupter, ThreadGate
from rpcnb.session.observer import NO_OBSERVER, CallObserver, CallOptions, RunningCall
from rpcnb.session.output import CallText

if TYPE_CHECKING:
    from collections.abc import Iterator

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


# --- used again ---------------------------------------------------------------------------------------


def slots_of(thing: object) -> dict[str, object]:
    names = [name for cls in type(thing).__mro__ for name in getattr(cls, "__slots__", ())]
    return {name: getattr(thing, name) for name in names if hasattr(thing, name)}


def test_everything_of_a_call_is_in_slots_that_are_compared_here() -> None:
    call = Call(1, "f")
    assert not hasattr(call, "__dict__")
    assert {"id", "ended", "text", "stop_status", "_tracker"} <= set(slots_of(call))


def shield(call: Call) -> None:
    with call.shielded():
        pass


def write_text(call: Call) -> None:
    call.text = call.text or CallText(call)
    call.text.write("stdout", "text")


def run_and_fail(call: Call) -> None:
    with pytest.raises(TypeError):
        call.gate.run(len, (), {})


EVENTS_OF_A_CALL = {
    "announced": lambda call: call.announce(),
    "progress": lambda call: call.progress(1.0, 2.0, "half"),
    "more progress": lambda call: [call.progress(n, 9.0, "") for n in range(3)],
    "tracked": lambda call: call.track_progress(call, 1.0, None, ""),
    "no longer tracked": lambda call: call.track_end(call),
    "output": lambda call: call.output("stdout", "text"),
    "written": write_text,
    "stopped": lambda call: call.cancel(),
    "deadline": lambda call: call.limit_time(CallOptions(timeout=WAIT)),
    "shielded": shield,
    "gate open": lambda call: call.gate.open(),
    "gate closed": lambda call: call.gate.close(),
    "run": lambda call: call.gate.run(len, ("",), {}),
    "run and failed": run_and_fail,
}


UNEVENTFUL = {"gate closed", "gate open", "no longer tracked", "run", "run and failed", "shielded"}


class Noticed(CallObserver):
    started_after = None


@contextmanager
def installed() -> Iterator[SignalInterrupter]:
    interrupter = SignalInterrupter()
    interrupter.install()
    try:
        yield interrupter
    finally:
        interrupter.uninstall()


def go_through(call: Call, events: list[str]) -> None:
    for event in events:
        with suppress(KeyboardInterrupt):  # stopped while its gate is open
            EVENTS_OF_A_CALL[event](call)
    call.gate.close()


def check_use_after(during: list[str], afterwards: list[str], observer: CallObserver) -> None:
    """Use a call again, or not, after what happens while it runs, and when it has ended."""
    with installed() as interrupter:
        call = Call(1, "f", observer, session=5)
        call.enter(interrupter, None)
        go_through(call, during)
        call.leave()
        go_through(call, afterwards)  # by whoever has it still
    renewed = call.renew(2, "g", NO_OBSERVER)
    usual = type(observer) is Noticed and UNEVENTFUL.issuperset(during + afterwards)
    assert renewed or not usual
    if renewed:
        found, new = slots_of(call), slots_of(Call(2, "g", session=5))
        assert slots_of(found.pop("gate")) == slots_of(SignalGate(interrupter))
        for each in (found, new):
            each.pop("gate", None)
            each.pop("_lock")
        assert found == new


@pytest.mark.parametrize("event", EVENTS_OF_A_CALL)
def test_a_call_that_is_used_again_is_as_a_new_one_after(event) -> None:
    check_use_after([event], [], Noticed())
    check_use_after([], [event], Noticed())


some_events = st.lists(st.sampled_from(sorted(EVENTS_OF_A_CALL)), max_size=4)


@given(some_events, some_events, st.sampled_from([CallObserver, Noticed]))
def test_a_call_that_is_used_again_is_as_a_new_one(during, afterwards, kind) -> None:
    check_use_after(during, afterwards, kind())


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
