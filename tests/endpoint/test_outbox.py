"""Tests of `rpcnb.endpoint.outbox`, over the in-memory transport and the real protocol."""

from __future__ import annotations

import threading
from collections import deque

import pytest

from rpcnb.endpoint.outbox import FREE_BATCH, HELD_MESSAGES, JOIN_LIMIT, Outbox
from rpcnb.transport.memory import memory_pair
from rpcnb.wire.messages import CallFunc, CopyToRemote, FreeHandles, Kind, Message, Ping, Side
from rpcnb.wire.v1 import WireV1


class Rig:
    """An outbox and the other end, decoded."""

    def __init__(self) -> None:
        self.near, self.far = memory_pair()
        self.protocol = WireV1(Side.CLIENT)
        self.released: deque[tuple[int, int, int]] = deque()
        self.failures: list[None] = []
        self.outbox = Outbox(
            self.near, self.protocol, self.released, lambda: self.failures.append(None)
        )
        self._decoder = WireV1(Side.SERVER)

    def receive(self, count: int) -> list[Message]:
        messages: list[Message] = []
        while len(messages) < count:
            assert self.far.wait_readable(5.0), f"only {len(messages)} of {count} arrived"
            nbytes = self.far.receive_into(self._decoder.receive_buffer())
            messages.extend(self._decoder.received(nbytes))
        return messages


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_messages_arrive_in_order_and_are_counted(rig: Rig) -> None:
    for number in range(1, 50):
        rig.outbox.send(rig.protocol.prepare(Ping(number)))
    assert rig.receive(49) == [Ping(number) for number in range(1, 50)]
    assert rig.outbox.nbytes == rig.near.bytes_sent


def test_released_handles_ride_along_first(rig: Rig) -> None:
    rig.released.append((1, 2, 1))
    rig.outbox.send(rig.protocol.prepare(Ping(1)))
    assert rig.receive(2) == [FreeHandles(((1, 2, 1),)), Ping(1)]
    assert not rig.released


def test_released_handles_go_behind_what_was_queued_before(rig: Rig) -> None:
    rig.outbox.hold(rig.protocol.prepare(Ping(1)))
    rig.released.append((1, 2, 1))
    rig.outbox.send(rig.protocol.prepare(Ping(2)))
    assert rig.receive(3) == [Ping(1), Ping(2), FreeHandles(((1, 2, 1),))]
    rig.outbox.hold(rig.protocol.prepare(Ping(3)))
    rig.released.append((2, 2, 1))
    rig.outbox.flush()
    assert rig.receive(2) == [Ping(3), FreeHandles(((2, 2, 1),))]


def test_more_released_handles_than_fit_one_message_go_with_the_next(rig: Rig) -> None:
    rig.released.extend((number, 2, 1) for number in range(1, FREE_BATCH + 11))
    rig.outbox.send(rig.protocol.prepare(Ping(1)))
    first, ping = rig.receive(2)
    assert isinstance(first, FreeHandles)
    assert (len(first.handles), ping) == (FREE_BATCH, Ping(1))
    rest = rig.outbox.take_released()
    assert rest is not None
    rig.outbox.send(rest)
    second = rig.receive(1)[0]
    assert isinstance(second, FreeHandles)
    assert [h for h, _, _ in (*first.handles, *second.handles)] == list(range(1, FREE_BATCH + 11))
    assert rig.outbox.take_released() is None


def test_what_is_queued_while_another_thread_sends_is_sent_by_it(rig: Rig) -> None:
    held = rig.outbox._lock
    held.acquire()
    sender = threading.Thread(target=rig.outbox.send, args=(rig.protocol.prepare(Ping(1)),))
    sender.start()
    sender.join(5.0)
    assert not sender.is_alive(), "a small message must not wait for the send lock"
    assert not rig.far.wait_readable(0)
    held.release()
    rig.outbox.flush()
    assert rig.receive(1) == [Ping(1)]


def test_bulk_is_sent_after_what_was_queued_before_it(rig: Rig) -> None:
    rig.outbox._queue.append(rig.protocol.prepare(Ping(1)))
    piece = CopyToRemote(2, 3, 0, 5, True, b"12345")
    rig.outbox.send_bulk(rig.protocol.prepare(piece))
    ping, copy = rig.receive(2)
    assert ping == Ping(1)
    assert isinstance(copy, CopyToRemote)
    assert bytes(copy.payload) == b"12345"


def test_more_than_fits_one_buffer_is_sent_in_several(rig: Rig) -> None:
    count = 2 * JOIN_LIMIT // 36
    rig.outbox._queue.extend(rig.protocol.prepare(Ping(number)) for number in range(1, count))
    rig.outbox.flush()
    assert rig.receive(count - 1) == [Ping(number) for number in range(1, count)]


def test_many_threads_lose_nothing_and_mix_nothing(rig: Rig) -> None:
    threads = [
        threading.Thread(
            target=lambda base=base: [  # type: ignore[misc]
                rig.outbox.send(rig.protocol.prepare(Ping(base + n))) for n in range(200)
            ]
        )
        for base in range(1000, 9000, 1000)
    ]
    for thread in threads:
        thread.start()
    received = rig.receive(1600)
    for thread in threads:
        thread.join(5.0)
    ids = [message.id for message in received if isinstance(message, Ping)]
    assert sorted(ids) == sorted(base + n for base in range(1000, 9000, 1000) for n in range(200))
    for base in range(1000, 9000, 1000):
        mine = [number for number in ids if base <= number < base + 1000]
        assert mine == sorted(mine)


def test_a_dead_transport_is_told_to_the_connection_and_raises_nothing(rig: Rig) -> None:
    rig.near.close()
    rig.outbox.send(rig.protocol.prepare(Ping(1)))
    rig.outbox.send_bulk(rig.protocol.prepare(CopyToRemote(2, 1, 0, 1, True, b"x")))
    header = rig.protocol.quick_call(1, (), {})
    assert header is not None
    assert rig.outbox.send_quick(Kind.CALL_FUNC, 3, header)
    assert len(rig.failures) == 3


def test_it_goes_on_over_another_transport_and_counts_on(rig: Rig) -> None:
    rig.outbox.send(rig.protocol.prepare(Ping(1)))
    rig.receive(1)
    before = rig.outbox.nbytes
    near, rig.far = memory_pair()
    order: list[str] = []
    first = [rig.protocol.frame(rig.protocol.prepare(Ping(2)))[0]]
    rig.outbox.restart(near, lambda: order.append("resume") or first, lambda: order.append("ready"))
    rig.outbox.send(rig.protocol.prepare(Ping(3)))
    assert order == ["resume", "ready"]
    assert rig.receive(2) == [Ping(2), Ping(3)]
    assert rig.outbox.nbytes == 3 * before
    near.close()


def hold(rig: Rig, number: int) -> None:
    header = rig.protocol.quick_call(number, (), {})
    assert header is not None
    assert rig.outbox.send_quick(Kind.CALL_FUNC, number, header)


def test_what_is_held_back_goes_together_and_in_order(rig: Rig) -> None:
    rig.outbox.holding = True
    for number in range(1, HELD_MESSAGES):
        hold(rig, number)
    rig.outbox.holding = False
    rig.outbox.flush()
    messages = rig.receive(HELD_MESSAGES - 1)
    assert messages == [CallFunc(n, n) for n in range(1, HELD_MESSAGES)]


def test_no_more_than_so_many_are_held_back(rig: Rig) -> None:
    rig.outbox.holding = True
    for number in range(1, HELD_MESSAGES + 1):
        hold(rig, number)
    assert len(rig.receive(HELD_MESSAGES)) == HELD_MESSAGES


def test_what_is_held_back_is_sent_soon_whatever_the_holder_does(rig: Rig) -> None:
    rig.outbox.holding = True
    for number in range(1, HELD_MESSAGES + 2):
        hold(rig, number)
    assert len(rig.receive(HELD_MESSAGES + 1)) == HELD_MESSAGES + 1


def test_a_plain_call_takes_released_handles_along(rig: Rig) -> None:
    rig.released.append((1, 2, 1))
    hold(rig, 3)
    assert rig.receive(2) == [FreeHandles(((1, 2, 1),)), CallFunc(3, 3)]


def test_a_plain_call_does_not_overtake(rig: Rig) -> None:
    rig.outbox._queue.append(rig.protocol.prepare(Ping(1)))
    header = rig.protocol.quick_call(2, (), {})
    assert header is not None
    assert not rig.outbox.send_quick(Kind.CALL_FUNC, 2, header)
