"""Tests of `rpcnb.endpoint.serving.relay`: what is said arrives, and so does the end."""

from __future__ import annotations

from contextlib import suppress
from queue import Queue

import pytest

from rpcnb.core.errors import ConnectionClosed
from rpcnb.core.limits import MIB
from rpcnb.endpoint.serving.relay import Relay
from rpcnb.testing.transport_suite import PATIENCE, Background, receive
from rpcnb.transport.unix import unix_pair


@pytest.fixture
def ends():
    """Give the peer's end, the worker's end and what is between them."""
    peer, outer = unix_pair()
    made: Queue[Relay] = Queue()

    def go_along() -> None:
        relay = Relay(outer, Background)
        made.put(relay)
        relay.carry_out()

    escort = Background(go_along)
    relay = made.get(timeout=PATIENCE)
    yield peer, relay.portable, relay
    for end in (peer, relay.portable):
        end.close()
    escort.result()
    assert relay.join(PATIENCE)


def test_bytes_are_carried_both_ways_at_once(ends) -> None:
    peer, worker, _ = ends
    data = bytes(range(256)) * (MIB // 64)
    sending = [Background(lambda end=end: end.send([data])) for end in (peer, worker)]
    receiving = [Background(lambda end=end: receive(end, len(data))) for end in (peer, worker)]
    assert [call.result() for call in sending] == [len(data)] * 2
    assert all(call.result() == data for call in receiving)


def test_a_peer_that_leaves_is_the_end_of_the_workers_stream(ends) -> None:
    peer, worker, relay = ends
    peer.send_one(b"last words")
    peer.close()
    assert receive(worker, 11) == b"last words"
    worker.close()
    assert relay.join(PATIENCE)


def test_the_last_words_of_a_worker_that_reads_no_more_arrive(ends) -> None:
    peer, worker, relay = ends
    worker.send_one(b"goodbye")
    worker.close()
    assert receive(peer, 8) == b"goodbye"
    assert relay.join(PATIENCE)


def test_a_worker_that_is_gone_ends_the_peer(ends) -> None:
    peer, worker, _ = ends
    worker.abort()
    assert peer.wait_readable(PATIENCE)
    with suppress(ConnectionClosed):  # where the system tells it from an orderly end
        assert peer.receive_into(memoryview(bytearray(1))) == 0
