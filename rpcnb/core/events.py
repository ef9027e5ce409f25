"""Observability: frozen records into bounded queues.

Sessions emit; views subscribe. Emitting never blocks, never runs a view's code, and costs one
attribute test when nobody listens. A slow subscriber loses its oldest events and is told how
many; it can never slow a call.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import field
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Self, TypeAlias, TypeVar

from rpcnb.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable


class CallPhase(StrEnum):
    """Where a call is."""

    SENT = "sent"
    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ORPHANED = "orphaned"
    LOST = "lost"


class SessionState(StrEnum):
    """State of a session as a user sees it."""

    LIVE = "live"
    SUSPECT = "suspect"
    """The other side has been silent for longer than it should be."""
    DETACHED = "detached"
    """There is no connection; the session goes on over there, and this side tries to reach it."""
    CLOSED = "closed"
    LOST = "lost"
    DIED = "died"


@frozen
class CallChanged:
    """A call went into another phase."""

    session: int
    """Index in the session table."""
    call: int
    name: str
    phase: CallPhase
    detail: str = ""
    """Type and message of the error, for `FAILED`."""
    time: float = field(default_factory=monotonic)
    """Seconds, monotonic."""


@frozen
class CallProgress:
    """A running call said how far it is."""

    session: int
    call: int
    done: float
    total: float | None
    description: str = ""
    time: float = field(default_factory=monotonic)


@frozen
class CallOutput:
    """A running call printed or warned."""

    session: int
    call: int
    stream: str
    """``stdout``, ``stderr`` or ``warning``."""
    text: str
    time: float = field(default_factory=monotonic)


@frozen
class HandleIssued:
    """A handle came to this side."""

    session: int
    handle: int
    kind: str
    nbytes: int = 0
    summary: str = ""
    base: int = 0
    """Number of the buffer an array lies in, in its session; views of one array share it."""
    time: float = field(default_factory=monotonic)


@frozen
class HandleFreed:
    """A handle was given up by this side."""

    session: int
    handle: int
    time: float = field(default_factory=monotonic)


@frozen
class CopyProgress:
    """Bulk data moves."""

    session: int
    transfer: int
    direction: str
    """``upload`` or ``download``."""
    done: int
    total: int
    """Bytes."""
    time: float = field(default_factory=monotonic)


@frozen
class SessionChanged:
    """A session appeared, closed, or was lost."""

    session: int
    name: str
    state: SessionState
    reason: str = ""
    time: float = field(default_factory=monotonic)


Event: TypeAlias = (
    CallChanged
    | CallProgress
    | CallOutput
    | HandleIssued
    | HandleFreed
    | CopyProgress
    | SessionChanged
)


AnySubscription = TypeVar("AnySubscription", bound="Subscription")


class Subscription:
    """One subscriber's bounded queue.  Thread-safe.

    Use `drain` from any thread; `close`, or leaving a ``with`` block, ends it.
    """

    def __init__(
        self, stream: EventStream, maxlen: int, on_ready: Callable[[], None] | None
    ) -> None:
        self._stream = stream
        self._queue: deque[Event] = deque(maxlen=maxlen)
        self._on_ready = on_ready
        # Reentrant: a collection may run inside, and the finalizers of proxies emit.
        self._lock = threading.RLock()
        self.dropped = 0
        """Events lost because the queue was full."""

    def push(self, event: Event) -> None:
        """Append one event; the oldest goes when the queue is full."""
        with self._lock:
            was_empty = not self._queue
            self.dropped += len(self._queue) == self._queue.maxlen
            self._queue.append(event)
        if was_empty and self._on_ready is not None:
            self._on_ready()

    def drain(self) -> list[Event]:
        """Return what has arrived since the last call, oldest first."""
        fresh: deque[Event] = deque(maxlen=self._queue.maxlen)
        with self._lock:
            events, self._queue = self._queue, fresh
        return list(events)

    def close(self) -> None:
        """Stop receiving.  Idempotent."""
        self._stream.unsubscribe(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class EventStream:
    """Where one process's sessions emit and its views subscribe.  Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.subscriptions: tuple[Subscription, ...] = ()
        """Replaced as a whole, so that `emit` needs no lock. Emitters on the call path test it
        before they even build a record."""

    def subscribe(
        self, maxlen: int = 10_000, on_ready: Callable[[], None] | None = None
    ) -> Subscription:
        """Start receiving events.

        Parameters
        ----------
        maxlen : int
            Events kept when nobody drains.
        on_ready : callable, optional
            Called on the emitting thread when the queue stops being empty. Must only set a flag
            or wake a loop: it runs inside somebody's remote call.
        """
        return self.add(Subscription(self, maxlen, on_ready))

    def add(self, subscription: AnySubscription) -> AnySubscription:
        """Start giving events to a subscription that was made otherwise."""
        with self._lock:
            self.subscriptions = (*self.subscriptions, subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription.  Idempotent."""
        with self._lock:
            self.subscriptions = tuple(s for s in self.subscriptions if s is not subscription)

    def emit(self, event: Event) -> None:
        """Hand one event to every subscriber."""
        for subscription in self.subscriptions:
            subscription.push(event)


EVENTS = EventStream()
"""The process-wide stream."""
