"""Tests of `rpcnb.endpoint.tvm.greeting`: what a client says first, and what it is told."""

from __future__ import annotations

from threading import TIMEOUT_MAX

import pytest

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import ConnectionClosed, HandshakeError, TransportTimeout
from rpcnb.endpoint.tvm.greeting import read_hello, refuse, session_timeout, welcome
from rpcnb.transport.memory import memory_pair
from rpcnb.wire.tvm.greeting import MAGIC, NO_MATCH, Greeting

HELLO = Greeting("k").sends


@pytest.fixture
def pair():
    near, far = memory_pair()
    with near, far:
        yield near, far


def test_a_client_says_its_key_and_perhaps_its_time(pair) -> None:
    near, far = pair
    near.send([Greeting("a:b").sends, Greeting("k", 2.5).sends])
    assert read_hello(far, Deadline.after(5)) == ("a:b", None)
    assert read_hello(far, Deadline.after(5)) == ("k", 2.5)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", HandshakeError),
        (HELLO[:10], ConnectionClosed),
        (HELLO[:4] + b"\xff\xff\xff\x7f", HandshakeError),
        (HELLO[:4] + b"\xff\xff\xff\xff", HandshakeError),
        (HELLO[:4] + bytes(4), HandshakeError),
        (HELLO.replace(b"client", b"server"), HandshakeError),
        (Greeting("k -timeout=soon").sends, HandshakeError),
        (Greeting("k -timeout=nan").sends, HandshakeError),
    ],
)
def test_who_is_no_tvm_client_is_refused(pair, sent, error) -> None:
    near, far = pair
    near.send([sent])
    near.close()
    with pytest.raises(error):
        read_hello(far, Deadline.after(5))


def test_who_says_nothing_is_given_up(pair) -> None:
    with pytest.raises(TransportTimeout):
        read_hello(pair[1], Deadline.after(0.01))


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ([], None),
        (["-other=1"], None),
        (["-timeout=1", "-timeout=2e0"], 2.0),
        (["-timeout=-3"], 0.0),
        (["-timeout=inf"], TIMEOUT_MAX),
    ],
)
def test_only_the_time_out_is_an_option(options, seconds) -> None:
    assert session_timeout(options) == seconds


def test_a_client_is_told_whether_it_is_let_in(pair) -> None:
    near, far = pair
    greeting = Greeting("k")
    welcome(far, "board")
    while greeting.missing:
        piece = memoryview(bytearray(greeting.missing))
        greeting.receive(bytes(piece[: near.receive_into(piece)]))
    assert greeting.server_key == "server:board"
    refuse(far)
    piece = memoryview(bytearray(4))
    near.receive_into(piece)
    assert int.from_bytes(piece, "little") == NO_MATCH == MAGIC + 2
