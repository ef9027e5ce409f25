"""A request that was sent and not yet answered."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from rpcnb.session.base import CallCallback, CallStatus
from rpcnb.session.observer import NO_OBSERVER, CallObserver

if TYPE_CHECKING:
    import threading
    from logging import Logger

    from rpcnb.core.values import Value
    from rpcnb.endpoint.handler import Handler
    from rpcnb.wire.messages import CallFunc

_RETURNED = CallStatus.RETURN


def log() -> Logger:
    """Return where errors of our own are told; `logging` takes 2 ms to import, and few need it."""
    from logging import getLogger

    return getLogger("rpcnb.connection")


class Pending:
    """One open request: what its waiter waits for, and what its reader fills in.

    The reader (one thread at a time) calls `resolve` and `deliver`; any one thread may wait.
    There is no lock: each side first stores what it did and then looks at what the other did, so
    that at least one of the two sees both.
    """

    # Slots, although a call sets three of them: looking up a class attribute takes 0.04 µs.
    __slots__ = (
        "arrays",
        "callback",
        "done",
        "id",
        "inbox",
        "observer",
        "orphaned",
        "progressed",
        "status",
        "stream",
        "target",
        "value",
        "wake",
    )

    def __init__(
        self,
        request_id: int,
        callback: CallCallback | None = None,
        observer: CallObserver = NO_OBSERVER,
    ) -> None:
        self.id = request_id
        self.callback = callback
        self.observer = observer
        self.done = False
        self.status = _RETURNED
        self.value: Value = None
        self.wake: threading.Lock | None = None
        """Made by a waiter that cannot read itself; releasing it makes the waiter look again."""
        self.inbox: deque[Any] | None = None
        """Calls the peer makes in service of this request (callbacks and calls from callbacks):
        they run on the thread that waits for this request."""
        self.target: memoryview | None = None
        """Where the data of a download goes."""
        self.progressed = 0
        """Bytes of the download that have arrived."""
        self.arrays: tuple[int, ...] = ()
        """Numbers of the buffers a call was given."""
        self.stream = 0
        """The stream it runs on."""
        self.orphaned = False
        """Nobody waits any more, and it may still run."""

    def resolve(self, status: CallStatus, value: Value) -> None:
        """Store the outcome and tell whoever waits.  Only the first outcome counts."""
        if self.done:
            return
        if status is not _RETURNED:  # what it is from the start
            self.status = status
        self.value = value
        self.done = True
        if self.wake is not None:
            ring(self.wake)
        if self.callback is not None:
            try:
                self.callback(status, value)
            except Exception:  # noqa: BLE001 -- told; the thread that reads must go on
                log().exception("a callback raised")

    def deliver(self, message: CallFunc) -> None:
        """Hand over a call that is to run on the waiting thread."""
        if self.inbox is None:
            self.inbox = deque()
        self.inbox.append(message)
        self.rouse()

    def take_up(self, handler: Handler) -> None:
        """Do the next piece of what came for the waiter.  On its thread."""
        assert self.inbox is not None  # something is in it
        handler.run_delivered(self.inbox.popleft())

    def rouse(self) -> None:
        """Make the waiter, if one blocks, look again."""
        wake = self.wake
        if wake is not None:
            ring(wake)

    def uses(self, base: int) -> bool:
        """Tell whether the call was given an array that lies in that buffer."""
        return base in self.arrays

    def has_news(self) -> bool:
        """Tell whether a waiter has something to do."""
        return self.done or bool(self.inbox)


def ring(bell: threading.Lock) -> None:
    """Release a lock that is used as a bell; ringing twice is ringing once."""
    if bell.locked():
        try:
            bell.release()
        except RuntimeError:  # another thread rang in between
            return
