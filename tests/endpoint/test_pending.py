"""Tests of `rpcnb.endpoint.pending`."""

from __future__ import annotations

import threading

from rpcnb.endpoint.pending import Pending, ring
from rpcnb.session.base import CallStatus
from rpcnb.wire.messages import CallFunc


def test_only_the_first_outcome_counts() -> None:
    outcomes: list[tuple[CallStatus, object]] = []
    pending = Pending(1, lambda status, value: outcomes.append((status, value)))
    pending.resolve(CallStatus.RETURN, 1)
    pending.resolve(CallStatus.CANCELLED, None)
    assert outcomes == [(CallStatus.RETURN, 1)]
    assert (pending.status, pending.value) == (CallStatus.RETURN, 1)


def test_a_waiter_is_woken_by_the_outcome() -> None:
    pending = Pending(1)
    pending.wake = threading.Lock()
    pending.wake.acquire()
    thread = threading.Thread(target=pending.resolve, args=(CallStatus.RETURN, None))
    thread.start()
    assert pending.wake.acquire(timeout=5.0)
    thread.join()


def test_a_delivered_call_is_news_and_wakes() -> None:
    pending = Pending(1)
    assert not pending.has_news()
    pending.wake = threading.Lock()
    pending.wake.acquire()
    pending.deliver(CallFunc(2, 3))
    assert pending.has_news()
    assert pending.inbox is not None
    assert pending.inbox.popleft() == CallFunc(2, 3)
    assert pending.wake.acquire(timeout=5.0)


def test_ringing_twice_is_ringing_once() -> None:
    bell = threading.Lock()
    bell.acquire()
    ring(bell)
    ring(bell)
    assert bell.acquire(timeout=5.0)
    assert not bell.acquire(blocking=False)


def test_a_call_uses_the_buffers_it_was_given() -> None:
    pending = Pending(1)
    assert not pending.uses(7)
    pending.arrays = (7, 9)
    assert pending.uses(7)
    assert not pending.uses(8)


def test_a_callback_that_raises_does_not_end_the_thread_that_reads(caplog) -> None:
    def fail(status: CallStatus, value: object) -> None:
        raise ZeroDivisionError

    pending = Pending(1, fail)
    pending.resolve(CallStatus.RETURN, 1)
    assert pending.done
    assert "a callback raised" in caplog.text
