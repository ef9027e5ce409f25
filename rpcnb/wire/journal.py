"""What was sent and may have to be sent again: the half of resuming a session that needs no I/O.

A session outlives its connections. The frames of all of them are one numbered series in each
direction; what the peer has not acknowledged is kept here. A new connection begins with one fixed
part from each side, of kind `RESUME`, without a number of its own, whose ``ack`` says how far the
series has come; the rest is then sent again, under the new epoch, and nothing arrives twice.

Nobody waits for acknowledgements and no clock runs: they ride on whatever is sent. A side that has
keeps `SPACING` frames for want of one asks for it, with a PING.

Rules for this file: one thread sends and one receives, at the same time. What the sender removes
is in `entries`, what the receiver removes is in `_heavy`, and neither touches the other's.
"""

from __future__ import annotations

from collections import deque
from struct import Struct
from typing import TYPE_CHECKING

from rpcnb.core.errors import RemoteProtocolError
from rpcnb.wire.frames import FIXED, FIXED_NBYTES, Fixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcnb.wire.messages import Buffer

RESUME = 0x34
"""Kind of the fixed part with which each later connection of a session begins."""
SPACING = 64
"""Frames after which an acknowledgement is asked for, where as many have none."""
TRIMMED_AFTER = 16
"""Frames after which acknowledged ones are dropped; `SPACING` is a multiple of it. 64 at once were a few microseconds of one call on
each side, with the memory long out of the caches: the slowest three in a hundred."""
_EPOCH, _EPOCH_AT = Struct("<H"), 2
_ACK, _ACK_AT = Struct("<Q"), 24


class Journal:
    """The frames of one direction that are not known to have arrived."""

    def __init__(self) -> None:
        self.entries: list[bytes | list[Buffer]] = []
        """Frames in order; those with a payload as a list of buffers. A list, as some are dropped at once."""
        self.keep = self.entries.append
        """Keep a frame without payload."""
        self._first = 1
        self._heavy: deque[tuple[int, list[Buffer]]] = deque()

    def __len__(self) -> int:
        return len(self.entries)

    def keep_heavy(self, sequence: int, buffers: Sequence[Buffer]) -> None:
        """Keep a frame with a payload; the memory is the caller's, and referred to only."""
        entry = list(buffers)
        self._heavy.append((sequence, entry))
        self.entries.append(entry)

    @property
    def is_heavy(self) -> bool:
        """Whether somebody's memory is referred to."""
        return bool(self._heavy)

    def lighten(self, acked: int) -> None:
        """Let go of the memory of what has arrived.  For the side that receives."""
        heavy = self._heavy
        while heavy and heavy[0][0] <= acked:
            heavy.popleft()[1].clear()

    def trim(self, acked: int) -> None:
        """Drop what has arrived.  For the side that sends."""
        arrived = acked - self._first + 1
        if arrived > 0:
            del self.entries[:arrived]
            self._first += arrived

    def again(self, received: int, epoch: int, ack: int) -> list[Buffer]:
        """Return what the peer lacks, as frames of a new connection.

        Neither side may be at work.

        Parameters
        ----------
        received : int
            Frames the peer has.
        epoch, ack : int
            What the frames are to say.

        Raises
        ------
        RemoteProtocolError
            The peer cannot have received so many, or had acknowledged more.
        """
        if not self._first - 1 <= received < self._first + len(self.entries):
            raise RemoteProtocolError(
                f"the peer says it has {received} frames of {self._first + len(self.entries) - 1}"
            )
        self.trim(received)
        self.lighten(received)
        buffers: list[Buffer] = []
        for entry in self.entries:
            head, *payload = [entry] if isinstance(entry, bytes) else entry
            stamped = bytearray(head)
            _EPOCH.pack_into(stamped, _EPOCH_AT, epoch)
            _ACK.pack_into(stamped, _ACK_AT, ack)
            buffers += [bytes(stamped), *payload]
        return buffers


def resume_frame(epoch: int, received: int) -> bytes:
    """Return what a side says first on a later connection of a session."""
    return FIXED.pack(RESUME, 0, epoch, 0, 0, 0, received, 0)


def read_resume(data: Buffer, epoch: int) -> int:
    """Return how many frames the peer has, from what it said first.

    Raises
    ------
    RemoteProtocolError
        It said something else.
    """
    if len(data) != FIXED_NBYTES:
        raise RemoteProtocolError(f"{len(data)} bytes where a session was to go on")
    fixed = Fixed(*FIXED.unpack(data))
    if fixed != Fixed(RESUME, 0, epoch, 0, 0, 0, fixed.ack, 0):
        raise RemoteProtocolError(f"kind {fixed.kind:#04x} where a session was to go on")
    return fixed.ack
