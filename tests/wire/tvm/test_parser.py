"""Tests of `rpcnb.wire.tvm.parser`: any split of any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.errors import LimitExceeded, RemoteProtocolError
from rpcnb.testing.tvm_packets import PACKETS
from rpcnb.wire.tvm.packets import (
    Code,
    CopyAck,
    Result,
    Shutdown,
    encode,
)
from rpcnb.wire.tvm.parser import TVMWire
from rpcnb.wire.tvm.values import (
    encode_values,
)


def bytes_of(packets) -> bytes:
    return b"".join(bytes(buffer) for packet in packets for buffer in encode(packet))


@given(st.lists(PACKETS, min_size=1, max_size=5), st.lists(st.integers(1, 60), min_size=1))
def test_packets_survive_any_split(packets, sizes) -> None:
    stream, wire, received, at, turn = bytes_of(packets), TVMWire(), [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        received += wire.receive_data(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert received == packets
    assert wire.packets_received == len(packets)


@pytest.mark.parametrize("mark", [">", "<"])
def test_every_split_of_a_recording_gives_the_same_packets(after_greeting, mark) -> None:
    stream = after_greeting(mark)
    whole = TVMWire().receive_data(stream)
    for cut in range(len(stream)):
        wire = TVMWire()
        assert wire.receive_data(stream[:cut]) + wire.receive_data(stream[cut:]) == whole


def test_a_payload_is_received_where_the_sink_wants_it() -> None:
    target = bytearray(300_000)
    wire = TVMWire(lambda _tensor, nbytes: memoryview(target)[:nbytes])
    payload = bytes(range(256)) * 1000
    (packet,) = wire.receive_data(bytes_of([CopyAck(payload)]))
    assert target[: len(payload)] == payload
    assert packet.payload.obj is target


def test_a_large_value_is_put_together_from_pieces() -> None:
    text = "0123456789" * 300_000
    assert TVMWire().receive_data(bytes_of([Result((65, text))])) == [Result((65, text))]


def test_packets_of_no_bytes_are_ignored() -> None:
    assert TVMWire().receive_data(bytes(24) + bytes_of([Shutdown()])) == [Shutdown()]


@given(st.binary(max_size=60))
def test_any_bytes_give_packets_or_the_peers_fault(data) -> None:
    wire = TVMWire(largest=1000)
    try:
        wire.receive_data(data)
    except RemoteProtocolError as error:
        with pytest.raises(type(error)):
            wire.received(0)


@pytest.mark.parametrize(
    ("code", "body", "said"),
    [
        (99, b"", "code 99"),
        (Code.RETURN, encode_values([1]) + b"x", "too many"),
        (Code.COPY_TO_REMOTE, b"x" * 5, "no room"),
        (Code.COPY_TO_REMOTE, bytes(16) + b"\xff" * 4 + bytes(40), "dimensions"),
        (Code.COPY_TO_REMOTE, bytes(16) + b"\x01" + bytes(43), "announces"),
    ],
)
def test_a_packet_that_makes_no_sense_is_refused(code, body, said) -> None:
    head = (4 + len(body)).to_bytes(8, "little") + int(code).to_bytes(4, "little")
    if said == "announces":
        body = body[:-8] + (7).to_bytes(8, "little")
    with pytest.raises(RemoteProtocolError, match=said):
        TVMWire().receive_data(head + body)


def test_a_packet_without_room_for_its_code_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="no room for its code"):
        TVMWire().receive_data((3).to_bytes(8, "little"))


def test_a_packet_beyond_the_limit_takes_no_memory() -> None:
    head = (1 << 60).to_bytes(8, "little") + int(Code.RETURN).to_bytes(4, "little")
    with pytest.raises(LimitExceeded):
        TVMWire().receive_data(head)
