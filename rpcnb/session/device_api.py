"""`DeviceAPI`: memory and streams of the devices of one session (the seed's ``DeviceAPI``)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rpcnb.core.device import Device, DeviceAttr
    from rpcnb.core.dtype import DType
    from rpcnb.core.values import ArrayRef, Value


class DeviceAPI(ABC):
    """Allocates, copies and orders work on devices.  Thread-safe.

    A stream is an ordered queue, named by a handle; 0 is the session's default stream.
    """

    @abstractmethod
    def get_attr(self, device: Device, kind: DeviceAttr) -> Value:
        """Return an attribute; None when this device does not have it.

        `DeviceAttr.EXIST` is answered for every device, any other only for an existing one.
        """

    @abstractmethod
    def alloc_data(self, device: Device, shape: tuple[int, ...], dtype: DType) -> ArrayRef:
        """Make an uninitialised array; the caller owns the handle.

        Raises
        ------
        DeviceError
            No such device, or no memory left on it.
        DecodeError
            `dtype` or `shape` is not allowed.
        """

    def array_over(
        self, device: Device, shape: tuple[int, ...], dtype: DType, memory: memoryview
    ) -> ArrayRef | None:
        """Make an array that lies in `memory`, which it keeps alive; the caller owns the handle.

        Returns
        -------
        ArrayRef or None
            None where arrays of this device cannot lie in memory that is given to them.

        Raises
        ------
        DecodeError, DeviceError
            As `alloc_data`.
        """
        del device, shape, dtype, memory
        return None

    @abstractmethod
    def free_data(self, array: ArrayRef) -> None:
        """Free an array."""

    @abstractmethod
    def copy_data(self, source: ArrayRef, target: ArrayRef, stream: int = 0) -> None:
        """Copy one array's content into another of this session, on any of its devices.

        Raises
        ------
        ArrayMismatch
            Shapes differ, or dtypes cannot be cast the same-kind way.
        """

    @abstractmethod
    def create_stream(self, device: Device) -> int:
        """Make a stream; the caller owns it."""

    @abstractmethod
    def free_stream(self, device: Device, stream: int) -> None:
        """End a stream once what is queued on it has run."""

    @abstractmethod
    def stream_sync(self, device: Device, stream: int) -> None:
        """Wait until everything queued on the stream so far has finished."""

    @abstractmethod
    def set_stream(self, device: Device, stream: int) -> None:
        """Make `stream` the one that calls without a stream use."""

    @abstractmethod
    def get_current_stream(self, device: Device) -> int:
        """Return what `set_stream` set; 0 at first."""
