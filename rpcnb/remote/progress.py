"""How far a call is, and how a terminal shows it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

from rpcnb.core.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable


@frozen
class Progress:
    """How far a running call said it is."""

    done: float
    total: float | None = None
    """None when it does not know."""
    description: str = ""

    @property
    def fraction(self) -> float | None:
        """Between 0 and 1; None without a total."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total else None

    def __str__(self) -> str:
        text = f"{self.done:g}"
        if self.total is not None:
            text += f"/{self.total:g}"
        if self.fraction is not None:
            text += f" ({self.fraction:.0%})"
        return f"{self.description} {text}".lstrip()


class ProgressView(Protocol):
    """What shows the progress of one blocking call.  Called on the thread that receives."""

    def update(self, progress: Progress) -> None:
        """Show how far it is; at most 20 times a second."""

    def close(self) -> None:
        """Take it away: the call has ended."""


class TerminalBar:
    """A line of text on a terminal's stderr, drawn by tqdm where that is installed.

    Nothing is drawn in the first half second of a call, nor where nobody would see a moving line.
    """

    def __init__(self, name: str, delay: float = 0.5) -> None:
        self._name = name
        self._bar = _make_bar(name, delay)

    def update(self, progress: Progress) -> None:
        """Draw it."""
        if self._bar is not None:
            self._bar.total = progress.total
            self._bar.desc = progress.description or self._name
            self._bar.update(progress.done - self._bar.n)

    def close(self) -> None:
        """Wipe the line."""
        if self._bar is not None:
            self._bar.close()


def _make_bar(name: str, delay: float) -> Any:
    if sys.stderr is None or not sys.stderr.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(
        desc=name, delay=delay, mininterval=0, leave=False, file=sys.stderr, dynamic_ncols=True
    )


make_view: Callable[[str], ProgressView] = TerminalBar
"""Given a function's name, returns what shows a blocking call's progress, for every `Remote` that
is not told otherwise; a notebook puts its own here."""
