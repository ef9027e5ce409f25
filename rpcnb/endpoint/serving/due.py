"""What waits for the thread that runs a session's default stream, in the order in which it came.

Whoever reads (see `Connection`) only queues here; the stream's own thread starts the calls, and a
session that is idle then runs each of them at once, without a queue of its own. Frees and waits
that came after a call are kept behind it: a call must find the handles it was given.
"""

from __future__ import annotations

from collections import deque
from threading import get_ident
from typing import TYPE_CHECKING, TypeAlias

from rpcnb.core.deadline import Deadline
from rpcnb.core.errors import SessionError
from rpcnb.endpoint.pending import Pending
from rpcnb.session.timers import TIMERS, Timer
from rpcnb.wire.messages import CallFunc, FreeHandles, StreamWait

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.endpoint.handler import Handler
    from rpcnb.wire.messages import ShortCall

Due: TypeAlias = "CallFunc | ShortCall | FreeHandles | StreamWait | Callable[[], object]"
"""A message, or work of this process's own."""
_CALLS = (CallFunc, tuple)
WORK = -1
"""Its id among a connection's requests: no peer can name it, for ids on the wire are not negative."""


class DueQueue(Pending):
    """A queue of messages for one thread, which waits for it as it would for a reply.

    Thread-safe: each step is one atomic operation.

    Parameters
    ----------
    limit : int
        Messages that may wait.
    """

    inbox: deque[Due]

    def __init__(self, limit: int) -> None:
        super().__init__(WORK)
        self.inbox = deque()
        self.thread = 0
        """The thread that waits; none yet."""
        self._limit = limit
        self._serve: Callable[[], None] = self.run
        self._start: Callable[[Due], None]
        self._expire: Callable[[int], None]
        self._clocks: dict[int, tuple[Deadline, Timer]] = {}

    def serve_with(
        self,
        start: Callable[[Due], None],
        expire: Callable[[int], None],
        many: Callable[[], None] | None = None,
    ) -> None:
        """Say who serves what is put here, before anything is.

        Parameters
        ----------
        start : callable
            Serves one message, on the thread that waits.
        expire : callable
            Told the id of a call whose time was up while it waited.
        many : callable, optional
            Calls `run`, where there is more than one.
        """
        self._start, self._expire = start, expire
        self._serve = many or self.run

    def __len__(self) -> int:
        return len(self.inbox)

    def comes_first(self) -> bool:
        """Tell whether anything comes before what this thread has just read.

        What another thread reads comes behind the call that the waiting one has taken out, and perhaps
        has not even begun: that must find the handles it was given.
        """
        return bool(self.inbox) or get_ident() != self.thread

    def put(self, message: Due) -> None:
        """Queue a message.

        Raises
        ------
        SessionError
            Too many calls wait.
        """
        if len(self.inbox) >= self._limit and type(message) in _CALLS:
            text = f"{self._limit} calls are waiting in this session; no more fit"
            raise SessionError(text)
        if type(message) is CallFunc and message.timeout is not None:
            self._start_clock(message.id, message.timeout)
        self.inbox.append(message)
        if self.wake is not None:
            self.rouse()

    def take_up(self, handler: Handler) -> None:  # noqa: ARG002 -- its form
        if len(self.inbox) > 1:
            self._serve()
        else:
            self.run()

    def _start_clock(self, request_id: int, seconds: float) -> None:
        timer = TIMERS.call_later(seconds, lambda: self._time_is_up(request_id))
        self._clocks[request_id] = Deadline.after(seconds), timer

    def run(self) -> None:
        """Serve what has come, on the thread that this is for."""
        queue = self.inbox
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
        for message in list(self.inbox):
            if type(message) in _CALLS and message[0] == request_id:  # type: ignore[index]
                try:
                    self.inbox.remove(message)
                except ValueError:  # begun in between
                    return False
                self._clocks.pop(request_id, None)
                return True
        return False

    def clear(self) -> None:
        """Forget everything: the peer is gone."""
        self.inbox.clear()
        while self._clocks:
            self._clocks.popitem()[1][1].cancel()
