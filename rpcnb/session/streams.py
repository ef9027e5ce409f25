"""Execution streams: ordered queues of work, one piece at a time.

A piece is either a task, which the stream's own thread runs, or a turn, for which a thread waits
that will do the work itself.  Both stand in one queue, first come, first served.

`ThreadStream` starts a thread for its tasks when it first has one. `PumpedStream` borrows one: a
worker's main thread calls `run_pending`, so that user code runs where signals arrive.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from itertools import count
from threading import get_ident
from typing import TYPE_CHECKING, NamedTuple

from rpcnb.core.errors import DeviceError, SessionClosed, SessionError
from rpcnb.core.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from rpcnb.core.device import Device


class Task:
    """Work for the stream's own thread."""

    __slots__ = ("run",)
    thread = -1
    """Stands for the stream's own thread, whichever that is, until it takes the task up."""

    def __init__(self, run: Callable[[], None]) -> None:
        self.run = run
        """Must not raise."""


class Turn:
    """A thread's place in the queue."""

    __slots__ = ("granted", "lost", "thread")

    def __init__(self) -> None:
        self.thread = get_ident()
        self.lost = False
        """It was withdrawn: the thread is to go away again."""
        self.granted = threading.Lock()
        self.granted.acquire()


class Marker:
    """A place in the queue that wants to be told when it is reached."""

    __slots__ = ("reached",)

    def __init__(self, reached: Callable[[], None]) -> None:
        self.reached = reached


class NativeQueue(NamedTuple):
    """A queue of an array library, such as a CUDA stream: what is started there ends later."""

    around: Callable[[], AbstractContextManager[object]]
    """Returns what makes it the library's current queue within a ``with`` block."""
    finish: Callable[[], None]
    """Waits until what was started there has finished."""


class ExecutionStream(ABC):
    """An ordered queue of work.  Thread-safe.

    Parameters
    ----------
    limit : int
        Pieces of work that may wait.
    """

    def __init__(self, limit: int = DEFAULT_LIMITS.calls_in_flight) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._queue: deque[Task | Turn | Marker] = deque()
        self._ready: deque[Task] = deque()
        """At most one task, which the stream's own thread is to take up now."""
        self._owner = 0
        """Thread that holds the stream; 0 for none."""
        self.closed = False
        self.native: NativeQueue | None = None
        """The array library's own queue, on which its calls start their work; None for none."""

    @property
    def held_by_caller(self) -> bool:
        """Tell whether this very thread is running a piece of work of this stream."""
        return self._owner == get_ident()

    @property
    def idle(self) -> bool:
        """Tell whether nothing runs or waits."""
        return self._owner == 0

    def submit(self, run: Callable[[], None]) -> Task:
        """Queue work for the stream's own thread.

        Raises
        ------
        SessionError
            Too much is waiting.
        SessionClosed
            The stream was closed.
        """
        task = Task(run)
        with self._lock:
            self._check_room()
            self._queue.append(task)
        self._advance(0)
        return task

    def acquire(self, turn: Turn | None = None) -> bool:
        """Wait for this thread's turn and take the stream; `release` it afterwards.

        Parameters
        ----------
        turn : Turn, optional
            Made by this thread; lets another thread `withdraw` it.

        Returns
        -------
        bool
            False when the turn was withdrawn.

        Notes
        -----
        Not re-entrant; ask `held_by_caller` first.  Interrupted by Ctrl-C at any point, the stream
        is either not taken or `release` will find it so: call that in any case.
        """
        with self._lock:
            if self._owner == 0 and not self._queue:
                self._owner = get_ident()
                return True
            self._check_room()
            turn = turn or Turn()
            self._queue.append(turn)
        self._advance(0)
        try:
            turn.granted.acquire()
        except BaseException:
            self.withdraw(turn)
            raise
        return not turn.lost

    def take(self) -> bool:
        """Take the stream at once, if it is idle and this is its own thread; then `release` it."""
        return False

    def release(self) -> None:
        """Pass the stream on, if this thread holds it."""
        try:
            self._advance(get_ident())
        except KeyboardInterrupt:
            self._advance(get_ident())  # Ctrl-C must not leave the stream held by nobody
            self._wake()
            raise

    def withdraw(self, item: Task | Turn) -> bool:
        """Take a piece of work out of the queue; return False when it has begun or was not there."""
        with self._lock:
            was_next = isinstance(item, Task) and item in self._ready
            if was_next:
                self._ready.clear()
            elif item in self._queue:
                self._queue.remove(item)
            else:
                return False
            if isinstance(item, Turn):
                item.lost = True
                item.granted.release()
        if was_next:
            self._advance(Task.thread)
        return True

    def synchronize(self) -> None:
        """Wait until everything queued so far has finished; at once from within that work."""
        if not self.held_by_caller:
            try:
                self.acquire()
            finally:
                self.release()

    def when_drained(self, callback: Callable[[], None]) -> None:
        """Call back when everything queued so far has finished; must not block or raise."""
        with self._lock:
            self._queue.append(Marker(callback))
        self._advance(0)

    def close(self) -> None:
        """Accept nothing more; what is queued still runs.  Idempotent."""
        with self._lock:
            self.closed = True
        self._wake()

    @abstractmethod
    def _wake(self) -> None:
        """Let the stream's own thread look at `_ready`.  Spurious calls are harmless."""

    def _check_room(self) -> None:
        if self.closed:
            raise SessionClosed("this stream was closed")
        if len(self._queue) >= self._limit:
            raise SessionError(f"{self._limit} calls are waiting on this stream; no more fit")

    def _advance(self, holder: int) -> None:
        """Give the stream to the next in the queue, if `holder` still holds it."""
        while True:
            with self._lock:
                if self._owner != holder:
                    return
                if not self._queue:
                    self._owner = 0
                    if not self.closed:
                        return
                    break  # its thread may end now
                # Ctrl-C may strike after any call of a function, so that the queue and the owner
                # change by plain statements, and the one who is told comes last.
                head = self._queue[0]
                if isinstance(head, Turn):
                    self._owner = head.thread
                    del self._queue[0]
                    head.granted.release()
                    return
                if isinstance(head, Task):
                    self._ready.append(head)
                    self._owner = Task.thread
                    del self._queue[0]
                    break
                del self._queue[0]
            head.reached()
        self._wake()

    def _run_ready(self) -> bool:
        """Run the task whose turn it is, on the calling thread; return whether there was one."""
        with self._lock:
            if not self._ready:
                return False
            task = self._ready.popleft()
            self._owner = get_ident()
        try:
            task.run()
        finally:
            self.release()
        return True


class ThreadStream(ExecutionStream):
    """A stream with a thread of its own, started for its first task."""

    def __init__(self, limit: int = DEFAULT_LIMITS.calls_in_flight, name: str = "stream") -> None:
        super().__init__(limit)
        self._name = name
        self._bell = threading.Semaphore(0)
        self._thread: threading.Thread | None = None

    def _wake(self) -> None:
        with self._lock:
            if self._thread is None and self._ready:
                # A daemon: user code in it must not keep the process alive.
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        self._bell.release()

    def _run(self) -> None:
        while not (self.closed and self.idle):
            self._bell.acquire()
            while self._run_ready():
                pass


class PumpedStream(ExecutionStream):
    """A stream whose tasks run when the thread that owns it says so.

    Parameters
    ----------
    on_ready : callable
        Called from any thread when there is something for `run_pending`; must only wake the owner.

    Notes
    -----
    Its owner is the thread that makes it.
    """

    def __init__(
        self, on_ready: Callable[[], None], limit: int = DEFAULT_LIMITS.calls_in_flight
    ) -> None:
        super().__init__(limit)
        self._on_ready = on_ready
        self._thread = get_ident()

    def take(self) -> bool:
        # `with` would take twice as long, 0.06 µs of each call. Nothing can raise in between: this
        # thread is in our code, where no interrupt strikes.
        if get_ident() != self._thread or not self._lock.acquire(False):
            return False
        free = not (self._owner or self._queue or self.closed)
        if free:
            self._owner = self._thread
        self._lock.release()
        return free

    def release(self) -> None:
        if get_ident() == self._thread == self._owner and self._lock.acquire(False):
            alone = not (self._queue or self.closed)  # the usual case, without a call
            if alone:
                self._owner = 0
            self._lock.release()
            if alone:
                return
        super().release()

    def run_pending(self) -> int:
        """Run what can run now, and return how much that was.  Owner's thread only."""
        done = 0
        while self._ready and self._run_ready():  # without the lock while there is nothing
            done += 1
        return done

    def _wake(self) -> None:
        self._on_ready()


class StreamRegistry:
    """The streams of one session, by handle.  Thread-safe.

    Handle 0 is the default stream. A number is never reused.
    """

    def __init__(
        self, default: ExecutionStream, limit: int = DEFAULT_LIMITS.calls_in_flight
    ) -> None:
        self.default = default
        self._limit = limit
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._streams: dict[int, ExecutionStream] = {0: default}
        self._current: dict[Device, int] = {}
        self.in_use = 0
        """What `set_current` set last, for any device: calls without a stream run there."""

    def create(self, device: Device, native: NativeQueue | None = None) -> int:
        """Make a stream, over a library's own queue where it has one, and return its handle."""
        handle = next(self._numbers)
        stream = ThreadStream(self._limit, f"rpcnb-stream-{device}-{handle}")
        stream.native = native
        with self._lock:
            self._streams[handle] = stream
        return handle

    def get(self, handle: int) -> ExecutionStream:
        """Return a stream.

        Raises
        ------
        DeviceError
            There is none of that handle.
        """
        stream = self._streams.get(handle)
        if stream is None:
            raise DeviceError(f"there is no stream {handle} in this session, or it was freed")
        return stream

    def free(self, handle: int) -> None:
        """End a stream once what is queued on it has run."""
        if handle == 0:
            raise DeviceError("the default stream cannot be freed")
        self.get(handle)
        with self._lock:
            stream = self._streams.pop(handle, None)
            self.in_use = 0 if self.in_use == handle else self.in_use
            for device in [d for d, current in self._current.items() if current == handle]:
                del self._current[device]
        if stream is not None:
            stream.close()

    def synchronize(self, handle: int) -> None:
        """Wait until everything queued on it so far has finished."""
        self.get(handle).synchronize()

    def set_current(self, device: Device, handle: int) -> None:
        """Make `handle` the stream that is used where none is named."""
        self.get(handle)
        with self._lock:
            self._current[device] = self.in_use = handle

    def current(self, device: Device) -> int:
        """Return what `set_current` set; 0 at first."""
        return self._current.get(device, 0)

    def close(self) -> None:
        """End all streams."""
        with self._lock:
            streams = list(self._streams.values())
        for stream in streams:
            stream.close()
