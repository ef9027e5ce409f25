"""SIGINT while this process talks to a peer: asked for over there, never torn out of the middle.

A `KeyboardInterrupt` that is raised between two bytecodes of the connection would lose received
bytes or leave half a frame sent, and the next call would get a stranger's answer. So while the main
thread is inside the connection, our handler is the process's: it *asks* (sends CANCEL) and
returns, and the interrupt is raised once the connection is out of the way.

Swapping the handler costs 0.4 µs with the C function; `signal.signal`, which wraps it, takes 5 µs
to turn numbers into enums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import get_ident, main_thread
from time import monotonic
from types import FrameType, TracebackType
from typing import Any, Self, TypeAlias

SignalHandler: TypeAlias = Callable[[int, FrameType | None], object] | int | None

MAIN_THREAD = main_thread().ident
# The C module: `signal` takes 0.4 ms to make enums of its numbers.
_signal: Any = import_module("_signal")
_swap: Callable[[int, SignalHandler], SignalHandler] = _signal.signal
SIGINT: int = _signal.SIGINT
LAST_RESORT = 1.0
"""Seconds after the second press, from which on one more means that nothing else has helped.

A key that is held down presses thirty times a second.
"""


class StopWaiting(BaseException):
    """Raised by the signal handler in a receive that nobody wants to wait for any more."""


class InterruptShield:
    """Holds back SIGINT while the main thread is inside; on other threads it does nothing.

    ``with shield:`` raises what was held back when the block is left without another exception,
    unless somebody took it with `take`. One shield serves one session; blocks nest, and nest with
    those of other sessions: an inner shield tells the outer one.
    """

    def __init__(self) -> None:
        self.count = 0
        """Interrupts held back."""
        self.on_interrupt: Callable[[int, FrameType | None], None] | None = None
        """Called in the signal handler with `count` and the frame that was interrupted; must be
        quick, and may raise `StopWaiting` where that does no harm."""
        self._handler = self._handle  # bound once: `is` works, and it is on the path of each call
        self._stack: list[SignalHandler] = []
        self._outer: SignalHandler = None
        self._deferred: BaseException | None = None
        self._second = 0.0

    def __enter__(self) -> Self:
        if get_ident() == MAIN_THREAD:
            self.raise_up()
        return self

    def raise_up(self) -> None:
        """Enter, on the main thread."""
        previous = _swap(SIGINT, self._handler)
        if not self._stack and self.count:
            self.take()  # left over from a block that ended with another error
        self._stack.append(previous)
        if previous is not self._handler:
            self._outer = previous

    def put_down(self) -> None:
        """Undo `raise_up`; what was held back is still to be taken."""
        _swap(SIGINT, self._stack.pop())

    def raise_held(self) -> None:
        """Raise what was held back."""
        deferred = self.take()
        if deferred is not None:
            raise deferred

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if get_ident() == MAIN_THREAD:
            self.put_down()
            if self.count and error is None:
                self.raise_held()

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 2:
            self._second = monotonic()
        outer = self._outer
        if outer is _signal.default_int_handler:
            self._deferred = KeyboardInterrupt()
        elif callable(outer):  # asyncio's, say: it may cancel a task, or raise
            try:
                outer(signum, frame)
            except BaseException as error:  # noqa: BLE001 -- raised again on leaving
                self._deferred = error
        if self.on_interrupt is not None:
            self.on_interrupt(self.count, frame)

    @property
    def is_last_resort(self) -> bool:
        """Whether this press comes long after two others, which have not helped."""
        return self.count > 2 and monotonic() - self._second >= LAST_RESORT

    def take(self) -> BaseException | None:
        """Return what would be raised on leaving, and forget it."""
        deferred, self._deferred, self.count = self._deferred, None, 0
        return deferred

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Let SIGINT act as it did outside: for the user's own code inside a shielded wait."""
        if get_ident() != MAIN_THREAD or not self._stack:
            yield
            return
        held = _swap(SIGINT, self._outer)
        try:
            yield
        finally:
            _swap(SIGINT, held)
