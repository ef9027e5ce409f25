"""A client's large arrays in memory that it shares with its worker, on one machine.

Such an array lies in a segment that both have mapped: an upload or a download is one copy from
memory to memory and no message, and a download may be no copy at all. Fresh pages cost up to a
hundred times what the copy costs (7 ms to 700 ms for 64 MiB), so segments are used again: this side
proposes one that it needs no more, and the worker takes it when nothing over there refers to it.

Whatever is not there (another machine, another user, a gateway, a small array, no descriptors left)
makes `SharedMemory.allocate` return None, and the array is made and copied as anywhere.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from rpcnb.core.answers import expect
from rpcnb.core.errors import RpcnbError, TransportError
from rpcnb.core.limits import KIB, MIB
from rpcnb.core.values import ArrayRef, DTypeValue
from rpcnb.endpoint.memory import NOTE, is_offered
from rpcnb.transport import segments, side_channel
from rpcnb.transport.descriptor import send_descriptor
from rpcnb.wire.messages import DeviceCall

if TYPE_CHECKING:
    import socket

    from rpcnb.core.device import Device
    from rpcnb.core.dtype import DType
    from rpcnb.endpoint.client.asking import AskingSession
    from rpcnb.transport.segments import Segment

SMALLEST = 64 * KIB
"""Bytes of an array from which on it is shared: 64 KiB take 58 us by socket, and 3 us in memory."""
SMALLEST_FETCH = 1 * MIB
"""Bytes from which on it pays to let the worker copy into a segment, which takes a round trip."""
MOST_SEGMENTS = 128
"""Of one session; each takes a descriptor on both sides."""
LARGE = 256 * KIB
"""Bytes of a segment from which on it may be one of the last `FOR_LARGE`."""
FOR_LARGE = 64
"""Segments that many smaller arrays leave for large ones, which need them more."""
MOST_IDLE = 256 * MIB
"""Bytes of segments kept for the next array."""


class SharedMemory:
    """The segments of one session, on the client's side.  Thread-safe.

    Parameters
    ----------
    session : AskingSession
        Asks the worker.
    peer : str
        The address of the server.
    """

    def __init__(self, session: AskingSession, peer: str) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._side: socket.socket | None = None
        self._tried = not is_wanted(peer)
        self._arrays: dict[int, tuple[Segment, memoryview]] = {}
        """Handle -> where it lies, and its bytes."""
        self._idle: list[Segment] = []
        """Oldest first. Only appended to without the lock: finalizers do that."""
        self._dropped: list[int] = []
        """Segments the worker need not keep either."""

    @property
    def active(self) -> bool:
        """Whether large arrays are shared."""
        return self._side is not None

    @property
    def nbytes(self) -> int:
        """Bytes of all segments."""
        segments_ = [segment for segment, _ in list(self._arrays.values())] + self._idle[:]
        return sum(segment.nbytes for segment in segments_)

    def allocate(
        self, device: Device, shape: tuple[int, ...], dtype: DType, nbytes: int
    ) -> ArrayRef | None:
        """Make an array that both sides have; None when it has to be made as anywhere.

        Raises
        ------
        DeviceError, DecodeError
            As `DeviceAPI.alloc_data`.
        """
        if nbytes < SMALLEST or (self._tried and self._side is None):
            return None
        with self._lock:
            if not self._tried:
                self._open()
            segment = self._take_idle(nbytes)
            array = None if segment is None else self._ask(segment, device, shape, dtype)
            if array is None:  # over there something still refers to it
                segment = self._new(nbytes)
                array = None if segment is None else self._ask(segment, device, shape, dtype)
            if segment is not None and array is not None:
                self._arrays[array.handle] = segment, segment.view(nbytes)
            return array

    def find(self, handle: int) -> memoryview | None:
        """Return an array's bytes; None where they are not shared."""
        found = self._arrays.get(handle)
        return None if found is None else found[1]

    def fetch(self, array: ArrayRef, nbytes: int) -> memoryview | None:
        """Let the worker copy an array's bytes into memory that this side has as well.

        For arrays that were made over there: twice as fast as the socket from 1 MiB on.

        Returns
        -------
        memoryview or None
            Not to be kept: the next array may lie there. None where it has to go by the socket.

        Raises
        ------
        InvalidHandle, ArrayMismatch
            As `RPCSession.copy_from_remote`.
        """
        if nbytes < SMALLEST_FETCH or (self._tried and self._side is None):
            return None
        with self._lock:
            if not self._tried:
                self._open()
            segment = self._take_idle(nbytes) or self._new(nbytes)
            if segment is None:
                return None
            args = (segment.number, array.handle, array.byte_offset, nbytes, self._forget())
            try:
                done = self._session.ask(
                    lambda number: DeviceCall(number, "cpu:0", "export_memory", args)
                )
            finally:
                self._idle.append(segment)
            return segment.view(nbytes) if done else None

    def freed(self, handle: int) -> None:
        """Take note that a handle was given up.  Safe in finalizers."""
        found = self._arrays.pop(handle, None)
        if found is not None:
            self._idle.append(found[0])

    def close(self) -> None:
        """Let go of everything; what was handed out stays mapped as long as it is referenced."""
        self._tried = True
        side, self._side = self._side, None
        if side is not None:
            side.close()
        self._arrays.clear()
        self._idle.clear()

    # --- with the lock held -------------------------------------------------------------------

    def _open(self) -> None:
        self._tried = True
        try:
            offer = self._session.ask(lambda number: DeviceCall(number, "cpu:0", "offer_memory"))
        except (RpcnbError, LookupError):  # another kind of server, which does not know this
            return
        if isinstance(offer, list | tuple) and list(map(type, offer)) == [str, bytes]:
            self._side = side_channel.connect(*offer)

    def _take_idle(self, nbytes: int) -> Segment | None:
        size = _size(nbytes)
        kept = sum(segment.nbytes for segment in self._idle)
        for segment in self._idle[:]:
            fits = segment.nbytes == size
            # In this order: looking whether one of many is in use is a system call for each.
            if not (fits or kept > MOST_IDLE) or segment.in_use:
                continue
            self._idle.remove(segment)
            if fits:
                return segment
            self._dropped.append(segment.number)
            kept -= segment.nbytes
        return None

    def _has_room(self, room: int) -> bool:
        """Tell whether there may be one segment more, and drop idle ones of other sizes for it."""
        for segment in self._idle[:]:
            if len(self._arrays) + len(self._idle) < room:
                break
            if not segment.in_use:  # by a read-only download of the array that lay there
                self._idle.remove(segment)
                self._dropped.append(segment.number)
        return len(self._arrays) + len(self._idle) < room

    def _new(self, nbytes: int) -> Segment | None:
        size = _size(nbytes)
        side = self._side
        room = MOST_SEGMENTS if size >= LARGE else MOST_SEGMENTS - FOR_LARGE
        if side is None or not self._has_room(room) or self.nbytes + size > _most_bytes():
            return None
        try:
            segment, fd = segments.create(next(self._numbers), size)
        except (OSError, ValueError):  # no memory, no descriptors
            return None
        try:
            send_descriptor(side, fd, NOTE.pack(segment.number, size))
        except TransportError:
            self._side = None
            return None
        finally:
            os.close(fd)
        return segment

    def _ask(
        self, segment: Segment, device: Device, shape: tuple[int, ...], dtype: DType
    ) -> ArrayRef | None:
        args = (segment.number, shape, DTypeValue(dtype), self._forget())
        array = None
        try:
            found = self._session.ask(
                lambda number: DeviceCall(number, str(device), "adopt_memory", args)
            )
            array = None if found is None else expect(found, ArrayRef, "an array")
            return array
        finally:
            if array is None:
                self._idle.append(segment)

    def _forget(self) -> tuple[int, ...]:
        """Return the segments that the worker is to be told of."""
        dropped, self._dropped = tuple(self._dropped), []
        return dropped


def is_wanted(peer: str) -> bool:
    """Tell whether shared memory is to be asked for on a connection to that address."""
    local = peer.startswith(("unix:", "tcp://127.", "tcp://[::1]"))
    return local and is_offered()


def _size(nbytes: int) -> int:
    """Return the size of the segment for an array: few sizes, so that others fit in later.

    What is not touched takes no memory.
    """
    return 1 << (nbytes - 1).bit_length()


def _most_bytes() -> int:
    """Return how much one session may share: a quarter of the machine's memory."""
    with suppress(ValueError, OSError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4
    return 1024 * MIB
