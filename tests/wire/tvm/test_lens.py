"""Tests of `rpcnb.wire.tvm.lens`: reading along."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from rpcnb.wire.tvm.greeting import MAGIC, NO_MATCH, Greeting
from rpcnb.wire.tvm.lens import TVMLens
from rpcnb.wire.tvm.packets import Code, CopyTo, encode
from rpcnb.wire.tvm.values import TVMDevice, TVMDType, TVMTensor


def in_pieces(feed, data: bytes, size: int) -> list[str]:
    return [line for at in range(0, len(data), size) for line in feed(data[at : at + size])]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_recording_of_the_real_thing_is_read_from_its_first_byte(recorded, size) -> None:
    lens = TVMLens()
    client = in_pieces(lens.from_client, recorded(">"), size)
    server = in_pieces(lens.from_server, recorded("<"), size)
    assert client[:3] == [
        "> Greeting key='client:k'",
        "> InitServer constructor=() version='0.8.0'",
        "> GET_GLOBAL_FUNC args=('t.echo')",
    ]
    assert client[-1] == "> Shutdown"
    assert server[0] == "< Greeting key='server:k'"
    assert "< Raised message='abc'" in server
    assert "< CopyAck payload=<24 bytes>" in server


def test_a_payload_is_counted_and_not_kept() -> None:
    lens = TVMLens()
    lens.from_client(Greeting("k").sends)
    tensor = TVMTensor(0x10, TVMDevice(1, 0), TVMDType(1, 8), (1 << 50,))
    head, _ = encode(CopyTo(tensor, b"x"))
    huge = (1 << 50).to_bytes(8, "little")
    head = (len(head) - 8 + (1 << 50)).to_bytes(8, "little") + head[8:-8] + huge
    assert lens.from_client(head) == []  # and no memory was taken
    assert lens.from_client(bytes(100_000)) == []
    whole = encode(CopyTo(tensor._replace(shape=(200_000,)), bytes(200_000)))
    other = TVMLens()
    (greeted, line) = other.from_client(Greeting("k").sends + b"".join(whole))
    assert greeted == "> Greeting key='client:k'"
    assert line.endswith("payload=<200,000 bytes>")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (NO_MATCH.to_bytes(4, "little"), "no such key"),
        (b"HTTP/1.1", "this is not TVM"),
        (MAGIC.to_bytes(4, "little") + b"\xff\xff\xff\x7f", "this is not TVM"),
        (MAGIC.to_bytes(4, "little") + bytes(4) + b"\xff" * 12, "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said_once(data, said) -> None:
    lens = TVMLens()
    assert said in lens.from_server(data)[-1]
    assert lens.from_server(data) == []


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_give_lines_of_text(pieces) -> None:
    lens = TVMLens()
    for piece in (Greeting("k").sends, *pieces):
        assert all(line.isprintable() for line in lens.from_client(piece))
    assert Code.SHUTDOWN == 1
