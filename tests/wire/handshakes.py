"""Both sides of a handshake with a fixed secret and fixed nonces, and its four messages."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from rpcnb.wire.client_handshake import ClientHandshake
from rpcnb.wire.server_handshake import ServerHandshake

if TYPE_CHECKING:
    from rpcnb.wire.handshake import Agreement

SECRET, OTHER = b"7" * 32, b"o" * 32
SESSION = bytes(range(16))


def client(secret=SECRET, *, nonce=b"c" * 32, **options) -> ClientHandshake:
    return ClientHandshake(secret, nonce=nonce, **options)


def server(secret=SECRET, name="lab", *, nonce=b"s" * 32, **options) -> ServerHandshake:
    return ServerHandshake(secret, name, nonce=nonce, **options)


def exchange(one: ClientHandshake, other: ServerHandshake, change=lambda _number, data: data):
    """Run a handshake; `change` sees and may replace each of the four messages on its way."""
    numbers = count()
    other.receive_data(change(next(numbers), one.data_to_send()))
    one.receive_data(change(next(numbers), other.data_to_send()))
    other.receive_data(change(next(numbers), one.data_to_send()))
    other.accept(SESSION, 3, "welcome")
    one.receive_data(change(next(numbers), other.data_to_send()))


def agreed(one: ClientHandshake, other: ServerHandshake, change) -> Agreement:
    """Return what the client agreed to; a message it still waits for is no agreement."""
    exchange(one, other, change)
    return one.result


def recorded(**options) -> list[bytes]:
    """Return the four messages of a handshake that succeeds."""
    messages = []
    exchange(client(**options), server(), lambda _number, data: messages.append(data) or data)
    return messages


ORIGINAL = recorded(session_name="name")


def server_after(number: int) -> ServerHandshake:
    other = server()
    for data in ORIGINAL[0:number:2]:
        other.receive_data(data)
    return other


def client_after(number: int) -> ClientHandshake:
    one = client(session_name="name")
    for data in ORIGINAL[1:number:2]:
        one.receive_data(data)
    return one
