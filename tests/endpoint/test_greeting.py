"""Tests of `rpcnb.endpoint.greeting`: two ends in one process."""

from __future__ import annotations

import threading

import pytest

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import AuthenticationError, ConnectionClosed, TransportTimeout
from rpcnb.endpoint.greeting import exchange
from rpcnb.transport.memory import memory_pair
from rpcnb.wire.client_handshake import ClientHandshake
from rpcnb.wire.server_handshake import ServerHandshake

SECRET = bytes(range(32))


def in_time() -> Deadline:
    return Deadline.after(5.0)


def test_a_client_leaves_what_comes_behind_the_handshake() -> None:
    near, far = memory_pair()

    def serve() -> None:
        handshake = ServerHandshake(SECRET, "srv")
        exchange(far, handshake, "proved", in_time())
        handshake.accept(bytes(16), 1)
        far.send_one(handshake.data_to_send() + b"first frame")

    thread = threading.Thread(target=serve)
    thread.start()
    handshake = ClientHandshake(SECRET)
    exchange(near, handshake, "done", in_time(), exactly=True)
    thread.join(5.0)
    assert handshake.rest == b""
    buffer = memoryview(bytearray(100))
    assert bytes(buffer[: near.receive_into(buffer)]) == b"first frame"
    near.close()
    far.close()


@pytest.mark.parametrize(("text", "most"), [("", 4), ("a text", 5)])
def test_a_client_receives_no_more_often_than_it_must(text, most) -> None:
    near, far = memory_pair()
    amounts: list[int] = []
    receive_into = near.receive_into

    def receive(buffer: memoryview) -> int:
        amounts.append(receive_into(buffer))
        return amounts[-1]

    def serve() -> None:
        handshake = ServerHandshake(SECRET, "srv")
        exchange(far, handshake, "proved", in_time())
        handshake.accept(bytes(16), 1, text)
        far.send_one(handshake.data_to_send())

    thread = threading.Thread(target=serve)
    thread.start()
    near.receive_into = receive  # type: ignore[method-assign]
    with near, far:
        exchange(near, ClientHandshake(SECRET), "done", in_time(), exactly=True)
        thread.join(5.0)
    assert len(amounts) <= most


def test_somebody_slow_is_given_up() -> None:
    near, far = memory_pair()
    with near, far, pytest.raises(TransportTimeout, match="in time"):
        exchange(near, ClientHandshake(SECRET), "done", Deadline.after(0.02))


def test_somebody_who_leaves_is_named() -> None:
    near, far = memory_pair()
    far.close()
    with near, pytest.raises(ConnectionClosed):
        exchange(near, ClientHandshake(SECRET), "done", in_time())


def test_an_end_of_stream_in_the_middle_is_an_end() -> None:
    near, far = memory_pair()
    far.send_one(b"\x89")
    threading.Timer(0.05, far.close).start()
    with near, pytest.raises(ConnectionClosed, match="left during the handshake"):
        exchange(near, ClientHandshake(SECRET), "done", in_time())


def test_a_wrong_secret_ends_it_on_both_sides() -> None:
    near, far = memory_pair()

    def serve() -> None:
        with far, pytest.raises(ConnectionClosed):
            exchange(far, ServerHandshake(SECRET), "proved", in_time())

    thread = threading.Thread(target=serve)
    thread.start()
    with near, pytest.raises(AuthenticationError):
        exchange(near, ClientHandshake(bytes(32)), "done", in_time(), exactly=True)
    thread.join(5.0)
    assert not thread.is_alive()
