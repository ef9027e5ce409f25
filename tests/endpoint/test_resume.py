"""Tests of `rpcnb.endpoint.resume`: two connections over one pair of transports after another."""

from __future__ import annotations

import threading
import time

import pytest

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import ConnectionClosed, TransportError, TransportTimeout
from rpcnb.endpoint.connection import Connection
from rpcnb.session.base import CallStatus
from rpcnb.transport.memory import memory_pair
from rpcnb.wire.journal import resume_frame
from rpcnb.wire.messages import CallFunc, Goodbye, Ping, Return, Side
from rpcnb.wire.resumable import ResumableV1

SOON = 5.0


class Waiting:
    """A recovery that takes note, and leaves the rest to the test."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.heard: list[str] = []

    def begin(self, error: TransportError) -> None:
        self.heard.append("begin")
        self.begun.set()

    def over(self) -> None:
        self.heard.append("over")

    def stop(self) -> None:
        self.heard.append("stop")


class Halves:
    """Both ends of a session, each with a recovery."""

    def __init__(self, link) -> None:
        near, far = memory_pair()
        self.link = link
        self.epoch = 1
        self.client = Connection(near, ResumableV1(Side.CLIENT), link.client_owner)
        self.server = Connection(far, ResumableV1(Side.SERVER), link.server_owner)
        self.ends = self.client, self.server
        link.client_owner.connection, link.server_owner.connection = self.ends
        for end in self.ends:
            end.recovery = Waiting()
            end.ensure_background()

    def cut(self) -> None:
        for end in self.ends:
            end.transport.abort()

    def join(self) -> None:
        """Go on over a new pair."""
        self.epoch += 1
        pairs = zip(self.ends, memory_pair(), strict=True)
        threads = [
            threading.Thread(target=end.go_on, args=(side, self.epoch, Deadline.after(SOON)))
            for end, side in pairs
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SOON)

    def ask(self, value: object):
        pending = self.client.open_request()
        self.client.send_request(pending, CallFunc(pending.id, 1, (value,)))
        return pending

    def answer_to(self, pending) -> object:
        self.client.wait(pending, Deadline.after(SOON))
        assert pending.status is CallStatus.RETURN
        return pending.value


@pytest.fixture
def halves(make_link):
    halves = Halves(make_link())
    yield halves
    for end in halves.ends:
        end.close()


def test_what_is_asked_while_there_is_no_connection_is_answered_when_there_is(halves) -> None:
    assert halves.answer_to(halves.ask(1)) == 1
    halves.cut()
    asked = [halves.ask(value) for value in range(200)]
    assert halves.client.recovery.begun.wait(SOON)
    assert not any(pending.done for pending in asked)
    halves.join()
    assert [halves.answer_to(pending) for pending in asked] == list(range(200))
    assert halves.client.cuts == halves.server.cuts == 1


def test_a_call_that_was_under_way_is_answered_once(halves) -> None:
    kept: list[CallFunc] = []
    halves.link.server_owner.answer = kept.append
    pending = halves.ask("x")
    ping = halves.client.open_request()
    halves.client.send_request(ping, Ping(ping.id))
    halves.answer_to(ping)
    halves.cut()
    halves.server.post(Return(kept[0].id, "late"))
    halves.join()
    assert halves.answer_to(pending) == "late"
    assert len(kept) == 1


def test_a_waiter_sits_the_cut_out_without_using_the_processor(halves) -> None:
    halves.cut()
    assert halves.client.recovery.begun.wait(SOON)
    pending = halves.ask("x")
    timer = threading.Timer(0.5, halves.join)
    timer.start()
    begun = time.thread_time()
    assert halves.answer_to(pending) == "x"
    assert time.thread_time() - begun < 0.1
    timer.join(SOON)


def test_a_deadline_passes_during_a_cut(halves) -> None:
    halves.cut()
    pending = halves.ask("x")
    with pytest.raises(TransportTimeout):
        halves.client.wait(pending, Deadline.after(0.05))


def test_a_waiter_can_be_told_to_stop_during_a_cut(halves) -> None:
    halves.cut()
    pending = halves.ask("x")
    halves.client.poke()
    timer = threading.Timer(0.05, pending.resolve, (CallStatus.CANCELLED, None))
    timer.start()
    halves.client.wait(pending)
    assert pending.status is CallStatus.CANCELLED
    timer.join(SOON)


def test_the_recovery_hears_of_a_cut_once_and_of_its_end(halves) -> None:
    halves.cut()
    pending = halves.ask("x")
    assert halves.client.recovery.begun.wait(SOON)
    halves.join()
    assert halves.answer_to(pending) == "x"
    assert halves.client.recovery.heard == ["begin", "over"]
    halves.client.end(ConnectionClosed("enough"))
    assert halves.client.recovery.heard[-1] == "stop"


def test_the_end_of_a_connection_without_a_transport_is_told_to_its_waiters(halves) -> None:
    halves.cut()
    pending = halves.ask("x")
    timer = threading.Timer(0.05, halves.client.end, (ConnectionClosed("given up"),))
    timer.start()
    halves.client.wait(pending, Deadline.after(SOON))
    assert pending.status is CallStatus.LOST
    assert "given up" in str(pending.value)
    timer.join(SOON)


def test_a_goodbye_is_no_cut(halves) -> None:
    halves.server.post(Goodbye("done here"))
    halves.server.end(ConnectionClosed("done here"))
    assert halves.link.client_owner.closed.wait(SOON)
    assert "done here" in str(halves.link.client_owner.reason)
    assert not halves.client.recovery.begun.is_set()


def test_a_goodbye_that_waits_unread_is_heard_though_sending_failed(make_link) -> None:
    link = make_link(start=False)
    link.server.post(Goodbye("no more memory", error=True))
    link.server.transport.close()
    pending = link.client.open_request()
    link.client.send_request(pending, CallFunc(pending.id, 1))
    link.client.wait(pending, Deadline.after(SOON))
    assert "no more memory" in str(pending.value)


def test_another_transport_takes_the_place_of_one_that_seems_alive(halves) -> None:
    halves.join()
    assert halves.answer_to(halves.ask("x")) == "x"
    assert halves.client.cuts == 1


def test_a_late_connection_is_refused_and_nothing_changes(halves) -> None:
    halves.join()
    near, far = memory_pair()
    far.send_one(resume_frame(2, 0))
    with pytest.raises(ConnectionClosed, match="a later connection"):
        halves.client.go_on(near, 2, Deadline.after(SOON))
    assert near.closed
    assert halves.client.reason is None
    assert halves.client.cuts == 1
    far.close()
    halves.join()
    assert halves.answer_to(halves.ask("x")) == "x"


def test_a_half_that_does_not_answer_is_given_up_for_now(halves) -> None:
    near, far = memory_pair()
    with pytest.raises(TransportTimeout, match="does not answer"):
        halves.client.go_on(near, 2, Deadline.after(0.05))
    far.close()
    near, far = memory_pair()
    far.close()
    with pytest.raises(TransportError):
        halves.client.go_on(near, 2, Deadline.after(SOON))
    halves.epoch = 2
    halves.join()
    assert halves.answer_to(halves.ask("x")) == "x"
