"""`Hub`: all that the views of one session show, kept up to date by its events."""

from __future__ import annotations

import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from rpcnb.core.errors import RpcnbError
from rpcnb.core.events import (
    CallChanged,
    CallOutput,
    CallPhase,
    CallProgress,
    CopyProgress,
    HandleFreed,
    HandleIssued,
    SessionChanged,
    SessionState,
)
from rpcnb.manager import manager
from rpcnb.notebook.live.calls import CallLog
from rpcnb.notebook.live.handles import HandleLog
from rpcnb.notebook.live.quotas import ask

if TYPE_CHECKING:
    from rpcnb.core.events import Event
    from rpcnb.notebook.live.cells import Place
    from rpcnb.remote.client import Remote
    from rpcnb.remote.future import RemoteFuture
    from rpcnb.session.hops import Hop

OVER = frozenset({SessionState.CLOSED, SessionState.LOST, SessionState.DIED})
TABLES_EVERY = 0.25
"""Seconds between two updates of the tables; calls are updated as often as the bridge asks."""


CHAINS: WeakKeyDictionary[Remote, tuple[Hop, ...]] = WeakKeyDictionary()
"""The servers on the way to each session, as they were when somebody asked for them."""


class Hub:
    """One session's calls, handles and figures.  Thread-safe; sends nothing.

    Parameters
    ----------
    remote : Remote
        The session.
    """

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self.index = remote.session.table_index
        self.rtt: float | None = None
        """Seconds of the last round trip that somebody asked for."""
        self.quotas: list[dict[str, Any]] = []
        """What the session may have over there, as of then."""
        self._asking: RemoteFuture | None = None
        self._lock = threading.Lock()
        self._calls = CallLog()
        self._handles = HandleLog()
        self._copies: dict[int, CopyProgress] = {}
        self._tables_at = 0.0
        self._ended = False
        self._late = False
        """Something changed that was too early to be told."""
        self._bar: object = None

    def begin(self) -> None:
        """Take over what is there now; events from before and after may overlap."""
        with self._lock:
            self._handles.begin(self.remote.handles, monotonic())

    def feed(self, event: Event, place: Place | None = None) -> None:
        """Take one event of this session."""
        with self._lock:
            self._late = True
            match event:
                case CallChanged() | CallProgress() | CallOutput():
                    self._calls.note(event)
                case HandleIssued() | HandleFreed():
                    self._handles.note(event, place)
                case CopyProgress():
                    self._copies[event.transfer] = event
                case SessionChanged():
                    self._end(event)

    def _end(self, event: SessionChanged) -> None:
        if event.state not in OVER or self._ended:
            return
        self._ended = True
        self._handles.lose(event.time)
        for call in self._calls.running():
            self._calls.note(CallChanged(self.index, call, "", CallPhase.LOST, event.state.value))

    @property
    def ended(self) -> bool:
        """Whether the session is over, and its end was told."""
        return self._ended

    def moving(self) -> bool:
        """Tell whether there may be news without an event."""
        with self._lock:
            return bool(self._calls.running()) or self._late

    def touch(self) -> None:
        """Take note that a figure changed without an event."""
        with self._lock:
            self._late = True

    def note_cancel(self, call: int) -> None:
        """Take note that somebody asked to stop a call."""
        with self._lock:
            self._calls.note_cancel(call)

    def measure(self) -> None:
        """Ask for the time of a round trip to where the functions are; waits for no call.

        The quotas there are asked for as well; the answer comes when no call is in its way.
        """
        self.rtt = min(self.remote.ping() for _ in range(3))  # the first may meet sleepers
        if self._asking is None or self._asking.done():
            self._asking = ask(self.remote, self._take_quotas)

    def _take_quotas(self, quotas: list[dict[str, Any]]) -> None:
        self.quotas = quotas
        self.touch()

    # --- what the browser is told ---------------------------------------------------------------

    def session(self) -> dict[str, Any]:
        """Return the figures of the session bar."""
        remote = self.remote
        state = "closed" if remote.closed else remote.session.state.value
        running = len(self._calls.running())
        if state == "live" and running:
            state = "busy"
        statistics = remote.session.statistics()
        return {
            "index": self.index,
            "name": remote.name,
            "url": remote.url,
            "hops": chain_of(remote),
            "state": state,
            "rtt": self.rtt,
            "quotas": self.quotas,
            "handles": self._handles.alive(),
            "made": self._handles.made,
            "folded": self._handles.folded,
            "nbytes": self._handles.nbytes,
            "running": running,
            "sent": statistics.get("bytes_sent"),
            "received": statistics.get("bytes_received"),
        }

    def snapshot(self) -> dict[str, Any]:
        """Return everything."""
        now = monotonic()
        with self._lock:
            return {
                "type": "snapshot",
                "now": now,
                "session": self.session(),
                "sessions": sessions(),
                "calls": self._calls.rows(),
                "handles": self._handles.rows(),
            }

    def changes(self) -> dict[str, Any] | None:
        """Return what changed since the last time this was asked for; None if nothing did."""
        now = monotonic()
        found: dict[str, Any] = {}
        with self._lock:
            found["calls"], found["gone"] = self._calls.take_changes(now)
            if self._ended or now - self._tables_at >= TABLES_EVERY:
                self._tables_at, self._late = now, False
                found |= self._tables()
        found = {key: value for key, value in found.items() if value or key == "sessions"}
        return {"type": "changes", "now": now, **found} if found else None

    def _tables(self) -> dict[str, Any]:
        """Return what the slower views show."""
        found: dict[str, Any] = {
            "handles": self._handles.take_changes(),
            "buried": self._handles.take_gone(),
            "copies": self._take_copies(),
        }
        bar, table = self.session(), sessions()
        if (bar, table) != self._bar:
            self._bar = bar, table
            found |= {"session": bar, "sessions": table}
        return found

    def _take_copies(self) -> list[dict[str, Any]]:
        copies = [
            {"id": c.transfer, "direction": c.direction, "done": c.done, "total": c.total}
            for c in self._copies.values()
        ]
        self._copies.clear()
        return copies


def survey() -> None:
    """Ask every session that answers for the servers on its way."""
    for remote in manager.sessions.values():
        if remote.session.state == SessionState.LIVE:
            with suppress(RpcnbError):  # it has just ended, say: its chain is as it was
                CHAINS[remote] = remote.session.hops()


def chain_of(remote: Remote | None) -> list[dict[str, Any]]:
    """Return what is known of the servers on the way to a session."""
    found = CHAINS.get(remote, ()) if remote is not None else ()
    return [{"name": h.name, "address": h.address, "rtt": h.seconds} for h in found]


def sessions() -> list[dict[str, Any]]:
    """Return the session table of this process, with the hops of each chain."""
    return [
        {
            "index": row.index,
            "name": row.name,
            "url": row.url,
            "hops": chain_of(manager.sessions.get(row.name)),
            "state": "busy" if row.calls and row.state == "live" else str(row.state),
            "handles": row.handles,
            "nbytes": row.nbytes,
            "calls": row.calls,
        }
        for row in manager.table()
    ]
