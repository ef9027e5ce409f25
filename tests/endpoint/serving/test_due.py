"""Tests of `rpcnb.endpoint.serving.due`."""

from __future__ import annotations

import threading

import pytest

from rpcnb.core.errors import SessionError
from rpcnb.endpoint.serving.due import DueQueue
from rpcnb.wire.messages import CallFunc, FreeHandles

WAIT = 10.0


class Owner:
    def __init__(self, limit: int = 3) -> None:
        self.started: list[object] = []
        self.expired: list[int] = []
        self.news = threading.Event()
        self.many = 0
        self.queue = DueQueue(limit)
        self.queue.serve_with(self.started.append, self.expire, self.run_many)

    def run_many(self) -> None:
        self.many += 1
        self.queue.run()

    def expire(self, number: int) -> None:
        self.expired.append(number)
        self.news.set()


def test_messages_are_served_in_order_on_the_thread_that_runs() -> None:
    owner = Owner()
    messages = [CallFunc(1, 1), FreeHandles(((1, 2, 1),)), (2, 1, (), {})]
    for message in messages:
        owner.queue.put(message)
    assert (owner.queue.has_news(), len(owner.queue), owner.started) == (True, 3, [])
    owner.queue.run()
    assert owner.started == messages


def test_who_waits_for_work_is_woken_by_it() -> None:
    owner = Owner()
    owner.queue.wake = threading.Lock()
    owner.queue.wake.acquire()
    owner.queue.put(CallFunc(1, 1))
    assert owner.queue.wake.acquire(timeout=WAIT)


def test_many_are_served_as_many_and_one_as_one() -> None:
    owner = Owner()
    owner.queue.put(CallFunc(1, 1))
    owner.queue.take_up(None)
    assert (owner.many, len(owner.started)) == (0, 1)
    for number in (2, 3):
        owner.queue.put(CallFunc(number, 1))
    owner.queue.take_up(None)
    assert (owner.many, len(owner.started)) == (1, 3)


def test_only_calls_are_limited() -> None:
    owner = Owner(limit=1)
    owner.queue.put(CallFunc(1, 1))
    for call in (CallFunc(2, 1), (2, 1, (), {})):
        with pytest.raises(SessionError, match="no more fit"):
            owner.queue.put(call)
    owner.queue.put(FreeHandles(((1, 2, 1),)))
    assert len(owner.queue) == 2


def test_a_waiting_call_can_be_withdrawn_once() -> None:
    owner = Owner()
    owner.queue.put(CallFunc(1, 1, timeout=WAIT))
    owner.queue.put((2, 1, (), {}))
    owner.queue.put(CallFunc(3, 1))
    assert owner.queue.withdraw(1)
    assert not owner.queue.withdraw(1)
    assert owner.queue.withdraw(2)
    owner.queue.run()
    assert [message.id for message in owner.started] == [3]


def test_a_call_takes_along_the_time_it_has_left() -> None:
    owner = Owner()
    owner.queue.put(CallFunc(1, 1, timeout=WAIT))
    owner.queue.put(CallFunc(2, 1))
    owner.queue.run()
    first, second = owner.started
    assert 0 < first.timeout < WAIT
    assert second.timeout is None


def test_a_call_whose_time_is_up_is_told_and_gone() -> None:
    owner = Owner()
    owner.queue.put(CallFunc(7, 1, timeout=0.01))
    assert owner.news.wait(WAIT)
    assert owner.expired == [7]
    owner.queue.run()
    assert owner.started == []


def test_nothing_happens_after_clearing() -> None:
    owner = Owner()
    owner.queue.put(CallFunc(1, 1, timeout=0.05))
    owner.queue.put(CallFunc(2, 1))
    owner.queue.clear()
    assert not owner.news.wait(0.1)
    owner.queue.run()
    assert (owner.started, owner.expired) == ([], [])
