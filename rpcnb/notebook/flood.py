"""What a browser can take: a remote loop that prints or displays without end must not freeze it.

JupyterLab stops answering to clicks, the stop button among them, while megabytes of text come in a
second. So what remote code shows passes through an allowance: a burst at once, then a steady rate,
in between a note of how much was left out. What comes slowly is never cut. What is left out is
received slowly: on two cores, worker and kernel had taken both for an endless loop of prints, and
take a third of one now; the stop button ends it in half a second.
"""

from __future__ import annotations

import threading
from time import monotonic, sleep
from typing import TYPE_CHECKING

from rpcnb.remote.output import write_output

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = 128 * 1024, 4 * 1024
DISPLAYS = 30, 1
"""What may come at once, and what each second adds: characters of text, and displays.

JupyterLab renders a cell's whole text again for each piece that comes, which takes it seconds from
300 KiB on; and it hides what comes after 50 outputs, the error at the end included.
"""
SLOWLY = 0.005
"""Seconds taken for each piece that is left out: whoever sends has to wait then, and the processors
have time for the browser."""
TAIL = 2000
"""Characters of the text that was left out that are shown when the cell has ended."""


class Allowance:
    """So much at once, and so much more each second.  Thread-safe.

    Parameters
    ----------
    burst, rate : int
        What may be taken at once, and what each second adds.
    clock : callable
        Seconds, monotonic.
    """

    def __init__(self, burst: int, rate: int, clock: Callable[[], float] = monotonic) -> None:
        self._burst = burst
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._left = float(burst)
        self._at = clock()
        self._dry = False

    def take(self, amount: int) -> bool:
        """Take an amount if there is as much."""
        with self._lock:
            now = self._clock()
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
            # Once refused, not again piece by piece, but when a second's worth is there.
            if (max(amount, self._rate) if self._dry else amount) > self._left:
                self._dry = True
                return False
            self._dry = False
            self._left -= amount
            return True


class TextFlood:
    """Lets text through as far as the allowance goes."""

    def __init__(self, allowance: Allowance, pause: Callable[[float], None] = sleep) -> None:
        self._allowance = allowance
        self._pause = pause
        self._lock = threading.Lock()
        self._dropped = 0
        self._tail = ""

    def through(self, text: str) -> str:
        """Return what is to be shown of it: all, with a note of what was left out before, or nothing."""
        allowed = self._allowance.take(len(text))
        with self._lock:
            if not allowed:
                self._dropped += len(text)
                self._tail = (self._tail + text)[-TAIL:]
        if not allowed:
            self._pause(SLOWLY)
            return ""
        with self._lock:
            note = left_out(self._dropped, "character")
            self._dropped, self._tail = 0, ""
            return note + text

    def rest(self) -> str:
        """Return the end of what was left out last, and forget it; empty if nothing was."""
        with self._lock:
            text = left_out(self._dropped - len(self._tail), "character") + self._tail
            self._dropped, self._tail = 0, ""
            return text


def left_out(number: int, noun: str) -> str:
    """Return a line that says how much was left out; empty for nothing."""
    return f"\n[… {number:,} {noun}s left out: too many at once …]\n" if number > 0 else ""


TEXT_FLOOD = TextFlood(Allowance(*TEXT))
"""For all sessions together: they share a browser."""


def show_rest() -> None:
    """Show the end of what was left out: a hook for the end of a cell."""
    rest = TEXT_FLOOD.rest()
    if rest:
        write_output("stdout", rest)
