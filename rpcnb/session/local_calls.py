"""How calls of functions of this very process run: the part of a `LocalSession` that calls.

A call waits in its stream's queue.  A synchronous one then runs on the thread that made it, so
that Ctrl-C acts as in any Python program; an asynchronous one runs on the stream's own thread.
``async def`` functions run on the session's event loop, beside the streams.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from inspect import CO_COROUTINE, iscoroutinefunction
from sys import getrefcount
from typing import TYPE_CHECKING, Any, cast

from rpcnb.core.errors import InvalidHandle, RemoteInterrupted
from rpcnb.core.events import EVENTS, CallPhase
from rpcnb.core.reuse import UNSHARED
from rpcnb.core.values import TypeCode
from rpcnb.session.base import CallStatus, RPCSession, raise_or_return
from rpcnb.session.calls import CURRENT_CALL
from rpcnb.session.execution import Call, Waiter, tell
from rpcnb.session.observer import DEFAULT_OPTIONS, NO_OBSERVER
from rpcnb.session.streams import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rpcnb.core.values import FunctionRef, Value
    from rpcnb.session.base import CallCallback
    from rpcnb.session.coroutines import LoopThread
    from rpcnb.session.handles import HandleTable
    from rpcnb.session.marshal import Marshaller
    from rpcnb.session.observer import CallObserver, CallOptions, RunningCall
    from rpcnb.session.running import Outcome, Runner
    from rpcnb.session.streams import ExecutionStream, StreamRegistry

_FUNCTION = TypeCode.FUNCTION  # 0.05 µs each time in its class
_NO_KWARGS: Mapping[str, Value] = {}
_set_current = CURRENT_CALL.set


class LocalCalls(RPCSession):
    """Runs calls at once, in their turn, or on the session's event loop."""

    handles: HandleTable
    marshaller: Marshaller
    streams: StreamRegistry
    _calls: dict[int, Call]
    _closed: bool
    _default: ExecutionStream
    _index: int
    _loop: LoopThread
    _made: int
    _numbers: Iterator[int]
    _run: Callable[[Call], Outcome]
    _runner: Runner
    _spare: Call | None
    """Of the default stream: a call that has ended."""

    @abstractmethod
    def _check_open(self) -> None:
        """Raise `SessionClosed` when the session was closed."""

    def call_func(
        self,
        func: FunctionRef,
        args: Sequence[Value] = (),
        kwargs: Mapping[str, Value] | None = None,
        *,
        options: CallOptions = DEFAULT_OPTIONS,
        observer: CallObserver = NO_OBSERVER,
    ) -> Value:
        # 3.6 µs for ``lambda x: x`` with an int on the idle default stream; the function is 0.05.
        self._check_open()
        call = self._new_call(func, args, kwargs, observer)
        outer = CURRENT_CALL.get()
        try:
            call.function = self._function(func)
            if _is_coroutine_function(call.function):
                outcome = self._wait(call, options)
            elif outer is None:
                outcome = self._run_inline(call, options)
            else:
                with outer.shielded():
                    outcome = self._run_inline(call, options)
        except KeyboardInterrupt:
            if outer is None:  # struck just before the stream was passed on
                self._stream(options).release()
            message = f"interrupted: {func.info.name or 'the call'} was stopped"
            raise RemoteInterrupted(message, confirmed=True) from None
        finally:
            self._calls.pop(call.id, None)
        call.report_end(*outcome)
        return raise_or_return(*outcome)

    def async_call_func(
        self,
        func: FunctionRef,
        args: Sequence[Value],
        kwargs: Mapping[str, Value] | None,
        callback: CallCallback,
        *,
        options: CallOptions = DEFAULT_OPTIONS,
        observer: CallObserver = NO_OBSERVER,
    ) -> RunningCall:
        if self._closed:
            self._check_open()
        call = self._new_call(func, args, kwargs, observer)
        observer.begun(call)
        if options.timeout is not None:
            call.limit_time(options)
        try:
            call.function = self._function(func)
            if _is_coroutine_function(call.function):
                self._start_coroutine(call, callback)
            else:
                self._enqueue(call, callback, self._stream(options))
        except Exception as error:  # noqa: BLE001 -- whatever it is, it goes to the callback
            self._end(call, callback, *self._runner.failure(call, error))
        return call

    def call_at_once(
        self,
        func: FunctionRef,
        args: Sequence[Value],
        kwargs: Mapping[str, Value],
        observer: CallObserver,
    ) -> Outcome | None:
        stream = self._default
        function = self.handles.find(func.handle, _FUNCTION)
        if function is None or self._closed or self.streams.in_use or not stream.take():
            return None
        call = self._new_call(func, args, kwargs, observer, again=True)
        try:
            call.function = function
            observer.begun(call)
            outcome = self._runner.run_alone(call)
            if EVENTS.subscriptions:
                call.report_end(*outcome)
            return outcome
        finally:
            _set_current(None)  # as it was: the stream was idle
            del self._calls[call.id]
            # It may be used again: what it was about is not kept until then.
            call.observer, call.function = NO_OBSERVER, _nothing
            call.args, call.kwargs = (), _NO_KWARGS
            self._spare = call
            stream.release()

    def cancel_call(self, call: int) -> None:
        running = self._calls.get(call)
        if running is not None:
            running.cancel()

    def runs_beside_streams(self, func: FunctionRef) -> bool:
        try:
            return _is_coroutine_function(self._function(func))
        except InvalidHandle:
            return False  # the call will say so

    def _function(self, func: FunctionRef) -> Callable[..., Any]:
        return cast("Callable[..., Any]", self.handles.get(func.handle, _FUNCTION))

    def _new_call(
        self,
        func: FunctionRef,
        args: Sequence[Value],
        kwargs: Mapping[str, Value] | None,
        observer: CallObserver,
        *,
        again: bool = False,
    ) -> Call:
        """Return a call that is in the table; with `again`, perhaps one that has ended.

        That is for who has the default stream, and spares making three objects: see `rpcnb.core.reuse`.
        """
        number = self._made = next(self._numbers)
        call = None
        if again:
            call, self._spare = self._spare, None
        if (
            call is None
            or getrefcount(call) != UNSHARED
            or not call.renew(number, func.info.name, observer)
        ):
            call = Call(number, func.info.name, observer, self._index)
        self._calls[number] = call
        call.args = args
        call.kwargs = kwargs or _NO_KWARGS
        if EVENTS.subscriptions:
            call.emit(CallPhase.SENT)
        return call

    def _stream(self, options: CallOptions) -> ExecutionStream:
        return self.streams.get(options.stream or self.streams.in_use)

    # --- how a call runs --------------------------------------------------------------------------

    def _run_inline(self, call: Call, options: CallOptions) -> Outcome:
        """Run a call on this thread when its turn has come."""
        stream = self._stream(options)
        if stream.held_by_caller and CURRENT_CALL.get() is not None:
            call.limit_time(options)
            return self._run(call)
        turn = None
        if options.timeout is not None or not stream.idle:
            turn = Turn()
            call.stopper = partial(stream.withdraw, turn)
            call.limit_time(options)
        try:
            if not stream.acquire(turn):
                call.leave()
                return call.stop_status or CallStatus.CANCELLED, None
            return self._run_in(stream, call)
        finally:
            stream.release()

    def _run_in(self, stream: ExecutionStream, call: Call) -> Outcome:
        """Run a call on this thread now, on the array library's queue that the stream stands for."""
        if stream.native is None:
            return self._run(call)
        with stream.native.around():
            return self._run(call)

    def _enqueue(self, call: Call, callback: CallCallback, stream: ExecutionStream) -> None:
        """Let a stream's own thread run a call."""

        def run() -> None:
            self._end(call, callback, *self._run_in(stream, call))

        def withdraw() -> None:
            if stream.withdraw(task):
                self._end(call, callback, call.stop_status or CallStatus.CANCELLED, None)

        task = stream.submit(run)
        call.stopper = withdraw
        if call.stop_status is not None:  # asked before it could be taken out
            withdraw()

    def _end(self, call: Call, callback: CallCallback, status: CallStatus, value: Value) -> None:
        if not call.ended:
            call.leave()
        if EVENTS.subscriptions:
            call.report_end(status, value)
        self._calls.pop(call.id, None)
        tell(callback, status, value)

    # --- async def ----------------------------------------------------------------------------------

    def _wait(self, call: Call, options: CallOptions) -> Outcome:
        """Run a coroutine function and wait for it."""
        waiter = Waiter()
        self._start_coroutine(call, waiter.callback)
        call.limit_time(options)
        return waiter.wait(call)

    def _start_coroutine(self, call: Call, callback: CallCallback) -> None:
        from asyncio import CancelledError  # only those who have coroutines need it

        async def main() -> None:
            CURRENT_CALL.set(call)  # the task's own context
            call.enter_loop()
            outcome: Outcome = call.stop_status or CallStatus.CANCELLED, None
            try:
                if call.stop_status is None:
                    args, kwargs = self._runner.arguments(call)
                    result = await call.function(*args, **kwargs)
                    outcome = CallStatus.RETURN, self.marshaller.to_value(result)
            except CancelledError:
                outcome = call.stop_status or CallStatus.CANCELLED, None
            except BaseException as error:  # noqa: BLE001 -- nothing may end the loop
                outcome = self._runner.failure(call, error)
            self._end(call, callback, *outcome)

        call.stopper = self._loop.start(main)
        if call.stop_status is not None:
            call.stopper()


def _nothing() -> None:
    """Stand in for the function of a call that has ended."""


def _is_coroutine_function(function: Callable[..., Any]) -> bool:
    code = getattr(function, "__code__", None)
    if code is None:  # a partial, a built-in function, or an object with ``__call__``
        return iscoroutinefunction(function)
    return bool(code.co_flags & CO_COROUTINE)
