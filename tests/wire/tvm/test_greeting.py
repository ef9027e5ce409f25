"""Tests of `rpcnb.wire.tvm.greeting`: the first bytes of a connection."""

from __future__ import annotations

import pytest

from rpcnb.core.errors import HandshakeError
from rpcnb.wire.tvm.greeting import DUPLICATE_KEY, MAGIC, NO_MATCH, Greeting


def feed(greeting: Greeting, data: bytes) -> None:
    while greeting.missing and data:
        count = min(greeting.missing, len(data))
        greeting.receive(data[:count])
        data = data[count:]


def answer(number: int = MAGIC, key: bytes = b"server:k") -> bytes:
    return number.to_bytes(4, "little") + len(key).to_bytes(4, "little") + key


def test_the_greeting_is_that_of_the_real_client(recorded) -> None:
    greeting = Greeting("k")
    assert recorded(">").startswith(greeting.sends)
    feed(greeting, recorded("<"))
    assert (greeting.server_key, greeting.missing) == ("server:k", 0)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_an_answer_may_come_in_pieces(size) -> None:
    greeting, data = Greeting("k"), answer()
    while data:
        count = min(size, greeting.missing, len(data))
        greeting.receive(data[:count])
        data = data[count:]
    assert greeting.server_key == "server:k"


def test_a_time_out_is_an_option_of_the_key() -> None:
    assert Greeting("dev", 2.5).sends.endswith(b"client:dev -timeout=2.5")


@pytest.mark.parametrize(
    ("number", "said"),
    [(NO_MATCH, "no key 'k'"), (DUPLICATE_KEY, "already"), (0x48545450, "no TVM server")],
)
def test_a_refusal_says_why(number, said) -> None:
    with pytest.raises(HandshakeError, match=said):
        feed(Greeting("k"), answer(number))


def test_a_key_beyond_reason_is_refused() -> None:
    with pytest.raises(HandshakeError, match="announced"):
        feed(Greeting("k"), MAGIC.to_bytes(4, "little") + b"\xff\xff\xff\x7f" + b"x")
