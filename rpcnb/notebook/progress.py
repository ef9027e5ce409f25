"""The progress of a blocking call under its cell."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from IPython.display import display

from rpcnb.core.visible import visible
from rpcnb.notebook.displays import bar, code, quiet
from rpcnb.notebook.markup import tag

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

    from rpcnb.remote.progress import Progress

QUIET_FOR = 0.5
"""Seconds of a call in which nothing is shown."""
INTERVAL = 0.1
"""Seconds between updates: faster ones are not seen, and servers drop them by the thousand."""
CELLS = 30
"""Characters of the bar in plain text."""


class CellBar:
    """A bar in the output of a cell, which becomes a line of text when the call has ended.

    Parameters
    ----------
    name : str
        Of the function.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._began = monotonic()
        self._shown_at = 0.0
        self._handle: DisplayHandle | None = None
        self._latest: Progress | None = None

    def update(self, progress: Progress) -> None:
        """Show how far the call is."""
        self._latest = progress
        now = monotonic()
        if now - self._began < QUIET_FOR or now - self._shown_at < INTERVAL:
            return
        self._shown_at = now
        self._show(running=True)

    def close(self) -> None:
        """Leave a line that says how far it came."""
        if self._handle is not None:
            self._show(running=False)

    def _show(self, *, running: bool) -> None:
        assert self._latest is not None  # shown only after an update
        text = f"{self._latest}, {monotonic() - self._began:.1f} s"
        fraction = self._latest.fraction
        bundle = {
            "text/plain": visible(f"{self._name} {text_bar(fraction) if running else ''}{text}"),
            "text/html": tag(
                "div",
                *([bar(fraction), " "] if running else []),
                code(self._name),
                " ",
                quiet(text),
            ),
        }
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def text_bar(fraction: float | None) -> str:
    """Return a bar of characters; nothing where nobody knows how far it is."""
    if fraction is None:
        return ""
    full = round(fraction * CELLS)
    return f"[{'#' * full}{'.' * (CELLS - full)}] "
