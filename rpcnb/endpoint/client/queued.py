"""Calls that nobody waits for yet: `QueuedCalls` are sent many at once."""

from __future__ import annotations

from threading import Lock, get_ident
from typing import TYPE_CHECKING

from rpcnb.core.events import EVENTS
from rpcnb.endpoint.client.callback import SERVING
from rpcnb.endpoint.client.interrupt import MAIN_THREAD, InterruptShield
from rpcnb.endpoint.client.watch import WatchedCall
from rpcnb.session.base import RPCSession
from rpcnb.session.observer import NO_OBSERVER, RunningCall
from rpcnb.wire.base import Prepared
from rpcnb.wire.messages import CallFunc, Cancel, Kind

if TYPE_CHECKING:
    from rpcnb.core.values import FunctionRef, Value
    from rpcnb.endpoint.client.waiting import Waiter
    from rpcnb.endpoint.connection import Connection
    from rpcnb.endpoint.pending import Pending
    from rpcnb.session.base import CallCallback
    from rpcnb.session.observer import CallObserver

_CALL_FUNC = Kind.CALL_FUNC


class QueuedCall(RunningCall):
    """A call that is out, or about to be; the result of every asynchronous call."""

    def __init__(self, calls: QueuedCalls, pending: Pending) -> None:
        self._calls = calls
        self._pending = pending
        self._turn = Lock()
        """Held by the one thread that may wait for a request."""

    def cancel(self) -> None:
        if not self._pending.done:
            self._calls.connection.post(Cancel(self._pending.id))

    def wait(self) -> None:
        while not self._pending.done:
            with self._turn:
                self._calls.wait(self._pending)


class QueuedCalls:
    """Starts queued calls of one session.  Thread-safe.

    Parameters
    ----------
    connection, waiter, shield
        Of the session.
    """

    def __init__(self, connection: Connection, waiter: Waiter, shield: InterruptShield) -> None:
        self.connection = connection
        self._waiter = waiter
        self._shield = shield
        self.count = 0
        """Calls that were queued so far."""
        self.held = 0
        """Blocks that keep them back."""

    def start(
        self,
        func: FunctionRef,
        args: tuple[Value, ...],
        kwargs: dict[str, Value],
        callback: CallCallback,
        observer: CallObserver,
    ) -> QueuedCall:
        """Queue a call of the default stream; see `RPCSession.queue_call`."""
        self.count += 1
        if get_ident() != MAIN_THREAD:
            return self._queue(func.handle, args, kwargs, callback, observer)
        shield = self._shield  # an interrupt between the steps would leave a request never sent
        shield.raise_up()
        try:
            call = self._queue(func.handle, args, kwargs, callback, observer)
        finally:
            shield.put_down()
        if shield.count:
            call.cancel()
            shield.raise_held()
        return call

    def _queue(
        self,
        function: int,
        args: tuple[Value, ...],
        kwargs: dict[str, Value],
        callback: CallCallback,
        observer: CallObserver,
    ) -> QueuedCall:
        connection = self.connection
        protocol = connection.protocol
        # Without its callback, so that the background thread is not woken up: whoever waits will read,
        # and if nobody does, that thread looks by itself in a few milliseconds.
        pending = connection.open_request(None, observer)
        pending.callback = callback
        if type(observer) is WatchedCall:
            observer.sent(pending.id)
        try:
            header = protocol.quick_call(function, args, kwargs)
            if header is not None:
                prepared = Prepared(_CALL_FUNC, pending.id, header, (), 0)
            else:
                prepared = protocol.prepare(CallFunc(pending.id, function, args, kwargs))
        except BaseException:
            connection.pending.pop(pending.id, None)
            raise
        if self.held:
            connection.outbox.hold_back(prepared)
        elif connection.outbox.hold(prepared):
            connection.flush()
        return QueuedCall(self, pending)

    def wait(self, pending: Pending) -> None:
        """Wait for one; Ctrl-C stops it."""
        self.connection.flush()
        with self._shield:
            self._waiter.wait(pending, "an array operation")


class QueueingSession(RPCSession):
    """The part of a socket session that queues calls."""

    queued: QueuedCalls

    def queue_call(
        self,
        func: FunctionRef,
        args: tuple[Value, ...],
        kwargs: dict[str, Value],
        callback: CallCallback,
        observer: CallObserver = NO_OBSERVER,
    ) -> RunningCall:
        """Start a call over there, sent with those that follow."""
        if SERVING.get():  # made by a callback: it runs on the thread that waits for that
            return super().queue_call(func, args, kwargs, callback, observer)
        if EVENTS.subscriptions:
            observer = WatchedCall(self.table_index, func.info.name, observer)
            callback = observer.ending(callback)
        return self.queued.start(func, args, kwargs, callback, observer)

    def hold_back(self, *, held: bool) -> None:
        """Keep queued calls back until the outermost block ends, or something else is sent."""
        self.queued.held += 1 if held else -1
        if not self.queued.held:
            self.queued.connection.flush()
