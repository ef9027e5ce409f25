"""Tests of `rpcnb.session.running`; the session's own tests call through it everywhere."""

from __future__ import annotations

import pytest

from rpcnb.session.base import CallStatus
from rpcnb.session.calls import CURRENT_CALL
from rpcnb.session.execution import Call
from rpcnb.session.local import LocalSession
from rpcnb.session.running import Runner


@pytest.fixture
def runner():
    with LocalSession() as session:
        yield Runner(session.marshaller, None, "here", 1000)


def call_of(function, *args: object) -> Call:
    call = Call(1, "f")
    call.function, call.args, call.kwargs = function, args, {}
    return call


def test_a_call_is_the_current_one_while_it_runs_and_ended_afterwards(runner) -> None:
    call = call_of(lambda x: (x, CURRENT_CALL.get() is call), 7)
    assert runner.run(call) == (CallStatus.RETURN, (7, True))
    assert call.ended
    assert CURRENT_CALL.get() is None


def test_an_error_is_described_with_the_sessions_name(runner) -> None:
    status, info = runner.run(call_of(lambda: 1 // 0))
    assert status is CallStatus.EXCEPTION
    assert (info.type_name, info.hops) == ("ZeroDivisionError", ("here",))


def test_a_call_that_was_stopped_before_does_not_run(runner) -> None:
    ran: list[int] = []
    call = call_of(ran.append, 1)
    call.stop(CallStatus.DEADLINE)
    assert runner.run(call) == (CallStatus.DEADLINE, None)
    assert ran == []


def test_the_process_own_ctrl_c_is_no_outcome(runner) -> None:
    def press() -> None:
        raise KeyboardInterrupt

    call = call_of(press)
    with pytest.raises(KeyboardInterrupt):
        runner.run(call)
    assert call.ended
