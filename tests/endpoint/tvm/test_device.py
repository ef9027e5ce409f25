"""Tests of `rpcnb.endpoint.tvm.device` against a server of a few lines."""

from __future__ import annotations

import pytest

from rpcnb.core.device import CPU, Device, DeviceAttr, DeviceType
from rpcnb.core.errors import ArrayMismatch, DeviceError, EncodeError
from rpcnb.wire.tvm.packets import Code, Raised, SystemCall
from rpcnb.wire.tvm.values import TVMDevice, TVMPointer

CUDA = Device(DeviceType.CUDA, 1)


@pytest.fixture
def api(tvm_session):
    return tvm_session.get_device_api(CPU)


def test_attributes_are_asked_for_by_number(tvm_peer, api) -> None:
    tvm_peer.system[Code.DEV_GET_ATTR] = lambda device, kind: 1000 * device.number + kind
    assert api.get_attr(CUDA, DeviceAttr.WARP_SIZE) == 1002
    assert api.get_attr(CUDA, DeviceAttr.EXIST) is True


def test_memory_is_asked_for_with_its_scope_and_given_back(
    tvm_peer, tvm_session, api, eventually
) -> None:
    array = api.alloc_data(CPU, (2, 3), "<f4", "global.texture")
    request = tvm_peer.asked[-1]
    assert (request.args[0].shape, request.args[0].data) == ((2, 3), 0)
    assert request.args[1] == "global.texture"
    api.free_data(array)
    assert eventually(lambda: tvm_peer.count(Code.DEV_FREE_DATA) == 1)


def test_memory_that_cannot_be_is_not_asked_for(tvm_peer, api) -> None:
    before = len(tvm_peer.asked)
    for shape, dtype, error in [
        ((1 << 50,), "<f8", DeviceError),
        ((-1,), "<f8", ValueError),
        ((1,), ">f8", EncodeError),
    ]:
        with pytest.raises(error):
            api.alloc_data(CPU, shape, dtype)
    assert len(tvm_peer.asked) == before


def test_memory_that_is_refused_is_a_device_error(tvm_peer, api) -> None:
    tvm_peer.system[Code.DEV_ALLOC_DATA_WITH_SCOPE] = lambda *_: Raised("out of memory")
    with pytest.raises(DeviceError, match="out of memory"):
        api.alloc_data(CPU, (4,), "<f4")


def test_equal_arrays_are_copied_over_there(tvm_peer, api) -> None:
    one, two = api.alloc_data(CPU, (4,), "<f4"), api.alloc_data(CPU, (4,), "<f4")
    api.copy_data(one, two, 7)
    copy, sync = tvm_peer.asked[-2:]
    assert (copy.code, copy.args[2]) == (Code.COPY_AMONG_REMOTE, TVMPointer(7))
    assert (sync.code, sync.args[1]) == (Code.DEV_STREAM_SYNC, TVMPointer(7))
    with pytest.raises(ArrayMismatch, match="equal shapes and dtypes"):
        api.copy_data(one, api.alloc_data(CPU, (4,), "<i4"))


def test_streams_are_pointers(tvm_peer, api) -> None:
    tvm_peer.system[Code.DEV_CREATE_STREAM] = lambda _: TVMPointer(77)
    tvm_peer.system[Code.DEV_GET_CURRENT_STREAM] = lambda _: TVMPointer(77)
    stream = api.create_stream(CUDA)
    api.set_stream(CUDA, stream)
    assert api.get_current_stream(CUDA) == stream == 77
    api.stream_sync(CUDA, stream)
    api.free_stream(CUDA, stream)
    asked = SystemCall(Code.DEV_FREE_STREAM, (TVMDevice(2, 1), TVMPointer(77)))
    assert tvm_peer.asked[-1] == asked
    before = len(tvm_peer.asked)
    api.free_stream(CUDA, 0)
    assert len(tvm_peer.asked) == before
