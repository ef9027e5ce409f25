"""Tests of `rpcnb.wire.tvm.packets`: packets to bytes and back, and a recording of the real thing."""

from __future__ import annotations

from rpcnb.wire.tvm.packets import (
    Call,
    Code,
    CopyAck,
    InitServer,
    Raised,
    Result,
    Shutdown,
    SystemCall,
    encode,
)
from rpcnb.wire.tvm.parser import TVMWire
from rpcnb.wire.tvm.values import (
    TVMDType,
    read_result,
)


def bytes_of(packets) -> bytes:
    return b"".join(bytes(buffer) for packet in packets for buffer in encode(packet))


def holds_bytes(packet) -> bool:
    return isinstance(packet, Call) and any(type(value) is bytes for value in packet.args)


def test_what_the_real_client_sent_is_written_by_us_byte_for_byte(after_greeting) -> None:
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


def test_what_the_real_server_answered_is_understood(after_greeting) -> None:
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
