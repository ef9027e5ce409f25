"""Tests of `rpcnb.wire.tvm.old_values`: the dialect before 0.21, and a recording of it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from rpcnb.core.errors import EncodeError, RemoteProtocolError
from rpcnb.wire.tvm.dialect import OLD
from rpcnb.wire.tvm.old_values import encode_values, old_code, read_result, read_values
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
    Reader,
    TVMDevice,
    TVMDType,
    TVMHandle,
    TVMObject,
    TVMPointer,
    TVMTensor,
    TypeIndex,
)

TENSOR = TVMTensor(0x10, TVMDevice(1, 0), TVMDType(2, 32), (2, 3), 8)
VALUES = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(), st.binary(),
    st.sampled_from([
        TVMPointer(7), TVMPointer(0), TVMDType(2, 32), TVMDevice(1, 3), TENSOR,
        TVMHandle(TypeIndex.FUNCTION, 1), TVMHandle(TypeIndex.MODULE, 2),
        TVMHandle(TypeIndex.REMOTE_OBJECT, 3),
    ]),
)  # fmt: skip


def old_wire() -> TVMWire:
    wire = TVMWire()
    wire.dialect = OLD
    return wire


@given(st.lists(VALUES, max_size=8))
def test_every_list_of_values_survives(values) -> None:
    reader = Reader(encode_values(values))
    assert read_values(reader) == values
    reader.end()


@given(st.binary(max_size=80))
def test_other_bytes_are_refused_as_the_peers_fault(data) -> None:
    with suppress(RemoteProtocolError):
        read_values(Reader(data))


@pytest.mark.parametrize("value", [2**63, 1j, [1], object()])
def test_what_it_has_no_form_for_is_refused_here(value) -> None:
    with pytest.raises(EncodeError, match="TVM"):
        encode_values([value])


def test_booleans_are_integers() -> None:
    assert encode_values([True]) == encode_values([1])


@pytest.mark.parametrize("code", [13, 14, 99, -1])
def test_a_code_without_a_form_is_refused(code) -> None:
    body = (1).to_bytes(4, "little") + code.to_bytes(4, "little", signed=True) + bytes(40)
    with pytest.raises(RemoteProtocolError, match="before 0"):
        read_values(Reader(body))


def test_an_object_that_is_no_remote_one_is_refused() -> None:
    body = b"".join(n.to_bytes(4, "little") for n in (1, 8, 5)) + bytes(8)
    with pytest.raises(RemoteProtocolError, match="by value"):
        read_values(Reader(body))


def test_a_result_is_read_by_its_first_item() -> None:
    pointer = TVMPointer(5)
    assert read_result([0, 41]) == 41
    assert read_result([4, None]) is None
    assert read_result([3, pointer]) == pointer
    assert read_result([10, pointer]) == TVMObject(TypeIndex.FUNCTION, 5)
    assert read_result([13, TENSOR, pointer]) == TVMObject(TypeIndex.TENSOR, 5, TENSOR)
    with pytest.raises(RemoteProtocolError, match="means nothing"):
        read_result([1])


def test_what_is_given_back_says_its_code() -> None:
    assert [old_code(index) for index in (68, 73, 70, 115, 71)] == [10, 9, 13, 8, 8]
    assert OLD.release_args(5, TypeIndex.FUNCTION) == (TVMPointer(5), 10)


# --- the recording -----------------------------------------------------------------------------


def test_the_first_answer_shows_the_dialect(after_greeting) -> None:
    wire = TVMWire()
    packets = wire.receive_data(after_greeting("<", "0_16"))
    assert wire.dialect is OLD
    assert packets[0] == Result((None,))
    assert any(isinstance(packet, Raised) for packet in packets)
    results = [
        read_result(p.values) for p in packets if isinstance(p, Result) and len(p.values) > 1
    ]
    assert results[:7] == [None, 1, 41, -1.5, "short", "a longer string", "schön"]
    (tensor,) = [r for r in results if getattr(r, "tensor", None)]
    assert (tensor.tensor.shape, tensor.tensor.dtype) == ((10,), TVMDType(2, 32))
    assert {r.type_index for r in results if isinstance(r, TVMObject)} == {
        TypeIndex.FUNCTION, TypeIndex.REMOTE_OBJECT, TypeIndex.TENSOR,
    }  # fmt: skip
    acks = [packet for packet in packets if isinstance(packet, CopyAck)]
    assert memoryview(acks[0].payload).cast("f").tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_what_the_old_client_sent_is_written_by_us_byte_for_byte(after_greeting) -> None:
    stream = after_greeting(">", "0_16")
    packets = old_wire().receive_data(stream)
    written = b"".join(bytes(buffer) for packet in packets for buffer in encode(packet, OLD))
    assert written == stream
    assert packets[0] == InitServer()
    assert packets[1] == SystemCall(Code.GET_GLOBAL_FUNC, ("t.echo",))
    assert packets[-1] == Shutdown()
    frees = [p.args[1] for p in packets if isinstance(p, SystemCall) and p.code == Code.FREE_HANDLE]
    assert set(frees) == {10, 13, 8}
    assert any(isinstance(packet, Call) for packet in packets)


def test_later_answers_show_no_dialect() -> None:
    wire = TVMWire()
    wire.receive_data(b"".join(encode(Result((None,)))))
    nothing = (12).to_bytes(8, "little") + b"".join(n.to_bytes(4, "little") for n in (4, 1, 4))
    with pytest.raises(RemoteProtocolError):
        wire.receive_data(nothing)
