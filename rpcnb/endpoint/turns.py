"""Who reads: the turns that threads take at one connection.

Who waits, reads
----------------
A thread that waits for its reply reads the transport itself and hands what is not its own to
whoever it belongs to. That makes a call cost what the socket costs: a reader thread adds two
hand-overs under the interpreter lock, 10 µs of 25 on loopback. Rules:

1. Whoever holds `_reading` is the reader. It may leave at any message boundary of its own work.
2. A waiter that finds the lock taken registers as a follower *before* it tries once more, and a
   reader looks for followers *after* it has released: so one of the two always sees the other.
3. When nobody has read for about a millisecond, the background thread takes over; for up to 16 of
   them at first, and where short calls came one after the other. It never holds on to the lock when a follower
   shows up, and it sleeps for good ("parked") while one foreground reader stays at it.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from rpcnb.core.deadline import NEVER, Deadline
from rpcnb.core.errors import TransportError, TransportTimeout
from rpcnb.endpoint.pending import ring

if TYPE_CHECKING:
    from rpcnb.endpoint.handler import Handler
    from rpcnb.endpoint.pending import Pending
    from rpcnb.transport.base import Transport

TURN = 0.001
"""Seconds without a reader after which the background thread reads."""
LONGEST_TURN = 0.016
MANY_TURNS = 2
"""Foreground readers in a turn, from which on the background thread looks less often."""
PATIENCE = 8
"""Looks at an unchanged foreground reader before the background thread parks."""
CAREFUL_POLL = 0.1
"""Seconds between looks at a request to stop waiting (see `Connection.poke`)."""


class ConnectionCut(Exception):
    """The transport is gone, and there may be another: for whoever reads, and nobody else."""


class Turns(ABC):
    """The half of a `Connection` that decides which thread reads.

    Parameters
    ----------
    transport, handler
        Of the connection.
    """

    def __init__(self, transport: Transport, handler: Handler) -> None:
        self.transport = transport
        self.handler = handler
        self.reason: Exception | None = None
        """Why it is closed; None while it is open."""
        self._reading = threading.Lock()
        self.being_read = self._reading.locked
        """Whether some thread reads now."""
        self._turns = 0
        self._followers: dict[int, threading.Lock] = {}
        self._parked = False
        self._dozing = True
        self._careful = False
        self._bell = threading.Lock()
        self._bell.acquire()
        self._has_background = False
        self._cut: threading.Event | None = None
        """There while there is no transport; set when there is one again, or never will be."""

    @abstractmethod
    def _read_once(self) -> None:
        """Receive once and handle what is complete.  Call as the reader.

        Raises
        ------
        ConnectionCut
            There is nothing to receive from for now.
        """

    @abstractmethod
    def lose(self, error: TransportError) -> None:
        """Take note that the transport is gone; raises as `_read_once`.  Call as the reader."""

    def ensure_background(self) -> None:
        """Start the background reader, unless it runs."""
        if not self._has_background:
            self._has_background = True
            self._start_background()

    def _start_background(self) -> None:
        threading.Thread(target=self._run_background, name="rpcnb-reader", daemon=True).start()

    def wait(self, pending: Pending, deadline: Deadline = NEVER) -> None:
        """Wait until the request is answered, serving calls made in its service meanwhile.

        Raises
        ------
        TransportTimeout
            The deadline passed; the request stays open.
        """
        while not pending.done:
            self._take_turn(pending, deadline)
            if deadline is not NEVER and not pending.has_news() and deadline.expired():
                message = "no answer in time"
                raise TransportTimeout(message)

    def _take_turn(self, pending: Pending, deadline: Deadline = NEVER) -> None:
        """Do what came for the waiter, or read until there is something, or the time is up."""
        if pending.inbox:
            pending.take_up(self.handler)
        elif self._reading.acquire(False) or self._follow(pending, deadline):
            try:
                try:
                    self._turns += 1
                    while not (pending.done or pending.inbox):
                        if (self._careful or deadline is not NEVER) and not self._wait_readable(
                            pending, deadline
                        ):
                            break
                        self._read_once()
                finally:
                    self.leave_reading()
            except ConnectionCut:
                self._sit_out(pending, deadline)

    def _sit_out(self, pending: Pending, deadline: Deadline) -> None:
        """Wait for another transport, for news, or in vain."""
        cut = self._cut
        while cut is not None and not (cut.is_set() or pending.has_news() or deadline.expired()):
            remaining = deadline.remaining()
            cut.wait(CAREFUL_POLL if remaining is None else min(CAREFUL_POLL, remaining))

    def _wait_readable(self, pending: Pending, deadline: Deadline) -> bool:
        """Wait for bytes without consuming any, so that it can be given up at any time."""
        while not pending.has_news():
            remaining = deadline.remaining()
            if remaining == 0.0:
                return False
            slice_ = CAREFUL_POLL if remaining is None else min(CAREFUL_POLL, remaining)
            try:
                if self.transport.wait_readable(slice_ if self._careful else remaining):
                    return True
            except TransportError as error:
                self.lose(error)
        return False

    def _follow(self, pending: Pending, deadline: Deadline) -> bool:
        """Let another thread read; return True as the reader, or False when there is news."""
        wake = threading.Lock()
        wake.acquire()
        self._followers[pending.id] = pending.wake = wake
        leading = False
        try:
            while not pending.has_news() and not deadline.expired():
                if self._reading.acquire(blocking=False):
                    leading = True
                    return True
                remaining = deadline.remaining()
                wake.acquire(timeout=-1 if remaining is None else remaining)
            return False
        finally:
            del self._followers[pending.id]
            pending.wake = None
            if not leading:  # it may have been woken to take the lead: pass that on
                self._offer_reading()

    def leave_reading(self) -> None:
        """Stop being the reader; let a follower, or in a while the background thread, go on."""
        self._reading.release()
        if self._parked or self._followers:
            self._left_reading()

    def _left_reading(self) -> None:
        if self._parked:
            self._parked = False
            ring(self._bell)
        if self._followers:
            self._offer_reading()

    def _offer_reading(self) -> None:
        for wake in list(self._followers.values()):
            if self._reading.locked():
                return
            ring(wake)

    # --- the background thread ----------------------------------------------------------------

    def _run_background(self) -> None:
        delay, seen, looks = LONGEST_TURN, 0, 0  # mostly somebody waits for the first answer now
        while self.reason is None:
            self._dozing = delay > TURN
            rung = self._bell.acquire(timeout=delay)
            turns = self._turns
            if turns != seen:
                # Each look costs a call in the foreground 50 µs: where one follows the other, a
                # look a millisecond would be the slowest two in a hundred.
                many = turns - seen > MANY_TURNS and not rung
                delay = min(2 * delay, LONGEST_TURN) if many else TURN
                seen, looks = turns, 0
            elif self._reading.locked():
                looks += 1
                delay = min(2 * delay, LONGEST_TURN)
                if looks > PATIENCE:
                    self._park()
                    delay, looks = TURN, 0
            elif self._reading.acquire(blocking=False):
                self._read_in_background()
                delay, looks = TURN, 0

    def _park(self) -> None:
        """Sleep until the foreground reader leaves."""
        self._parked = True
        if self._reading.locked() and self.reason is None:  # else it left before it could see us
            self._bell.acquire()
        self._parked = False

    def _read_in_background(self) -> None:
        cut: threading.Event | None = None
        try:
            self.handler.on_takeover()
            while self.reason is None and not self._followers:
                self._read_once()
        except ConnectionCut:
            cut = self._cut
        finally:
            self._reading.release()
            self._offer_reading()
        if cut is not None:
            cut.wait(CAREFUL_POLL)
