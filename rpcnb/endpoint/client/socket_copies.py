"""`SocketCopies`: the part of a `SocketSession` that copies, and chooses the way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rpcnb.core.device import CPU
from rpcnb.core.errors import IntegrityError
from rpcnb.core.events import EVENTS
from rpcnb.endpoint import transfer
from rpcnb.endpoint.client.asking import AskingSession
from rpcnb.endpoint.client.shared_memory import SMALLEST_FETCH
from rpcnb.endpoint.client.watch import WatchedCopy
from rpcnb.endpoint.memory import STEP, copy_in_steps
from rpcnb.session.base import HostBuffer, raise_or_return
from rpcnb.session.digest import digest_of
from rpcnb.session.small_copies import MOST
from rpcnb.wire.messages import StreamWait

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.device import Device
    from rpcnb.core.values import ArrayRef, DenseArray, Handle
    from rpcnb.endpoint.client.client_connection import ClientConnection
    from rpcnb.endpoint.client.interrupt import InterruptShield
    from rpcnb.endpoint.client.shared_memory import SharedMemory
    from rpcnb.endpoint.client.small_copies import SmallCopies
    from rpcnb.endpoint.client.waiting import Waiter
    from rpcnb.endpoint.pending import Pending
    from rpcnb.session.base import CallCallback


class SocketCopies(AskingSession):
    """Copies by shared memory, as a call, or in pieces over the connection."""

    memory: SharedMemory
    _connection: ClientConnection
    _shield: InterruptShield
    _waiter: Waiter
    _small: SmallCopies

    def copy_to_remote(self, source: HostBuffer, target: ArrayRef, nbytes: int) -> None:
        """Send bytes straight from `source`; calls that use the array finish first."""
        view = transfer.host_view(source, nbytes)
        shared = self.memory.find(target.handle)
        if shared is not None:
            if target.byte_offset or len(shared) != nbytes:
                shared = transfer.slice_of(shared, target.byte_offset, nbytes)
            self._copy(target, view, shared, "upload")
            return
        if nbytes <= MOST and self._small.write(view, target):
            return
        self._make_sure(lambda: self._upload(view, target), view, target)

    def _upload(self, view: memoryview, target: ArrayRef) -> None:
        with self._shield:
            self._settle(target)
            pending = self._open_copy("upload")
            self._waiter.send(
                pending, lambda: transfer.send_pieces(self._connection, pending, view, target)
            )
            self._waiter.wait(pending, "upload")
        raise_or_return(pending.status, pending.value)

    def make_array(self, value: DenseArray, device: Device = CPU) -> ArrayRef:
        """Copy a host array into a new one over there: in one round trip where it is small."""
        made = self._small.make(value) if len(value.data) <= MOST and device == CPU else None
        return super().make_array(value, device) if made is None else made

    def copy_from_remote(self, source: ArrayRef, target: HostBuffer, nbytes: int) -> None:
        """Receive bytes straight into `target`; calls that use the array finish first."""
        view = transfer.host_view(target, nbytes, writable=True)
        shared = self.memory.find(source.handle)
        if shared is not None:
            if source.byte_offset or len(shared) != nbytes:
                shared = transfer.slice_of(shared, source.byte_offset, nbytes)
            self._copy(source, shared, view, "download")
            return
        if nbytes <= MOST and self._small.read(source, view):
            return
        if nbytes >= SMALLEST_FETCH and self._fetch(source, view):
            return
        self._make_sure(lambda: self._download(source, view), view, source)

    def _fetch(self, source: ArrayRef, target: memoryview) -> bool:
        """Download by shared memory an array that does not lie there; False where that cannot be."""
        if EVENTS.subscriptions:
            return False
        self._settle(source)
        pieces = -(-len(target) // STEP)  # the memory it takes is that of one piece
        size = -(-len(target) // pieces)
        with self._shield:
            for start in range(0, len(target), size):
                here = target[start : start + size]
                piece = replace(source, byte_offset=source.byte_offset + start)
                came = self.memory.fetch(piece, len(here))
                if came is None:
                    return False
                self._copy(piece, came, here, "download")
                came.release()  # the next one comes there as well
                self._waiter.raise_pressed("download")
        return True

    def _download(self, source: ArrayRef, view: memoryview) -> None:
        with self._shield:
            self._settle(source)
            pending = self._open_copy("download")
            transfer.request_pieces(self._connection, pending, source, view)
            self._waiter.wait(pending, "download")
        raise_or_return(pending.status, pending.value)

    def _make_sure(self, copy: Callable[[], None], here: memoryview, array: ArrayRef) -> None:
        """Copy; if the connection was lost meanwhile, compare digests, and copy once more.

        Raises
        ------
        IntegrityError
            They differ for the second time.
        """
        for _ in range(2):
            cuts = self._connection.cuts
            copy()
            if self._connection.cuts == cuts or self._is_same(here, array):
                return
        message = (
            f"{len(here):,} bytes differ from those on {self.name}; does somebody write there?"
        )
        raise IntegrityError(message)

    def _is_same(self, here: memoryview, array: ArrayRef) -> bool:
        function = self.get_function("rpcnb.array.digest")
        if function is None:  # another kind of server, or a role that may not
            return True
        there = self.call_func(function, (array.handle, array.byte_offset, len(here)))
        self.free_handle(function.handle, function.type_code)
        return bool(there == digest_of(here))

    def async_copy_to_remote(
        self, source: HostBuffer, target: ArrayRef, nbytes: int, callback: CallCallback
    ) -> None:
        """Start an upload; a large one is sent by a thread of its own."""
        view = transfer.host_view(source, nbytes)
        with self._shield:
            pending = self._connection.open_request(callback)
            transfer.send_in_background(self._connection, pending, view, target)

    def async_copy_from_remote(
        self, source: ArrayRef, target: HostBuffer, nbytes: int, callback: CallCallback
    ) -> None:
        """Start a download."""
        view = transfer.host_view(target, nbytes, writable=True)
        with self._shield:
            pending = self._connection.open_request(callback)
            transfer.request_pieces(self._connection, pending, source, view)

    def _copy(
        self, array: ArrayRef, source: memoryview, target: memoryview, direction: str
    ) -> None:
        """Copy between the user's memory and shared memory: nothing is sent."""
        if self._connection.reason is not None:
            raise self._connection.why_closed()
        self._settle(array)
        if EVENTS.subscriptions or len(source) > STEP:
            with self._shield:
                pending = self._open_copy(direction)
                del self._connection.pending[pending.id]  # only its number and observer are needed
                copy_in_steps(source, target, pending.observer, lambda: self._shield.count)
                self._waiter.raise_pressed(direction)
        else:  # Ctrl-C comes before or after
            target[:] = source

    def host_memory(self, handle: Handle) -> memoryview | None:
        """Return an array's bytes where they are shared with the server."""
        return self.memory.find(handle)

    def _open_copy(self, direction: str) -> Pending:
        pending = self._connection.open_request()
        if EVENTS.subscriptions:
            pending.observer = WatchedCopy(self.table_index, pending.id, direction)
        return pending

    def _settle(self, array: ArrayRef) -> None:
        """Wait for the calls under way that were given this array, or a view of its buffer.

        Others may go on: a new array can be filled while a long call runs.
        """
        if not array.base or not self._connection.requests_under_way:
            return
        for stream in self._connection.streams_using(array.base):
            self._wait_for(array.device, stream)

    def _wait_for(self, device: Device, stream: int) -> None:
        self.ask(lambda number: StreamWait(number, str(device), stream))
