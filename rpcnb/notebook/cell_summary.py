"""The quiet line under a cell that says what it did over there; `%remote_cells on`.

Everything in it is known on this side: nothing is sent for it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from IPython.display import display

from rpcnb.core.frozen import frozen
from rpcnb.core.visible import visible
from rpcnb.manager import manager
from rpcnb.notebook.displays import counted, quiet
from rpcnb.notebook.journal import JOURNAL, Tally
from rpcnb.notebook.markup import join, tag
from rpcnb.remote.array import short_size

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from rpcnb.remote.client import Remote

TIMES = 3
"""Runs of a cell that must leave the same behind before it is said."""
CELLS = 200
"""Cells whose growth is remembered."""


class Figures(NamedTuple):
    """What is known of a session at one moment."""

    handles: int
    nbytes: int
    moved: int
    messages: int


def figures_of(remote: Remote) -> Figures:
    """Return a session's figures; sends nothing."""
    statistics = remote.session.statistics()

    def total(*names: str) -> int:
        return sum(v for v in map(statistics.get, names) if isinstance(v, int))

    handles = remote.handles
    return Figures(
        len(handles),
        handles.nbytes,
        total("bytes_sent", "bytes_received"),
        total("frames_sent", "frames_received"),
    )


@frozen
class Change:
    """What one cell did to one session."""

    name: str
    before: Figures
    after: Figures
    tally: Tally

    @property
    def growth(self) -> tuple[int, int]:
        """Handles and bytes more than before."""
        return self.after.handles - self.before.handles, self.after.nbytes - self.before.nbytes

    @property
    def moved(self) -> int:
        """Bytes that moved; copies by shared memory are not among those of the connection."""
        sent, copied = self.after.moved - self.before.moved, self.tally.copied
        return sent if sent >= copied else sent + copied

    def __bool__(self) -> bool:
        return (
            self.after.messages > self.before.messages or any(self.growth) or bool(self.tally.calls)
        )

    def __str__(self) -> str:
        handles, nbytes = self.growth
        made, alive = self.tally.made, self.after.handles
        parts = []
        if handles or made:
            parts.append(
                f"{handles:+} handle{'' if abs(handles) == 1 else 's'} ({made} made, {alive} alive)"
            )
        if nbytes:
            parts.append(f"{'+' if nbytes > 0 else '-'}{short_size(abs(nbytes))}")
        if self.tally.calls:
            parts.append(counted(self.tally.calls, "call"))
        if self.tally.seconds >= 0.05:
            parts.append(f"{self.tally.seconds:.1f} s remote")
        messages = self.after.messages - self.before.messages
        if messages:
            moved = short_size(self.moved)
            parts.append(f"{moved} moved in {counted(messages, 'message')}")
        return f"{self.name}: {', '.join(parts)}"


class CellSummary:
    """Says what each cell did, for one shell.

    Parameters
    ----------
    shell : InteractiveShell
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._before: dict[str, Figures] = {}
        self._grown: OrderedDict[object, tuple[tuple[int, int], int]] = OrderedDict()
        self._cell: object = None
        self.on = False

    def switch(self, *, on: bool) -> None:
        """Begin or end.  Idempotent."""
        if on and not self.on:
            JOURNAL.begin("cells")
            JOURNAL.take()
            self._take_figures()
            self._shell.events.register("pre_run_cell", self._before_cell)
            self._shell.events.register("post_run_cell", self._after_cell)
        elif self.on and not on:
            self._shell.events.unregister("pre_run_cell", self._before_cell)
            self._shell.events.unregister("post_run_cell", self._after_cell)
            JOURNAL.end("cells")
        self.on = on

    def _before_cell(self, info: Any) -> None:
        self._cell = getattr(info, "cell_id", None) or info.raw_cell
        JOURNAL.take()
        self._take_figures()

    def _take_figures(self) -> None:
        self._before = {name: figures_of(remote) for name, remote in manager.sessions.items()}

    def _after_cell(self, *_: object) -> None:
        tallies = JOURNAL.take()
        for name, remote in manager.sessions.items():
            tally = tallies.get(remote.session.table_index, Tally())
            before = self._before.get(name, Figures(0, 0, 0, 0))
            change = Change(name, before, figures_of(remote), tally)
            if change:
                self._say(change)

    def _say(self, change: Change) -> None:
        lines = [str(change), *self._hint(change)]
        html = join(tag("div", quiet(line), style="font-size: 90%") for line in lines)
        display({"text/plain": visible("\n".join(lines)), "text/html": html}, raw=True)

    def _hint(self, change: Change) -> list[str]:
        """Return a line if this cell has grown by the same amount each of the last times."""
        key = self._cell, change.name
        growth = change.growth
        last, times = self._grown.pop(key, (growth, 0))
        times = times + 1 if growth == last else 1
        self._grown[key] = growth, times
        if len(self._grown) > CELLS:
            self._grown.popitem(last=False)
        if growth[0] <= 0 or times < TIMES:
            return []
        size = f", {short_size(growth[1])}," if growth[1] > 0 else ""
        more = counted(growth[0], "handle")
        told = f"each of the last {times} runs of this cell left {more} more{size} alive"
        return [f"{told}; %remote_handles shows them"]
