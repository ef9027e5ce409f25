"""Threads that are used again.

A client that comes takes two threads of the broker, and starting one takes 70 µs, half of which is waiting
until it runs. `concurrent.futures` has threads that are used again, but keeps a process from
ending as long as one of them has something to do; and here one may have, for as long as a session lasts.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_IDLE = 16
"""Threads that wait for something to do."""
PATIENCE = 2.0
"""Seconds they wait."""
CLOSED = -1


class Threads:
    """Runs things, each on a thread that has nothing else to do: none of them waits.  Thread-safe.

    Parameters
    ----------
    name : str
        What the threads are called.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._idle = 0
        """Threads that wait, less those that something was left for."""
        self._tasks: SimpleQueue[Callable[[], object] | None] = SimpleQueue()

    def run(self, task: Callable[[], object]) -> None:
        """Run `task`, which must not raise.

        Raises
        ------
        RuntimeError
            The system gives no thread.
        """
        with self._lock:
            somebody = self._idle > 0
            self._idle -= somebody
        if not somebody:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        self._tasks.put(task)

    def close(self) -> None:
        """Let those that wait end at once, and the others when they are done."""
        with self._lock:
            waiting, self._idle = self._idle, CLOSED
        for _ in range(max(waiting, 0)):
            self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._wait()) is not None:
            task()
            del task  # what it holds may go
            if not self._stay():
                return

    def _stay(self) -> bool:
        """Wait for more to do, unless enough others do."""
        with self._lock:
            stay = 0 <= self._idle < MOST_IDLE
            self._idle += stay
        return stay

    def _wait(self) -> Callable[[], object] | None:
        try:
            return self._tasks.get(timeout=PATIENCE)
        except Empty:
            with self._lock:
                if self._idle > 0:
                    self._idle -= 1
                    return None
            return self._tasks.get()  # something was left for this thread in the last moment
