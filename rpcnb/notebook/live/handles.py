"""What the views know of handles: when each came and went, and how many bytes it stands for."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rpcnb.core.events import HandleFreed, HandleIssued

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rpcnb.notebook.live.cells import Place
    from rpcnb.remote.handles import HandleRow

KEPT_DEAD = 10_000
"""Handles that are gone and still have a ribbon; the oldest are folded into one number."""


@dataclass(slots=True)
class HandleLife:
    """One handle, from when it came to when it went."""

    handle: int
    kind: str
    summary: str
    nbytes: int
    base: int
    born: float
    place: Place | None = None
    """Where it was made; None for those that were there before anybody looked."""
    died: float | None = None
    lost: bool = False
    """It went with its session."""
    steps: list[tuple[float, int]] = field(default_factory=list)
    """Since when it stands for how many bytes. Of the handles that share a buffer the oldest stands
    for all of it, so that the heights of the ribbons add up to what is held over there."""

    def as_plain(self) -> dict[str, Any]:
        """Return what the browser is told."""
        return {
            "handle": self.handle,
            "kind": self.kind,
            "summary": self.summary,
            "nbytes": self.nbytes,
            "base": self.base,
            "born": self.born,
            "died": self.died,
            "lost": self.lost,
            "cell": None if self.place is None else self.place.cell,
            "line": None if self.place is None else self.place.line,
            "steps": self.steps,
        }


class HandleLog:
    """The handles of one session, as its events tell them.  Not thread-safe."""

    def __init__(self) -> None:
        self._lives: dict[int, HandleLife] = {}
        self._dead: deque[int] = deque()
        self._buffers: dict[int, list[HandleLife]] = {}
        self._sizes: dict[int, int] = {}
        self._changed: set[int] = set()
        self._gone: deque[int] = deque(maxlen=KEPT_DEAD)  # who looks again is told everything
        self.made = 0
        """Handles there ever were."""
        self.folded = 0
        """Of these, the ones whose ribbons were dropped."""
        self.nbytes = 0
        """Bytes of the buffers that live handles stand for."""

    def begin(self, rows: Iterable[HandleRow], now: float) -> None:
        """Take over the handles that were there before anybody looked."""
        for row in rows:
            size = max(row.nbytes, row.pins)
            life = HandleLife(row.handle, row.kind, row.summary, row.nbytes, row.base, now)
            self._enter(life, size)

    def note(self, event: HandleIssued | HandleFreed, place: Place | None = None) -> None:
        """Take note of one event."""
        if isinstance(event, HandleFreed):
            self._leave(event.handle, event.time)
        elif not (event.kind == "function" and event.summary.startswith("rpcnb.")):
            life = HandleLife(
                event.handle, event.kind, event.summary, event.nbytes, event.base, event.time, place
            )
            self._enter(life, event.nbytes)

    def lose(self, now: float) -> None:
        """Take note that the session is gone, and all it held."""
        for life in [life for life in self._lives.values() if life.died is None]:
            life.lost = True
            self._leave(life.handle, now)

    def alive(self) -> int:
        """Return how many there are."""
        return self.made - self.folded - len(self._dead)

    def rows(self) -> list[dict[str, Any]]:
        """Return all that are kept, in the order in which they came."""
        return [life.as_plain() for life in self._lives.values()]

    def take_changes(self) -> list[dict[str, Any]]:
        """Return those that changed since the last time."""
        # Not in the order of their numbers: those of results that were promised are the client's.
        changed = [self._lives[key] for key in self._changed & self._lives.keys()]
        self._changed = set()
        return [life.as_plain() for life in sorted(changed, key=lambda life: life.born)]

    def take_gone(self) -> list[int]:
        """Return the numbers of those that were dropped since the last time."""
        gone = list(self._gone)
        self._gone.clear()
        return gone

    def _enter(self, life: HandleLife, size: int) -> None:
        if life.handle in self._lives:
            return  # an event that was on its way when `begin` looked
        self._lives[life.handle] = life
        self._changed.add(life.handle)
        self.made += 1
        key = life.base or -life.handle
        sharers = self._buffers.setdefault(key, [])
        sharers.append(life)
        self._sizes[key] = max(size, self._sizes.get(key, 0))
        self._carry(key, life.born)

    def _leave(self, handle: int, now: float) -> None:
        life = self._lives.get(handle)
        if life is None or life.died is not None:
            return
        life.died = now
        self._changed.add(handle)
        key = life.base or -handle
        self.nbytes -= life.steps[-1][1] if life.steps else 0
        self._buffers[key].remove(life)
        if self._buffers[key]:
            self._carry(key, now)
        else:
            del self._buffers[key], self._sizes[key]
        self._bury(handle)

    def _carry(self, key: int, now: float) -> None:
        """Let the oldest handle of a buffer stand for its bytes."""
        oldest, size = self._buffers[key][0], self._sizes[key]
        held = oldest.steps[-1][1] if oldest.steps else 0
        if size != held:
            oldest.steps.append((now, size))
            self.nbytes += size - held
            self._changed.add(oldest.handle)

    def _bury(self, handle: int) -> None:
        self._dead.append(handle)
        if len(self._dead) > KEPT_DEAD:
            oldest = self._dead.popleft()
            del self._lives[oldest]
            self._gone.append(oldest)
            self.folded += 1
