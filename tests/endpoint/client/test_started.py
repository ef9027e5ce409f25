"""Submitted and queued calls over a connection whose other end is a server in this process."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.errors import EncodeError, SessionClosed
from rpcnb.core.events import EVENTS, CallChanged, CallPhase
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.client.started import OUT_FOR_EACH, QueuedCall
from rpcnb.endpoint.outbox import HELD_MESSAGES
from rpcnb.endpoint.serving.server import Server
from rpcnb.session.base import CallStatus
from rpcnb.session.functions import FunctionRegistry
from rpcnb.testing.session_cases import Started

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rpcnb.endpoint.client.socket_session import SocketSession
    from rpcnb.endpoint.pending import Pending
    from rpcnb.wire.base import Prepared

SOON = 10.0


class Door:
    """Holds the call that passes it until a test opens it; keeps the order of all calls."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()
        self.passed: list[int] = []

    def wait(self) -> None:
        self.entered.set()
        assert self.open.wait(SOON)


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.open.set()


@pytest.fixture
def session(tmp_path: Path, door: Door) -> Iterator[SocketSession]:
    registry = FunctionRegistry()
    registry.add("wait", door.wait)
    registry.add("note", lambda number: door.passed.append(number) or number)
    registry.add("echo", lambda value: value)
    with (
        Server(registry=registry, in_process=True, connection_file=tmp_path / "c.json") as server,
        open_session(server.url, token=server.token) as opened,
    ):
        yield opened


def submit(session: SocketSession, name: str, *args: object) -> Started:
    started = Started()
    function = session.get_function(name)
    assert function is not None
    started.running = session.async_call_func(function, args, {}, started.callback)
    return started


def queue(session: SocketSession, *args: object) -> Started:
    started = Started()
    echo = session.get_function("echo")
    assert echo is not None
    started.running = session.queue_call(echo, args, {}, started.callback)
    return started


@pytest.fixture
def sent(session: SocketSession) -> list[int]:
    """Bytes of each send from now on."""
    sent: list[int] = []
    outbox = session._connection.outbox
    send_one = outbox._send_one
    outbox._send_one = lambda data: sent.append(len(data)) or send_one(data)
    return sent


def test_a_few_calls_are_sent_at_once(session: SocketSession, door: Door, sent: list[int]) -> None:
    note = session.get_function("note")
    assert note is not None
    waiting = submit(session, "wait")
    assert door.entered.wait(SOON)
    sent.clear()
    calls = [Started() for _ in range(2 * OUT_FOR_EACH - 2)]
    for number, call in enumerate(calls):
        call.running = session.async_call_func(note, (number,), {}, call.callback)
        assert len(sent) == number + 1
    door.open.set()
    assert waiting.result() is None
    assert [call.result() for call in calls] == list(range(len(calls)))


def test_many_calls_are_sent_together_and_in_order(
    session: SocketSession, door: Door, sent: list[int]
) -> None:
    note = session.get_function("note")
    assert note is not None
    submit(session, "wait")
    assert door.entered.wait(SOON)
    calls = [Started() for _ in range(400)]
    for number, call in enumerate(calls):
        call.running = session.async_call_func(note, (number,), {}, call.callback)
    calls[-1].running.push()
    assert len(sent) < len(calls) / 3
    door.open.set()
    assert [call.result() for call in calls] == list(range(len(calls)))
    assert door.passed == list(range(len(calls)))
    assert session.statistics()["calls"] == len(calls) + 1


def test_what_follows_a_call_that_is_kept_back_takes_it_along(
    session: SocketSession, door: Door
) -> None:
    note = session.get_function("note")
    assert note is not None
    for number in range(100):
        session.async_call_func(note, (number,), {}, Started().callback)
        if number % 7 == 0:
            assert session.call_func(note, (-number,)) == -number
    assert session.call_func(note, (100,)) == 100
    expected = [n for number in range(100) for n in ([number] if number % 7 else [number, -number])]
    assert door.passed == [*expected, 100]


def test_a_call_that_is_kept_back_is_sent_all_the_same(session: SocketSession, door: Door) -> None:
    submit(session, "wait")
    assert door.entered.wait(SOON)
    calls = [submit(session, "note", number) for number in range(OUT_FOR_EACH * 3 + 1)]
    door.open.set()
    assert [call.result() for call in calls] == list(range(len(calls)))  # nobody pushed


def test_a_call_that_is_kept_back_is_cancelled(session: SocketSession, door: Door) -> None:
    note = session.get_function("note")
    assert note is not None
    submit(session, "wait")
    assert door.entered.wait(SOON)
    calls = [Started() for _ in range(100)]
    for number, call in enumerate(calls):
        call.running = session.async_call_func(note, (number,), {}, call.callback)
    calls[-1].cancel()
    assert calls[-1].status() is CallStatus.CANCELLED
    door.open.set()
    assert [call.result() for call in calls[:-1]] == list(range(99))
    calls[0].cancel()  # it has ended: nothing happens
    assert session.call_func(note, (100,)) == 100
    assert door.passed == [*range(99), 100]


def test_other_arguments_take_the_general_way(session: SocketSession) -> None:
    call = submit(session, "note", [1, 2])
    assert call.result() == [1, 2]
    assert session._started.submitted == 0
    assert submit(session, "note", 1).result() == 1
    assert session._started.submitted == 1


def test_views_are_told_of_it(session: SocketSession) -> None:
    with EVENTS.subscribe() as events:
        assert submit(session, "note", 1).result() == 1
        phases = [e.phase for e in events.drain() if isinstance(e, CallChanged)]
    assert phases[0] is CallPhase.SENT
    assert CallPhase.FINISHED in phases


def test_a_closed_session_takes_none(session: SocketSession) -> None:
    note = session.get_function("note")
    assert note is not None
    session.shutdown()
    with pytest.raises(SessionClosed):
        session.async_call_func(note, (1,), {}, Started().callback)
    assert not session._connection.pending


@pytest.mark.parametrize("way", ["async_call_func", "queue_call"])
@pytest.mark.parametrize("step", ["before", "after"])
def test_ctrl_c_between_two_steps_leaves_no_call_that_nobody_holds(
    session: SocketSession, door: Door, step: str, way: str
) -> None:
    note = session.get_function("note")
    assert note is not None
    submit(session, "wait")
    assert door.entered.wait(SOON)
    outbox = session._connection.outbox

    class Interrupted:
        def keep(self, prepared: Prepared, most: int) -> bool:
            if step == "after":
                outbox.keep(prepared, most)
            raise KeyboardInterrupt

        def __getattr__(self, name: str) -> object:
            return getattr(outbox, name)

    session._connection.outbox = Interrupted()
    started = Started()
    with pytest.raises(KeyboardInterrupt):
        getattr(session, way)(note, (1,), {}, started.callback)
    session._connection.outbox = outbox
    assert session.statistics()["calls_in_flight"] == 1
    door.open.set()
    assert session.call_func(note, (2,)) == 2
    assert door.passed == [2]
    assert started.ends == []


def test_a_program_that_ends_has_sent_what_it_submitted(tmp_path: Path) -> None:
    program = """if True:
        import sys
        from rpcnb.endpoint.client.connect import open_session
        session = open_session(sys.argv[1])
        note = session.get_function("note")
        for number in range(45):
            session.async_call_func(note, (number,), {}, lambda *_: None)
    """
    noted: list[int] = []
    all_noted = threading.Event()

    def note(number: int) -> None:
        noted.append(number)
        if number == 44:
            all_noted.set()

    registry = FunctionRegistry()
    registry.add("note", note)
    file = tmp_path / "c.json"
    with Server(registry=registry, in_process=True, connection_file=file):
        subprocess.run([sys.executable, "-c", program, file], check=True, timeout=30)
        assert all_noted.wait(SOON)
    assert noted == list(range(45))


def test_queued_calls_are_sent_many_at_once(session: SocketSession, sent: list[int]) -> None:
    echo = session.get_function("echo")
    assert echo is not None
    sent.clear()
    calls = [Started() for _ in range(4 * HELD_MESSAGES)]
    for number, call in enumerate(calls):
        call.running = session.queue_call(echo, (number,), {}, call.callback)
    calls[-1].running.wait()
    assert [call.result() for call in calls] == list(range(len(calls)))
    assert len(sent) < len(calls) / 2
    assert session.statistics()["calls_queued"] == len(calls)


def test_a_queued_call_that_nobody_waits_for_is_sent_all_the_same(session: SocketSession) -> None:
    assert queue(session, 7).result() == 7


def test_a_queued_call_may_be_waited_for_again_and_by_several(session: SocketSession) -> None:
    call = queue(session, 7)
    threads = [threading.Thread(target=call.running.wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    call.running.wait()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    call.running.wait()
    call.cancel()
    assert call.result() == 7


def test_values_that_cannot_cross_raise_where_they_are_queued(session: SocketSession) -> None:
    with pytest.raises(EncodeError):
        queue(session, object())
    assert session.statistics()["calls_in_flight"] == 0


def test_any_values_cross_queued(session: SocketSession) -> None:
    assert queue(session, [1, (2, {"three": 2**80})]).result() == [1, (2, {"three": 2**80})]


def test_a_closed_session_tells_every_queued_call(session: SocketSession) -> None:
    echo = session.get_function("echo")
    assert echo is not None
    call = Started()
    call.running = session.queue_call(echo, (1,), {}, call.callback)
    session.shutdown()
    assert call.status() in {CallStatus.LOST, CallStatus.RETURN}
    call.running.wait()
    with pytest.raises(SessionClosed):
        session.queue_call(echo, (1,), {}, Started().callback)


def test_views_are_told_of_queued_calls(session: SocketSession) -> None:
    with EVENTS.subscribe() as events:
        queue(session, 1).result()
        phases = [event.phase.value for event in events.drain() if isinstance(event, CallChanged)]
    assert phases[0] == "sent"
    assert "finished" in phases


def test_a_call_whose_connection_ends_while_it_is_queued_is_told(
    session: SocketSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = session._connection
    open_for = connection.open_for

    def open_and_end(call: Pending, **how: bool) -> None:
        open_for(call, **how)
        if type(call) is QueuedCall:
            session.shutdown()

    monkeypatch.setattr(connection, "open_for", open_and_end)
    assert queue(session, 1).status() is CallStatus.LOST


def test_queued_calls_are_held_back_until_the_outermost_block_ends(
    session: SocketSession, sent: list[int]
) -> None:
    echo = session.get_function("echo")
    assert echo is not None
    sent.clear()
    calls = [Started() for _ in range(2 * HELD_MESSAGES)]
    session.hold_back(held=True)
    session.hold_back(held=True)
    for number, call in enumerate(calls):
        call.running = session.queue_call(echo, (number,), {}, call.callback)
    session.hold_back(held=False)
    assert sent == []
    session.hold_back(held=False)
    assert len(sent) == 1
    assert [call.result() for call in calls] == list(range(len(calls)))
