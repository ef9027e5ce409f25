from __future__ import annotations

import pytest

from rpcnb.core.errors import ConnectError, ConnectionClosed
from rpcnb.core.limits import MIB
from rpcnb.testing import TransportSuite
from rpcnb.transport import connect, listen
from rpcnb.transport.memory import BACKLOG, CAPACITY, memory_pair


class TestMemory(TransportSuite):
    @pytest.fixture
    def url(self):
        return "memory://suite"


def test_listening_without_a_name_chooses_free_ones():
    with listen("memory://") as first, listen("memory://") as second:
        assert first.url != second.url
        with connect(first.url) as near, first.accept(1):
            assert near.peer_address == first.url


def test_pair_is_connected_both_ways():
    near, far = memory_pair()
    buffer = bytearray(10)
    near.send_one(b"to")
    far.send_one(b"fro")
    assert (far.receive_into(memoryview(buffer)), bytes(buffer[:2])) == (2, b"to")
    assert (near.receive_into(memoryview(buffer)), bytes(buffer[:3])) == (3, b"fro")


def test_sender_may_change_its_buffer_afterwards():
    near, far = memory_pair()
    data = bytearray(b"before")
    near.send([data])
    data[:] = b"behind"
    buffer = bytearray(10)
    assert buffer[: far.receive_into(memoryview(buffer))] == b"before"


def test_capacity_is_taken_without_blocking_and_bounds_what_is_held():
    near, far = memory_pair()
    assert near.send([bytes(CAPACITY)]) == CAPACITY
    received = 0
    buffer = memoryview(bytearray(MIB))
    while far.wait_readable(0):
        received += far.receive_into(buffer)
    assert received == CAPACITY


def test_abort_is_no_end_of_stream_and_drops_what_was_sent():
    near, far = memory_pair()
    near.send_one(b"lost")
    near.abort()
    with pytest.raises(ConnectionClosed, match="reset by its peer"):
        far.receive_into(memoryview(bytearray(10)))


def test_connections_nobody_accepts_are_limited():
    with listen("memory://") as listener:
        ends = [connect(listener.url) for _ in range(BACKLOG)]
        with pytest.raises(ConnectError, match="too many"):
            connect(listener.url)
    with pytest.raises(ConnectionClosed):
        ends[0].receive_into(memoryview(bytearray(1)))


def test_there_is_no_descriptor_to_hand_over():
    near, _ = memory_pair()
    with pytest.raises(NotImplementedError, match="no file descriptor"):
        near.detach()
    assert near.peer_credentials() is None
