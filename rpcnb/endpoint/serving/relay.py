"""Carrying a session's bytes between an encrypted connection and its worker.

A worker is handed a descriptor, and the state of an encrypted connection is more than that: it stays
in the broker, beside the certificate's key, which the code of users must not be able to read.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, TypeAlias

from rpcnb.core.errors import TransportError
from rpcnb.core.limits import KIB
from rpcnb.transport.room import GrowingRoom
from rpcnb.transport.unix import unix_pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.transport.base import Transport

Run: TypeAlias = "Callable[[Callable[[], None]], None]"
"""Runs something on another thread."""
CARRIED_AT_ONCE = 256 * KIB


class Relay:
    """Two threads, one for each direction; they end when either side has closed.

    One carries inwards; the other one is who made it, and calls `carry_out`.

    Parameters
    ----------
    outer : Transport
        To the peer; owned from here on.
    run : callable
        Gives the one thread.
    """

    def __init__(self, outer: Transport, run: Run) -> None:
        self._outer = outer
        self._inner, self.portable = unix_pair()
        """`portable` is the connection from now on, with a descriptor to hand over."""
        self._inwards, self._outwards = Lock(), Lock()
        """Held until all is carried."""
        self._inwards.acquire()
        self._outwards.acquire()
        run(self._carry_in)

    def _carry_in(self) -> None:
        """Carry what the peer says; its end is the worker's end of stream."""
        try:
            if self._carry(self._outer, self._inner):
                self._inner.close()
        finally:
            self._inwards.release()

    def carry_out(self) -> None:
        """Carry what the worker says until it ends.  Its last words are carried when it reads no more."""
        try:
            self._carry(self._inner, self._outer)
            self._outer.close()
            self._inner.close()
        finally:
            self._outwards.release()

    def _carry(self, source: Transport, target: Transport) -> bool:
        """Carry until `source` ends, or False: until `target` takes no more."""
        room = GrowingRoom(CARRIED_AT_ONCE)
        while True:
            try:
                count = source.receive_into(room.view)
            except TransportError:  # each side learns of the other's end by its own
                return True
            if not count:
                return True
            try:
                target.send((room.view[:count],))
            except TransportError:
                return False
            room.note(count)

    def join(self, timeout: float) -> bool:
        """Wait until all is carried; False when it was not by then [s]."""
        return _is_free(self._inwards, timeout) and _is_free(self._outwards, timeout)


def _is_free(lock: Lock, timeout: float) -> bool:
    """Wait until nobody holds a lock; False when somebody still does by then [s]."""
    free = lock.acquire(timeout=timeout)
    if free:
        lock.release()
    return free
