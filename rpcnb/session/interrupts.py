"""How a running call is interrupted: `KeyboardInterrupt` in the user's code, and nowhere else.

A `Gate` belongs to one running call on one thread.  It is open while the thread is inside the
user's code, and closed while it is inside ours, where an exception out of nowhere would leave a
lock or a half-written frame behind.  A request that finds the gate closed waits until it opens, or
dies with the call.  So no interrupt can hit another call, or the machinery.

Two ways to strike: `ThreadGate` plants an exception in any thread, which notices when it next runs
Python code; `SignalGate` sends SIGINT to the main thread, which also ends ``time.sleep`` and other
blocking system calls.

A call made by the user's code of another call has its own gate *inside* the outer one; the outer
is closed meanwhile, and a request for it strikes the innermost call and then the outer again.
"""

from __future__ import annotations

import ctypes
import signal
import threading
from abc import ABC, abstractmethod
from threading import get_ident
from typing import TYPE_CHECKING, Any

from rpcnb.session.timers import TIMERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

STRIKE_AGAIN = 0.05
"""Seconds until a signal that had no effect is sent again."""

_LOCK = threading.Lock()
"""Held by whoever interrupts.  A thread that finds its gate claimed takes it to wait for the blow."""

# With the interpreter lock held (PyDLL): a stale thread id is refused, never followed.
_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exc.argtypes = (ctypes.c_ulong, ctypes.py_object)
_set_async_exc.restype = ctypes.c_int


class _Parried(BaseException):
    """Stands in for an interrupt that is not to happen any more."""


class Gate(ABC):
    """Whether a call can be interrupted just now.

    Parameters
    ----------
    thread : int
        The one it is made on, and that runs the call.
    outer : Gate, optional
        Of the call whose code makes this call.
    """

    __slots__ = ("_requested", "inner", "outer", "struck", "thread")

    def __init__(self, thread: int, outer: Gate | None = None) -> None:
        self.thread = thread
        self.outer = outer
        self.inner: Gate | None = None
        self.struck = False
        """An interrupt was on its way to this call once; there is never a second."""
        self._requested = False
        if outer is not None:
            # In this order: whoever interrupts `outer` sets its request first, then looks inside.
            outer.inner = self
            self._requested = outer._requested  # noqa: SLF001 -- the same class

    @abstractmethod
    def open(self) -> None:
        """Allow interrupts; raise one that was requested meanwhile.  Own thread only."""

    @abstractmethod
    def close(self) -> bool:
        """Allow none from now on; return whether it was open.  Own thread only.

        An interrupt on its way is raised from here or dropped; it never comes later.
        """

    @abstractmethod
    def _strike(self) -> None:
        """Interrupt the code behind this gate if it is open; `_LOCK` is held."""

    def interrupt(self) -> None:
        """Request an interrupt, from any thread.  It happens now, when the gate opens, or never."""
        with _LOCK:
            gate = self
            gate._requested = True
            while gate.inner is not None:
                gate = gate.inner
                gate._requested = True  # noqa: SLF001 -- the same class
            gate._strike()  # noqa: SLF001 -- the same class

    def run(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Call the user's function with the gate open; it is closed when this returns or raises.

        An interrupt that comes when the function has already returned is dropped where that can be
        told, so that its result is reported.
        """
        try:
            self.open()
            return function(*args, **kwargs)
        finally:
            # At most one interrupt falls in here, so the second attempt always succeeds.
            try:
                self._end()
            except KeyboardInterrupt:
                self._end()
                if not self.struck:  # Ctrl-C of this process's own terminal
                    raise

    def _end(self) -> None:
        """Close for good, and give the thread back to the outer call."""
        self.close()
        if self.outer is not None:
            self.outer.inner = None


class ThreadGate(Gate):
    """Interrupts by an exception planted in the thread.

    The permit is a list of one item: ``pop`` is atomic, so either the call takes it back, and
    is never struck, or the interrupter takes it, and the call knows that the blow will come.
    """

    __slots__ = ("_permit", "_planted")

    def __init__(self, outer: Gate | None = None) -> None:
        self._permit: list[int] = []
        self._planted = False
        """A blow was sent to the thread, and may not have fallen yet."""
        super().__init__(get_ident(), outer)

    def open(self) -> None:
        self._permit.append(self.thread)
        if self._requested and not self.struck and self._take_permit():
            self._requested, self.struck = False, True
            raise KeyboardInterrupt

    def close(self) -> bool:
        if self._take_permit():
            return True
        # It was closed before, or an interrupter took the permit, which holds the lock from before
        # that until it has struck. The blow may fall right here, or be taken back.
        with _LOCK:
            if self._planted:
                self._planted = False
                self._parry()
        return False

    def _parry(self) -> None:
        """Take back a blow on its way to this thread: by one of our own, which falls here.

        Where it is merely erased, CPython 3.11 goes on looking for it for ever, and all threads
        stand still at the next call once there is a debugger or a coverage run.

        It falls at the first jump, or hits a thread that this one has started a moment ago: until such a
        thread runs, CPython knows it by the number of the one that made it. So it is sent until it falls.
        """
        try:
            while True:
                _set_async_exc(self.thread, _Parried)
        except _Parried:
            return

    def _strike(self) -> None:
        if not self.struck and self._take_permit():  # otherwise `open` will see the request
            self._requested, self.struck = False, True
            self._planted = True
            _set_async_exc(self.thread, KeyboardInterrupt)

    def _take_permit(self) -> bool:
        try:
            self._permit.pop()
        except IndexError:
            return False
        return True


class SignalGate(Gate):
    """Interrupts the main thread by SIGINT; its handler runs there, so plain attributes do."""

    __slots__ = ("_interrupter", "is_open")

    def __init__(self, interrupter: SignalInterrupter, outer: Gate | None = None) -> None:
        self._interrupter = interrupter
        self.is_open = self.struck = self._requested = False
        self.thread = interrupter.thread
        self.outer = self.inner = None
        if outer is not None:  # else what `Gate` does is done, without a call
            Gate.__init__(self, interrupter.thread, outer)

    def run(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        # As `Gate.run`, without its four calls where there is no outer call (0.2 µs of each call).
        if self.outer is not None:
            return super().run(function, args, kwargs)
        self._interrupter.innermost = self
        try:
            self.is_open = True
            if self._requested:
                self.fall()
            return function(*args, **kwargs) if kwargs else function(*args)
        finally:
            self.is_open = False  # in one bytecode: no handler runs in between

    def open(self) -> None:
        self._interrupter.innermost = self
        self.is_open = True
        if self._requested:
            self.fall()

    def close(self) -> bool:
        was_open, self.is_open = self.is_open, False
        return was_open

    def fall(self) -> None:
        """Raise what was requested.  Called by the signal handler, and when the gate opens."""
        if self._requested and self.is_open and not self.struck:
            self._requested, self.struck = False, True
            raise KeyboardInterrupt

    def _strike(self) -> None:
        signal.pthread_kill(self.thread, signal.SIGINT)
        # One that arrives just before the thread enters a system call does not end that call, and
        # Python runs the handler only afterwards.
        TIMERS.call_later(STRIKE_AGAIN, self._strike_if_unnoticed)

    def _strike_if_unnoticed(self) -> None:
        if self._requested and self.is_open and not self.struck:
            self._strike()


class SignalInterrupter:
    """Owns SIGINT of a worker process, whose main thread runs its default stream.

    A SIGINT that nobody here asked for is ignored: one that a terminal sends goes to every process
    of the group, and it is for the server to decide what it means.
    """

    def __init__(self) -> None:
        self.innermost: SignalGate | None = None
        """The gate that was opened last on the main thread."""
        self.thread = threading.main_thread().ident or 0  # it has started: never 0
        self._previous: Any = None

    def install(self) -> None:
        """Take SIGINT over.  Main thread only."""
        self._previous = signal.signal(signal.SIGINT, self._handle)

    def uninstall(self) -> None:
        """Give SIGINT back.  Main thread only."""
        signal.signal(signal.SIGINT, self._previous)

    def gate(self, outer: Gate | None = None) -> SignalGate:
        """Return a gate for a call on the main thread, where this must be called."""
        return SignalGate(self, outer)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 -- its form
        if self.innermost is not None:
            self.innermost.fall()
