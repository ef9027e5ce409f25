"""What `%remote_calls` shows: the calls of a session as they were at that moment."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from rpcnb.notebook.displays import bar, code, counted, quiet
from rpcnb.notebook.markup import Html, join, table, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGNS = {
    "sent": "◌ sent",
    "started": "◌ running",
    "finished": "✓ returned",
    "failed": "✕ raised",
    "cancelled": "⊘ cancelled",
    "orphaned": "? orphaned",
    "lost": "✕ lost",
}
"""Phase of a call -> how it is shown: never by a colour."""
SHOWN = 50
"""Rows; the youngest."""


class CallTable:
    """Calls of one session, oldest first.

    Parameters
    ----------
    name : str
        Of the session.
    rows : sequence of dict
        As `rpcnb.notebook.live.calls.CallLog` gives them.
    made : int or None
        Calls since the session began, where that is known.
    recorded : bool
        Whether calls were recorded before this was asked for.
    """

    def __init__(
        self, name: str, rows: Sequence[dict[str, Any]], made: int | None, *, recorded: bool
    ) -> None:
        self.name = name
        self.rows = rows[-SHOWN:]
        self._left_out = len(rows) - len(self.rows)
        self._made = made
        self._recorded = recorded
        self._now = monotonic()

    def heading(self) -> str:
        """Return the line above the table."""
        if not self._recorded:
            so_far = f"{counted(self._made or 0, 'call')} so far; " if self._made else ""
            return f"{self.name}: {so_far}calls are recorded from now on"
        earlier = f", {self._left_out:,} earlier rows left out" if self._left_out else ""
        total = "" if self._made is None else f" of {counted(self._made, 'call')} in all"
        return f"{self.name}: {counted(len(self.rows), 'row')}{total}{earlier}"

    def __repr__(self) -> str:
        lines = [self.heading()]
        lines += [
            f"{name:<24} {state:<12} {seconds:>9}  {about}"
            for name, state, seconds, about, _ in map(self._words, self.rows)
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> Html:
        head = ("call", "state", "seconds", "what is known")
        rows = (
            (code(name), state, seconds, join([*fraction, about]))
            for name, state, seconds, about, fraction in map(self._words, self.rows)
        )
        shown = table(head, rows, numbers=frozenset({2})) if self.rows else ""
        return tag("div", quiet(self.heading()), shown)

    def _words(self, row: dict[str, Any]) -> tuple[str, str, str, str, list[object]]:
        """Return the cells of one row, and a bar where it is known how far a call is."""
        if "fast" in row:
            text = f"{row['median'] * 1000:.1f} ms median"
            return f"+{counted(row['fast'], 'fast call')}", SIGNS["finished"], "", text, []
        ended = row["ended"] if row["ended"] is not None else self._now
        seconds = f"{ended - row['sent']:.2f}"
        about = str(row["detail"])
        fraction: list[object] = []
        if row["total"]:
            about = f"{row['description']} {row['done']:g}/{row['total']:g} {about}".strip()
            if row["ended"] is None:
                fraction = [bar(row["done"] / row["total"]), " "]
        return row["name"], SIGNS[row["phase"]], seconds, about, fraction
