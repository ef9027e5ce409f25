"""Tests of `rpcnb.wire.tvm`: packets, the greeting, and a recording of the real thing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.errors import HandshakeError, LimitExceeded, RemoteProtocolError
from rpcnb.wire.tvm import (
    DUPLICATE_KEY,
    MAGIC,
    NO_MATCH,
    SYSTEM_CALLS,
    Call,
    Code,
    CopyAck,
    CopyFrom,
    CopyTo,
    Greeting,
    InitServer,
    Raised,
    Result,
    Shutdown,
    SystemCall,
    TVMWire,
    describe,
    encode,
)
from rpcnb.wire.tvm_values import (
    TVMDevice,
    TVMDType,
    TVMPointer,
    TVMTensor,
    encode_values,
    read_result,
)

RECORDING = Path(__file__).parent.parent / "data" / "tvm" / "session_0_27.txt"

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=5), st.binary(max_size=5)
)
ARGS = st.lists(VALUES, max_size=3).map(tuple)
TENSOR = TVMTensor(0x1234, TVMDevice(1, 0), TVMDType(2, 32), (2, 3), 8)
TENSORS = st.sampled_from([TENSOR, TENSOR._replace(shape=()), TENSOR._replace(shape=(1,) * 32)])
PAYLOADS = st.binary(max_size=200).map(bytearray)
PACKETS = st.one_of(
    st.just(Shutdown()),
    st.builds(InitServer, ARGS),
    st.builds(Call, st.integers(0, 2**64 - 1), ARGS),
    st.builds(SystemCall, st.sampled_from(sorted(SYSTEM_CALLS)), ARGS),
    st.builds(CopyFrom, TENSORS, st.integers(0, 2**64 - 1)),
    st.builds(CopyTo, TENSORS, PAYLOADS),
    st.builds(Result, ARGS),
    st.builds(Raised, st.text(max_size=9).filter(lambda text: "\0" not in text)),
    st.builds(CopyAck, PAYLOADS),
)


def bytes_of(packets) -> bytes:
    return b"".join(bytes(buffer) for packet in packets for buffer in encode(packet))


def recorded(mark: str) -> bytes:
    lines = (line.split() for line in RECORDING.read_text().splitlines())
    return b"".join(bytes.fromhex(rest[0]) for direction, *rest in lines if direction == mark)


def after_greeting(mark: str) -> bytes:
    data = recorded(mark)
    assert data[:4] == MAGIC.to_bytes(4, "little")
    return data[8 + int.from_bytes(data[4:8], "little") :]


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
def test_every_split_of_a_recording_gives_the_same_packets(mark) -> None:
    stream = after_greeting(mark)
    whole = TVMWire().receive_data(stream)
    for cut in range(len(stream)):
        wire = TVMWire()
        assert wire.receive_data(stream[:cut]) + wire.receive_data(stream[cut:]) == whole


def holds_bytes(packet) -> bool:
    return isinstance(packet, Call) and any(type(value) is bytes for value in packet.args)


def test_what_the_real_client_sent_is_written_by_us_byte_for_byte() -> None:
    stream = after_greeting(">")
    packets = TVMWire().receive_data(stream)
    plain = [packet for packet in packets if not holds_bytes(packet)]  # it counts those twice
    assert all(bytes_of([packet]) in stream for packet in plain)
    assert len(plain) == len(packets) - 2
    assert packets[0] == InitServer()
    assert packets[1] == SystemCall(Code.GET_GLOBAL_FUNC, ("t.echo",))
    assert packets[-1] == Shutdown()
    echoed = [p.args[0] for p in packets if isinstance(p, Call) and p.args][:9]
    assert echoed == [
        None, True, 41, -1.5, "short", "a longer string", "schön", b"\0\xff", b"0123456789",
    ]  # fmt: skip


def test_what_the_real_server_answered_is_understood() -> None:
    packets = TVMWire().receive_data(after_greeting("<"))
    assert packets[0] == Result((None,))
    assert Raised("abc") in packets
    results = [
        read_result(p.values) for p in packets if isinstance(p, Result) and len(p.values) > 1
    ]
    assert results[:3] == [None, True, 41]
    assert {"short", "a longer string", "schön", b"\0\xff", b"0123456789"} <= {
        r for r in results if isinstance(r, str | bytes)
    }
    (tensor,) = [r for r in results if getattr(r, "tensor", None)]
    assert (tensor.tensor.shape, tensor.tensor.dtype) == ((10,), TVMDType(2, 32))
    (ack,) = [p for p in packets if isinstance(p, CopyAck)]
    assert memoryview(ack.payload).cast("f").tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


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


def test_a_server_of_the_old_dialect_is_recognised_by_its_first_answer() -> None:
    body = (1).to_bytes(4, "little") + (4).to_bytes(4, "little")  # one value, of type "null"
    packet = (12).to_bytes(8, "little") + int(Code.RETURN).to_bytes(4, "little") + body
    with pytest.raises(HandshakeError, match=r"older than 0\.21"):
        TVMWire().receive_data(packet)


# --- greeting ----------------------------------------------------------------------------------


def feed(greeting: Greeting, data: bytes) -> None:
    while greeting.missing and data:
        count = min(greeting.missing, len(data))
        greeting.receive(data[:count])
        data = data[count:]


def answer(number: int = MAGIC, key: bytes = b"server:k") -> bytes:
    return number.to_bytes(4, "little") + len(key).to_bytes(4, "little") + key


def test_the_greeting_is_that_of_the_real_client() -> None:
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


@given(PACKETS)
def test_a_description_is_one_bounded_line(packet) -> None:
    line = describe(packet)
    assert line.isprintable()
    assert len(line) < 600


def test_a_description_names_what_matters() -> None:
    assert describe(Call(3, (1, TVMPointer(16)))) == "Call function=3 args=(1, 0x10)"
    assert describe(CopyTo(TENSOR, b"abc")).endswith("payload=<3 bytes>")
