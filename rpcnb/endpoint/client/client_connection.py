"""`ClientConnection`: there and back in one go, for the calls that most calls are."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from rpcnb.endpoint.client.interrupt import StopWaiting
from rpcnb.endpoint.connection import Connection
from rpcnb.endpoint.pending import Pending
from rpcnb.endpoint.transfer import buffers_in
from rpcnb.endpoint.turns import ConnectionCut
from rpcnb.session.base import CallStatus
from rpcnb.wire.messages import Kind

if TYPE_CHECKING:
    from collections import deque

    from rpcnb.core.values import Value
    from rpcnb.endpoint.handler import Handler
    from rpcnb.session.observer import CallObserver
    from rpcnb.transport.base import Transport
    from rpcnb.wire.base import WireProtocol
    from rpcnb.wire.messages import ShortReturn

_CALL_FUNC = Kind.CALL_FUNC
Trip: TypeAlias = "tuple[int, CallObserver, tuple[Value, ...], dict[str, Value]]"
"""Id, observer and arguments of a call."""


class ClientConnection(Connection):
    """A connection whose main thread makes round trips.

    A request is known to other threads by its `Pending`. Most calls need none: simple values go there, and
    the next receive brings a simple value back, which nobody else could have received, as this thread
    holds the reading. That takes 4 µs less of 20. As soon as anything else happens (Ctrl-C, another
    message, a cut), the request *stays*, with a `Pending`, and is waited for like any other.
    """

    def __init__(
        self,
        transport: Transport,
        protocol: WireProtocol,
        handler: Handler,
        released: deque[tuple[int, int, int]] | None = None,
    ) -> None:
        super().__init__(transport, protocol, handler, released)
        self._trip: list[Trip] = []
        """The request of the trip under way. Whoever pops it decides what becomes of it: the trip, or
        a signal handler in its midst."""
        self._stayed: Pending | None = None

    def round_trip(
        self,
        function: int,
        args: tuple[Value, ...],
        kwargs: dict[str, Value],
        observer: CallObserver,
        number: int = 0,
    ) -> ShortReturn | Pending | None:
        """Make a call, and receive once.  Main thread only, inside the shield.

        `number` is its id, where the caller has one already.

        Returns
        -------
        tuple, Pending or None
            Its short reply; or what is to be waited for; or None, when nothing was sent, and the call
            must take the general way.
        """
        # Into variables first, here and elsewhere on the way of a call: CPython 3.11 looks the class
        # through each time for what looks like a method and is an attribute.
        quick_call, send_quick = self._quick_call, self._send_quick
        header = quick_call(function, args, kwargs)
        if header is None or self._careful or not self._reading.acquire(False):
            return None
        try:
            number = number or next(self._ids)
            self._trip.append((number, observer, args, kwargs))
            if self.reason is not None or not send_quick(_CALL_FUNC, number, header):
                self._forget(number)
                return None
            self._turns += 1
            messages = self._receive()
            if len(messages) == 1:
                arrived = messages[0]
                if type(arrived) is tuple and arrived[0] == number and len(arrived) == 2:
                    try:
                        self._trip.pop()
                    except IndexError:  # it stays
                        pass
                    else:
                        return arrived
            pending = self.stay()
            self._handle(messages)
        except (ConnectionCut, StopWaiting):
            pending = self.stay()
        finally:
            self._trip.clear()
            self._reading.release()  # as `leave_reading`
            if self._parked or self._followers:
                self._left_reading()
        self._stayed = None
        return pending

    def _forget(self, number: int) -> None:
        """Take back what was not sent, also if a press of Ctrl-C has made it known already."""
        self._trip.clear()
        self.pending.pop(number, None)
        self._stayed = None

    def stay(self) -> Pending | None:
        """Make the request of the trip under way known, and return it; None when there is none.

        Main thread only; may be called by a signal handler, also in the midst of itself. The request
        is pending before it is no trip any more, and whoever looks for both looks at the trip first:
        no other thread can miss it, and nobody needs a lock, which a signal handler could not wait for.
        """
        try:
            number, observer, args, kwargs = self._trip[-1]
        except IndexError:
            return self._stayed
        pending = Pending(number, None, observer)
        pending.arrays = buffers_in(args, kwargs)
        pending = self.pending.setdefault(number, pending)
        try:
            self._trip.pop()
        except IndexError:  # a signal handler made it stay meanwhile
            if pending is not self._stayed:  # that one has ended already
                self.pending.pop(number, None)
            return self._stayed
        self._stayed = pending
        if self.reason is not None and self.pending.pop(number, None) is not None:
            # Looked at after storing, as `end` stores before it looks.
            pending.resolve(CallStatus.LOST, self.told or self.reason)
        return pending

    @property
    def requests_under_way(self) -> int:
        """How many requests are not answered yet; one more for the instant in which a trip stays."""
        return len(self._trip) + len(self.pending)  # in this order: see `stay`

    def streams_using(self, base: int) -> set[int]:
        """Return the streams of calls under way that were given an array in that buffer."""
        found = {0 for _, _, args, kwargs in list(self._trip) if base in buffers_in(args, kwargs)}
        # After the trip: see `stay`.
        found.update(
            pending.stream for pending in list(self.pending.values()) if pending.uses(base)
        )
        return found
