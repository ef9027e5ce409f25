from __future__ import annotations

from rpcnb.wire.base import Prepared, WireProtocol, short_message
from rpcnb.wire.messages import CallFunc, Kind, Ping, Side
from rpcnb.wire.v1 import WireV1


def test_received_data_may_be_longer_than_a_receive_buffer():
    client, server = WireV1(Side.CLIENT), WireV1(Side.SERVER)
    room = len(server.receive_buffer())
    pings = [Ping(i) for i in range(room // 36 * 2)]
    stream = b"".join(client.frame(client.prepare(ping))[0] for ping in pings)
    assert len(stream) > room
    assert server.receive_data(stream) == pings


def test_no_data_is_no_message():
    assert WireV1(Side.SERVER).receive_data(b"") == []


def test_a_protocol_without_an_express_lane_sends_everything_the_general_way():
    client, server = WireV1(Side.CLIENT), WireV1(Side.SERVER)
    call = CallFunc(1, 7, (2, 3))
    plain = WireProtocol  # what a first version of another protocol inherits
    assert plain.quick_call(client, 1, 7, (2, 3)) is None
    assert plain.quick_return(server, 5) is None
    assert plain.quick_frame(client, Kind.CALL_FUNC, 1, b"") is None
    assert client.frames_sent == 0
    (sent,) = client.frame(client.prepare(call))
    assert server.receive_data(sent) == [call]


def test_a_short_message_is_what_its_constructor_makes() -> None:
    fields = Kind.CALL_FUNC, 5, b"header", (), 0
    made = short_message(fields)
    assert type(made) is Prepared
    assert made == Prepared(*fields)
    assert (made.kind, made.id, made.header, made.payload, made.payload_nbytes) == fields
