from __future__ import annotations

from rpcnb.wire.base import WireProtocol
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


class Plain(WireV1):
    """A protocol that has the general way only, as a first version of another would."""

    quick_call = WireProtocol.quick_call
    quick_return = WireProtocol.quick_return
    quick_frame = WireProtocol.quick_frame


def test_a_protocol_without_an_express_lane_sends_everything_the_general_way():
    client, server = Plain(Side.CLIENT), Plain(Side.SERVER)
    call = CallFunc(1, 7, (2, 3))
    assert client.quick_call(1, 7, (2, 3)) is None
    assert server.quick_return(5) is None
    assert client.quick_frame(Kind.CALL_FUNC, 1, b"") is None
    assert client.frames_sent == 0
    (sent,) = client.frame(client.prepare(call))
    assert server.receive_data(sent) == [call]
