"""Tests of `rpcnb.endpoint.tvm.session` against a server of a few lines; TVM's own: tests/tvm."""

from __future__ import annotations

import pytest

from rpcnb.core.device import CPU, Device, DeviceType
from rpcnb.core.errors import (
    ArrayMismatch,
    DeviceError,
    EncodeError,
    InvalidHandle,
    RemoteProtocolError,
    SessionClosed,
)
from rpcnb.core.values import (
    ArrayRef,
    DenseArray,
    DTypeValue,
    FunctionRef,
    Handle,
    ModuleRef,
    ObjectRef,
)
from rpcnb.endpoint.tvm.connect import connect_tvm, parse_tvm_url
from rpcnb.endpoint.tvm.session import describe_error
from rpcnb.wire.tvm.dialect import OLD
from rpcnb.wire.tvm.packets import Code, SystemCall
from rpcnb.wire.tvm.values import TVMDevice, TVMDType, TVMHandle, TVMPointer, TVMTensor

TENSOR = TVMTensor(0x1000, TVMDevice(1, 0), TVMDType(2, 32), (2, 3))


@pytest.fixture
def call(tvm_peer, tvm_session):
    """Give a function: what the server's function returns, and its arguments -> the result."""
    given = []
    tvm_peer.functions["f"] = lambda *args: (given.append(args), answers[-1])[1]
    answers = []
    function = tvm_session.get_function("f")

    def call(answer, *args):
        answers.append(answer)
        return tvm_session.call_func(function, args)

    call.given = given
    return call


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ((5, TVMDType(2, 32)), DTypeValue("<f4")),
        ((5, TVMDType(17, 4)), "(17, 4, 1)"),
        ((6, TVMDevice(2, 1)), Device(DeviceType.CUDA, 1)),
        ((4, TVMPointer(9)), 9),
        ((0, None), None),
    ],
)
def test_values_come_as_ours(call, answer, value) -> None:
    assert call(answer) == value


@pytest.mark.parametrize(
    ("answer", "kind"), [((68, TVMPointer(9)), FunctionRef), ((73, TVMPointer(9)), ModuleRef),
                         ((69, TVMPointer(9)), ObjectRef), ((70, TENSOR, TVMPointer(9)), ArrayRef)],
)  # fmt: skip
def test_what_stays_there_gets_a_handle_and_goes_back_by_its_address(call, answer, kind) -> None:
    ref = call(answer)
    assert isinstance(ref, kind)
    assert ref.handle != 9
    call((0, None), ref)
    index = {FunctionRef: 68, ModuleRef: 73, ObjectRef: 115}
    assert call.given[-1] == ((TENSOR,) if kind is ArrayRef else (TVMHandle(index[kind], 9),))


def test_the_same_object_returned_twice_has_two_handles(call, tvm_peer, tvm_session) -> None:
    one, two = call((69, TVMPointer(9))), call((69, TVMPointer(9)))
    assert one.handle != two.handle
    tvm_session.free_handle(one.handle, one.type_code)
    tvm_session.free_handle(one.handle, one.type_code)
    call((0, None), two)
    assert tvm_peer.count(Code.FREE_HANDLE) == 1
    assert tvm_session.statistics()["bad_frees"] == 1


def test_a_small_array_goes_as_a_tensor_that_is_given_back(call, tvm_peer) -> None:
    call((0, None), DenseArray("<f4", (2,), bytes(range(8))), CPU, DTypeValue("<i4"))
    tensor, device, dtype = call.given[-1]
    assert (tensor.shape, device, dtype) == ((2,), TVMDevice(1, 0), TVMDType(0, 32))
    assert tvm_peer.memory[tensor.data][:8] == bytes(range(8))
    call((0, None))
    assert tvm_peer.count(Code.DEV_FREE_DATA) == 1


def test_a_handle_must_be_of_its_kind_and_held(call, tvm_session) -> None:
    ref = call((69, TVMPointer(9)))
    with pytest.raises(InvalidHandle, match="is a object"):
        tvm_session.call_func(FunctionRef(ref.handle))
    with pytest.raises(InvalidHandle, match="handle 999 is unknown"):
        call((0, None), ObjectRef(Handle(999)))


def test_copies_are_spans_of_bytes_inside_their_array(tvm_peer, tvm_session) -> None:
    array = tvm_session.get_device_api(CPU).alloc_data(CPU, (4,), "<i4")
    part = ArrayRef(array.handle, (4,), "<i4", byte_offset=4)
    tvm_session.copy_to_remote(b"abcdefgh", part, 8)
    sent = tvm_peer.asked[-1].tensor
    assert (sent.shape, sent.dtype, sent.byte_offset) == ((8,), TVMDType(1, 8), 4)
    out = bytearray(16)
    tvm_session.copy_from_remote(array, out, 16)
    assert out == b"\0\0\0\0abcdefgh\0\0\0\0"
    for nbytes in (13, 1 << 40):
        with pytest.raises(ArrayMismatch):
            tvm_session.copy_from_remote(part, bytearray(16), nbytes)


def test_a_device_that_is_not_there_is_told(tvm_session) -> None:
    cuda = Device(DeviceType.CUDA)
    assert tvm_session.get_device_api(cuda, allow_missing=True) is None
    with pytest.raises(DeviceError, match="has no device cuda:0"):
        tvm_session.get_device_api(cuda)


def test_a_function_of_this_side_is_not_passed(call, tvm_session) -> None:
    own = tvm_session.get_function("rpcnb.statistics")
    with pytest.raises(EncodeError, match="function of this side"):
        call((0, None), own)
    assert tvm_session.get_function("rpcnb.absent") is None


def test_a_system_call_has_one_value(tvm_peer, tvm_session) -> None:
    with pytest.raises(RemoteProtocolError, match="means nothing"):
        tvm_session.lift(())
    assert not tvm_session.is_local_session()


def test_after_its_end_everything_is_refused(call, tvm_session) -> None:
    ref = call((69, TVMPointer(9)))
    tvm_session.shutdown()
    tvm_session.shutdown()
    assert tvm_session.closed
    tvm_session.free_handle(ref.handle, ref.type_code)
    for refused in (lambda: call((0, None)), lambda: tvm_session.get_device_api(CPU)):
        with pytest.raises(SessionClosed):
            refused()


@pytest.mark.parametrize(
    ("message", "name", "known"),
    [("abc", "RPCError", "RuntimeError"), ("ValueError: x: y", "ValueError", "ValueError"),
     ("InternalError: Check failed", "InternalError", "InternalError")],
)  # fmt: skip
def test_an_error_is_known_by_what_its_text_says(message, name, known) -> None:
    info = describe_error(message, "srv")
    assert (info.type_name, info.known) == (name, known)


def test_a_server_of_the_old_dialect_is_spoken_to_in_it(tvm_peer, eventually) -> None:
    tvm_peer.dialect = OLD
    tvm_peer.functions |= {
        "echo": lambda value: (11, value),
        "closure": lambda: (10, TVMPointer(0x77)),
    }
    with connect_tvm(parse_tvm_url(tvm_peer.url), 10.0) as session:
        assert session.link.wire.dialect is OLD
        assert session.call_func(session.get_function("echo"), ("schön",)) == "schön"
        closure = session.call_func(session.get_function("closure"))
        session.free_handle(closure.handle, closure.type_code)
        given_back = SystemCall(Code.FREE_HANDLE, (TVMPointer(0x77), 10))
        assert eventually(lambda: given_back in tvm_peer.asked)
