"""`DeviceAPI` of a session on a TVM server: each operation is one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.core.device import DeviceAttr
from rpcnb.core.dtype import element_count, itemsize_of
from rpcnb.core.errors import ArrayMismatch, DeviceError, RemoteError
from rpcnb.endpoint.tvm.values import nbytes_of, to_tvm_device, to_tvm_dtype
from rpcnb.session.device_api import DeviceAPI
from rpcnb.wire.tvm.packets import Code, Packet, Result, SystemCall
from rpcnb.wire.tvm.values import TVMPointer, TVMTensor

if TYPE_CHECKING:
    from rpcnb.core.device import Device
    from rpcnb.core.dtype import DType
    from rpcnb.core.values import ArrayRef, Value
    from rpcnb.endpoint.tvm.session import TVMSession
    from rpcnb.wire.tvm.values import TVMDevice

MOST_NBYTES = 1 << 46
"""No machine has more; a TVM server that is asked for more may end instead of refusing."""


class TVMDeviceAPI(DeviceAPI):
    """Devices of a TVM server."""

    def __init__(self, session: TVMSession) -> None:
        self._session = session

    def get_attr(self, device: Device, kind: DeviceAttr) -> Value:
        """Ask for an attribute."""
        value = self._session.system_call(Code.DEV_GET_ATTR, to_tvm_device(device), int(kind))
        return bool(value) if kind is DeviceAttr.EXIST else value

    def alloc_data(
        self, device: Device, shape: tuple[int, ...], dtype: DType, scope: str | None = None
    ) -> ArrayRef:
        """Ask for memory, of a kind that `scope` names (``"global.texture"``) where it is given."""
        nbytes = itemsize_of(dtype) * element_count(shape)
        if nbytes > MOST_NBYTES:
            message = f"{device} has no {nbytes:,} bytes"
            raise DeviceError(message)
        where = to_tvm_device(device)
        tensor = TVMTensor(0, where, to_tvm_dtype(dtype), shape)
        try:
            pointer = self._session.system_call(
                Code.DEV_ALLOC_DATA_WITH_SCOPE,
                tensor,
                scope,
                undo=lambda answer: self._undo_alloc(where, answer),
            )
        except RemoteError as error:
            message = f"{device} gave no {nbytes:,} bytes: {error.message}"
            raise DeviceError(message) from error
        assert isinstance(pointer, TVMPointer)  # by the protocol
        return self._session.holdings.add_memory(tensor._replace(data=pointer.value))

    def _undo_alloc(self, device: TVMDevice, answer: Packet) -> None:
        if isinstance(answer, Result):
            free = SystemCall(Code.DEV_FREE_DATA, (device, answer.values[0]))
            self._session.link.released.append(free)

    def free_data(self, array: ArrayRef) -> None:
        """Give the array up."""
        self._session.free_handle(array.handle, array.type_code)

    def copy_data(self, source: ArrayRef, target: ArrayRef, stream: int = 0) -> None:
        """Ask for a copy over there; dtypes must be the same, TVM casts nothing."""
        from_, to = self._session.tensor(source), self._session.tensor(target)
        if (source.shape, from_.dtype) != (target.shape, to.dtype) or nbytes_of(from_) != nbytes_of(
            to
        ):
            message = (
                f"TVM copies equal shapes and dtypes only, not {source.dtype}{list(source.shape)} "
                f"into {target.dtype}{list(target.shape)}"
            )
            raise ArrayMismatch(message)
        self._session.system_call(Code.COPY_AMONG_REMOTE, from_, to, TVMPointer(stream))
        self.stream_sync(target.device, stream)

    def create_stream(self, device: Device) -> int:
        """Ask for a stream; devices without streams, as CPUs, give their only one: 0."""
        pointer = self._session.system_call(Code.DEV_CREATE_STREAM, to_tvm_device(device))
        return int(pointer.value) if isinstance(pointer, TVMPointer) else 0

    def free_stream(self, device: Device, stream: int) -> None:
        """Ask to end a stream."""
        if stream:
            self._on_stream(Code.DEV_FREE_STREAM, device, stream)

    def stream_sync(self, device: Device, stream: int) -> None:
        """Wait until the stream has drained."""
        self._on_stream(Code.DEV_STREAM_SYNC, device, stream)

    def set_stream(self, device: Device, stream: int) -> None:
        """Ask to make it the current stream."""
        self._on_stream(Code.DEV_SET_STREAM, device, stream)

    def get_current_stream(self, device: Device) -> int:
        """Ask for the current stream."""
        pointer = self._session.system_call(Code.DEV_GET_CURRENT_STREAM, to_tvm_device(device))
        return int(pointer.value) if isinstance(pointer, TVMPointer) else 0

    def _on_stream(self, code: Code, device: Device, stream: int) -> None:
        self._session.system_call(code, to_tvm_device(device), TVMPointer(stream))
