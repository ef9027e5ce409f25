"""One thread that does things later: deadlines, delayed output, ``started`` notices."""

from __future__ import annotations

import heapq
import threading
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING

from rpcnb.core.forks import do_in_children

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_CANCELLED = 1000
"""Cancelled timers that are kept, besides as many as there are others."""


class Timer:
    """Something to be done at an instant, unless cancelled first."""

    __slots__ = ("_action", "_order", "_when")

    def __init__(self, when: float, order: int, action: Callable[[], object]) -> None:
        self._when = when
        self._order = order
        self._action: Callable[[], object] | None = action

    def cancel(self) -> None:
        """Do it no more.  Idempotent; one store, the heap forgets it later."""
        self._action = None

    @property
    def cancelled(self) -> bool:
        """Whether there is nothing left to do."""
        return self._action is None

    @property
    def when(self) -> float:
        """Seconds on `time.monotonic`."""
        return self._when

    def run(self) -> None:
        """Do it, once."""
        action, self._action = self._action, None
        if action is not None:
            action()

    def __lt__(self, other: Timer) -> bool:
        return (self._when, self._order) < (other._when, other._order)


class Timers:
    """Runs timers on one daemon thread, started when first needed.  Thread-safe.

    Actions must not block and must not raise: they delay each other.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, as the child of a fork must: it has the heap but not the thread."""
        self._changed = threading.Condition(threading.Lock())
        self._heap: list[Timer] = []
        self._tidy_at = MOST_CANCELLED
        self._order = count()
        self._thread: threading.Thread | None = None
        self._wakes_at = float("-inf")

    def call_later(self, seconds: float, action: Callable[[], object]) -> Timer:
        """Call `action` on the timer thread in `seconds`, which a peer may have chosen.

        What is no positive number is due at once.
        """
        wait = seconds if seconds > 0 else 0.0  # NaN has no place in an order
        timer = Timer(monotonic() + wait, next(self._order), action)
        if self._thread is None:
            do_in_children(self.reset)
        with self._changed:
            heapq.heappush(self._heap, timer)
            if len(self._heap) > self._tidy_at:
                self._tidy()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rpcnb-timers", daemon=True)
                self._thread.start()
            # A wake-up costs more than everything else here; mostly an earlier timer is set.
            elif timer.when < self._wakes_at:
                self._changed.notify()
        return timer

    def _tidy(self) -> None:
        """Forget what was cancelled: the deadline of a call that ended may be an hour away."""
        self._heap = [timer for timer in self._heap if not timer.cancelled]
        heapq.heapify(self._heap)
        self._tidy_at = 2 * len(self._heap) + MOST_CANCELLED

    def _run(self) -> None:
        while True:
            self._next().run()

    def _next(self) -> Timer:
        changed = self._changed  # `reset` makes another one
        with changed:
            while True:
                self._wakes_at = self._heap[0].when if self._heap else float("inf")
                pause = self._wakes_at - monotonic()
                if pause <= 0:
                    self._wakes_at = float("-inf")  # awake: looks at the heap again by itself
                    return heapq.heappop(self._heap)
                # Longer is an error, which would end this thread and every deadline with it.
                changed.wait(min(pause, threading.TIMEOUT_MAX))


TIMERS = Timers()
"""The process-wide timer thread."""
