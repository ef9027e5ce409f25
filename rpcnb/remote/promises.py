"""Array operations that are sent without waiting: `Pipeline`, and the `Promise` of one result.

The result's handle is chosen here, so that the next operation can name it. Replies come in the
order of the requests, on whatever thread reads; until then a promise keeps what its operation was
given. What fails is remembered until it has been raised somewhere: at the next operation that
waits, at the end of a cell, or at `close`.
"""

from __future__ import annotations

import secrets
import sys
import threading
from itertools import count
from pathlib import PurePath
from typing import TYPE_CHECKING, NoReturn

from rpcnb.array.numpy_errors import numpy_error
from rpcnb.array.replies import Reply, read_reply
from rpcnb.array.synchrony import waits_for_each
from rpcnb.core.errors import (
    FunctionNotFound,
    PermissionDenied,
    RemoteError,
    RemoteInterrupted,
    SessionError,
)
from rpcnb.core.values import ArrayRef, FunctionRef, Handle
from rpcnb.remote.output import give_warnings_at
from rpcnb.session.base import CallStatus, raise_or_return
from rpcnb.session.handles import FIRST_PROMISED
from rpcnb.session.observer import CallObserver, RunningCall
from rpcnb.session.space import RPCObjectRef

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcnb.core.values import Ref, Value
    from rpcnb.remote.client import Remote
    from rpcnb.session.base import RPCSession

ISSUE = "rpcnb.array.issue"
MOST = 512
"""Operations in flight; half of them are waited for when there are more."""
MOST_NBYTES = 64 << 20
"""Bytes of results in flight: what an operation produced is given up only after its reply."""
SMALL_NBYTES = 64 << 10
"""Results up to this size are only counted: as many as may be in flight are less."""
_TOLD = 3
"""Further failures that an error tells of."""
_RETURNED, _LOST = CallStatus.RETURN, CallStatus.LOST
_PACKAGE = __name__.partition(".")[0] + "."


class Promise(CallObserver):
    """One operation in flight, and what has become of it."""

    started_after = None
    done = False
    is_new = True
    """The result has memory of its own."""
    reply: Reply | None = None
    status = _RETURNED
    value: Value = None
    cause: Promise | None = None
    """The first operation that failed, of those that this one was built on."""
    running = RunningCall()

    def __init__(  # noqa: PLR0917 -- one place makes it, for every operation
        self,
        pipeline: Pipeline,
        name: str,
        handle: int,
        expected: str,
        operands: Sequence[RPCObjectRef],
        nbytes: int,
    ) -> None:
        self.pipeline = pipeline
        self.name = name
        self.handle = handle
        self.expected = expected
        self.operands = operands
        self.nbytes = nbytes
        self.file, self.line = _caller()

    # --- on the thread that reads -------------------------------------------------------------------

    def finish(self, status: CallStatus, value: Value) -> None:
        """Take note of how it ended; whoever waits was woken up before."""
        try:
            if status is not _RETURNED:
                self.status, self.value = status, value
                self.cause = self._first_cause() or self.pipeline.first_lost(self)
            elif self.handle:
                self.reply = read_reply(value, self.expected)
                if self.reply is None:
                    self.cause = self
                    self.value = value
            self.operands = ()
        finally:
            self.pipeline.ended(self)

    def _first_cause(self) -> Promise | None:
        for owner in self.operands:
            if isinstance(owner, PromisedRef) and owner.promise.cause is not None:
                return owner.promise.cause
        return None

    def output(self, stream: str, text: str) -> None:
        """Keep a warning, to be given where somebody waits."""
        if stream == "warning":
            self.pipeline.warnings.append((text, self.file, self.line))

    # --- on the user's ------------------------------------------------------------------------------

    def wait(self) -> None:
        """Wait until it has ended; Ctrl-C stops everything in flight.

        Raises
        ------
        RemoteError
            It failed, or one did that it was built on.
        """
        self.pipeline.wait_for(self)
        if self.cause is not None:
            self.cause.fail()

    def fail(self) -> NoReturn:
        """Raise why it failed, which then counts as told."""
        self.pipeline.told(self)
        raise self.error()

    def error(self) -> BaseException:
        """Return a new exception that says why it failed, and where it was sent."""
        error = self._mismatch() if self.status is _RETURNED else _failure(self.status, self.value)
        error.add_note(
            f"in {self.name}, sent without waiting at {self.place}; rpcnb.sync_mode() waits for each"
        )
        return error

    @property
    def place(self) -> str:
        """Line that sent it."""
        return f"{PurePath(self.file).name}:{self.line}"

    def _mismatch(self) -> SessionError:
        head = bytes(self.value).partition(b"\0")[0].decode(errors="replace")
        return SessionError(
            f"the rule of the row {self.name!r} promised {self.expected!r} at {self.place}, and "
            f"{head!r} came: report this, and use rpcnb.sync_mode() meanwhile"
        )


def _failure(status: CallStatus, value: Value) -> BaseException:
    try:
        raise_or_return(status, value)
    except RemoteError as error:
        return numpy_error(error)
    except BaseException as error:  # noqa: BLE001 -- given back to be raised
        return error
    raise AssertionError(status)


class PromisedRef(RPCObjectRef):
    """Owner of a handle that is promised; its ref tells what is known by now."""

    __slots__ = ("_told", "assumed_base", "promise")

    def __init__(self, session: RPCSession, ref: ArrayRef, promise: Promise) -> None:
        super().__init__(session, ref)
        self.promise = promise
        self.assumed_base = ref.base
        self._told = False

    def know(self) -> ArrayRef:
        """Return the ref, with what the reply told if that has come."""
        reply = self.promise.reply
        if reply is not None and not self._told:
            self._told = True
            ref: ArrayRef = self.ref
            self.ref = ArrayRef(
                ref.handle,
                ref.shape,
                ref.dtype,
                reply.device,
                base=reply.base,
                strides=reply.strides,
                writeable=reply.writeable,
            )
        known: ArrayRef = self.ref
        return known


def known_ref(owner: RPCObjectRef) -> Ref:
    """Return what is known of a handle by now; sends nothing, and waits for nothing."""
    ref: Ref = owner.know() if isinstance(owner, PromisedRef) else owner.ref
    return ref


class Pipeline:
    """The operations in flight of one `Remote`.  Thread-safe."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        # Random, as several clients of a gateway may share the session behind it.
        self._handles = count(FIRST_PROMISED + (secrets.randbits(26) << 24) + 1)
        self.in_flight: dict[Promise, None] = {}
        """In the order in which they were sent."""
        self.failed: list[Promise] = []
        """Those that nobody has been told of, and that did not fail because of another."""
        self.warnings: list[tuple[str, str, int]] = []
        self.waits = 0
        """How often somebody waited for a reply."""
        self._nbytes = 0
        self._lock = threading.Lock()
        self._noted = threading.Condition(self._lock)
        self._joined = 0
        """Threads that wait for another to note a reply."""
        self._issue: FunctionRef | None = None
        self.on_numpy = True
        """Whether the arrays over there are NumPy's."""
        self._usable: bool | None = None
        self._lost: Promise | None = None

    # --- sending ------------------------------------------------------------------------------------

    def is_open(self) -> bool:
        """Tell whether operations may be sent ahead here and now."""
        if self._usable is None:
            self._usable = self._ask()
        return self._usable and not waits_for_each()

    def _ask(self) -> bool:
        """Find out whether whoever runs the operations can bind results; once for a session."""
        if self._remote.session.is_local_session():  # there is nothing to wait for
            return False
        try:
            self._issue = self._remote.builtin(ISSUE).lowered()
            library = self._remote.builtin("rpcnb.array.call").lowered()
            self.on_numpy = self._remote.session.call_func(library, ("library",)) == "numpy"
        except (FunctionNotFound, PermissionDenied):  # another kind of server, or not for this role
            return False
        return True

    def send(
        self,
        promise: Promise,
        arrays: int,
        operands: Sequence[Value],
        options: dict[str, Value],
    ) -> None:
        """Send an operation; wait for some of those before when there are too many."""
        if len(self.in_flight) >= MOST or (
            promise.nbytes > SMALL_NBYTES and self._nbytes + promise.nbytes > MOST_NBYTES
        ):
            self._make_room(promise.nbytes)
        assert self._issue is not None  # by `is_open`
        self.in_flight[promise] = None
        if promise.nbytes > SMALL_NBYTES:
            with self._lock:
                self._nbytes += promise.nbytes
        try:
            promise.running = self._remote.session.queue_call(
                self._issue,
                (promise.handle, promise.name, arrays, *operands),
                options,
                promise.finish,
                promise,
            )
        except BaseException:
            self.ended(promise)
            raise

    def new_handle(self) -> Handle:
        """Return a handle that nothing was ever promised under."""
        return Handle(next(self._handles))

    def _make_room(self, nbytes: int) -> None:
        flight = list(self.in_flight)  # one step; others send, and replies come, meanwhile
        if len(flight) >= MOST:
            self.wait_for(flight[len(flight) // 2])
        for promise in flight:
            if self._nbytes + nbytes <= MOST_NBYTES:
                break
            self.wait_for(promise)

    def wait_for(self, promise: Promise) -> None:
        """Wait for one without being told of its failure; Ctrl-C stops everything in flight."""
        if promise.done:
            return
        self.waits += 1
        try:
            promise.running.wait()
            if not promise.done:
                self._wait_until_noted(promise)
        except (KeyboardInterrupt, RemoteInterrupted):
            self.cancel()
            raise

    def _wait_until_noted(self, promise: Promise) -> None:
        """Wait for another thread that has read the reply: it wakes waiters before it notes it."""
        with self._noted:
            self._joined += 1
            try:
                self._noted.wait_for(lambda: promise.done)
            finally:
                self._joined -= 1

    def ended(self, promise: Promise) -> None:
        """Forget one that has ended; what there is to know of it is known before it counts as done."""
        if promise.cause is promise and promise.status is not CallStatus.CANCELLED:
            self.failed.append(promise)
        known = self.in_flight.pop(promise, promise) is None
        if known and promise.nbytes > SMALL_NBYTES:
            with self._lock:
                self._nbytes -= promise.nbytes
        promise.done = True
        if self._joined:  # each side first stores what it did, then looks at what the other did
            with self._noted:
                self._noted.notify_all()

    # --- waiting and telling --------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait for everything in flight, and raise what failed."""
        for promise in reversed(list(self.in_flight)):  # the last one's reply comes last
            self.wait_for(promise)
        self.check()

    def check(self) -> None:
        """Give the warnings that came, and raise the first failure nobody was told of."""
        if self.warnings:
            kept, self.warnings = self.warnings, []
            give_warnings_at(kept)
        if self.failed:
            failed, self.failed = self.failed, []
            error = failed[0].error()
            for other in failed[1 : 1 + _TOLD]:
                error.add_note(f"so failed {other.name} at {other.place}: {other.error()}")
            if len(failed) > 1 + _TOLD:
                error.add_note(f"and {len(failed) - 1 - _TOLD} more")
            raise error

    def first_lost(self, promise: Promise) -> Promise:
        """Return the operation that failed first: when the session is lost, one stands for all."""
        if promise.status is not _LOST:
            return promise
        if self._lost is None:
            self._lost = promise
        return self._lost

    def told(self, promise: Promise) -> None:
        """Take note that somebody is told of a failure."""
        if promise in self.failed:
            self.failed.remove(promise)

    def cancel(self) -> None:
        """Stop everything in flight: what is built on it fails, and nobody else is told."""
        for promise in list(self.in_flight):
            promise.running.cancel()


def _caller() -> tuple[str, int]:
    """Return file and line of the frame that called into the package."""
    frame = sys._getframe(3)  # noqa: SLF001 -- inspect.stack() reads every source file
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno
