from __future__ import annotations

from rpcnb.wire.messages import Ping, Side
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
