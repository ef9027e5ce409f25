"""What waits for the thread that runs a session's default stream, in the order in which it came.

Whoever reads (see `Connection`) only queues here; the stream's own thread starts the calls, and a
session that is idle then runs each of them at once, without a queue of its own. Frees and waits
that came after a call are kept behind it: a call must find the handles it was given.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeAlias

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import SessionError
from rpcnb.session.timers import TIMERS, Timer
from rpcnb.wire.messages import CallFunc, FreeHandles, StreamWait

if TYPE_CHECKING:
    from collections.abc import Callable

Due: TypeAlias = CallFunc | FreeHandles | StreamWait


class DueQueue:
    """A queue of messages for one thread.  Thread-safe: each step is one atomic operation.

    Parameters
    ----------
    wake : callable
        Wakes the thread up, to call `run`.
    start : callable
        Serves one message, on that thread.
    expire : callable
        Told the id of a call whose time was up while it waited.
    limit : int
        Messages that may wait.
    """

    def __init__(
        self,
        wake: Callable[[], None],
        start: Callable[[Due], None],
        expire: Callable[[int], None],
        limit: int,
    ) -> None:
        self._wake = wake
        self._start = start
        self._expire = expire
        self._limit = limit
        self.waiting: deque[Due] = deque()
        """What has come, for those to whom `len` is too slow; to be looked at only."""
        self._clocks: dict[int, tuple[Deadline, Timer]] = {}

    def __len__(self) -> int:
        return len(self.waiting)

    def put(self, message: Due) -> None:
        """Queue a message.

        Raises
        ------
        SessionError
            Too many calls wait.
        """
        if type(message) is CallFunc:
            if len(self.waiting) >= self._limit:
                text = f"{self._limit} calls are waiting in this session; no more fit"
                raise SessionError(text)
            if message.timeout is not None:
                self._start_clock(message.id, message.timeout)
        self.waiting.append(message)
        self._wake()

    def _start_clock(self, request_id: int, seconds: float) -> None:
        timer = TIMERS.call_later(seconds, lambda: self._time_is_up(request_id))
        self._clocks[request_id] = Deadline.after(seconds), timer

    def run(self) -> None:
        """Serve what has come, on the thread that this is for."""
        queue = self.waiting
        while queue:
            try:
                message = queue.popleft()
            except IndexError:  # withdrawn in between
                return
            if self._clocks and type(message) is CallFunc:
                message = self._with_time_left(message)
            self._start(message)

    def _with_time_left(self, message: CallFunc) -> CallFunc:
        deadline, timer = self._clocks.pop(message.id, (None, None))
        if deadline is None or timer is None:
            return message
        timer.cancel()
        return message._replace(timeout=deadline.remaining())

    def _time_is_up(self, request_id: int) -> None:
        if self.withdraw(request_id):
            self._expire(request_id)

    def withdraw(self, request_id: int) -> bool:
        """Take a waiting call out; False when it is not there, or was begun."""
        for message in list(self.waiting):
            if type(message) is CallFunc and message.id == request_id:
                try:
                    self.waiting.remove(message)
                except ValueError:  # begun in between
                    return False
                self._clocks.pop(request_id, None)
                return True
        return False

    def clear(self) -> None:
        """Forget everything: the peer is gone."""
        self.waiting.clear()
        while self._clocks:
            self._clocks.popitem()[1][1].cancel()
