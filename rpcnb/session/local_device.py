"""`LocalDeviceAPI`: the devices that this process's array libraries know."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Protocol

from rpcnb.core.device import DeviceAttr, DeviceType
from rpcnb.core.errors import ArrayMismatch, DeviceError
from rpcnb.core.values import ArrayRef, TypeCode
from rpcnb.session.backend import ArrayBackend, backend_of
from rpcnb.session.base import run_and_call_back
from rpcnb.session.device_api import DeviceAPI
from rpcnb.session.streams import NativeQueue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcnb.core.device import Device
    from rpcnb.core.dtype import DType
    from rpcnb.core.values import Value
    from rpcnb.session.base import CallCallback
    from rpcnb.session.handles import HandleTable
    from rpcnb.session.streams import ExecutionStream


class Streams(Protocol):
    """The execution streams of a session, by handle; 0 is its default stream."""

    def create(self, device: Device, native: NativeQueue | None = None) -> int:
        """Make a stream, over a library's own queue where it has one."""

    def free(self, handle: int) -> None:
        """End a stream once what is queued on it has run."""

    def synchronize(self, handle: int) -> None:
        """Wait until everything queued on it so far has finished."""

    def set_current(self, device: Device, handle: int) -> None:
        """Make it the stream that is used where none is named."""

    def current(self, device: Device) -> int:
        """Return what `set_current` set; 0 at first."""

    def get(self, handle: int) -> ExecutionStream:
        """Return a stream."""


class LocalDeviceAPI(DeviceAPI):
    """Memory and streams of this process.

    Parameters
    ----------
    backends : sequence of ArrayBackend
        A device belongs to the first that has it.
    handles : HandleTable
        Where arrays are held.
    streams : Streams
    """

    def __init__(
        self, backends: Sequence[ArrayBackend], handles: HandleTable, streams: Streams
    ) -> None:
        self._backends = backends
        self._handles = handles
        self._streams = streams

    def has(self, device: Device) -> bool:
        """Tell whether one of the libraries knows the device."""
        return any(device in backend.devices() for backend in self._backends)

    def devices(self) -> list[Device]:
        """Return all devices, sorted."""
        return sorted({device for backend in self._backends for device in backend.devices()})

    def get_attr(self, device: Device, kind: DeviceAttr) -> Value:
        if kind is DeviceAttr.EXIST:
            return self.has(device)
        return self._backend(device).get_attr(device, kind)

    def alloc_data(self, device: Device, shape: tuple[int, ...], dtype: DType) -> ArrayRef:
        backend = self._backend(device)
        array = backend.empty(shape, dtype, device)
        description = backend.describe(array)
        return description.ref(self._handles.issue(array, TypeCode.ARRAY))

    def array_over(
        self, device: Device, shape: tuple[int, ...], dtype: DType, memory: memoryview
    ) -> ArrayRef | None:
        backend = self._backend(device)
        array = backend.over(memory, shape, dtype, device)
        if array is None:
            return None
        return backend.describe(array).ref(self._handles.issue(array, TypeCode.ARRAY))

    def free_data(self, array: ArrayRef) -> None:
        self._handles.free(array.handle, TypeCode.ARRAY)

    def copy_data(self, source: ArrayRef, target: ArrayRef, stream: int = 0) -> None:
        if source.byte_offset or target.byte_offset:
            raise ArrayMismatch("whole arrays are copied here; make views of the parts instead")
        from_array = self._handles.get(source.handle, TypeCode.ARRAY)
        to_array = self._handles.get(target.handle, TypeCode.ARRAY)
        # In order: what was queued before may still write to the source.
        self.stream_sync(target.device, stream or self._streams.current(target.device))
        copy_between(self._backends, from_array, to_array)

    def create_stream(self, device: Device) -> int:
        backend = self._backend(device)
        stream = backend.make_stream(device)
        if stream is None:
            return self._streams.create(device)
        native = NativeQueue(
            partial(backend.stream_context, stream), partial(backend.synchronize, device, stream)
        )
        return self._streams.create(device, native)

    def free_stream(self, device: Device, stream: int) -> None:
        self._backend(device)
        self._streams.free(stream)

    def stream_sync(self, device: Device, stream: int) -> None:
        self._backend(device)
        self._streams.synchronize(stream)
        self._finish(device, self._streams.get(stream))

    def _finish(self, device: Device, stream: ExecutionStream) -> None:
        """Wait until what the stream's calls started on the device has finished."""
        if stream.native is not None:
            stream.native.finish()
        else:
            self._backend(device).synchronize(device, None)

    def finish_and_tell(
        self, device: Device, stream: ExecutionStream, callback: CallCallback
    ) -> None:
        """Do so without blocking, for the device may take long; then call back."""

        def finish() -> None:
            run_and_call_back(lambda: self._finish(device, stream), callback)

        if device.type is DeviceType.CPU and stream.native is None:
            finish()
        else:
            threading.Thread(target=finish, name="rpcnb-finish", daemon=True).start()

    def set_stream(self, device: Device, stream: int) -> None:
        self._backend(device)
        self._streams.set_current(device, stream)

    def get_current_stream(self, device: Device) -> int:
        self._backend(device)
        return self._streams.current(device)

    def _backend(self, device: Device) -> ArrayBackend:
        for backend in self._backends:
            if device in backend.devices():
                return backend
        known = ", ".join(map(str, self.devices()))
        raise DeviceError(f"there is no device {device} here, but {known}")


def copy_between(backends: Sequence[ArrayBackend], source: object, target: object) -> None:
    """Copy one array's content into another, of whatever libraries they are."""
    reader, writer = backend_of(backends, source), backend_of(backends, target)
    assert reader is not None  # both are held as arrays
    assert writer is not None
    if reader is not writer:
        device = writer.describe(target).device
        source = writer.from_host(reader.to_host(source), device)
    writer.copy(source, target)
