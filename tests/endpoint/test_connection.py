"""Tests of `rpcnb.endpoint.connection`: two ends in one process, real threads."""

from __future__ import annotations

import threading
import time
import traceback

import pytest

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import ConnectionClosed, ErrorInfo, TransportTimeout
from rpcnb.session.base import CallStatus
from rpcnb.session.observer import CallObserver
from rpcnb.testing.transport_suite import Background
from rpcnb.wire.base import State
from rpcnb.wire.messages import (
    CallFunc,
    Cancel,
    CopyData,
    CopyFromRemote,
    FreeHandles,
    Output,
    Ping,
    Progress,
    Raised,
    Return,
    Started,
)

SOON = 5.0


def test_a_request_gets_its_own_reply(link) -> None:
    for value in (1, "two", None, [3]):
        pending = link.ask(value)
        assert (pending.status, pending.value) == (CallStatus.RETURN, value)
    assert link.client.pending == {}


def test_an_error_reply_is_an_exception_status(link) -> None:
    info = ErrorInfo("ValueError", "bad", "ValueError")
    link.server_owner.answer = lambda message: link.server.post(Raised(message.id, info))
    pending = link.ask(1)
    assert (pending.status, pending.value) == (CallStatus.EXCEPTION, info)


def test_no_answer_in_time_leaves_the_request_open(link) -> None:
    kept: list[CallFunc] = []
    link.server_owner.answer = kept.append
    pending = link.client.open_request()
    link.client.send_request(pending, CallFunc(pending.id, 1, (1,)))
    with pytest.raises(TransportTimeout):
        link.client.wait(pending, Deadline.after(0.05))
    assert pending.id in link.client.pending
    link.server.post(Return(kept[0].id, "late"))
    link.client.wait(pending, Deadline.after(SOON))
    assert pending.value == "late"


def test_what_happens_during_a_call_reaches_its_observer(link) -> None:
    seen: list[object] = []

    class Observer(CallObserver):
        def started(self) -> None:
            seen.append("started")

        def progress(self, done: float, total: float | None, description: str) -> None:
            seen.append((done, total, description))

        def output(self, stream: str, text: str) -> None:
            seen.append((stream, text))

    def answer(message: CallFunc) -> None:
        for notice in (
            Started(message.id),
            Progress(message.id, 1, 2, "half"),
            Output(message.id, "stdout", "hello"),
            Return(message.id),
        ):
            link.server.post(notice)

    link.server_owner.answer = answer
    pending = link.client.open_request(observer=Observer())
    link.client.send_request(pending, CallFunc(pending.id, 1))
    link.client.wait(pending, Deadline.after(SOON))
    assert seen == ["started", (1, 2, "half"), ("stdout", "hello")]


def test_a_late_result_is_handed_to_the_owner(link) -> None:
    kept: list[CallFunc] = []
    link.server_owner.answer = kept.append
    pending = link.client.open_request()
    link.client.send_request(pending, CallFunc(pending.id, 1))
    ping = link.client.open_request()
    link.client.send_request(ping, Ping(ping.id))
    link.client.wait(ping, Deadline.after(SOON))
    link.client.pending.pop(pending.id)  # given up
    link.server.post(Return(kept[0].id, "late"))
    link.server_owner.answer = lambda message: link.server.post(Return(message.id, "next"))
    assert link.ask(1).value == "next"
    assert link.client_owner.strays == ["late"]


def test_a_cancelled_request_ends_as_cancelled(link) -> None:
    link.server_owner.answer = lambda message: None
    pending = link.client.open_request()
    link.client.send_request(pending, CallFunc(pending.id, 1))
    link.client.post(Cancel(pending.id))
    link.client.wait(pending, Deadline.after(SOON))
    assert pending.status is CallStatus.CANCELLED
    assert link.server_owner.cancelled == [pending.id]


def test_a_call_in_service_of_a_request_runs_on_the_thread_that_waits(link) -> None:
    threads: list[int] = []

    def lend(message: CallFunc) -> None:
        threads.append(threading.get_ident())
        link.client.post(Return(message.id, "lent"))

    link.client_owner.answer = lend

    def answer(message: CallFunc) -> None:
        def finish(_: CallStatus, value: object) -> None:
            link.server.post(Return(message.id, value))

        back = link.server.open_request(finish)
        link.server.send_request(back, CallFunc(back.id, 9, parent=message.id))

    link.server_owner.answer = answer
    assert link.ask(1).value == "lent"
    assert threads == [threading.get_ident()]


def test_pieces_of_a_download_land_in_its_target(link) -> None:
    target = bytearray(10)
    pending = link.client.open_request()
    pending.target = memoryview(target)
    link.client.send_request(pending, CopyFromRemote(pending.id, 1, 0, 10))
    link.server.post(CopyData(pending.id, 0, 6, False, b"012345"))
    link.server.post(CopyData(pending.id, 6, 4, True, b"6789"))
    link.client.wait(pending, Deadline.after(SOON))
    assert bytes(target) == b"0123456789"


def test_data_that_nobody_asked_for_goes_nowhere(link) -> None:
    target = bytearray(4)
    pending = link.client.open_request()
    pending.target = memoryview(target)
    link.client.send_request(pending, CopyFromRemote(pending.id, 1, 0, 4))
    link.server.post(CopyData(pending.id + 77, 0, 4, True, b"evil"))
    link.server.post(CopyData(pending.id, 2, 4, False, b"evil"))
    link.server.post(CopyData(pending.id, 0, 4, True, b"good"))
    link.client.wait(pending, Deadline.after(SOON))
    assert bytes(target) == b"good"


def test_handles_and_pings_reach_the_other_side(link) -> None:
    link.client.post(FreeHandles(((5, 2, 1),)))
    pending = link.client.open_request()
    link.client.send_request(pending, Ping(pending.id))
    link.client.wait(pending, Deadline.after(SOON))
    assert link.server_owner.freed == [(5, 2, 1)]


def test_closing_tells_every_open_request_on_both_sides(link) -> None:
    link.server_owner.answer = lambda message: None
    pending = link.client.open_request()
    link.client.send_request(pending, CallFunc(pending.id, 1))
    link.server.close("enough")
    link.client.wait(pending, Deadline.after(SOON))
    assert pending.status is CallStatus.LOST
    assert str(pending.value) == "enough"
    with pytest.raises(ConnectionClosed, match="enough"):
        link.client.open_request()
    link.client.post(Ping(1))  # swallowed


def test_the_error_of_a_closed_connection_does_not_grow_with_each_attempt(link) -> None:
    link.client.close("enough")
    lengths = set()
    for _ in range(5):
        with pytest.raises(ConnectionClosed) as caught:
            link.client.open_request()
        lengths.add(len(traceback.extract_tb(caught.value.__traceback__)))
    assert len(lengths) == 1


def test_a_peer_that_vanishes_ends_the_connection(link) -> None:
    link.server.transport.close()
    assert link.client_owner.closed.wait(SOON)
    assert isinstance(link.client_owner.reason, ConnectionClosed)


def test_bytes_without_meaning_close_the_connection_with_a_reason(link) -> None:
    link.client.transport.send_one(b"GET / HTTP/1.1\r\nHost: here\r\nAccept: everything\r\n\r\n")
    assert link.server_owner.closed.wait(SOON)
    assert link.client_owner.closed.wait(SOON)
    assert "not" in str(link.client_owner.reason)


def test_an_unsendable_message_leaves_no_request_behind(link) -> None:
    pending = link.client.open_request()
    with pytest.raises(TypeError):
        link.client.send_request(pending, CallFunc(pending.id, 1, (object(),)))
    assert link.client.pending == {}
    assert link.ask("fine").value == "fine"


def test_a_reader_waits_while_another_thread_finds_out_why_it_ended(link) -> None:
    link.server_owner.answer = lambda message: None
    asked, answer = threading.Event(), threading.Event()

    def find_out(reason: Exception) -> Exception:
        asked.set()
        answer.wait(SOON)
        return ConnectionClosed(f"found out: {reason}")

    link.client_owner.on_closed = find_out  # type: ignore[method-assign]
    ender = threading.Timer(0.05, link.client.end, (ConnectionClosed("cut"),))
    ender.start()
    pending = link.client.open_request()
    link.client.send_request(pending, CallFunc(pending.id, 1))
    waker = threading.Timer(0.6, answer.set)
    waker.start()
    begun = time.thread_time()
    link.client.wait(pending)
    busy = time.thread_time() - begun
    for timer in (ender, waker):
        timer.join(SOON)
    assert asked.is_set()
    assert str(pending.value) == "found out: cut"
    assert busy < 0.1, "it kept trying to read"


def test_a_request_that_comes_too_late_is_told_what_the_others_are(link) -> None:
    asked, answer = threading.Event(), threading.Event()

    def find_out(reason: Exception) -> Exception:
        with pytest.raises(ConnectionClosed, match=r"^cut$"):  # whoever finds out does not wait
            link.client.open_request()
        asked.set()
        assert answer.wait(SOON)
        link.client.reason = ConnectionClosed(f"found out: {reason}")
        return link.client.reason

    link.client_owner.on_closed = find_out  # type: ignore[method-assign]
    ending = Background(lambda: link.client.end(ConnectionClosed("cut")))
    assert asked.wait(SOON)
    late = Background(link.client.open_request)
    assert late.blocks()
    answer.set()
    with pytest.raises(ConnectionClosed, match="found out: cut"):
        late.result()
    ending.result()
    assert link.client.pending == {}


def test_an_error_of_our_own_ends_the_connection_instead_of_hanging_it(link, caplog) -> None:
    def fail(message: CallFunc) -> None:
        raise ZeroDivisionError("ours")

    link.server_owner.answer = fail
    pending = link.client.open_request()
    link.client.send_request(pending, CallFunc(pending.id, 1))
    link.client.wait(pending, Deadline.after(SOON))
    assert pending.status is CallStatus.LOST
    assert "ours" in str(pending.value)
    assert "ZeroDivisionError" in caplog.text


def test_what_is_sent_while_another_thread_closes_is_swallowed(link) -> None:
    link.client.protocol.state = State.CLOSING  # as after the goodbye, before `end`
    link.client.post(Ping(1))
    pending = link.client.open_request()
    link.client.send_request(pending, CallFunc(pending.id, 1, (), {}, 0, 5.0))
    assert pending.id in link.client.pending
    link.client.end(ConnectionClosed("closed"))
    assert pending.status is CallStatus.LOST
