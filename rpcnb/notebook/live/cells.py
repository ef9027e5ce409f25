"""Which cell, and which line of it, runs on this thread."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from types import FrameType

    from IPython.core.interactiveshell import InteractiveShell

DEPTH = 60
"""Frames to look at: a cell that calls through more than these is not found."""


class Place(NamedTuple):
    """A line of a cell."""

    cell: int
    """Execution count."""
    line: int

    def __str__(self) -> str:
        return f"[{self.cell}]:{self.line}"


def place_of_caller(shell: InteractiveShell | None) -> Place | None:
    """Return the line of a cell that called this, through whatever lies in between.

    Takes microseconds and allocates nothing that lasts: events are told inside remote calls.
    None where no cell did: a background thread, a script.
    """
    names: dict[str, int] = getattr(getattr(shell, "compile", None), "_filename_map", {})
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 -- documented, and what `inspect` uses
    for _ in range(DEPTH):
        if frame is None:
            return None
        cell = names.get(frame.f_code.co_filename)
        if cell is not None:
            return Place(cell, frame.f_lineno)
        frame = frame.f_back
    return None
