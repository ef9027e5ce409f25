"""Calls that were submitted: the more of them are out, the more are sent at once."""

from __future__ import annotations

import atexit
import weakref
from typing import TYPE_CHECKING

from rpcnb.core.values import PLAIN_TYPES
from rpcnb.endpoint.client.watch import WatchedCall
from rpcnb.endpoint.outbox import HELD_MESSAGES
from rpcnb.endpoint.pending import Pending
from rpcnb.endpoint.transfer import buffers_in
from rpcnb.session.observer import RunningCall
from rpcnb.wire.base import Prepared
from rpcnb.wire.messages import Cancel, Kind

if TYPE_CHECKING:
    from rpcnb.core.values import Value
    from rpcnb.endpoint.client.interrupt import InterruptShield
    from rpcnb.endpoint.connection import Connection
    from rpcnb.session.base import CallCallback
    from rpcnb.session.observer import CallObserver

_CALL_FUNC = Kind.CALL_FUNC
OUT_FOR_EACH = 2
"""Calls that are out for each one that may be kept back. The first ones are sent at once, a call more
than hundreds does not begin sooner by hurrying, and whoever keeps a number of calls out never finds
all of them here."""


class SubmittedCall(Pending, RunningCall):
    """A call that nobody waits for by its request: both ends of it in one object.

    Of thousands of calls that are out, objects cost more than code: the cycle collector looks at
    each of them.
    """

    __slots__ = ("_calls",)

    def __init__(
        self, number: int, callback: CallCallback, observer: CallObserver, calls: SubmittedCalls
    ) -> None:
        Pending.__init__(self, number, callback, observer)  # `super` takes 0.1 µs more
        self._calls = calls

    def cancel(self) -> None:
        if not self.done:
            self._calls.cancel(self.id)

    def push(self) -> None:
        if not self.done:
            self._calls.push()


class SubmittedCalls:
    """Starts the submitted calls of one session whose arguments are short.  Thread-safe.

    Parameters
    ----------
    connection, shield
        Of the session.
    """

    def __init__(self, connection: Connection, shield: InterruptShield) -> None:
        self._connection = connection
        self._shield = shield
        self.count = 0
        """Calls that were submitted so far."""
        _ALL.add(self)

    def start(
        self,
        function: int,
        args: tuple[Value, ...],
        kwargs: dict[str, Value],
        callback: CallCallback,
        observer: CallObserver,
    ) -> SubmittedCall | None:
        """Start a call of the default stream; return None where that takes the general way.

        Many that are out are sent 32 at a time, each a millisecond later at most: a system call for
        each would be a third of what it costs.
        """
        connection = self._connection
        header = connection.protocol.quick_call(function, args, kwargs)
        if header is None:
            return None
        call = SubmittedCall(connection.next_id(), callback, observer, self)
        if kwargs or not PLAIN_TYPES.issuperset(map(type, args)):
            call.arrays = buffers_in(args, kwargs)
        most = min(len(connection.pending) // OUT_FOR_EACH, HELD_MESSAGES)
        # Of 32 calls, one needs the shield, which takes 0.6 µs of 9.
        try:
            connection.open_for(call)
            if type(observer) is WatchedCall:
                observer.sent(call.id)
            if connection.outbox.keep(Prepared(_CALL_FUNC, call.id, header, (), 0), most):
                self._attend(most)
            self.count += 1
        except BaseException:  # Ctrl-C between two steps: nobody will ever hold this call
            self._take_back(call)
            raise
        return call

    def cancel(self, number: int) -> None:
        """Ask that a call be stopped."""
        with self._shield:
            self._connection.post(Cancel(number))

    def push(self) -> None:
        """Send what is kept back."""
        with self._shield:
            if self._connection.reason is None:
                self._connection.flush()

    def _attend(self, most: int) -> None:
        with self._shield:
            if self._connection.outbox.attend(most):
                self._connection.flush()

    def _take_back(self, call: SubmittedCall) -> None:
        """Forget a call that may have been sent, and stop it."""
        with self._shield:
            if self._connection.pending.pop(call.id, None) is not None:
                call.cancel()


_ALL: weakref.WeakSet[SubmittedCalls] = weakref.WeakSet()


@atexit.register
def _push_all() -> None:
    """Send what a program submitted last, and did not wait for."""
    for calls in list(_ALL):
        calls.push()
