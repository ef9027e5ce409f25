"""`Bridge`: from the sessions' events to the views, on a thread of its own.

The thread that makes a call does nothing for the views but to append to a bounded queue; a cell
that blocks in a call therefore does not keep them from moving. The browser is told at most ten
times a second: Jupyter's server drops what comes in thousands, and nobody sees more.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from IPython.core.getipython import get_ipython

from rpcnb.core.events import EVENTS, HandleIssued, Subscription
from rpcnb.notebook.live.cells import Place, place_of_caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from rpcnb.core.events import Event, EventStream
    from rpcnb.notebook.live.hub import Hub

LOG = logging.getLogger("rpcnb.live")
EVERY = 0.1
"""Seconds between two messages to the browser."""
KEPT = 20_000
"""Events that wait to be looked at; more are lost, oldest first."""


class Audience(Protocol):
    """Who is shown a hub."""

    def tell(self, message: dict[str, Any]) -> None:
        """Send it to the browser; must not wait for an answer."""

    def watching(self) -> bool:
        """Tell whether anybody sees it."""

    def take_request(self) -> bool:
        """Tell whether somebody asked for everything instead of for what changed."""


class PlacedSubscription(Subscription):
    """A queue of events that notes which line of which cell a handle was made in."""

    def __init__(
        self, stream: EventStream, maxlen: int, on_ready: Callable[[], None] | None
    ) -> None:
        super().__init__(stream, maxlen, on_ready)
        self._shell = get_ipython()
        self._places: deque[tuple[int, int, Place | None]] = deque(maxlen=maxlen)

    def push(self, event: Event) -> None:
        """Append one event, and where it comes from."""
        if type(event) is HandleIssued:
            self._places.append((event.session, event.handle, place_of_caller(self._shell)))
        super().push(event)

    def take_places(self) -> dict[tuple[int, int], Place | None]:
        """Return what was noted since the last time."""
        taken = {}
        while self._places:
            session, handle, place = self._places.popleft()
            taken[session, handle] = place
        return taken


class Bridge:
    """Carries events to hubs and what changed to their audiences.  Thread-safe.

    It runs while there is a hub to serve whose session is not over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._served: dict[int, tuple[Hub, Audience]] = {}
        self._subscription: PlacedSubscription | None = None
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def serve(self, hub: Hub, audience: Audience) -> None:
        """Feed a hub from now on, and show it to an audience."""
        with self._lock:
            self._served[hub.index] = hub, audience
            if self._subscription is None:
                self._subscription = PlacedSubscription(EVENTS, KEPT, self._wake.set)
                EVENTS.add(self._subscription)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="rpcnb-live-views", daemon=True
                )
                self._thread.start()
        hub.begin()
        self._wake.set()

    def poke(self) -> None:
        """Look soon, though no event came."""
        self._wake.set()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._wake.wait(EVERY if self._moving() else None)
            self._wake.clear()
            self.step()
            if self._finished():
                return
            pause.wait(EVERY)

    def _moving(self) -> bool:
        """Tell whether something changes by itself: durations of calls that run."""
        with self._lock:
            return any(hub.moving() for hub, _ in self._served.values())

    def step(self) -> None:
        """Carry over what has come."""
        with self._lock:
            served, subscription = dict(self._served), self._subscription
        if subscription is not None:
            events, places = subscription.drain(), subscription.take_places()
            for event in events:
                if event.session in served:
                    key = event.session, getattr(event, "handle", 0)
                    served[event.session][0].feed(event, places.get(key))
        for hub, audience in served.values():
            self._tell(hub, audience)

    def _tell(self, hub: Hub, audience: Audience) -> None:
        try:
            if not audience.watching():
                return
            # Both from this thread alone, so that no older news arrives after a snapshot.
            message = hub.snapshot() if audience.take_request() else hub.changes()
            if message is not None:
                audience.tell(message)
        except Exception:  # a view that fails must not stop the others
            LOG.exception("a view of %s could not be updated", hub.remote.name)

    def _finished(self) -> bool:
        """Leave sessions that are over, and end when none is left."""
        with self._lock:
            self._served = {i: s for i, s in self._served.items() if not s[0].ended}
            if self._served:
                return False
            if self._subscription is not None:
                self._subscription.close()
            self._subscription = self._thread = None
            return True


BRIDGE = Bridge()
"""The process's own."""
