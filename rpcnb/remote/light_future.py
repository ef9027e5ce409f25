"""`LightFuture`: a future that costs nothing until somebody waits for it."""

from __future__ import annotations

import concurrent.futures
import threading
from concurrent.futures._base import FINISHED, PENDING
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType


class _Ended:
    """Stands for the condition of a future that has ended: nothing changes any more."""

    def __enter__(self) -> bool:
        return True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release nothing."""

    def acquire(self) -> bool:
        """Take what is free for everybody: for `concurrent.futures.wait`."""
        return True

    def release(self) -> None:
        """Undo `acquire`."""


_ENDED = _Ended()


class LightFuture(concurrent.futures.Future[Any]):
    """A `concurrent.futures.Future` whose condition and lists are made when they are first used.

    They are nine objects, 1.1 µs and as much again for the cycle collector, and of thousands of
    calls that are out most have ended before anybody looks. Then `settle` ends the future by one
    atomic store: whoever is first decides whether there is a condition, or none is needed any more.
    Else everything is as in the base class, whose attributes these are in each version of Python.
    Thread-safe.
    """

    _result: Any = None
    _exception: BaseException | None = None
    _slow_state = PENDING
    """As long as there is a condition, or nothing has happened."""

    def __init__(self) -> None:
        # Not the base class's, which makes what `__getattr__` makes.
        pass

    def __getattr__(self, name: str) -> Any:
        made: object
        if name == "_condition":
            made = threading.Condition()
        elif name in {"_waiters", "_done_callbacks"}:
            made = []
        else:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self.__dict__.setdefault(name, made)  # atomic: another thread may make it, too

    @property
    def _state(self) -> str:
        return FINISHED if self.__dict__.get("_condition") is _ENDED else self._slow_state

    @_state.setter
    def _state(self, state: str) -> None:
        self._slow_state = state

    def done(self) -> bool:
        """Tell whether it has ended."""
        return self._state == FINISHED or super().done()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result and return it, or raise what the call raised."""
        condition: object = self._condition
        return self._result if condition is _ENDED else super().result(timeout)

    def settle(self, result: object) -> None:
        """End it with a result: `set_result`, for the one place that ends it."""
        self._result = result
        if self.__dict__.setdefault("_condition", _ENDED) is not _ENDED:
            self.set_result(result)
