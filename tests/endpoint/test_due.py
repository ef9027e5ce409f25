"""Tests of `rpcnb.endpoint.due`."""

from __future__ import annotations

import threading

import pytest

from rpcnb.core.errors import SessionError
from rpcnb.endpoint.due import DueQueue
from rpcnb.wire.messages import CallFunc, FreeHandles

WAIT = 10.0


class Owner:
    def __init__(self, limit: int = 3) -> None:
        self.woken = 0
        self.started: list[object] = []
        self.expired: list[int] = []
        self.news = threading.Event()
        self.queue = DueQueue(self.wake, self.started.append, self.expire, limit)

    def wake(self) -> None:
        self.woken += 1

    def expire(self, number: int) -> None:
        self.expired.append(number)
        self.news.set()


def test_messages_are_served_in_order_on_the_thread_that_runs() -> None:
    owner = Owner()
    messages = [CallFunc(1, 1), FreeHandles(((1, 2, 1),)), CallFunc(2, 1)]
    for message in messages:
        owner.queue.put(message)
    assert (owner.woken, len(owner.queue), owner.started) == (3, 3, [])
    owner.queue.run()
    assert owner.started == messages


def test_only_calls_are_limited() -> None:
    owner = Owner(limit=1)
    owner.queue.put(CallFunc(1, 1))
    with pytest.raises(SessionError, match="no more fit"):
        owner.queue.put(CallFunc(2, 1))
    owner.queue.put(FreeHandles(((1, 2, 1),)))
    assert len(owner.queue) == 2


def test_a_waiting_call_can_be_withdrawn_once() -> None:
    owner = Owner()
    owner.queue.put(CallFunc(1, 1, timeout=WAIT))
    owner.queue.put(CallFunc(2, 1))
    assert owner.queue.withdraw(1)
    assert not owner.queue.withdraw(1)
    owner.queue.run()
    assert [message.id for message in owner.started] == [2]


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
