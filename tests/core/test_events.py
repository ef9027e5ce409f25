"""Events reach every subscriber and slow nobody down."""

from __future__ import annotations

import threading

from rpcnb.core.events import CallChanged, CallPhase, EventStream, HandleFreed

WAIT = 10.0


def freed(number: int) -> HandleFreed:
    return HandleFreed(0, number, 0.0)


def test_every_subscriber_gets_every_event_in_order() -> None:
    stream = EventStream()
    with stream.subscribe() as first, stream.subscribe() as second:
        for number in range(3):
            stream.emit(freed(number))
        assert first.drain() == second.drain() == [freed(0), freed(1), freed(2)]
        assert first.drain() == []


def test_a_full_queue_loses_its_oldest_and_counts() -> None:
    stream = EventStream()
    with stream.subscribe(maxlen=2) as subscription:
        for number in range(5):
            stream.emit(freed(number))
        assert subscription.dropped == 3
        assert subscription.drain() == [freed(3), freed(4)]


def test_a_subscriber_is_woken_when_its_queue_stops_being_empty() -> None:
    stream = EventStream()
    woken: list[int] = []
    with stream.subscribe(on_ready=lambda: woken.append(1)) as subscription:
        stream.emit(freed(1))
        stream.emit(freed(2))
        assert len(woken) == 1
        subscription.drain()
        stream.emit(freed(3))
        assert len(woken) == 2


def test_a_closed_subscription_receives_nothing() -> None:
    stream = EventStream()
    subscription = stream.subscribe()
    subscription.close()
    subscription.close()
    stream.emit(freed(1))
    assert subscription.drain() == []
    assert stream.subscriptions == ()


def test_emitters_in_many_threads_lose_nothing() -> None:
    stream = EventStream()
    with stream.subscribe() as subscription:
        threads = [
            threading.Thread(
                target=lambda t=t: [stream.emit(freed(1000 * t + n)) for n in range(500)]
            )
            for t in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
        events = subscription.drain()
    assert {event.handle for event in events} == {
        1000 * t + n for t in range(4) for n in range(500)
    }
    for t in range(4):
        own = [event.handle for event in events if event.handle // 1000 == t]
        assert own == sorted(own)


def test_records_carry_the_time_they_were_made() -> None:
    first = CallChanged(0, 1, "f", CallPhase.SENT)
    second = CallChanged(0, 1, "f", CallPhase.FINISHED)
    assert 0 < first.time <= second.time


def test_a_finalizer_may_emit_in_the_middle_of_anything() -> None:
    stream = EventStream()
    with stream.subscribe() as subscription:
        subscription.push(freed(1))
        with subscription._lock:  # as a collection inside `push` or `drain`
            stream.emit(freed(2))
        assert subscription.drain() == [freed(1), freed(2)]
