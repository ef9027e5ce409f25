"""What the views know of calls: one row for each slow one, one for each run of fast ones."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rpcnb.core.events import CallChanged, CallOutput, CallPhase, CallProgress
from rpcnb.notebook.live.quotas import ASKED
from rpcnb.remote.catalogue import LISTING

UNSEEN = frozenset({ASKED, LISTING})
"""Functions whose calls no view shows or counts: mostly a view made them, or the end of a cell."""

FAST = 0.05
"""Seconds under which a call that ended well is folded into one row with its neighbours."""
KEPT = 5000
"""Rows; the oldest go first."""
TICKS = 200
"""Prints of one call that are marked on its bar."""
TIMED = 1000
"""Fast calls of one run whose durations are kept, for the median."""
RUNNING = frozenset({CallPhase.SENT, CallPhase.STARTED})


@dataclass(slots=True)
class CallRow:
    """One call."""

    id: int
    name: str
    sent: float
    """Seconds, monotonic, as all times here."""
    phase: CallPhase = CallPhase.SENT
    started: float | None = None
    ended: float | None = None
    done: float = 0.0
    total: float | None = None
    description: str = ""
    detail: str = ""
    prints: list[float] = field(default_factory=list)
    asked: bool = False
    """Somebody asked that it be stopped."""

    def as_plain(self) -> dict[str, Any]:
        """Return what the browser is told."""
        return {
            "id": self.id,
            "name": self.name,
            "sent": self.sent,
            "phase": self.phase.value,
            "started": self.started,
            "ended": self.ended,
            "done": self.done,
            "total": self.total,
            "description": self.description,
            "detail": self.detail,
            "prints": self.prints,
            "asked": self.asked,
        }


@dataclass(slots=True)
class FastCalls:
    """A run of fast calls: they ended well, and nothing slow ended in between."""

    id: int
    """Of the first."""
    sent: float
    ended: float = 0.0
    count: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, row: CallRow, ended: float) -> None:
        """Take one more."""
        self.count += 1
        self.ended = ended
        if len(self.seconds) < TIMED:
            self.seconds.append(ended - row.sent)

    def as_plain(self) -> dict[str, Any]:
        """Return what the browser is told."""
        return {
            "id": self.id,
            "fast": self.count,
            "median": median(self.seconds),
            "sent": self.sent,
            "ended": self.ended,
        }


class CallLog:
    """The calls of one session, as its events tell them.  Not thread-safe."""

    def __init__(self) -> None:
        self._running: dict[int, CallRow] = {}
        self._rows: OrderedDict[int, CallRow | FastCalls] = OrderedDict()
        self._run: FastCalls | None = None
        self._changed: set[int] = set()
        self._gone: list[int] = []

    def note(self, event: CallChanged | CallProgress | CallOutput) -> None:
        """Take note of one event."""
        if isinstance(event, CallChanged):
            if event.name not in UNSEEN:
                self._note_phase(event)
            return
        row = self._running.get(event.call)
        if row is None:
            return  # before anybody looked, or of an orphan
        if isinstance(event, CallProgress):
            row.done, row.total, row.description = event.done, event.total, event.description
        elif len(row.prints) < TICKS:
            row.prints.append(event.time)
        self._show(row)

    def note_cancel(self, call: int) -> None:
        """Take note that somebody asked to stop a call."""
        row = self._running.get(call)
        if row is not None:
            row.asked = True
            self._show(row)

    def running(self) -> list[int]:
        """Return the numbers of the calls that are out."""
        return [row.id for row in self._running.values() if row.phase in RUNNING]

    def rows(self) -> list[dict[str, Any]]:
        """Return all rows, oldest first, slow running calls included."""
        for row in self._running.values():
            self._show(row)
        return [row.as_plain() for row in self._rows.values()]

    def take_changes(self, now: float) -> tuple[list[dict[str, Any]], list[int]]:
        """Return the rows that changed since the last time, and the numbers of those that went."""
        for row in self._running.values():
            if now - row.sent >= FAST:
                self._show(row, changed=row.id not in self._rows)
        changed = [self._rows[key].as_plain() for key in sorted(self._changed & self._rows.keys())]
        gone = self._gone
        self._changed, self._gone = set(), []
        return changed, gone

    def _note_phase(self, event: CallChanged) -> None:
        if event.phase is CallPhase.SENT:
            self._running[event.call] = CallRow(event.call, event.name, event.time)
            return
        row = self._running.get(event.call)
        if row is None:
            return
        row.phase, row.detail = event.phase, event.detail
        if event.phase is CallPhase.STARTED:
            row.started = event.time
            self._show(row)
        elif event.phase is CallPhase.ORPHANED:
            self._show(row)
        else:
            self._end(row, event.time)

    def _end(self, row: CallRow, ended: float) -> None:
        del self._running[row.id]
        row.ended = ended
        fast = row.phase is CallPhase.FINISHED and ended - row.sent < FAST
        if not fast or row.id in self._rows:
            self._run = None
            self._show(row)
            return
        if self._run is None:
            self._run = FastCalls(row.id, row.sent)
        self._run.add(row, ended)
        self._show(self._run)

    def _show(self, row: CallRow | FastCalls, *, changed: bool = True) -> None:
        if changed:
            self._changed.add(row.id)
        if row.id not in self._rows:
            self._rows[row.id] = row
            if len(self._rows) > KEPT:
                self._forget_oldest()

    def _forget_oldest(self) -> None:
        key, row = self._rows.popitem(last=False)
        self._changed.discard(key)
        self._gone.append(key)
        if row is self._run:
            self._run = None
