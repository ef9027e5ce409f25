"""Tests of `rpcnb.endpoint.tvm.connect`: TVM's URLs and the first bytes."""

from __future__ import annotations

import pytest

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import AddressError, HandshakeError, TransportTimeout
from rpcnb.endpoint.client.connect import open_session
from rpcnb.endpoint.tvm.connect import TVMAddress, greet, parse_tvm_url
from rpcnb.transport import registry as transports
from rpcnb.wire.tvm.greeting import Greeting
from rpcnb.wire.tvm.packets import InitServer


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("tvm://host:9090", TVMAddress("host", 9090)),
        ("tvm://host:9090?key=rasp4&timeout=2.5", TVMAddress("host", 9090, "rasp4", 2.5)),
        ("tvm://[::1]:1?key=a:b", TVMAddress("::1", 1, "a:b")),
        ("tvm+tracker://h:1?key=k&priority=7", TVMAddress("h", 1, "k", None, 7)),
        (
            'tvm://h:1?constructor=["rpc.Connect","n",2,"k",false]',
            TVMAddress("h", 1, constructor=("rpc.Connect", "n", 2, "k", False)),
        ),
    ],
)
def test_a_url_is_read(url, address) -> None:
    assert parse_tvm_url(url) == address


@pytest.mark.parametrize(
    "url",
    ["tvm://host", "tvm://:1", "tvm://h:x", "tvm://h:1?nonsense=1", "tvm://h:1/path",
     "tvm://h:1?timeout=soon", "tvm://h:1?constructor=[", "tvm://h:99999"],
)  # fmt: skip
def test_what_is_no_url_is_answered_with_one(url) -> None:
    with pytest.raises(AddressError, match=r"tvm://192\.168\.1\.20:9090\?key=rasp4"):
        parse_tvm_url(url)


def test_a_session_is_opened_by_its_url(tvm_peer) -> None:
    url = f'{tvm_peer.url}&timeout=3&constructor=["make",1]'
    with open_session(url) as session:
        assert session.name == "k"
        assert session.url == tvm_peer.url
    assert tvm_peer.greeted[0].endswith(b"client:k -timeout=3")
    assert tvm_peer.asked[0] == InitServer(("make", 1))


def test_who_says_nothing_is_given_up() -> None:
    with (
        transports.listen("tcp://127.0.0.1:0") as listener,
        transports.connect(listener.url, 5) as transport,
        pytest.raises(TransportTimeout, match="one client at a time"),
    ):
        greet(transport, Greeting("k"), Deadline.after(0.05))


def test_who_hangs_up_is_no_server() -> None:
    with (
        transports.listen("tcp://127.0.0.1:0") as listener,
        transports.connect(listener.url, 5) as transport,
    ):
        listener.accept(5).close()
        with pytest.raises((HandshakeError, OSError), match=r"closed|lost"):
            greet(transport, Greeting("k"), Deadline.after(5))
