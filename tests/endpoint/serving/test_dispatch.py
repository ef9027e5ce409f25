"""Tests of `rpcnb.endpoint.serving.dispatch`: a local session served to a `SocketSession` in one process.

What the session contract asks of serving stands in test_socket_session.py.
"""

from __future__ import annotations

import threading

import pytest

from rpcnb.core.device import CPU
from rpcnb.core.errors import (
    ConnectionClosed,
    DeadlineExceeded,
    DeviceError,
    InvalidHandle,
    RemoteError,
    SessionError,
)
from rpcnb.core.values import CallbackRef, FunctionInfo, FunctionRef, Handle
from rpcnb.endpoint.serving.due import DueQueue
from rpcnb.session.base import CallStatus
from rpcnb.session.observer import CallObserver, CallOptions
from rpcnb.session.streams import PumpedStream
from rpcnb.wire.messages import DeviceCall, StreamWait

WAIT = 10.0


class Outcomes:
    """Callbacks of calls, and what they were told."""

    def __init__(self) -> None:
        self.told: dict[int, tuple[CallStatus, object]] = {}
        self.news = threading.Condition()

    def callback(self, number: int):
        def tell(status: CallStatus, value: object) -> None:
            with self.news:
                self.told[number] = (status, value)
                self.news.notify_all()

        return tell

    def of(self, number: int) -> tuple[CallStatus, object]:
        with self.news:
            assert self.news.wait_for(lambda: number in self.told, WAIT)
        return self.told[number]


def test_a_function_that_is_not_there_is_an_error_of_that_call(served) -> None:
    with pytest.raises(InvalidHandle):
        served.client.call_func(FunctionRef(Handle(99)))
    echo = served.client.get_function("t.echo")
    assert served.client.call_func(echo, (1,)) == 1


def test_a_session_that_is_gone_answers_with_errors(served) -> None:
    echo = served.client.get_function("t.echo")
    served.session.shutdown()
    with pytest.raises(SessionError):
        served.client.call_func(echo, (1,))


@pytest.mark.parametrize("device", ["", "toaster", "cpu:99"])
def test_a_device_that_is_none_is_an_error_of_that_request(served, device) -> None:
    with pytest.raises(DeviceError):
        served.client.ask(lambda number: StreamWait(number, device, 0))
    with pytest.raises(DeviceError):
        served.client.ask(lambda number: DeviceCall(number, device, "stream_sync", (0,)))


def test_an_unknown_operation_is_an_error_of_that_request(served) -> None:
    with pytest.raises(LookupError, match="format_disk"):
        served.client.ask(lambda number: DeviceCall(number, "cpu:0", "format_disk", ()))


def test_a_result_that_cannot_cross_is_an_error_and_leaves_nothing(served, registry) -> None:
    deep: list[object] = []
    for _ in range(40):
        deep = [deep]
    registry.add("t.deep", lambda: [deep, object()])
    before = served.session.statistics()["handles"]
    function = served.client.get_function("t.deep")
    with pytest.raises((RemoteError, TypeError)):
        served.client.call_func(function)
    assert served.session.statistics()["handles"] == before + 1


def test_a_long_call_is_announced(served, registry) -> None:
    running, started, go = threading.Event(), threading.Event(), threading.Event()
    registry.add("t.wait", lambda: (running.set(), go.wait(WAIT))[1])

    class Watch(CallObserver):
        def started(self) -> None:
            started.set()

    function = served.client.get_function("t.wait")
    outcomes = Outcomes()
    served.client.async_call_func(function, (), {}, outcomes.callback(1), observer=Watch())
    assert running.wait(WAIT)
    for _ in range(2):
        served.dispatcher.on_takeover()  # announced once, however often the reader changes
    assert started.wait(WAIT)
    go.set()
    assert outcomes.of(1) == (CallStatus.RETURN, True)


def test_a_call_that_waits_for_a_callback_can_be_cancelled(served, registry) -> None:
    asked, go = threading.Event(), threading.Event()

    class Lender(CallObserver):
        def call_back(self, callback, args, kwargs):
            asked.set()
            go.wait(WAIT)

    outcomes = Outcomes()
    running = served.client.async_call_func(
        served.client.get_function("t.call"),
        (CallbackRef(Handle(1), FunctionInfo("lent")),),
        {},
        outcomes.callback(1),
        observer=Lender(),
    )
    assert asked.wait(WAIT)
    running.cancel()
    status, _ = outcomes.of(1)
    assert status is CallStatus.CANCELLED
    go.set()
    echo = served.client.get_function("t.echo")
    assert served.client.call_func(echo, (2,)) == 2


def test_what_a_peer_started_is_stopped_when_it_goes(served, registry) -> None:
    started, stopped, ended = (threading.Event() for _ in range(3))
    pause = threading.Event()

    def wait() -> None:
        started.set()
        try:
            while True:
                pause.wait(0.01)
        finally:
            stopped.set()

    registry.add("t.wait", wait)
    served.dispatcher.on_end = ended.set
    function = served.client.get_function("t.wait")
    served.client.async_call_func(function, (), {}, lambda *_: None)
    assert started.wait(WAIT)
    served.client.shutdown()
    assert stopped.wait(WAIT)
    assert ended.wait(WAIT)
    assert isinstance(served.dispatcher.closed_by, ConnectionClosed)


# --- with a thread that runs the calls of the default stream -----------------------------------------


@pytest.fixture
def idle(serve):
    """Give a session whose thread runs nothing until a test says so."""
    stream = PumpedStream(lambda: None)
    due = DueQueue(limit=2)
    served = serve(due=due, default_stream=stream)
    served.run = lambda: (due.take_up(served.dispatcher), stream.run_pending())
    return served


def start(served, outcomes: Outcomes, number: int, **options):
    function = served.client.get_function("t.echo")
    return served.client.async_call_func(
        function, (number,), {}, outcomes.callback(number), options=CallOptions(**options)
    )


def test_calls_wait_for_the_thread_that_runs_them(idle) -> None:
    outcomes = Outcomes()
    start(idle, outcomes, 1)
    idle.client.ping()
    assert outcomes.told == {}
    idle.run()
    assert outcomes.of(1) == (CallStatus.RETURN, 1)


def test_more_calls_than_may_wait_are_refused(idle) -> None:
    outcomes = Outcomes()
    for number in (1, 2, 3):
        start(idle, outcomes, number)
    status, error = outcomes.of(3)
    assert status is CallStatus.EXCEPTION
    assert "2 calls are waiting" in error.message
    idle.run()
    assert outcomes.of(2) == (CallStatus.RETURN, 2)


def test_a_waiting_call_is_cancelled_at_once(idle) -> None:
    outcomes = Outcomes()
    start(idle, outcomes, 1).cancel()
    assert outcomes.of(1) == (CallStatus.CANCELLED, None)


def test_a_waiting_call_whose_time_is_up_never_runs(idle) -> None:
    outcomes = Outcomes()
    start(idle, outcomes, 1, timeout=0.01)
    assert outcomes.of(1) == (CallStatus.DEADLINE, None)
    idle.run()
    assert idle.session.statistics()["calls"] == 0


def test_what_comes_behind_a_call_stays_behind_it(idle) -> None:
    outcomes, drained = Outcomes(), Outcomes()
    start(idle, outcomes, 1)
    idle.client.async_stream_wait(CPU, 0, drained.callback(1))
    function = idle.client.get_function("t.echo")
    held = idle.session.statistics()["handles"]
    idle.client.free_handle(function.handle, function.type_code)
    idle.client.ping()
    assert drained.told == {}
    assert idle.session.statistics()["handles"] == held
    idle.run()
    assert drained.of(1) == (CallStatus.RETURN, None)
    assert idle.session.statistics()["handles"] == held - 1


def test_a_deadline_is_an_error_for_who_waits(served, registry) -> None:
    pause = threading.Event()

    def wait() -> None:
        while True:
            pause.wait(0.01)

    registry.add("t.wait", wait)
    function = served.client.get_function("t.wait")
    with pytest.raises(DeadlineExceeded):
        served.client.call_func(function, options=CallOptions(timeout=0.05))
