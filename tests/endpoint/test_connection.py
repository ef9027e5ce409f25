"""Tests of `rpcnb.endpoint.connection`: two ends in one process, real threads."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import pytest

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import ConnectionClosed, ErrorInfo, TransportTimeout
from rpcnb.endpoint.connection import Connection
from rpcnb.session.base import CallObserver, CallStatus
from rpcnb.transport.memory import memory_pair
from rpcnb.wire.base import State
from rpcnb.wire.messages import (
    CallFunc,
    Cancel,
    CopyData,
    CopyFromRemote,
    CopyToRemote,
    FreeHandles,
    Output,
    Ping,
    Progress,
    Raised,
    Request,
    Return,
    Side,
    Started,
    Stopped,
)
from rpcnb.wire.v1 import WireV1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rpcnb.endpoint.pending import Pending

SOON = 5.0


class Owner:
    """A handler that answers calls with their first argument, or as a test says."""

    def __init__(self) -> None:
        self.connection: Connection
        self.answer: Callable[[CallFunc], None] = lambda message: self.connection.post(
            Return(message.id, message.args[0] if message.args else None)
        )
        self.requests: list[Request] = []
        self.cancelled: list[int] = []
        self.freed: list[tuple[int, int, int]] = []
        self.strays: list[object] = []
        self.closed = threading.Event()
        self.takeover = threading.Event()
        self.reason: Exception | None = None

    def on_request(self, message: Request) -> None:
        self.requests.append(message)
        if isinstance(message, CallFunc):
            self.answer(message)

    on_call = on_request

    def run_delivered(self, message: CallFunc) -> None:
        self.on_request(message)

    def on_cancel(self, request_id: int) -> None:
        self.cancelled.append(request_id)
        self.connection.post(Stopped(request_id))

    def on_free(self, handles: Sequence[tuple[int, int, int]]) -> None:
        self.freed.extend(handles)

    def upload_target(self, message: CopyToRemote) -> memoryview:
        return memoryview(bytearray(message.nbytes))

    def on_stray(self, value: object) -> None:
        self.strays.append(value)

    def on_takeover(self) -> None:
        self.takeover.set()

    def on_closed(self, reason: Exception) -> Exception:
        self.reason = reason
        self.closed.set()
        return reason


class Link:
    """Both ends of a connection; each end has its background reader."""

    def __init__(self, *, start: bool = True) -> None:
        near, far = memory_pair()
        self.client_owner, self.server_owner = Owner(), Owner()
        self.client = Connection(near, WireV1(Side.CLIENT), self.client_owner)
        self.server = Connection(far, WireV1(Side.SERVER), self.server_owner)
        self.client_owner.connection = self.client
        self.server_owner.connection = self.server
        if start:
            self.start()

    def start(self) -> None:
        self.client.ensure_background()
        self.server.ensure_background()

    def ask(self, value: object, deadline: Deadline | None = None) -> Pending:
        pending = self.client.open_request()
        self.client.send_request(pending, CallFunc(pending.id, 1, (value,)))
        self.client.wait(pending, deadline or Deadline.after(SOON))
        return pending


@pytest.fixture
def link() -> Iterator[Link]:
    link = Link()
    yield link
    link.client.close()
    link.server.close()


def test_a_request_gets_its_own_reply(link: Link) -> None:
    for value in (1, "two", None, [3]):
        pending = link.ask(value)
        assert (pending.status, pending.value) == (CallStatus.RETURN, value)
    assert link.client.pending == {}


def test_an_error_reply_is_an_exception_status(link: Link) -> None:
    info = ErrorInfo("ValueError", "bad", "ValueError")
    link.server_owner.answer = lambda message: link.server.post(Raised(message.id, info))
    pending = link.ask(1)
    assert (pending.status, pending.value) == (CallStatus.EXCEPTION, info)


def test_no_answer_in_time_leaves_the_request_open(link: Link) -> None:
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


def test_many_waiters_each_get_their_own_answer(link: Link) -> None:
    wrong: list[tuple[object, object]] = []

    def work(seed: int) -> None:
        numbers = random.Random(seed)
        for _ in range(300):
            value = numbers.getrandbits(40)
            answer = link.ask(value).value
            if answer != value:
                wrong.append((value, answer))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_answers_out_of_order_find_their_waiters(link: Link) -> None:
    kept: list[CallFunc] = []
    all_in = threading.Event()

    def keep(message: CallFunc) -> None:
        kept.append(message)
        if len(kept) == 5:
            all_in.set()

    link.server_owner.answer = keep
    answers: dict[int, object] = {}
    threads = [
        threading.Thread(target=lambda n=n: answers.update({n: link.ask(n).value}))  # type: ignore[misc]
        for n in range(5)
    ]
    for thread in threads:
        thread.start()
    assert all_in.wait(SOON)
    for message in reversed(kept):
        link.server.post(Return(message.id, message.args[0]))
    for thread in threads:
        thread.join(SOON)
    assert answers == {n: n for n in range(5)}


def test_a_callback_is_called_by_the_background_thread(link: Link) -> None:
    outcome: list[object] = []
    arrived = threading.Event()

    def callback(status: CallStatus, value: object) -> None:
        outcome.append((status, value))
        arrived.set()

    pending = link.client.open_request(callback)
    link.client.send_request(pending, CallFunc(pending.id, 1, ("x",)))
    assert arrived.wait(SOON)
    assert outcome == [(CallStatus.RETURN, "x")]


def test_the_background_thread_parks_under_a_long_wait_and_comes_back() -> None:
    link = Link(start=False)
    link.client._reading.acquire()  # this thread is the reader, and stays at it
    link.start()
    pause, end = threading.Event(), Deadline.after(SOON)
    while not link.client._parked and not end.expired():
        pause.wait(0.005)
    assert link.client._parked
    link.client.leave_reading()
    arrived = threading.Event()
    pending = link.client.open_request(lambda *_: arrived.set())
    link.client.send_request(pending, CallFunc(pending.id, 1))
    assert arrived.wait(SOON)
    link.client.close()
    link.server.close()


def test_taking_over_is_announced_to_the_owner(link: Link) -> None:
    assert link.server_owner.takeover.wait(SOON)


def test_what_happens_during_a_call_reaches_its_observer(link: Link) -> None:
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


def test_a_late_result_is_handed_to_the_owner(link: Link) -> None:
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


def test_a_cancelled_request_ends_as_cancelled(link: Link) -> None:
    link.server_owner.answer = lambda message: None
    pending = link.client.open_request()
    link.client.send_request(pending, CallFunc(pending.id, 1))
    link.client.post(Cancel(pending.id))
    link.client.wait(pending, Deadline.after(SOON))
    assert pending.status is CallStatus.CANCELLED
    assert link.server_owner.cancelled == [pending.id]


def test_a_call_in_service_of_a_request_runs_on_the_thread_that_waits(link: Link) -> None:
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


def test_pieces_of_a_download_land_in_its_target(link: Link) -> None:
    target = bytearray(10)
    pending = link.client.open_request()
    pending.target = memoryview(target)
    link.client.send_request(pending, CopyFromRemote(pending.id, 1, 0, 10))
    link.server.post(CopyData(pending.id, 0, 6, False, b"012345"))
    link.server.post(CopyData(pending.id, 6, 4, True, b"6789"))
    link.client.wait(pending, Deadline.after(SOON))
    assert bytes(target) == b"0123456789"


def test_data_that_nobody_asked_for_goes_nowhere(link: Link) -> None:
    target = bytearray(4)
    pending = link.client.open_request()
    pending.target = memoryview(target)
    link.client.send_request(pending, CopyFromRemote(pending.id, 1, 0, 4))
    link.server.post(CopyData(pending.id + 77, 0, 4, True, b"evil"))
    link.server.post(CopyData(pending.id, 2, 4, False, b"evil"))
    link.server.post(CopyData(pending.id, 0, 4, True, b"good"))
    link.client.wait(pending, Deadline.after(SOON))
    assert bytes(target) == b"good"


def test_handles_and_pings_reach_the_other_side(link: Link) -> None:
    link.client.post(FreeHandles(((5, 2, 1),)))
    pending = link.client.open_request()
    link.client.send_request(pending, Ping(pending.id))
    link.client.wait(pending, Deadline.after(SOON))
    assert link.server_owner.freed == [(5, 2, 1)]


def test_closing_tells_every_open_request_on_both_sides(link: Link) -> None:
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


def test_a_peer_that_vanishes_ends_the_connection(link: Link) -> None:
    link.server.transport.close()
    assert link.client_owner.closed.wait(SOON)
    assert isinstance(link.client_owner.reason, ConnectionClosed)


def test_bytes_without_meaning_close_the_connection_with_a_reason(link: Link) -> None:
    link.client.transport.send_one(b"GET / HTTP/1.1\r\nHost: here\r\nAccept: everything\r\n\r\n")
    assert link.server_owner.closed.wait(SOON)
    assert link.client_owner.closed.wait(SOON)
    assert "not" in str(link.client_owner.reason)


def test_an_unsendable_message_leaves_no_request_behind(link: Link) -> None:
    pending = link.client.open_request()
    with pytest.raises(TypeError):
        link.client.send_request(pending, CallFunc(pending.id, 1, (object(),)))
    assert link.client.pending == {}
    assert link.ask("fine").value == "fine"


def test_a_poked_reader_polls_and_can_be_told_to_stop(link: Link) -> None:
    link.server_owner.answer = lambda message: None
    pending = link.client.open_request()
    link.client.send_request(pending, CallFunc(pending.id, 1))
    timer = threading.Timer(0.05, lambda: pending.resolve(CallStatus.CANCELLED, None))
    link.client.poke()
    timer.start()
    link.client.wait(pending)
    timer.join()
    link.client.be_quick()
    assert pending.status is CallStatus.CANCELLED


def test_a_reader_waits_while_another_thread_finds_out_why_it_ended(link: Link) -> None:
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


def test_an_error_of_our_own_ends_the_connection_instead_of_hanging_it(link: Link, caplog) -> None:
    def fail(message: CallFunc) -> None:
        raise ZeroDivisionError("ours")

    link.server_owner.answer = fail
    pending = link.client.open_request()
    link.client.send_request(pending, CallFunc(pending.id, 1))
    link.client.wait(pending, Deadline.after(SOON))
    assert pending.status is CallStatus.LOST
    assert "ours" in str(pending.value)
    assert "ZeroDivisionError" in caplog.text


def test_what_is_sent_while_another_thread_closes_is_swallowed(link: Link) -> None:
    link.client.protocol.state = State.CLOSING  # as after the goodbye, before `end`
    link.client.post(Ping(1))
    pending = link.client.open_request()
    link.client.send_request(pending, CallFunc(pending.id, 1, (), {}, 0, 5.0))
    assert pending.id in link.client.pending
    link.client.end(ConnectionClosed("closed"))
    assert pending.status is CallStatus.LOST
