"""The serving side of shared memory: arrays over segments that the client has made."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from rpcnb.core.dtype import element_count, itemsize_of
from rpcnb.core.errors import ArrayMismatch, ConnectionClosed, TransportError
from rpcnb.core.values import Handle
from rpcnb.endpoint.memory import NOTE, copy_in_steps, is_offered
from rpcnb.endpoint.transfer import slice_of
from rpcnb.session.observer import NO_OBSERVER
from rpcnb.transport import segments
from rpcnb.transport.descriptor import receive_descriptor
from rpcnb.transport.side_channel import SideListener

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from rpcnb.core.device import Device
    from rpcnb.core.dtype import DType
    from rpcnb.core.values import ArrayRef, DTypeValue, Value
    from rpcnb.session.base import RPCSession
    from rpcnb.session.files import WorkFolder
    from rpcnb.transport.segments import Segment


class AdoptedMemory:
    """The segments of one session, on the worker's side.  Thread-safe.

    Parameters
    ----------
    session : RPCSession
        Whose arrays lie in them.
    folder : WorkFolder
        Where the side channel's socket is made; only this user may enter it.
    """

    def __init__(self, session: RPCSession, folder: WorkFolder) -> None:
        self._session = session
        self._folder = folder
        self._listener: SideListener | None = None
        self._side: socket.socket | None = None
        self._segments: dict[int, Segment] = {}
        self._lock = threading.Lock()

    def offer(self) -> tuple[str, bytes] | None:
        """Return where the client may connect, and what to say there; None for no sharing."""
        if self._listener is not None or not is_offered():
            return None
        try:
            self._listener = SideListener(self._folder.path)
        except OSError:  # no room for a file, say
            return None
        return str(self._listener.path), self._listener.key

    def adopt(
        self,
        device: Device,
        number: int,
        shape: tuple[int, ...],
        dtype: DTypeValue,
        dropped: tuple[int, ...],
    ) -> ArrayRef | None:
        """Make an array over a segment.

        Returns
        -------
        ArrayRef or None
            None when something still refers to what lay there, or this device's arrays cannot lie
            in memory that is given to them.

        Raises
        ------
        TransportError
            There is no such segment.
        DecodeError, DeviceError
            As `DeviceAPI.alloc_data`.
        """
        segment = self._free_segment(number, dropped)
        return None if segment is None else self._make(device, shape, dtype.dtype, segment)

    def export(
        self, number: int, handle: int, offset: int, nbytes: int, dropped: tuple[int, ...]
    ) -> bool:
        """Copy bytes of an array into a segment, from its start.  May take long.

        Returns
        -------
        bool
            False when something still refers to what lay there, or the array's elements do not lie
            one after the other.

        Raises
        ------
        InvalidHandle
            No array of this session.
        ArrayMismatch
            The bytes do not lie inside, or do not fit.
        """
        segment = self._free_segment(number, dropped)
        memory = self._session.host_memory(Handle(handle))
        if segment is None or memory is None:
            return False
        if nbytes > segment.nbytes:
            raise ArrayMismatch(f"{nbytes:,} bytes do not fit into {segment.nbytes:,}")
        source = slice_of(memory, offset, nbytes)
        copy_in_steps(source, segment.view(nbytes), NO_OBSERVER, lambda: False)
        return True

    def _free_segment(self, number: int, dropped: tuple[int, ...]) -> Segment | None:
        """Return a segment that nothing here refers to; None when something does."""
        with self._lock:
            for each in dropped:
                self._segments.pop(each, None)
            segment = self._segments.get(number)
            if segment is None:
                return self._receive(number)
            return None if segment.in_use else segment

    def _make(
        self, device: Device, shape: tuple[int, ...], dtype: DType, segment: Segment
    ) -> ArrayRef | None:
        api = self._session.get_device_api(device)
        assert api is not None  # missing devices raise
        nbytes = element_count(shape) * itemsize_of(dtype)
        if nbytes > segment.nbytes:
            raise ArrayMismatch(f"{nbytes:,} bytes do not fit into {segment.nbytes:,}")
        return api.array_over(device, shape, dtype, segment.view(nbytes))

    def _receive(self, number: int) -> Segment:
        """Take segments over until the one of that number is there."""
        while number not in self._segments:
            if self._side is None:
                if self._listener is None:
                    raise ConnectionClosed("no memory was offered")
                self._side = self._listener.accept()
            note, fd = receive_descriptor(self._side)
            try:
                found, nbytes = NOTE.unpack(note)
                self._segments[found] = segments.attach(fd, found, nbytes)
            except (OSError, ValueError) as error:
                raise TransportError(f"segment {number} cannot be mapped: {error}") from error
            finally:
                os.close(fd)
        return self._segments[number]

    def close(self) -> None:
        """Take nothing over any more; arrays stay where they are."""
        if self._listener is not None:
            self._listener.close()
        if self._side is not None:
            self._side.close()
        self._segments.clear()


MEMORY_OPERATIONS: dict[str, Callable[..., Value]] = {
    "offer_memory": lambda memory, _: memory.offer(),
    "adopt_memory": lambda memory, device, *args: memory.adopt(device, *args),
    "export_memory": lambda memory, _, *args: memory.export(*args),
}
"""What a client may ask for besides the operations of `DeviceAPI`."""
