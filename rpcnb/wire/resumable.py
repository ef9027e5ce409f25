"""`ResumableV1`: version 1 of the wire protocol, over one connection after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpcnb.core.errors import RemoteProtocolError
from rpcnb.core.limits import DEFAULT_LIMITS, Limits
from rpcnb.wire.base import State
from rpcnb.wire.frames import FIXED, FIXED_NBYTES
from rpcnb.wire.journal import SPACING, Journal
from rpcnb.wire.messages import Buffer, Kind, Side
from rpcnb.wire.v1 import BULK, WireV1

if TYPE_CHECKING:
    from collections.abc import Sequence

NEWEST_EPOCH = (1 << 16) - 1


class ResumableV1(WireV1):
    """One side of one session's frames, on all its connections.

    As `WireV1`, until a connection is lost; then `cut`, and `resume` when there is another. Both
    sides of a connection must be of this class, or neither is resumed.

    Parameters
    ----------
    side, epoch, limits
        As for `WireV1`.
    """

    def __init__(self, side: Side, *, epoch: int = 1, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(side, epoch=epoch, limits=limits)
        self.journal = Journal()
        self.resent_nbytes = 0
        """Bytes that were sent again, in all."""
        self._note = self.journal.keep

    @property
    def epoch(self) -> int:
        """Which connection of its session this is."""
        return self._epoch

    def cut(self) -> int:
        """Forget what has arrived in part: the connection is gone; return the frames received.

        Neither side may be at work.
        """
        self._payload = None
        self._start = self._end = 0
        self._needed = FIXED_NBYTES
        return self.frames_received

    def resume(self, epoch: int, received: int) -> list[Buffer]:
        """Go on over a new connection; return what must be sent on it first.

        Nobody may be sending.

        Parameters
        ----------
        epoch : int
            Of the new connection.
        received : int
            Frames the peer has; see `read_resume`.

        Raises
        ------
        RemoteProtocolError
            The peer cannot have that many, or the epoch is not a later one.
        """
        if not self._epoch < epoch <= NEWEST_EPOCH:
            raise RemoteProtocolError(f"epoch {epoch} after {self._epoch}")
        again = self.journal.again(received, epoch, self.frames_received)
        self._epoch = epoch
        self._acked = max(self._acked, received)
        self.resent_nbytes += sum(map(len, again))
        return again

    def _note_payload(self, buffers: tuple[Buffer, ...]) -> Sequence[Buffer]:
        if buffers[0][0] not in BULK:  # a caller may write to an argument as soon as it is sent
            buffers = tuple(b if isinstance(b, bytes) else bytes(b) for b in buffers)
        self.journal.trim(self._acked)
        self.journal.keep_heavy(self.frames_sent, buffers)
        self._watches_acks = True
        return buffers

    def _acknowledged(self) -> None:
        self._watches_acks = False  # before looking, as the sender sets it after keeping
        self.journal.lighten(self._acked)
        if self.journal.is_heavy:
            self._watches_acks = True

    def _spaced(self, data: bytes) -> bytes:
        self.journal.trim(self._acked)
        if self.frames_sent % SPACING or len(self.journal) < SPACING:
            return data
        if self.state is not State.OPEN:
            return data
        sequence = self.frames_sent = self.frames_sent + 1
        ping = FIXED.pack(Kind.PING, 0, self._epoch, 0, 0, sequence, self.frames_received, 0)
        self._note(ping)
        return data + ping
