from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from rpcnb.core.device import CPU, Device, DeviceAttr, DeviceType
from rpcnb.core.errors import ArrayMismatch, DeviceError, InvalidHandle
from rpcnb.core.values import ArrayRef, TypeCode
from rpcnb.session.cpu import NumPyBackend
from rpcnb.session.handles import HandleTable
from rpcnb.session.local_device import LocalDeviceAPI, copy_between
from rpcnb.session.streams import ExecutionStream, NativeQueue, ThreadStream

GPU = Device(DeviceType.CUDA, 1)


class Streams:
    """Streams that run nothing and remember what was asked of them."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.set: dict[Device, int] = {}
        self.made = ThreadStream()

    def create(self, device: Device, native: NativeQueue | None = None) -> int:
        self.made.native = native
        return 7

    def get(self, handle: int) -> ExecutionStream:
        return self.made

    def free(self, handle: int) -> None:
        self.asked.append(("free", handle))

    def synchronize(self, handle: int) -> None:
        self.asked.append(("synchronize", handle))

    def set_current(self, device: Device, handle: int) -> None:
        self.set[device] = handle

    def current(self, device: Device) -> int:
        return self.set.get(device, 0)


class Elsewhere(np.ndarray[Any, Any]):
    """An array of a library with memory of its own."""


class ElsewhereBackend(NumPyBackend):
    def owns(self, obj: object) -> bool:
        return isinstance(obj, Elsewhere)

    def devices(self) -> tuple[Device, ...]:
        return (GPU,)

    def from_host(self, host: Any, device: Device) -> Any:
        return host.view(Elsewhere)


class Strict(NumPyBackend):
    def owns(self, obj: object) -> bool:
        return type(obj) is np.ndarray


@pytest.fixture
def handles() -> HandleTable:
    return HandleTable()


@pytest.fixture
def streams() -> Streams:
    return Streams()


@pytest.fixture
def api(handles: HandleTable, streams: Streams) -> LocalDeviceAPI:
    return LocalDeviceAPI((NumPyBackend(),), handles, streams)


def hold(handles: HandleTable, array: object, **metadata: Any) -> ArrayRef:
    return ArrayRef(handles.issue(array, TypeCode.ARRAY), **metadata)


def test_an_array_is_allocated_described_and_freed(
    api: LocalDeviceAPI, handles: HandleTable
) -> None:
    ref = api.alloc_data(CPU, (2, 3), ">f4")
    held = handles.get(ref.handle, TypeCode.ARRAY)
    assert isinstance(held, np.ndarray)
    assert (held.shape, held.dtype) == ((2, 3), ">f4")
    assert (ref.shape, ref.dtype, ref.device, ref.strides) == ((2, 3), ">f4", CPU, None)
    api.free_data(ref)
    assert len(handles) == 0
    with pytest.raises(InvalidHandle, match="was freed"):
        api.free_data(ref)


def test_existence_is_answered_for_any_device_and_the_rest_for_existing_ones(
    api: LocalDeviceAPI,
) -> None:
    assert api.get_attr(CPU, DeviceAttr.EXIST) is True
    assert api.get_attr(GPU, DeviceAttr.EXIST) is False
    assert api.get_attr(CPU, DeviceAttr.MULTI_PROCESSOR_COUNT) >= 1
    assert api.has(CPU)
    assert api.devices() == [CPU]


def test_a_device_that_is_missing_is_named_with_those_there_are(api: LocalDeviceAPI) -> None:
    for ask in (
        lambda: api.get_attr(GPU, DeviceAttr.DEVICE_NAME),
        lambda: api.alloc_data(GPU, (1,), "<f4"),
        lambda: api.create_stream(GPU),
        lambda: api.free_stream(GPU, 1),
        lambda: api.stream_sync(GPU, 1),
        lambda: api.set_stream(GPU, 1),
        lambda: api.get_current_stream(GPU),
    ):
        with pytest.raises(DeviceError, match="no device cuda:1 here, but cpu:0"):
            ask()


def test_a_copy_is_made_after_what_was_queued(
    api: LocalDeviceAPI, handles: HandleTable, streams: Streams
) -> None:
    target = np.zeros((3, 4), "f4")
    refs = hold(handles, np.arange(12.0).reshape(3, 4)), hold(handles, target)
    api.copy_data(*refs)
    assert target.ravel().tolist() == list(range(12))
    api.copy_data(*refs, stream=9)
    api.set_stream(CPU, 5)
    api.copy_data(*refs)
    assert streams.asked == [("synchronize", 0), ("synchronize", 9), ("synchronize", 5)]


def test_a_copy_that_cannot_be_is_refused(api: LocalDeviceAPI, handles: HandleTable) -> None:
    source, target = hold(handles, np.zeros(4)), hold(handles, np.zeros(5))
    with pytest.raises(ArrayMismatch, match="shape"):
        api.copy_data(source, target)
    with pytest.raises(ArrayMismatch, match="whole arrays"):
        api.copy_data(source, ArrayRef(source.handle, byte_offset=8))
    with pytest.raises(InvalidHandle, match="kind OBJECT"):
        api.copy_data(source, ArrayRef(handles.issue("text", TypeCode.OBJECT)))


def test_a_stream_stands_for_the_librarys_own_queue(handles: HandleTable, streams: Streams) -> None:
    asked: list[object] = []

    class Queued(ElsewhereBackend):
        def make_stream(self, device: Device) -> object:
            return f"queue of {device}"

        def synchronize(self, device: Device, stream: object) -> None:
            asked.append(stream)

    api = LocalDeviceAPI((NumPyBackend(), Queued()), handles, streams)
    api.create_stream(CPU)
    assert streams.made.native is None
    stream = api.create_stream(GPU)
    api.stream_sync(GPU, stream)
    ended = threading.Event()
    api.finish_and_tell(GPU, streams.made, lambda *_: ended.set())
    assert ended.wait(10)
    assert asked == ["queue of cuda:1"] * 2


def test_arrays_of_two_libraries_are_copied_by_way_of_the_host() -> None:
    backends = (Strict(), ElsewhereBackend())
    there, here = np.zeros(3).view(Elsewhere), np.arange(3.0)
    copy_between(backends, here, there)
    assert there.tolist() == [0, 1, 2]
    here[:] = 0
    copy_between(backends, there, here)
    assert here.tolist() == [0, 1, 2]


def test_streams_are_the_sessions(api: LocalDeviceAPI, streams: Streams) -> None:
    stream = api.create_stream(CPU)
    assert stream == 7
    assert api.get_current_stream(CPU) == 0
    api.set_stream(CPU, stream)
    assert api.get_current_stream(CPU) == stream
    api.stream_sync(CPU, stream)
    api.free_stream(CPU, stream)
    assert streams.asked == [("synchronize", 7), ("free", 7)]
