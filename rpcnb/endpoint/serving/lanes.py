"""A lane: work that may block, run in order on one thread that exists only while it is needed."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Lane:
    """Runs what is put into it, one after the other.  Thread-safe.

    The work must not raise: it reports its own failure.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._work: deque[Callable[[], None]] = deque()
        self._running = False
        self._closed = False

    def put(self, work: Callable[[], None]) -> None:
        """Queue `work`; a closed lane drops it."""
        with self._lock:
            if self._closed:
                return
            self._work.append(work)
            if self._running:
                return
            self._running = True
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._work:
                    self._running = False
                    return
                work = self._work.popleft()
            work()

    def close(self) -> None:
        """Drop what has not begun, and take no more."""
        with self._lock:
            self._closed = True
            self._work.clear()
