"""Calls that are started and not waited for, submitted ones and queued ones: many are sent at once."""

from __future__ import annotations

import atexit
import weakref
from threading import Lock
from typing import TYPE_CHECKING

from rpcnb.core.values import PLAIN_TYPES
from rpcnb.endpoint.client.watch import WatchedCall
from rpcnb.endpoint.outbox import HELD_MESSAGES
from rpcnb.endpoint.pending import Pending
from rpcnb.endpoint.transfer import buffers_in
from rpcnb.session.observer import NO_OBSERVER, RunningCall
from rpcnb.wire.base import short_message
from rpcnb.wire.messages import CallFunc, Cancel, Kind

if TYPE_CHECKING:
    from rpcnb.core.values import Value
    from rpcnb.endpoint.client.interrupt import InterruptShield
    from rpcnb.endpoint.client.waiting import Waiter
    from rpcnb.endpoint.connection import Connection
    from rpcnb.session.base import CallCallback
    from rpcnb.session.observer import CallObserver
    from rpcnb.wire.base import Prepared

_CALL_FUNC = Kind.CALL_FUNC
OUT_FOR_EACH = 2
"""Calls that are out for each one that may be kept back. The first ones are sent at once, a call more
than hundreds does not begin sooner by hurrying, and whoever keeps a number of calls out never finds
all of them here."""


class StartedCall(Pending, RunningCall):
    """A call that nobody waits for by its request: both ends of it in one object.

    Of thousands of calls that are out, objects cost more than code: the cycle collector looks at
    each of them.
    """

    __slots__ = ("calls",)

    calls: StartedCalls
    """Those of its session; set by them, as a constructor here would be one more call for each."""

    def cancel(self) -> None:
        if not self.done:
            self.calls.cancel(self.id)

    def push(self) -> None:
        if not self.done:
            self.calls.push()


class QueuedCall(StartedCall):
    """A queued call, which several threads may wait for by its request."""

    __slots__ = ("_turn",)

    def __init__(
        self,
        request_id: int,
        callback: CallCallback | None = None,
        observer: CallObserver = NO_OBSERVER,
    ) -> None:
        Pending.__init__(self, request_id, callback, observer)  # `super` takes 0.1 µs more
        self._turn = Lock()
        """Held by the one thread that may wait for a request."""

    def wait(self) -> None:
        while not self.done:
            with self._turn:
                self.calls.wait(self)


class StartedCalls:
    """Starts calls of one session's default stream that nobody waits for.  Thread-safe.

    Many are sent together, each a millisecond later at most: a system call for each would be a third
    of what it costs.

    Parameters
    ----------
    connection, waiter, shield
        Of the session.
    """

    def __init__(self, connection: Connection, waiter: Waiter, shield: InterruptShield) -> None:
        self._connection = connection
        self._quick_call = connection.protocol.quick_call
        self._waiter = waiter
        self._shield = shield
        self.submitted = 0
        """Calls that were submitted so far."""
        self.queued = 0
        """Calls that were queued so far."""
        self._holding = 0
        """Blocks that keep queued calls back."""
        _ALL.add(self)

    def submit(
        self,
        function: int,
        args: tuple[Value, ...],
        kwargs: dict[str, Value],
        callback: CallCallback,
        observer: CallObserver,
    ) -> StartedCall | None:
        """Start a call whose arguments are short; return None where it takes the general way.

        The more of them are out, the more are sent at once.
        """
        connection = self._connection
        header = self._quick_call(function, args, kwargs)
        if header is None:
            return None
        call = StartedCall(connection.next_id(), callback, observer)
        if kwargs or not PLAIN_TYPES.issuperset(map(type, args)):
            call.arrays = buffers_in(args, kwargs)
        most = min(len(connection.pending) // OUT_FOR_EACH, HELD_MESSAGES)
        self._keep(call, short_message((_CALL_FUNC, call.id, header, (), 0)), most)
        self.submitted += 1
        return call

    def queue(
        self,
        function: int,
        args: tuple[Value, ...],
        kwargs: dict[str, Value],
        callback: CallCallback,
        observer: CallObserver,
    ) -> QueuedCall:
        """Start a call for which somebody may wait later; see `RPCSession.queue_call`."""
        connection = self._connection
        number = connection.next_id()
        header = self._quick_call(function, args, kwargs)
        if header is not None:
            prepared = short_message((_CALL_FUNC, number, header, (), 0))
        else:
            prepared = connection.protocol.prepare(CallFunc(number, function, args, kwargs))
        call = QueuedCall(number, callback, observer)
        # The background thread is not woken up: whoever waits will read, and if nobody does, that
        # thread looks by itself in a few milliseconds.
        self._keep(call, prepared, None if self._holding else HELD_MESSAGES, quietly=True)
        self.queued += 1
        return call

    def _keep(
        self, call: StartedCall, prepared: Prepared, most: int | None, *, quietly: bool = False
    ) -> None:
        """Leave a call to be sent when `most` messages wait, or, with None, with the next that is sent.

        Of 32 calls, one needs the shield, which takes 0.6 µs of 9.
        """
        connection = self._connection
        call.calls = self
        try:
            connection.open_for(call, quietly=quietly)
            if type(call.observer) is WatchedCall:
                call.observer.sent(call.id)
            if most is None:
                connection.outbox.hold_back(prepared)
            elif connection.outbox.keep(prepared, most):
                self._attend(most)
        except BaseException:  # Ctrl-C between two steps: nobody will ever hold this call
            self._take_back(call)
            raise

    def _attend(self, most: int) -> None:
        with self._shield:
            if self._connection.outbox.attend(most):
                self._connection.flush()

    def _take_back(self, call: StartedCall) -> None:
        """Forget a call that may have been sent, and stop it."""
        with self._shield:
            if self._connection.pending.pop(call.id, None) is not None:
                call.cancel()

    def hold_back(self, *, held: bool) -> None:
        """Keep queued calls back until the outermost block ends, or something else is sent."""
        self._holding += 1 if held else -1
        if not self._holding:
            self._connection.flush()

    def cancel(self, number: int) -> None:
        """Ask that a call be stopped."""
        with self._shield:
            self._connection.post(Cancel(number))

    def push(self) -> None:
        """Send what is kept back."""
        with self._shield:
            if self._connection.reason is None:
                self._connection.flush()

    def wait(self, call: QueuedCall) -> None:
        """Wait for one; Ctrl-C stops it."""
        self._connection.flush()
        with self._shield:
            self._waiter.wait(call, "an array operation")


_ALL: weakref.WeakSet[StartedCalls] = weakref.WeakSet()


@atexit.register
def _push_all() -> None:
    """Send what a program started last, and did not wait for."""
    for calls in list(_ALL):
        calls.push()
