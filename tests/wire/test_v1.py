from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from rpcnb.core.errors import (
    EncodeError,
    ErrorInfo,
    LimitExceeded,
    LocalProtocolError,
    RemoteProtocolError,
)
from rpcnb.core.limits import DEFAULT_LIMITS
from rpcnb.testing.strategies import EXAMPLES, same
from rpcnb.testing.wire_suite import WireSuite, feed, to_bytes
from rpcnb.wire.base import State
from rpcnb.wire.frames import FIXED, Fixed
from rpcnb.wire.messages import (
    CallFunc,
    Cancel,
    CopyData,
    FreeHandles,
    Goodbye,
    Kind,
    Ping,
    Pong,
    Raised,
    Return,
    Side,
    Stopped,
    in_full,
)
from rpcnb.wire.v1 import WireV1


class TestWireV1(WireSuite):
    def make(self, side: Side) -> WireV1:
        return WireV1(side)


def frame(*, to: Side = Side.SERVER, header: bytes = b"", payload: bytes = b"", **fixed) -> bytes:
    values = Fixed(Kind.PING, 0, 1, len(header), 1, 1, 0, len(payload))._replace(**fixed)
    return FIXED.pack(*values) + header + payload


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"flags": 1}, "flags 1"),
        ({"epoch": 2}, "epoch 2"),
        ({"sequence": 2}, "frame 2 where 1"),
        ({"sequence": 0}, "frame 0 where 1"),
        ({"ack": 1}, "frame 1 acknowledged"),
        ({"kind": 0x99}, "kind 0x99 is not allowed"),
        ({"kind": Kind.STARTED}, "Started is not allowed when open"),
        ({"kind": Kind.FREE_HANDLES}, "FreeHandles with a request id"),
        ({"header": b"\x91\x01"}, "in Ping: 1 fields where 0"),
        ({"kind": Kind.CANCEL, "header": b"\xc0"}, "no list"),
        ({"header": b"\x90", "payload": b"x"}, "payload it does not explain"),
        ({"kind": Kind.COPY_TO_REMOTE, "header": b"\x91\xc3", "payload": b"x"}, "bool where"),
    ],
)
def test_a_wrong_frame_is_named_and_ends_the_connection(change, says):
    server = WireV1(Side.SERVER)
    with pytest.raises(RemoteProtocolError, match=says):
        server.receive_data(frame(**change))
    assert server.state is State.CLOSED


@pytest.mark.parametrize(
    ("change", "limit"),
    [({"header_nbytes": 65537}, 65536), ({"payload_nbytes": 2**32 - 1}, 16 * 1024 * 1024)],
)
def test_a_frame_that_is_too_large_is_refused_at_its_announcement(change, limit):
    with pytest.raises(LimitExceeded) as caught:
        WireV1(Side.SERVER).receive_data(frame(**change))
    assert caught.value.limit == limit


def test_an_ack_may_not_go_back():
    client, server = WireV1(Side.CLIENT), WireV1(Side.SERVER)
    server.frame(server.prepare(Ping(1)))
    server.receive_data(frame(ack=1))
    with pytest.raises(RemoteProtocolError, match="frame 0 acknowledged"):
        server.receive_data(frame(sequence=2, ack=0))
    assert client.state is State.OPEN


def test_frames_acknowledge_what_was_received():
    client, server = WireV1(Side.CLIENT), WireV1(Side.SERVER)
    feed(server, to_bytes(client, [Ping(1), Ping(2)]))
    (data,) = to_bytes(server, [Pong(1)])
    assert Fixed(*FIXED.unpack_from(data)).ack == 2
    assert client.receive_data(data) == [Pong(1)]
    assert (server.frames_received, server.frames_sent) == (2, 1)


def test_the_largest_header_arrives_byte_by_byte():
    client, server = WireV1(Side.CLIENT), WireV1(Side.SERVER)
    sent = [CallFunc(1, 2, tuple("x" * 1000 for _ in range(60))), Cancel(1)]
    stream = b"".join(to_bytes(client, sent))
    header_nbytes = Fixed(*FIXED.unpack_from(stream)).header_nbytes
    assert 60_000 < header_nbytes <= DEFAULT_LIMITS.frame_header
    assert feed(server, [bytes([byte]) for byte in stream]) == sent


def test_lowered_limits_hold_for_both_directions():
    limits = replace(DEFAULT_LIMITS, frame_payload=10_000)
    small, usual = WireV1(Side.CLIENT, limits=limits), WireV1(Side.SERVER)
    with pytest.raises(LimitExceeded):
        small.prepare(CallFunc(1, 2, ("x" * 10_001,)))
    with pytest.raises(LimitExceeded):
        feed(small, to_bytes(usual, [Return(1, "x" * 10_001)]))


def test_text_of_an_error_is_limited_for_the_receiver():
    talkative = WireV1(Side.SERVER, limits=replace(DEFAULT_LIMITS, error_text=1_000_000))
    (data,) = to_bytes(talkative, [Raised(1, ErrorInfo("E", "x" * 16_385))])
    with pytest.raises(RemoteProtocolError, match="text of an error of 16385 characters"):
        WireV1(Side.CLIENT).receive_data(data)


@pytest.mark.parametrize(
    "message",
    [
        CallFunc(1, 2, ("x" * 4000, b"y" * 4000)),
        CallFunc(1, 2, tuple(range(1025))),
        CallFunc(1, 2, (), {str(i): i for i in range(1025)}),
        CallFunc(1, 2, (), {"a": [1]}),
        CallFunc(1, 2, (1 << 70, 1j), {"a": "x"}, timeout=0.5),
        Return(1, "x" * 5000),
        Return(1, "x", 1),
    ],
)
def test_what_is_nearly_small_arrives_too(message):
    side = Side.CLIENT if type(message) is CallFunc else Side.SERVER
    assert same(feed(WireV1(Side(1 - side)), to_bytes(WireV1(side), [message])), [message])


def test_a_piece_whose_size_is_wrong_is_not_sent():
    with pytest.raises(EncodeError, match="2 bytes in a piece of 3"):
        WireV1(Side.SERVER).prepare(CopyData(1, 0, 3, last=True, payload=b"ab"))


def test_a_sink_of_another_size_is_a_mistake_of_this_side():
    client, server = WireV1(Side.CLIENT), WireV1(Side.SERVER)
    server.sink = lambda piece: memoryview(bytearray(1))
    with pytest.raises(ValueError, match="the sink gave 1 bytes for 3"):
        feed(server, to_bytes(client, [EXAMPLES[Kind.COPY_TO_REMOTE]]))


@pytest.mark.parametrize("request_id", [-1, 2**64, "1"])
def test_a_request_id_that_does_not_fit_is_not_sent(request_id):
    client = WireV1(Side.CLIENT)
    with pytest.raises((LocalProtocolError, EncodeError)):
        client.frame(client.prepare(Ping(request_id)))
    assert client.frames_sent == 0


@pytest.mark.parametrize(
    "message",
    [
        CallFunc(1, -1, (1,)),
        CallFunc(1, "f", (1,)),
        CallFunc(1, 2, (), {}, timeout="soon"),
        CallFunc(1, 2, (), {1: 2}),
        CallFunc(1, 2, (), {1: [2]}),
        FreeHandles(((1, 99, "x"),)),
        FreeHandles(((1, 99, 1),)),
        FreeHandles(((1, 2, 0),)),
        Stopped(1, -1),
        Goodbye(error=3),
    ],
)
def test_a_field_of_the_wrong_type_is_not_sent(message):
    with pytest.raises(EncodeError):
        WireV1(Side.CLIENT).prepare(message)


def test_an_error_names_the_keyword_argument():
    with pytest.raises(EncodeError, match="argument 'x': object cannot be sent by value"):
        WireV1(Side.CLIENT).prepare(CallFunc(1, 2, (), {"x": object()}))


def test_messages_prepared_by_many_threads_are_the_same():
    client, server = WireV1(Side.CLIENT), WireV1(Side.SERVER)
    sent = [CallFunc(i, 2, (i, 1 << 70, complex(0, i), "x" * i * 50)) for i in range(200)]
    prepared = [None] * len(sent)

    def work(start):
        for i in range(start, len(sent), 4):
            prepared[i] = client.prepare(sent[i])

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    stream = b"".join(bytes(part) for one in prepared for part in client.frame(one))
    assert same(server.receive_data(stream), sent)


def test_after_goodbye_what_was_on_its_way_is_still_read():
    client, server = WireV1(Side.CLIENT), WireV1(Side.SERVER)
    on_its_way = to_bytes(server, [Return(1, 5)])
    assert feed(server, to_bytes(client, [Goodbye("x" * 6000)])) == [Goodbye("x" * 6000)]
    assert (client.state, server.state) == (State.CLOSING, State.CLOSED)
    assert feed(client, on_its_way) == [Return(1, 5)]


# --- the express lane -----------------------------------------------------------------------------


def test_a_message_in_whose_midst_another_thread_ends_the_connection_is_still_read():
    client, server = WireV1(Side.CLIENT), WireV1(Side.SERVER)
    message = Return(1, bytes(100_000))
    (data,) = to_bytes(server, [message])
    assert feed(client, [data[:-1]]) == []
    client.state = State.CLOSED
    assert feed(client, [data[-1:]]) == [message]
    assert client.state is State.CLOSED


@pytest.mark.parametrize("state", [State.CLOSING, State.CLOSED])
def test_only_an_open_side_frames_quickly(state):
    wire = WireV1(Side.CLIENT)
    header = wire.quick_call(2, (), {})
    wire.state = state
    assert wire.quick_frame(Kind.CALL_FUNC, 1, header) is None
    assert wire.frames_sent == 0


def test_plain_frames_and_others_of_one_receive_come_in_order():
    sender, receiver = WireV1(Side.CLIENT), WireV1(Side.SERVER)
    messages = [CallFunc(1, 2, (3,)), CallFunc(2, 2, ([4],)), Ping(3), CallFunc(4, 2, (5,))]
    data = b"".join(part for m in messages for part in sender.frame(sender.prepare(m)))
    assert receiver.receive_data(data) == messages
    for cut in range(1, len(data)):
        receiver = WireV1(Side.SERVER)
        parts = receiver.receive_data(data[:cut]) + receiver.receive_data(data[cut:])
        assert parts == messages


@pytest.mark.parametrize(
    ("message", "short"),
    [
        (CallFunc(1, 2, (3, "x"), {"y": None}), (1, 2, (3, "x"), {"y": None})),
        (Return(1, 2.5), (1, 2.5)),
    ],
)
def test_a_plain_message_may_come_in_short_form(message, short):
    sides = Side.CLIENT, Side.SERVER
    sender, receiver = map(WireV1, sides if type(message) is CallFunc else reversed(sides))
    data = b"".join(sender.frame(sender.prepare(message)))
    receiver.receive_buffer()[: len(data)] = data
    (received,) = receiver.received_short(len(data))
    assert (type(received), received) == (tuple, short)
    assert type(in_full(received)) is type(message)
    assert in_full(received) == message


def test_there_is_room_for_more_however_much_came_at_once():
    for shift in range(48):  # of the place in a frame where the buffer is full
        sender, receiver = WireV1(Side.SERVER), WireV1(Side.CLIENT)
        messages = [Return(1, "x" * shift), *(Return(n, n) for n in range(2, 1000))]
        data = b"".join(part for m in messages for part in sender.frame(sender.prepare(m)))
        received: list[Return] = []
        while data:
            buffer = receiver.receive_buffer()
            nbytes = min(len(buffer), len(data))
            assert nbytes
            buffer[:nbytes], data = data[:nbytes], data[nbytes:]
            received += map(in_full, receiver.received_short(nbytes))
        assert received == messages


@pytest.mark.parametrize("between", [Ping(0), Pong(7)])
def test_short_messages_stay_short_behind_the_beginning_of_one_and_a_question(between):
    sender, receiver = WireV1(Side.SERVER), WireV1(Side.CLIENT)
    messages = [Return(1, 1), Return(2, 2), between, Return(3, 3), Return(4, 4)]
    data = b"".join(b"".join(sender.frame(sender.prepare(each))) for each in messages)
    middle = 60
    received = []
    for part in (data[:middle], data[middle:]):
        receiver.receive_buffer()[: len(part)] = part
        received += receiver.received_short(len(part))
    assert received == [(1, 1), (2, 2), between, (3, 3), (4, 4)]
    assert [type(each) for each in received] == [tuple, tuple, type(between), tuple, tuple]
