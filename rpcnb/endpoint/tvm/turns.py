"""`Turns`: whose request may use the one connection, in the order in which they asked.

A lock that is fair, can be entered again by the thread that has it, and of which a turn can be
reserved now for a thread that comes later: a call that is started and not waited for must not be
overtaken by the next one.
"""

from __future__ import annotations

import threading
from collections import deque
from threading import get_ident


class Turn:
    """A place in the queue."""

    __slots__ = ("over",)

    def __init__(self) -> None:
        self.over = False
        """It has come, or was given up."""


class Turns:
    """The queue.  Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._waiting: deque[Turn] = deque()
        self._owner: int | None = None
        self._depth = 0
        self.runner: int | None = None
        """Thread that runs the calls which were reserved: what it asks for in between, in a
        callback, goes first, as all others in the queue wait for it."""

    def reserve(self) -> Turn:
        """Return a place at the end of the queue."""
        turn = Turn()
        with self._changed:
            if get_ident() == self.runner:
                self._waiting.appendleft(turn)
            else:
                self._waiting.append(turn)
        return turn

    def enter(self, turn: Turn, timeout: float | None = None) -> bool:
        """Wait until it is one's turn; False if that takes longer than `timeout` seconds.

        False as well if the turn is given up meanwhile.
        """
        me = get_ident()

        def is_decided() -> bool:
            if turn.over or self._owner == me:
                return True
            return self._owner is None and self._waiting[0] is turn

        with self._changed:
            if not self._changed.wait_for(is_decided, timeout) or turn.over:
                return False
            self._end(turn)
            self._owner = me
            self._depth += 1
        return True

    def enter_if_idle(self) -> bool:
        """Enter if nobody has or waits for a turn."""
        with self._changed:
            if self._owner is not None or self._waiting:
                return False
            self._owner = get_ident()
            self._depth = 1
        return True

    def leave(self) -> None:
        """Let the next one in, when it has been left as often as entered."""
        with self._changed:
            self._depth -= 1
            if not self._depth:
                self._owner = None
                self._changed.notify_all()

    def give_up(self, turn: Turn) -> bool:
        """Leave the queue; False if the turn has come already."""
        with self._changed:
            if turn.over:
                return False
            self._end(turn)
            self._changed.notify_all()
        return True

    def _end(self, turn: Turn) -> None:
        turn.over = True
        self._waiting.remove(turn)
