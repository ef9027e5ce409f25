"""Room for what is received: little for those who say little, more for those who send in bulk.

A `bytearray` is filled with zeros, so that room which nobody uses costs memory and time: 60 µs for
each 256 KiB, three times a connection.
"""

from __future__ import annotations

from rpcnb.core.limits import KIB

FIRST = 16 * KIB


class GrowingRoom:
    """A buffer that becomes four times as large whenever it was filled, up to a limit.

    Parameters
    ----------
    most : int [bytes]
        What it never exceeds.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.view = memoryview(bytearray(min(FIRST, most)))
        """Where to receive; what was received before is no longer needed."""

    def note(self, nbytes: int) -> None:
        """Take note that so many bytes were received into `view`, and taken out of it."""
        if nbytes == len(self.view) < self._most:
            self.view = memoryview(bytearray(min(4 * nbytes, self._most)))
