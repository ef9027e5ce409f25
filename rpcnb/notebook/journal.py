"""`Journal`: what the sessions of this notebook did since somebody began to ask.

Events cost a call about 10 µs, so that none are made until ``%remote_calls`` or ``%remote_cells on``
wants them. They wait in a bounded queue and are read at the end of a cell or when they are shown.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rpcnb.core.events import (
    EVENTS,
    CallChanged,
    CallOutput,
    CallPhase,
    CallProgress,
    CopyProgress,
    HandleIssued,
)
from rpcnb.notebook.live.calls import UNSEEN, CallLog

if TYPE_CHECKING:
    from rpcnb.core.events import Event, Subscription

KEPT = 50_000
"""Events between two readings; more are lost, oldest first."""
OURS = "rpcnb."
"""Begin of the names of what rpcnb itself looks up over there."""


@dataclass(slots=True)
class Tally:
    """What one session did in a while."""

    calls: int = 0
    seconds: float = 0.0
    """Of calls that ended, from sending to the end; those of calls side by side are added."""
    made: int = 0
    """Handles that came to this side, our own helpers left out."""
    copied: int = 0
    """Bytes of array data that moved, over the connection or by memory that both sides share."""


class Journal:
    """Calls and tallies by session.  Used by the thread that runs cells."""

    def __init__(self) -> None:
        self._subscription: Subscription | None = None
        self._wanted: set[str] = set()
        self._logs: defaultdict[int, CallLog] = defaultdict(CallLog)
        self._tallies: defaultdict[int, Tally] = defaultdict(Tally)
        self._sent: dict[tuple[int, int], float] = {}
        self._copied: dict[tuple[int, int], int] = {}

    @property
    def open(self) -> bool:
        """Whether it records."""
        return self._subscription is not None

    def begin(self, who: str) -> None:
        """Record from now on, for `who` as well.  Idempotent."""
        self._wanted.add(who)
        if self._subscription is None:
            self._subscription = EVENTS.subscribe(KEPT)

    def end(self, who: str) -> None:
        """Record no more for `who`; once nobody wants it, stop and forget."""
        self._wanted.discard(who)
        if self._wanted or self._subscription is None:
            return
        self._subscription.close()
        self._subscription = None
        for known in (self._logs, self._tallies, self._sent, self._copied):
            known.clear()

    def calls(self, session: int) -> CallLog:
        """Return the calls of a session, by its index in the session table."""
        self.read()
        return self._logs[session]

    def take(self) -> dict[int, Tally]:
        """Return what each session did since this was asked last."""
        self.read()
        tallies = dict(self._tallies)
        self._tallies.clear()
        return tallies

    def read(self) -> None:
        """Read what has come."""
        for event in self._subscription.drain() if self._subscription is not None else ():
            self._note(event)

    def _note(self, event: Event) -> None:
        if isinstance(event, CallChanged) and event.name not in UNSEEN:
            self._count(event)
        if isinstance(event, CallChanged | CallProgress | CallOutput):
            self._logs[event.session].note(event)
        elif isinstance(event, CopyProgress):
            self._count_copy(event)
        elif isinstance(event, HandleIssued) and not event.summary.startswith(OURS):
            self._tallies[event.session].made += 1

    def _count_copy(self, event: CopyProgress) -> None:
        key = event.session, event.transfer
        self._tallies[event.session].copied += event.done - self._copied.pop(key, 0)
        if event.done < event.total:
            self._copied[key] = event.done

    def _count(self, event: CallChanged) -> None:
        key = event.session, event.call
        if event.phase is CallPhase.SENT:
            self._tallies[event.session].calls += 1
            self._sent[key] = event.time
        elif event.phase is not CallPhase.STARTED:
            sent = self._sent.pop(key, None)
            if sent is not None:
                self._tallies[event.session].seconds += event.time - sent


JOURNAL = Journal()
"""The process's own."""
