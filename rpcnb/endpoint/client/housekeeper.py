"""One thread per process that sends what finalizers left behind.

A finalizer may run anywhere, in the middle of anything, so it only appends to a queue. What it
leaves rides on the next request of that session; when there is none, this thread sends it after
`DELAY`. It sleeps until somebody leaves something, and is woken at most once per `DELAY`.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from queue import SimpleQueue
from typing import Protocol

DELAY = 0.05
"""Seconds between a release and its sending, when nothing else is sent meanwhile."""


class Leaver(Protocol):
    """Somebody whose finalizers leave things."""

    def flush_released(self) -> None:
        """Send what was left.  Must not raise."""


class Housekeeper:
    """See the module.  `notice` may be called by finalizers; `SimpleQueue.put` is made for that."""

    def __init__(self) -> None:
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._leavers: weakref.WeakSet[Leaver] = weakref.WeakSet()
        self._lock = threading.Lock()  # for the set only: never taken in a finalizer
        self._asleep = True
        self._pid = 0

    def register(self, leaver: Leaver) -> None:
        """Look after `leaver` for as long as it lives; starts the thread."""
        if self._pid != os.getpid():  # never started, or started before a fork
            self._pid = os.getpid()
            self._lock = threading.Lock()
            self._bell = SimpleQueue()
            self._asleep = True
            threading.Thread(target=self._run, name="rpcnb-housekeeper", daemon=True).start()
        with self._lock:
            self._leavers.add(leaver)

    def notice(self) -> None:
        """Wake the thread, unless it is awake.  No locks, no I/O."""
        if self._asleep:
            self._asleep = False
            self._bell.put(None)

    def _run(self) -> None:
        bell = self._bell
        while True:
            bell.get()
            time.sleep(DELAY)  # meanwhile more is left, and a request may take it along
            self._asleep = True  # before looking: what comes from now on wakes us again
            self._flush_all()

    def _flush_all(self) -> None:
        # A method of its own, so that no local keeps anybody alive while the thread sleeps.
        with self._lock:
            leavers = list(self._leavers)
        for leaver in leavers:
            leaver.flush_released()


HOUSEKEEPER = Housekeeper()
"""The process's."""
