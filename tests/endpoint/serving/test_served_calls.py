from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from rpcnb.endpoint.serving.served_calls import (
    REMEMBERED_STOPS,
    NoticedCall,
    ServedCall,
    ServedCalls,
)
from rpcnb.session.observer import ENDED_CALL, RunningCall

if TYPE_CHECKING:
    from rpcnb.wire.messages import Message

WAIT = 10.0


class Sent:
    """Stands where a dispatcher does: takes what is sent."""

    def __init__(self) -> None:
        self.connection = self
        self.messages: list[Message] = []
        self.came = threading.Event()

    def post(self, message: Message) -> None:
        self.messages.append(message)
        self.came.set()


class Stoppable(RunningCall):
    def __init__(self) -> None:
        self.stops = 0

    def cancel(self) -> None:
        self.stops += 1


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def calls() -> ServedCalls:
    return ServedCalls()


def test_a_call_that_is_stopped_before_it_begins_is_stopped_when_it_does(calls, sent) -> None:
    calls[1] = ServedCall(sent, 1)
    running = Stoppable()
    assert calls.stop(1)
    assert running.stops == 0
    calls[1].begun(running)
    assert running.stops == 1


def test_a_stop_that_finds_a_call_between_queue_and_table_waits_for_it(calls, sent) -> None:
    running = Stoppable()
    assert not calls.stop(2)
    for number in (1, 2):
        calls[number] = ServedCall(sent, number)
        calls.came(number)
    calls[1].begun(Stoppable())
    calls[2].begun(running)
    assert running.stops == 1
    assert not calls.missed, "it has done what it was for"


def test_stops_of_calls_that_are_over_are_forgotten_in_the_end(calls) -> None:
    for number in range(1000):
        assert not calls.stop(number)
    assert len(calls.missed) == REMEMBERED_STOPS


def test_calls_that_began_while_another_thread_read_are_announced_once(calls, sent) -> None:
    calls[1], calls[2] = NoticedCall(sent, 1), ServedCall(sent, 2)
    for _ in range(3):
        calls.watch()
    assert sent.came.wait(WAIT)
    calls.announce()
    assert [(type(m).__name__, m.id) for m in sent.messages] == [("Started", 1)], (
        "a call of another stream may still wait there"
    )


def announce(call: ServedCall) -> None:
    call.started()


def stop(call: ServedCall) -> None:
    call.cancel()


def begin_and_end(call: ServedCall) -> None:
    call.begun(Stoppable())
    call.running = ENDED_CALL


def report(call: ServedCall) -> None:
    call.progress(1.0, 2.0, "half")
    call.output("stdout", "text")


@pytest.mark.parametrize("kind", [ServedCall, NoticedCall])
@given(events=st.lists(st.sampled_from([announce, stop, begin_and_end, report]), max_size=4))
def test_a_call_that_is_used_again_is_as_a_new_one(kind, events) -> None:
    sent = Sent()
    call = kind(sent, 1)
    for event in events:
        event(call)
    renewed = call.renew(2)
    assert renewed == {begin_and_end, report}.issuperset(events)
    if renewed:
        assert vars(call) == vars(kind(sent, 2))
