"""`SocketCalls`: the part of a `SocketSession` that calls, and chooses the way."""

from __future__ import annotations

import time
from threading import get_ident
from typing import TYPE_CHECKING

from rpcnb.core.events import EVENTS
from rpcnb.core.values import PLAIN_TYPES
from rpcnb.endpoint import transfer
from rpcnb.endpoint.client.callback import SERVING
from rpcnb.endpoint.client.interrupt import MAIN_THREAD
from rpcnb.endpoint.client.started import StartedCall
from rpcnb.endpoint.client.watch import WatchedCall
from rpcnb.endpoint.pending import Pending
from rpcnb.session.base import CallStatus, RPCSession, raise_or_return
from rpcnb.session.observer import DEFAULT_OPTIONS, NO_OBSERVER
from rpcnb.session.refs import release_refs
from rpcnb.wire.messages import CallFunc, Cancel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rpcnb.core.values import FunctionRef, Value
    from rpcnb.endpoint.client.client_connection import ClientConnection
    from rpcnb.endpoint.client.interrupt import InterruptShield
    from rpcnb.endpoint.client.started import StartedCalls
    from rpcnb.endpoint.client.waiting import Waiter
    from rpcnb.session.base import CallCallback
    from rpcnb.session.observer import CallObserver, CallOptions, RunningCall
    from rpcnb.wire.messages import ShortReturn

_RETURNED = CallStatus.RETURN
_NO_KWARGS: dict[str, Value] = {}
_get_parent = SERVING.get


class SocketCalls(RPCSession):
    """Calls as one round trip, started and not waited for, or the general way."""

    _calls: int
    _connection: ClientConnection
    _shield: InterruptShield
    _started: StartedCalls
    _waiter: Waiter

    def call_func(
        self,
        func: FunctionRef,
        args: Sequence[Value] = (),
        kwargs: Mapping[str, Value] | None = None,
        *,
        options: CallOptions = DEFAULT_OPTIONS,
        observer: CallObserver = NO_OBSERVER,
    ) -> Value:
        """Call over there and wait; SIGINT in the main thread stops it over there."""
        if EVENTS.subscriptions:
            return self._call_watched(func, args, kwargs, options, observer)
        if get_ident() != MAIN_THREAD:
            pending = Pending(self._connection.next_id(), None, observer)
            self._send(pending, func, args, kwargs, options)
            self._connection.wait(pending)
            return raise_or_return(pending.status, pending.value)
        shield = self._shield
        shield.raise_up()  # as `with shield`, without its two calls from C (0.2 µs)
        try:
            reply: ShortReturn | Pending | None = None
            if options is DEFAULT_OPTIONS and not _get_parent():
                reply = self._connection.round_trip(
                    func.handle,
                    tuple(args),
                    kwargs or _NO_KWARGS,  # type: ignore[arg-type] # any mapping; only a dict is plain
                    observer,
                )
            if type(reply) is tuple:
                self._calls += 1
                status, value = _RETURNED, reply[1]
            else:
                pending = self._go_on(reply, func, args, kwargs, options, observer)
                self._waiter.wait_shielded(pending, func.info.name)
                status, value = pending.status, pending.value
        finally:
            shield.put_down()
        if shield.count:
            release_refs(value, self)
            shield.raise_held()
        return value if status is _RETURNED else raise_or_return(status, value)

    def _go_on(  # noqa: PLR0917 -- private; what `call_func` was given, and how far that has come
        self,
        reply: ShortReturn | Pending | None,
        func: FunctionRef,
        args: Sequence[Value],
        kwargs: Mapping[str, Value] | None,
        options: CallOptions,
        observer: CallObserver,
    ) -> Pending:
        """Return what is to be waited for after a round trip that brought no short reply."""
        if reply is not None:
            self._calls += 1
            return reply  # type: ignore[return-value] # no tuple: its callers have looked
        pending = Pending(self._connection.next_id(), None, observer)
        self._send(pending, func, args, kwargs, options)
        return pending

    def _call_watched(
        self,
        func: FunctionRef,
        args: Sequence[Value],
        kwargs: Mapping[str, Value] | None,
        options: CallOptions,
        observer: CallObserver,
    ) -> Value:
        """Do what `call_func` does, and tell the views."""
        name, began = func.info.name, time.monotonic()
        watched = WatchedCall(self.table_index, name, observer)
        with self._shield:
            pending = Pending(self._connection.next_id(), None, watched)
            self._send(pending, func, args, kwargs, options)
            try:
                self._waiter.wait(pending, name)
            finally:
                watched.ended(pending.status, pending.value, orphaned=pending.orphaned)
        if pending.status is CallStatus.CANCELLED:  # by a view: here nobody asked
            from rpcnb.core.cancelled import RemoteCancelled

            seconds = time.monotonic() - began
            message = f"{name} stopped after {seconds:.1f} s (confirmed by {self.name})"
            raise RemoteCancelled(message, confirmed=True)
        return raise_or_return(pending.status, pending.value)

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
        """Start a call over there."""
        if EVENTS.subscriptions:
            observer = WatchedCall(self.table_index, func.info.name, observer)
            callback = observer.ending(callback)
        if options is DEFAULT_OPTIONS and not _get_parent():
            started = self._started.submit(
                func.handle,
                tuple(args),
                kwargs or _NO_KWARGS,  # type: ignore[arg-type] # as in `call_func`
                callback,
                observer,
            )
            if started is not None:
                return started
        call = StartedCall(self._connection.next_id(), callback, observer)
        call.calls = self._started
        with self._shield:
            self._send(call, func, args, kwargs, options)
            if self._shield.count:  # raised in a moment: nobody will ever hold this call
                call.cancel()
        return call

    def queue_call(
        self,
        func: FunctionRef,
        args: tuple[Value, ...],
        kwargs: dict[str, Value],
        callback: CallCallback,
        observer: CallObserver = NO_OBSERVER,
    ) -> RunningCall:
        """Start a call over there, sent with those that follow."""
        if _get_parent():  # made by a callback: it runs on the thread that waits for that
            return super().queue_call(func, args, kwargs, callback, observer)
        if EVENTS.subscriptions:
            observer = WatchedCall(self.table_index, func.info.name, observer)
            callback = observer.ending(callback)
        return self._started.queue(func.handle, args, kwargs, callback, observer)

    def hold_back(self, *, held: bool) -> None:
        """Keep queued calls back until the outermost block ends, or something else is sent."""
        self._started.hold_back(held=held)

    def _send(
        self,
        pending: Pending,
        func: FunctionRef,
        args: Sequence[Value],
        kwargs: Mapping[str, Value] | None,
        options: CallOptions,
    ) -> None:
        """Open the request of a call, and send it."""
        self._calls += 1
        args = tuple(args)
        connection, parent, observer = self._connection, _get_parent(), pending.observer
        connection.open_for(pending)
        if type(observer) is WatchedCall:
            observer.sent(pending.id)
        if kwargs or not PLAIN_TYPES.issuperset(map(type, args)):
            pending.stream = options.stream
            pending.arrays = transfer.buffers_in(args, kwargs or _NO_KWARGS)
        if (
            options is DEFAULT_OPTIONS
            and not parent
            and connection.send_plain_call(pending, func.handle, args, kwargs or _NO_KWARGS)  # type: ignore[arg-type] # any mapping; only a dict is plain
        ):
            return
        message = CallFunc(
            pending.id,
            func.handle,
            args,
            kwargs or {},  # type: ignore[arg-type] # any mapping; the codec asks for a dict
            options.stream,
            options.timeout,
            parent,
        )
        connection.send_request(pending, message)

    def cancel_call(self, call: int) -> None:
        if call in self._connection.pending:
            self._connection.post(Cancel(call))
