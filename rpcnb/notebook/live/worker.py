"""A thread that does what clicks ask for, in order: the kernel's threads only put it into a queue."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LOG = logging.getLogger("rpcnb.live")


class Worker:
    """Runs tasks one after the other on a daemon thread, which begins with the first.

    Parameters
    ----------
    name : str
        Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, task: Callable[[], object]) -> None:
        """Let it be done.  Thread-safe; never waits for another task."""
        self._tasks.put(task)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                task()
            except Exception:  # the next click must work all the same
                LOG.exception("a click could not be served")
            del task  # what it holds would live until the next click
