"""`Caller`: makes the calls of a TVM session, one after the other in the order they were started.

A call that is not waited for gets its turn at once and is run by a thread, which lives while there
are such calls. Before it runs it can be cancelled; then TVM has nothing to stop it with, which is
told as a warning of the call.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from itertools import count
from threading import get_ident
from typing import TYPE_CHECKING

from rpcnb.core.device import Device
from rpcnb.core.errors import EncodeError, RemoteError, RemoteInterrupted
from rpcnb.core.events import EVENTS
from rpcnb.core.values import (
    ArrayRef,
    DenseArray,
    DTypeValue,
    FunctionRef,
    ModuleRef,
    ObjectRef,
)
from rpcnb.endpoint.client.watch import WatchedCall
from rpcnb.endpoint.tvm import values as tvm_values
from rpcnb.session.base import CallCallback, CallStatus
from rpcnb.session.observer import ENDED_CALL, CallObserver, CallOptions, RunningCall
from rpcnb.wire.tvm.packets import Call, Packet, Result
from rpcnb.wire.tvm.values import TVMHandle, TVMObject, TVMValue, TypeIndex

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rpcnb.core.values import Value
    from rpcnb.endpoint.tvm.session import TVMSession
    from rpcnb.endpoint.tvm.turns import Turn
    from rpcnb.endpoint.tvm.values import Held

_AS_IT_IS = frozenset({type(None), bool, int, float, str, bytes})
CANNOT_STOP = "TVM cannot stop a call that runs, so it goes on; to give it up, close the session"


@dataclass(slots=True)
class Prepared:
    """A call whose arguments TVM can be given."""

    name: str
    held: Held
    args: list[TVMValue | DenseArray]
    """In TVM's terms, but for the arrays that are uploaded for the call."""


class QueuedCall(RunningCall):
    """A call that was started and not waited for."""

    def __init__(
        self, caller: Caller, call: Prepared, callback: CallCallback, observer: CallObserver
    ) -> None:
        self.caller = caller
        self.call = call
        self.callback = callback
        self.observer = observer
        self.turn: Turn = caller.link.turns.reserve()

    def cancel(self) -> None:
        """Take it back if it does not run yet; else say that nothing stops it."""
        if self.caller.link.turns.give_up(self.turn):
            self.callback(CallStatus.CANCELLED, None)
        elif self.caller.running is self:
            self.observer.output("warning", CANNOT_STOP)

    def run(self) -> None:
        """Run it when its turn comes, and tell how it ended."""
        link = self.caller.link
        if not link.turns.enter(self.turn):
            return  # it was cancelled
        self.caller.running = self
        try:
            self.observer.started()
            status, value = self._outcome()
        finally:
            self.caller.running = None
            link.turns.leave()
        self.callback(status, value)

    def _outcome(self) -> tuple[CallStatus, Value]:
        try:
            return CallStatus.RETURN, self.caller.perform(self.call)
        except RemoteError as error:
            return CallStatus.EXCEPTION, error.info
        except Exception as error:  # noqa: BLE001 -- whoever waits must be told
            return CallStatus.LOST, error


class Caller:
    """Makes calls.  Thread-safe.

    Parameters
    ----------
    session : TVMSession
        Whose calls they are.
    """

    def __init__(self, session: TVMSession) -> None:
        self._session = session
        self.link = session.link
        self.count = 0
        self.running: QueuedCall | None = None
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._queue: deque[QueuedCall] = deque()
        self._thread: threading.Thread | None = None

    # --- before -------------------------------------------------------------------------------

    def prepare(
        self,
        func: FunctionRef,
        args: Sequence[Value],
        kwargs: Mapping[str, Value] | None,
        options: CallOptions,
    ) -> Prepared:
        """Check a call, and turn its arguments into TVM's values.

        Raises
        ------
        EncodeError
            TVM cannot do it.
        InvalidHandle, SessionClosed
            There is no such function, or no session.
        """
        held = self._session.held(func)
        check_options(kwargs, options)
        name = func.info.name or "the call"
        if held.run is not None:
            return Prepared(name, held, [self._in_full(value) for value in args])
        return Prepared(name, held, [self._lower(value) for value in args])

    def _in_full(self, value: Value) -> Value:
        """Return an array's ref with all that is known of it: a caller may have sent its handle alone."""
        return self._session.held(value).ref if isinstance(value, ArrayRef) else value

    def _lower(self, value: Value) -> TVMValue | DenseArray:
        if type(value) in _AS_IT_IS:
            return value
        if isinstance(value, ArrayRef):
            return self._session.tensor(value)
        if isinstance(value, FunctionRef | ModuleRef | ObjectRef):
            return lower_handle(self._session.held(value))
        if isinstance(value, DTypeValue):
            return tvm_values.to_tvm_dtype(value.dtype)
        if isinstance(value, DenseArray):
            return lower_array(value)
        if isinstance(value, Device):
            return tvm_values.to_tvm_device(value)
        raise tvm_values.refuse(value)

    # --- waiting for it -----------------------------------------------------------------------

    def run(self, call: Prepared, observer: CallObserver) -> Value:
        """Make a call and wait for its end."""
        observer.begun(ENDED_CALL)
        if not EVENTS.subscriptions or call.held.run is not None:
            return self.perform(call)
        watched = self._watch(call, observer)
        try:
            value = self._run_watched(call, watched)
        except RemoteError as error:
            watched.ended(CallStatus.EXCEPTION, error.info)
            raise
        except RemoteInterrupted as error:
            watched.ended(CallStatus.CANCELLED, None, orphaned=not error.confirmed)
            raise
        except BaseException:
            watched.ended(CallStatus.LOST, None)
            raise
        watched.ended(CallStatus.RETURN, None)
        return value

    def _run_watched(self, call: Prepared, watched: WatchedCall) -> Value:
        with self.link.turn_for(call.name):
            watched.started()  # all that is known: it is sent now, and TVM tells nothing more
            return self.perform(call)

    def perform(self, call: Prepared) -> Value:
        """Make a call: all that it needs goes out together."""
        if call.held.run is not None:
            return call.held.run(*call.args)
        self.count += 1
        if not any(isinstance(value, DenseArray) for value in call.args):
            return self._ask(call, call.args)
        made: list[ArrayRef] = []
        with self.link.turn_for(call.name):
            try:
                return self._ask(call, [self._upload(value, made) for value in call.args])
            finally:
                for array in made:
                    self._session.free_handle(array.handle, array.type_code)

    def _upload(self, value: TVMValue | DenseArray, made: list[ArrayRef]) -> TVMValue:
        if not isinstance(value, DenseArray):
            return value
        made.append(self._session.make_array(value))
        return self._session.tensor(made[-1])

    def _ask(self, call: Prepared, args: Sequence[TVMValue]) -> Value:
        session = self._session
        packet = Call(call.held.pointer, tuple(args))
        return session.lift(session.ask(packet, call.name, self._undo_result))

    def _undo_result(self, answer: Packet) -> None:
        if isinstance(answer, Result):
            value = self._session.read_result(answer.values)
            if isinstance(value, TVMObject):
                self._session.holdings.release(value.pointer, value.type_index)

    # --- not waiting --------------------------------------------------------------------------

    def start(self, call: Prepared, callback: CallCallback, observer: CallObserver) -> RunningCall:
        """Put a call at the end of the queue."""
        if EVENTS.subscriptions and call.held.run is None:
            observer = self._watch(call, observer)
            callback = observer.ending(callback)
        queued = QueuedCall(self, call, callback, observer)
        observer.begun(queued)
        with self._lock:
            self._queue.append(queued)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rpcnb-tvm-calls")
                self._thread.daemon = True
                self._thread.start()
        return queued

    def _run(self) -> None:
        turns = self.link.turns
        turns.runner = get_ident()
        while True:
            with self._lock:
                if not self._queue:
                    self._thread = turns.runner = None
                    return
                queued = self._queue.popleft()
            queued.run()

    def _watch(self, call: Prepared, observer: CallObserver) -> WatchedCall:
        watched = WatchedCall(self._session.table_index, call.name, observer)
        watched.sent(next(self._numbers))
        return watched


def lower_array(value: DenseArray) -> TVMValue | DenseArray:
    """Return a NumPy scalar as a number, and an array as it is.

    Raises
    ------
    EncodeError
        TVM has no such elements.
    """
    if value.is_scalar:
        return tvm_values.scalar(value)
    tvm_values.to_tvm_dtype(value.dtype)
    return value


def lower_handle(held: Held) -> TVMHandle:
    """Return how something that the server gave us goes back there.

    Raises
    ------
    EncodeError
        It is of this side.
    """
    if held.run is not None:
        message = f"{held.ref!r} is a function of this side; TVM can be given its own only"
        raise EncodeError(message)
    if held.type_index in {TypeIndex.FUNCTION, TypeIndex.MODULE}:
        return TVMHandle(held.type_index, held.pointer)
    return TVMHandle(TypeIndex.REMOTE_OBJECT, held.pointer)


def check_options(kwargs: Mapping[str, Value] | None, options: CallOptions) -> None:
    """Refuse what calls of a TVM server cannot have.

    Raises
    ------
    EncodeError
        Keyword arguments, a time-out or a stream.
    """
    if kwargs:
        message = "functions of a TVM server take no keyword arguments; pass them by position"
        raise EncodeError(message)
    if options.timeout is not None:
        message = (
            "TVM has no time-out for one call; connect with tvm://…?timeout=S, after which the "
            "server ends the whole session"
        )
        raise EncodeError(message)
    if options.stream:
        message = "TVM runs calls one by one; use the device's set_stream for its kernels"
        raise EncodeError(message)
