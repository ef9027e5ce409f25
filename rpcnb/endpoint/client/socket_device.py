"""`DeviceAPI` of a session on a server: each operation is one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.core.answers import expect
from rpcnb.core.dtype import element_count, itemsize_of
from rpcnb.core.values import ArrayRef, DTypeValue
from rpcnb.session.device_api import DeviceAPI
from rpcnb.wire.messages import DeviceCall

if TYPE_CHECKING:
    from rpcnb.core.device import Device, DeviceAttr
    from rpcnb.core.dtype import DType
    from rpcnb.core.values import Value
    from rpcnb.endpoint.client.socket_copies import SocketCopies


class SocketDeviceAPI(DeviceAPI):
    """Devices of a server."""

    def __init__(self, session: SocketCopies) -> None:
        self._session = session

    def _ask(self, device: Device, operation: str, *args: Value) -> Value:
        return self._session.ask(lambda number: DeviceCall(number, str(device), operation, args))

    def get_attr(self, device: Device, kind: DeviceAttr) -> Value:
        """Ask for an attribute."""
        return self._ask(device, "get_attr", int(kind))

    def alloc_data(self, device: Device, shape: tuple[int, ...], dtype: DType) -> ArrayRef:
        """Ask for an array."""
        # As over there: the encoder would raise a TypeError.
        nbytes = itemsize_of(dtype) * element_count(shape)
        shared = self._session.memory.allocate(device, shape, dtype, nbytes)
        if shared is not None:
            return shared
        array = self._ask(device, "alloc_data", shape, DTypeValue(dtype))
        return expect(array, ArrayRef, "an array")

    def free_data(self, array: ArrayRef) -> None:
        """Give the array up."""
        self._session.free_handle(array.handle, array.type_code)

    def copy_data(self, source: ArrayRef, target: ArrayRef, stream: int = 0) -> None:
        """Ask for a copy over there; no array data crosses."""
        self._ask(target.device, "copy_data", source, target, stream)

    def create_stream(self, device: Device) -> int:
        """Ask for a stream."""
        return int(self._ask(device, "create_stream"))

    def free_stream(self, device: Device, stream: int) -> None:
        """Ask to end a stream."""
        self._ask(device, "free_stream", stream)

    def stream_sync(self, device: Device, stream: int) -> None:
        """Wait until the stream has drained."""
        self._ask(device, "stream_sync", stream)

    def set_stream(self, device: Device, stream: int) -> None:
        """Ask to make it the current stream."""
        self._ask(device, "set_stream", stream)

    def get_current_stream(self, device: Device) -> int:
        """Ask for the current stream."""
        return int(self._ask(device, "get_current_stream"))
